"""The live board: queues, agents and the last contacts, in the terminal, until Ctrl-C.

Without a terminal (a pipe, a log) the same news come as plain lines.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.contacts import Contact, ContactState
from callcenter.state.client import FloorClient
from callcenter.state.errors import StateError

_NEWS = 12
_PLAIN_EVERY_SECONDS = 10.0
_WAITING = frozenset(
    {ContactState.GREETING, ContactState.WAITING, ContactState.OFFERED, ContactState.CONNECTING}
)
_COLOURS = {
    Activity.TALKING: "green",
    Activity.HOLDING: "green",
    Activity.OFFERED: "yellow",
    Activity.WRAPUP: "cyan",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """The floor at one moment, as Redis has it. `fault` says why there is none."""

    at: float
    agents: Sequence[Agent] = ()
    contacts: Sequence[Contact] = ()
    fault: str = ""


def look(client: FloorClient) -> Picture:
    """What the floor looks like now."""
    try:
        return Picture(time.time(), client.agents(), client.contacts())
    except StateError as error:
        return Picture(time.time(), fault=str(error))


class Board:
    """`with Board(queues) as board:` then `board.say(...)` and `board.show(picture)` as often as liked."""

    def __init__(self, queues: Mapping[str, str], console: Console | None = None) -> None:
        self._queues = queues  # title by name
        self._console = console or Console(highlight=False)
        self._news: deque[tuple[float, str]] = deque(maxlen=_NEWS)
        self._live: Live | None = None
        self._spoken_at = 0.0
        self.tally: Counter[str] = Counter()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, screen=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """One piece of news."""
        now = time.time()
        self._news.appendleft((now, text))
        if self._live is None:
            self._console.print(f"{_clock(now)} {text}", markup=False, soft_wrap=True)

    def show(self, picture: Picture) -> None:
        """Draw the floor; without a terminal, one line every ten seconds."""
        if self._live is not None:
            self._live.update(self._draw(picture), refresh=True)
        elif picture.at - self._spoken_at >= _PLAIN_EVERY_SECONDS:
            self._spoken_at = picture.at
            self._console.print(f"{_clock(picture.at)} {summary(picture)}", markup=False, soft_wrap=True)

    def _draw(self, picture: Picture) -> RenderableType:
        head = Text(f"callcenter demo  {_clock(picture.at)}   Ctrl-C ends it", style="bold")
        if picture.fault:
            head.append(f"   {picture.fault}", style="red")
        totals = "   ".join(f"{name} {count}" for name, count in self.tally.items())
        return Group(
            head,
            Text(totals),
            queue_table(self._queues, picture),
            agent_table(picture),
            self._news_table(),
        )

    def _news_table(self) -> Table:
        table = Table("at", "last news", expand=True, title="Contacts", title_justify="left")
        for at, text in self._news:
            table.add_row(_clock(at), escape(text))
        return table


def queue_table(queues: Mapping[str, str], picture: Picture) -> Table:
    table = Table(
        "queue", "waiting", "longest wait", "talking", "agents ready", "free", expand=True,
        title="Queues", title_justify="left",
    )  # fmt: skip
    for name, title in queues.items():
        here = [contact for contact in picture.contacts if contact.queue == name]
        waiting = [contact for contact in here if contact.state in _WAITING]
        longest = max((picture.at - contact.arrived_at for contact in waiting), default=0.0)
        ready = [a for a in picture.agents if name in a.queues and a.presence is Presence.READY]
        free = sum(agent.activity is Activity.IDLE for agent in ready)
        talking = sum(contact.state is ContactState.TALKING for contact in here)
        table.add_row(
            escape(f"{name} {title}" if title and title != name else name),
            Text(str(len(waiting)), style="yellow" if waiting else ""),
            f"{longest:.0f} s" if waiting else "-",
            str(talking), str(len(ready)), str(free),
        )  # fmt: skip
    return table


def agent_table(picture: Picture) -> Table:
    table = Table(
        "agent", "name", "phone", "presence", "activity", "for", "with", "calls", expand=True,
        title="Agents", title_justify="left",
    )  # fmt: skip
    callers = {contact.id: contact.ani for contact in picture.contacts}
    for agent in picture.agents:
        presence = agent.presence.replace("_", " ") + (f" ({agent.reason})" if agent.reason else "")
        off = agent.presence is Presence.LOGGED_OUT
        activity = "" if off else str(agent.activity)
        table.add_row(
            agent.number, escape(agent.name), agent.phone, escape(presence),
            Text(activity, style=_COLOURS.get(agent.activity, "")),
            "" if off else f"{max(0.0, picture.at - agent.since):.0f} s",
            callers.get(agent.contact, ""), str(agent.calls_taken),
            style="dim" if off else "",
        )  # fmt: skip
    return table


def summary(picture: Picture) -> str:
    """The floor in one line."""
    if picture.fault:
        return picture.fault
    waiting = sum(contact.state in _WAITING for contact in picture.contacts)
    talking = sum(contact.state is ContactState.TALKING for contact in picture.contacts)
    ready = [agent for agent in picture.agents if agent.presence is Presence.READY]
    free = sum(agent.activity is Activity.IDLE for agent in ready)
    return f"{waiting} waiting, {talking} talking, {len(ready)} agents ready, {free} of them free"


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
