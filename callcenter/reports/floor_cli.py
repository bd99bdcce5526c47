"""`callcenter floor watch`: the live board of a leader."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click
from rich.console import Console
from rich.live import Live

from callcenter.cli_context import Context
from callcenter.endpoints import database_url, redis_url
from callcenter.floor.figures import service_level
from callcenter.history.database import DatabaseAway, connect
from callcenter.reports import store
from callcenter.reports.watch import Chosen, Picture, draw, picked
from callcenter.site import Site, site_in_force
from callcenter.state import FloorClient, StateAway

LOOK_SECONDS = 1.0
LEVEL_SECONDS = 15.0  # how old the last hour's service level may be


@click.group(epilog="Example: callcenter floor watch --team north")
def floor() -> None:
    """The floor, live."""


@floor.command(epilog="Example: callcenter floor watch --queue sales")
@click.option("--team", default="", help="Only the agents of this team, and their queues.")
@click.option("--queue", default="", help="Only this queue, and its agents.")
@click.option("--once", is_flag=True, help="Show it once and end; so too where there is no terminal.")
@click.pass_obj
def watch(context: Context, team: str, queue: str, once: bool) -> None:
    """Queues, agents with the time they are in their state, and the longest waits, every second.

    Agents who are on a break for longer than [floor] long_break_seconds come first, in red.
    """
    site = site_in_force(context.site_path, context.run)
    names = [each.name for each in site.queues]
    if queue and queue not in names:
        context.fail(f"queue {queue!r} is not in the site file: expected one of {', '.join(names)}")
    chosen = Chosen(names, team, queue, site.floor.long_break_seconds)
    with FloorClient(redis_url(site, context.run), site.floor.name) as client:
        looking = _Looking(site, context, client)
        first = looking.look()
        if first.at == 0.0:
            context.fail(first.fault)
        if team and all(agent.team != team for agent in first.agents):
            context.fail(f"team {team!r} has no agent on this floor (see `callcenter teams list`)")
        console = Console(highlight=False)
        if context.json:
            context.print_json(_as_json(first, chosen))
        elif once or not console.is_terminal:
            everything = draw(first, chosen, max(140, console.width), 100_000)
            Console(width=200, highlight=False).print(everything)
        else:
            with _until_interrupted(), Live(console=console, auto_refresh=False, screen=True) as live:
                for picture in looking.pictures():
                    live.update(draw(picture, chosen, console.width, console.height), refresh=True)


class _Looking:
    """Looks at the floor again and again; what is away for a while is told on the board."""

    def __init__(self, site: Site, context: Context, client: FloorClient) -> None:
        self._site = site
        self._database_url = database_url(site, context.run)
        self._client = client
        self._levels: Mapping[str, float] = {}
        self._levels_at = float("-inf")
        self._last = Picture(0.0)

    def pictures(self) -> Iterator[Picture]:
        due = time.monotonic()
        while True:
            yield self.look()
            due = max(due + LOOK_SECONDS, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def look(self) -> Picture:
        now = time.time()
        if time.monotonic() - self._levels_at >= LEVEL_SECONDS:
            self._levels_at = time.monotonic()
            with suppress(DatabaseAway):  # the last ones stay
                self._levels = self._read_levels()
        try:
            engine = self._client.engine()
            fault = "" if engine and engine.alive else "no engine runs: what you see is the state it left"
            agents, contacts = self._client.agents(), self._client.contacts()
        except StateAway as away:
            last = self._last
            return Picture(last.at, last.agents, last.contacts, self._levels, str(away))
        self._last = Picture(now, agents, contacts, self._levels, fault)
        return self._last

    def _read_levels(self) -> Mapping[str, float]:
        thresholds = {each.name: each.service_level_seconds for each in self._site.queues}
        since = datetime.now(UTC) - timedelta(hours=1)
        with connect(self._database_url) as connection:
            counts = store.answered_in_time(connection, self._site.floor.name, since, thresholds)
        levels = {name: service_level(*each) for name, each in counts.items()}
        return {name: level for name, level in levels.items() if level is not None}


@contextmanager
def _until_interrupted() -> Iterator[None]:
    with suppress(KeyboardInterrupt):
        yield


def _as_json(picture: Picture, chosen: Chosen) -> dict[str, object]:
    queues, agents, waiting = picked(picture, chosen)
    hidden = ("pin_hash", "pin_failures", "locked_until")
    return {
        "at": picture.at,
        "queues": [
            asdict(each) | {"service_level_last_hour": picture.levels.get(each.queue)} for each in queues
        ],
        "agents": [
            {key: value for key, value in asdict(each).items() if key not in hidden}
            | {"state_seconds": round(picture.at - each.since, 1)}
            for each in agents
        ],
        "waiting": waiting,
    }
