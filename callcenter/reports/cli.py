"""`callcenter calls`, `callcenter queues`, `callcenter report`: what was, and what is."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import asdict
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import click

from callcenter.asking import AS_LEADER, ask
from callcenter.cli_context import Context
from callcenter.days import SiteDay, site_day
from callcenter.durations import clock
from callcenter.endpoints import database_url, redis_url
from callcenter.floor.agents import Agent
from callcenter.floor.contacts import Contact
from callcenter.floor.events import (
    CallMoveRequested,
    CallPrioritizeRequested,
    RecordingRequested,
    RecordingWish,
)
from callcenter.floor.figures import Figures, figures
from callcenter.floor.records import ContactClosed, ContactStep, Outcome, QueueMoved
from callcenter.history.database import Connection, DatabaseAway, connect
from callcenter.reports import store
from callcenter.reports.dispositions import dispose_call, report_dispositions
from callcenter.reports.explain import explain_queue
from callcenter.reports.live import queues_now
from callcenter.site import Site, site_in_force
from callcenter.state import FloorClient, StateAway

_DAY = click.option("--day", default="today", show_default=True, help="today, yesterday or YYYY-MM-DD.")
_QUEUE = click.option("--queue", default="", help="Only this queue.")
_THRESHOLD_SECONDS = 20  # of a queue that is no longer in the site file


@click.group(epilog="Example: callcenter calls list --day yesterday --queue sales")
def calls() -> None:
    """Calls: list them, show the time line of one."""


@calls.command("list", epilog="Example: callcenter calls list --live")
@_DAY
@_QUEUE
@click.option("--live", is_flag=True, help="Only the calls that are in the centre now.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True)
@click.pass_obj
def list_calls(context: Context, day: str, queue: str, live: bool, limit: int) -> None:
    """The calls that arrived on a day, latest first."""
    site = site_in_force(context.site_path, context.run)
    _check_queue(site, queue)
    if live:
        _list_live(context, site, queue)
        return
    chosen = site_day(day, _zone(site))
    with connect(database_url(site, context.run)) as connection:
        found = store.contacts_of(connection, site.floor.name, chosen, queue, limit + 1)
    shown = found[:limit]
    if context.json:
        context.print_json(shown)
        return
    context.print_table(
        ("id", "arrived", "from", "number", "queue", "outcome", "agent", "wait", "talk"),
        [
            (
                *(each.contact, _time(each.arrived_at, chosen.zone), each.ani, each.dnis, _queues(each)),
                *(_outcome_in_words(each.outcome), each.agent, clock(each.wait_seconds)),
                clock(each.talk_seconds) if each.connected_at else "",
            )
            for each in shown
        ],
        title=f"{chosen.day} ({site.site.zone})",
    )
    if len(found) > limit:
        context.say(f"only the last {limit} are shown: --limit shows more")


@calls.command("show", epilog="Example: callcenter calls show 1763712345.17")
@click.argument("contact_id", metavar="ID")
@click.pass_obj
def show_call(context: Context, contact_id: str) -> None:
    """The time line of one call, from arrival to outcome."""
    site = site_in_force(context.site_path, context.run)
    with connect(database_url(site, context.run)) as connection:
        line = store.steps(connection, site.floor.name, contact_id)
        closed = store.contact(connection, site.floor.name, contact_id)
    live = None if closed else _live_contact(context, site, contact_id)
    if not line and closed is None and live is None:
        context.fail(f"there is no call {contact_id}: `callcenter calls list` shows their ids")
    if context.json:
        context.print_json({"contact": closed or live, "open": closed is None, "steps": line})
        return
    zone = _zone(site)
    context.say(_headline(contact_id, closed, live, line, zone))
    begin = closed.arrived_at if closed else live.arrived_at if live else line[0].at
    context.print_table(
        ("time", "after", "what", "queue", "agent", "detail"),
        [
            (
                _time(each.at, zone),
                f"+{each.at - begin:.1f} s",
                _step_in_words(each.step),
                each.queue,
                each.agent,
                each.detail,
            )
            for each in line
        ],
    )


@calls.command(epilog="Example: callcenter calls record 1763712345.17 pause")
@click.argument("contact_id", metavar="ID")
@click.argument("wish", type=click.Choice([wish.value for wish in RecordingWish]))
@click.pass_obj
def record(context: Context, contact_id: str, wish: str) -> None:
    """Record a conversation that is going on, pause that (card data), resume or end it."""
    site = site_in_force(context.site_path, context.run)
    with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
        reply = floor.ask(RecordingRequested, contact=contact_id, wish=RecordingWish(wish))
    if not reply.ok:
        context.fail(reply.text)
    if context.json:
        context.print_json({"call": contact_id, "wish": wish, "text": reply.text})
    context.say(reply.text)


calls.add_command(dispose_call)


@calls.command("move", epilog="Example: callcenter calls move 1763712345.17 --queue support")
@click.argument("contact_id", metavar="ID")
@click.option("--queue", required=True, help="Where the caller waits from now on.")
@AS_LEADER
@click.pass_obj
def move_call(context: Context, contact_id: str, queue: str, leader: str) -> None:
    """Move a waiting caller to another queue; the time waited counts there."""
    ask(context, CallMoveRequested, contact=contact_id, queue=queue, leader=leader)


@calls.command("prioritize", epilog="Example: callcenter calls prioritize 1763712345.17 --seconds 120")
@click.argument("contact_id", metavar="ID")
@click.option(
    "--seconds",
    type=click.IntRange(0, 86_400),
    required=True,
    help="As if the caller had come so much earlier; 0 takes it back.",
)
@AS_LEADER
@click.pass_obj
def prioritize_call(context: Context, contact_id: str, seconds: int, leader: str) -> None:
    """Give a waiting caller a head start over those who came before."""
    ask(context, CallPrioritizeRequested, contact=contact_id, head_start=float(seconds), leader=leader)


@click.group(epilog="Example: callcenter queues show")
def queues() -> None:
    """The queues, live."""


queues.add_command(explain_queue)


@queues.command("show", epilog="Example: callcenter queues show --json")
@click.pass_obj
def show_queues(context: Context) -> None:
    """Who waits, how long one who calls now would, what agents do, and today's figures."""
    site = site_in_force(context.site_path, context.run)
    contacts, agents, meta = _floor_now(context, site)
    now = queues_now([queue.name for queue in site.queues], contacts, agents, time.time(), meta)
    try:
        with connect(database_url(site, context.run)) as connection:
            today = _figures(connection, site, site_day("today", _zone(site)))
    except DatabaseAway as away:
        today = {}
        click.echo(f"callcenter: {away}; today's figures are not shown", err=True)
    if context.json:
        context.print_json([asdict(each) | {"today": _as_json(today.get(each.queue))} for each in now])
        return
    context.print_table(
        (
            "queue",
            "waiting",
            "longest",
            "expected",
            "free",
            "ringing",
            "talking",
            "hold",
            "wrap-up",
            "elsewhere",
            "not ready",
        ),
        [
            (
                *(each.queue, each.waiting, clock(each.longest_wait_seconds) if each.waiting else ""),
                "" if each.expected_wait_seconds is None else clock(each.expected_wait_seconds),
                *(each.free, each.ringing, each.talking, each.holding, each.wrapup, each.elsewhere),
                each.not_ready,
            )
            for each in now
        ],
        title="now: callers and agents",
    )
    if today:
        context.print_table(
            ("queue", "offered", "answered", "abandoned (all)", "service level", "ASA", "longest wait"),
            [_short_row(name, each) for name, each in today.items()],
            title="today: calls that have ended",
        )


@click.group(epilog="Example: callcenter report queue --day yesterday")
def report() -> None:
    """Figures of a day, with their formulas named."""


@report.command("queue", epilog="Example: callcenter report queue --day 2026-11-21 --queue sales")
@_DAY
@_QUEUE
@click.pass_obj
def report_queue(context: Context, day: str, queue: str) -> None:
    """Offered, answered, abandoned, service level, ASA, AHT and the longest wait, queue by queue.

    A call belongs to the day on which it arrived; it counts when it has ended.
    """
    site = site_in_force(context.site_path, context.run)
    _check_queue(site, queue)
    chosen = site_day(day, _zone(site))
    with connect(database_url(site, context.run)) as connection:
        found = _figures(connection, site, chosen, queue)
    if context.json:
        context.print_json(
            {
                "day": chosen.day,
                "zone": site.site.zone,
                "queues": {name: _as_json(each) for name, each in found.items()},
            }
        )
        return
    context.print_table(
        (
            *("queue", "offered", "answered", "abandoned", "short abandoned"),
            *("turned away", "moved on", "broken off", "service level", "ASA", "AHT", "longest wait"),
        ),
        [_report_row(name, each) for name, each in found.items()],
        title=f"{chosen.day} ({site.site.zone})",
    )
    _say_formulas(context, found)
    context.say("ASA = waiting time of the answered / answered; AHT = (talk + wrap-up) / answered")
    context.say("turned away = sent away or outside by a rule of the queue, or gone by one of its keys")
    context.say("moved on = went to another queue, which counts them as offered too; their wait goes on")
    context.say("broken off = lost or taken out")


report.add_command(report_dispositions)


@report.command("agent", epilog="Example: callcenter report agent --day yesterday")
@_DAY
@click.pass_obj
def report_agent(context: Context, day: str) -> None:
    """Calls, talk, hold, wrap-up and AHT, agent by agent.

    A call that was transferred counts for each agent who had it, with his own time. A part of a call
    belongs to the day on which it began.
    """
    site = site_in_force(context.site_path, context.run)
    chosen = site_day(day, _zone(site))
    with connect(database_url(site, context.run)) as connection:
        found = store.agents_of(connection, site.floor.name, chosen)
    if context.json:
        agents = {name: asdict(each) | {"aht_seconds": each.aht_seconds} for name, each in found.items()}
        context.print_json({"day": chosen.day, "zone": site.site.zone, "agents": agents})
        return
    context.print_table(
        ("agent", "calls", "talk", "of it hold", "wrap-up", "AHT", "consulted", "for"),
        [
            (
                *(name, each.calls, clock(each.talk_seconds), clock(each.hold_seconds)),
                *(clock(each.wrapup_seconds), _seconds(each.aht_seconds)),
                *(each.consulted, clock(each.consulted_seconds)),
            )
            for name, each in found.items()
        ],
        title=f"{chosen.day} ({site.site.zone})",
    )
    context.say("AHT = (talk + wrap-up) / calls; consulted = asked by another agent about his call")


def _say_formulas(context: Context, found: dict[str, Figures]) -> None:
    by_formula: defaultdict[str, list[str]] = defaultdict(list)
    for name, each in found.items():
        by_formula[each.service_level_formula].append(name)
    for formula, names in by_formula.items():
        of = "" if len(by_formula) == 1 else f" of {', '.join(names)}"
        context.say(f"service level{of} = {formula}")


def _figures(connection: Connection, site: Site, day: SiteDay, queue: str = "") -> dict[str, Figures]:
    """By queue: all of the site file (or the one asked for), then others that had calls."""
    by_queue: defaultdict[str, list[ContactClosed]] = defaultdict(list)
    for each in store.contacts_of(connection, site.floor.name, day, queue):
        by_queue[each.queue].append(each)
    moves: defaultdict[str, list[QueueMoved]] = defaultdict(list)
    for move in store.moves_of(connection, site.floor.name, day, queue):
        moves[move.queue].append(move)
    wrapups = store.wrapup_seconds(connection, site.floor.name, day)
    thresholds = {each.name: each.service_level_seconds for each in site.queues}
    names = [name for name in thresholds if queue in ("", name)]
    names += sorted(name for name in {*by_queue, *moves} if name and name not in thresholds)
    return {
        name: figures(
            by_queue[name], thresholds.get(name, _THRESHOLD_SECONDS), wrapups.get(name, 0.0), moves[name]
        )
        for name in names
    }


def _report_row(name: str, each: Figures) -> tuple[object, ...]:
    return (
        *(name, each.offered, each.answered, each.abandoned, each.short_abandoned),
        *(each.turned_away, each.moved_on, each.broken_off, _percent(each.service_level)),
        *(_seconds(each.asa_seconds), _seconds(each.aht_seconds), clock(each.longest_wait_seconds)),
    )


def _short_row(name: str, each: Figures) -> tuple[object, ...]:
    return (
        *(name, each.offered, each.answered, each.abandoned + each.short_abandoned),
        *(_percent(each.service_level), _seconds(each.asa_seconds), clock(each.longest_wait_seconds)),
    )


def _as_json(each: Figures | None) -> dict[str, object] | None:
    return asdict(each) | {"service_level_formula": each.service_level_formula} if each else None


def _percent(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1%}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _list_live(context: Context, site: Site, queue: str) -> None:
    contacts, _, _ = _floor_now(context, site)
    chosen = [each for each in contacts if queue in ("", each.queue)]
    if context.json:
        context.print_json(chosen)
        return
    zone, now = _zone(site), time.time()
    context.print_table(
        ("id", "arrived", "from", "number", "queue", "state", "agent", "in the centre"),
        [
            (
                *(each.id, _time(each.arrived_at, zone), each.ani, each.dnis, each.queue),
                *(str(each.state), each.agent, clock(now - each.arrived_at)),
            )
            for each in chosen
        ],
    )


def _floor_now(context: Context, site: Site) -> tuple[list[Contact], list[Agent], dict[str, str]]:
    """The floor's contacts, agents and what else it keeps; a warning when no engine keeps them current."""
    with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
        engine = floor.engine()
        if engine is None or not engine.alive:
            click.echo("callcenter: no engine runs: what you see is the state it left", err=True)
        return floor.contacts(), floor.agents(), floor.meta()


def _live_contact(context: Context, site: Site, name: str) -> Contact | None:
    try:
        with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
            return next((each for each in floor.contacts() if each.id == name), None)
    except StateAway as away:
        click.echo(f"callcenter: {away}", err=True)
        return None


def _headline(
    name: str, closed: ContactClosed | None, live: Contact | None, line: list[ContactStep], zone: tzinfo
) -> str:
    if closed:
        date = datetime.fromtimestamp(closed.arrived_at, zone).date()
        outcome = _outcome_in_words(closed.outcome)
        talked = f", talked {clock(closed.talk_seconds)} with {closed.agent}" if closed.connected_at else ""
        return (
            f"{name}  {date}  {closed.ani} -> {closed.dnis}  {outcome}: "
            f"waited {clock(closed.wait_seconds)}{talked}, ended by {closed.ended_by}"
        )
    if live:
        return f"{name}  {live.ani} -> {live.dnis}  still here: {live.state}"
    return f"{name}  {len(line)} steps, not ended yet"


_OUTCOMES = {
    Outcome.CLOSED: "turned away, closed",
    Outcome.FULL: "turned away, queue full",
    Outcome.MAX_WAIT: "turned away, waited the longest allowed",
    Outcome.UNSTAFFED: "turned away, nobody there to serve",
    Outcome.LONG_WAIT: "turned away, expected wait too long",
    Outcome.EXITED: "left by a key",
    Outcome.OVERFLOWED: "sent to an outside number",
    Outcome.LEFT: "taken out",
}


def _queues(each: ContactClosed) -> str:
    """The last queue, and the first where that is another."""
    moved = each.first_queue and each.first_queue != each.queue
    return f"{each.first_queue} -> {each.queue}" if moved else each.queue


def _outcome_in_words(outcome: str) -> str:
    return _OUTCOMES.get(Outcome(outcome), outcome.replace("_", " ")) if outcome in set(Outcome) else outcome


def _step_in_words(step: str) -> str:
    """An outcome, the last step of a call, says that it is one."""
    if step in set(Outcome):
        return f"over: {_outcome_in_words(step)}"
    return step.replace("_", " ").replace("-", " ")


def _check_queue(site: Site, queue: str) -> None:
    names = [each.name for each in site.queues]
    if queue and queue not in names:
        click.echo(
            f"callcenter: queue {queue!r} is not in the site file (it has {', '.join(names)}); "
            "looking for its calls all the same",
            err=True,
        )


def _zone(site: Site) -> ZoneInfo:
    return ZoneInfo(site.site.zone)


def _time(seconds: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(seconds, zone):%H:%M:%S}"
