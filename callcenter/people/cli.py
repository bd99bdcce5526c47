"""`callcenter agents`: who they are (PostgreSQL), and what they are doing (the floor)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from callcenter.cli_context import Context
from callcenter.durations import clock
from callcenter.endpoints import database_url, redis_url
from callcenter.floor.agents import Agent
from callcenter.floor.events import (
    AgentLoginRequested,
    AgentLogoutRequested,
    AgentNotReadyRequested,
    AgentReadyRequested,
    DispositionRequested,
    Request,
    WrapupEndRequested,
    WrapupExtendRequested,
)
from callcenter.history.database import Connection, DatabaseAway, connect
from callcenter.people import store
from callcenter.people.jobs import publish
from callcenter.people.model import (
    Allowed,
    Person,
    PersonRefused,
    accept,
    in_pairs,
    with_skills,
    with_weights,
)
from callcenter.people.sheet import changes, read_sheet, write_refused
from callcenter.pins import generate_pin, hash_pin, weakness
from callcenter.site import Site, site_in_force
from callcenter.state import FloorClient, StateAway

_PIN = click.option("--pin", metavar="DIGITS", help="The PIN; - asks for it. Without it one is made up.")


@click.group(epilog="Example: callcenter agents add 1001 'Anna Li' --queue sales --queue repair")
def agents() -> None:
    """Agents: who they are, and what they are doing."""


@agents.command(epilog="Example: callcenter agents add 1001 王芳 --queue sales --language zh")
@click.argument("number")
@click.argument("name")
@click.option(
    "--queue",
    "queues",
    multiple=True,
    help="A queue that the agent serves (sales, or sales=3 with a weight); repeat it for more.",
)
@click.option(
    "--skill", "skills", multiple=True, help="A skill with its level, chinese=5; repeat it for more."
)
@click.option("--language", default="", help="The language the agent is spoken to in.")
@_PIN
@click.pass_obj
def add(
    context: Context,
    number: str,
    name: str,
    queues: tuple[str, ...],
    skills: tuple[str, ...],
    language: str,
    pin: str | None,
) -> None:
    """Add an agent; a PIN that is made up is shown once, here."""
    site = site_in_force(context.site_path, context.run)
    person = with_skills(accept(number, name, queues, language, _allowed(site)), skills)
    made_up, pin_hash = _new_pin(pin, person.number)
    _write(context, site, lambda connection: store.add(connection, replace(person, pin_hash=pin_hash)))
    context.say(f"agent {person.number} is added" + (f"; the PIN is {made_up}" if made_up else ""))
    if context.json:
        context.print_json({"number": person.number, "pin": made_up})


@agents.command(
    "import", epilog="Example: callcenter agents import staff.csv --dry-run --refused refused.csv"
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Change nothing; show what would be done.")
@click.option("--refused", type=click.Path(path_type=Path), help="Write the refused rows to this CSV file.")
@click.pass_obj
def import_(context: Context, file: Path, dry_run: bool, refused: Path | None) -> None:
    """Add and change agents from a CSV file with the columns number, name, queues, language, skills, pin.

    Queues are separated by blanks (`sales repair=3`: with a weight), skills too (`chinese=5 loans=2`).
    Without a column for skills they stay as they are. Refused rows are shown with line and reason and end
    the command with exit code 1; all others are taken.
    """
    site = site_in_force(context.site_path, context.run)
    sheet = read_sheet(file, _allowed(site))

    def take(connection: Connection) -> Any:
        found = changes(sheet, {each.number: each for each in store.people(connection)}, dry=dry_run)
        if not dry_run:
            for person in found.added:
                store.add(connection, person)
            for person in found.changed:
                store.change(connection, person)
        return found

    found = _write(context, site, take, tell=not dry_run)
    if refused is not None:
        write_refused(refused, sheet)
    if context.json:
        context.print_json(
            {
                "added": [person.number for person in found.added],
                "changed": [person.number for person in found.changed],
                "unchanged": found.unchanged,
                "refused": [{"line": row.line, "reason": row.reason} for row in sheet.refused],
                "pins": found.generated,
            }
        )
    else:
        for row in sheet.refused:
            context.say(f"{file} line {row.line}: {row.reason}")
        would = "would be " if dry_run else ""
        context.say(
            f"{would}added {len(found.added)}, {would}changed {len(found.changed)}, "
            f"unchanged {found.unchanged}, refused {len(sheet.refused)}"
        )
        if found.generated:
            context.print_table(("agent", "PIN (shown once)"), sorted(found.generated.items()))
    if sheet.refused:
        raise SystemExit(1)


@agents.command("list", epilog="Example: callcenter agents list --json")
@click.pass_obj
def list_(context: Context) -> None:
    """All agents and what they are doing now."""
    site = site_in_force(context.site_path, context.run)
    live, live_fault = _live(context, site)
    try:
        with connect(database_url(site, context.run)) as connection:
            everybody = store.people(connection)
    except DatabaseAway as away:
        if not live:
            raise
        _warn(f"{away}; this is the floor's own list")
        everybody = [Person(each.number, each.name, each.queues, each.language) for each in live.values()]
    rows = [_row(person, live.get(person.number)) for person in everybody]
    context.print_table(
        ("agent", "name", "queues", "presence", "activity", "phone", "works", "for", "calls", "missed"), rows
    )
    if live_fault:
        _warn(live_fault)


@agents.command(epilog="Example: callcenter agents show 1001")
@click.argument("number")
@click.pass_obj
def show(context: Context, number: str) -> None:
    """One agent: who he is, what he is doing now, and all he has done today."""
    site = site_in_force(context.site_path, context.run)
    zone = ZoneInfo(site.site.zone)
    midnight = datetime.combine(datetime.now(zone).date(), datetime.min.time(), zone)
    with connect(database_url(site, context.run)) as connection:
        person = store.find(connection, number)
        states = store.states(connection, site.floor.name, number, midnight)
    live, live_fault = _live(context, site)
    agent = live.get(number)
    facts: dict[str, object] = {
        "agent": person.number,
        "name": person.name,
        "queues": " ".join(person.queues),
        "weights": in_pairs(person.weights),
        "skills": in_pairs(person.skills),
        "language": person.language,
        "PIN": "set" if person.pin_hash else "none: cannot log in by phone",
    }
    if agent is not None:
        facts |= {
            "presence": str(agent.presence),
            "reason": agent.reason,
            "activity": str(agent.activity),
            "phone": agent.phone,
            "contact": agent.contact,
            "works": _way(agent),
            "calls since log-in": agent.calls_taken,
            "missed since log-in": agent.missed_calls,
        }
    if agent is not None:
        states.append(_state_now(agent, midnight))
    if context.json:
        context.print_json(facts | {"today": states})
    else:
        context.print_table(("", ""), [(key, value) for key, value in facts.items() if value != ""])
        rows = [_state_row(state, zone) for state in states]
        context.print_table(("since", "for", "presence", "activity", "phone", "contact"), rows, title="today")
    if live_fault:
        _warn(live_fault)


@agents.command(epilog="Example: callcenter agents remove 1001")
@click.argument("number")
@click.pass_obj
def remove(context: Context, number: str) -> None:
    """Remove an agent; one who is talking leaves when he is free. What he did stays in the reports."""
    _write(
        context,
        site_in_force(context.site_path, context.run),
        lambda connection: store.remove(connection, number),
    )
    context.say(f"agent {number} is removed")


@agents.command("set-pin", epilog="Example: callcenter agents set-pin 1001 --pin -")
@click.argument("number")
@_PIN
@click.pass_obj
def set_pin(context: Context, number: str, pin: str | None) -> None:
    """Give an agent a new PIN; one that is made up is shown once, here."""
    made_up, pin_hash = _new_pin(pin, number)
    _write(
        context,
        site_in_force(context.site_path, context.run),
        lambda connection: store.set_pin(connection, number, pin_hash),
    )
    context.say(f"agent {number} has a new PIN" + (f": {made_up}" if made_up else ""))
    if context.json:
        context.print_json({"number": number, "pin": made_up})


@agents.command(epilog="Example: callcenter agents skill 1001 chinese=5 loans=2 cards=0")
@click.argument("number")
@click.argument("skills", metavar="NAME=LEVEL…", nargs=-1, required=True)
@click.pass_obj
def skill(context: Context, number: str, skills: tuple[str, ...]) -> None:
    """Give an agent skills with levels 1 to 10; level 0 takes one away. The others stay."""
    _change(context, number, lambda person: with_skills(person, skills))


@agents.command(epilog="Example: callcenter agents weight 1001 sales=3")
@click.argument("number")
@click.argument("weights", metavar="QUEUE=WEIGHT…", nargs=-1, required=True)
@click.pass_obj
def weight(context: Context, number: str, weights: tuple[str, ...]) -> None:
    """An agent's weight (1 to 100) in queues whose strategy is weighted_random."""
    _change(context, number, lambda person: with_weights(person, weights))


@agents.command(epilog="Example: callcenter agents login 1001 8001")
@click.argument("number")
@click.argument("phone")
@click.option("--connected", is_flag=True, help="Always connected: the phone is rung once and stays on.")
@click.pass_obj
def login(context: Context, number: str, phone: str, connected: bool) -> None:
    """Log an agent in at a phone; no PIN is asked for here."""
    _ask(context, AgentLoginRequested, agent=number, phone=phone, connected=connected)


@agents.command(epilog="Example: callcenter agents logout 1001")
@click.argument("number")
@click.pass_obj
def logout(context: Context, number: str) -> None:
    """Log an agent out; one who is talking, when the contact is over."""
    _ask(context, AgentLogoutRequested, agent=number)


@agents.command(epilog="Example: callcenter agents ready 1001")
@click.argument("number")
@click.pass_obj
def ready(context: Context, number: str) -> None:
    """Make an agent ready: calls may come."""
    _ask(context, AgentReadyRequested, agent=number)


@agents.command("not-ready", epilog="Example: callcenter agents not-ready 1001 --reason lunch")
@click.argument("number")
@click.option("--reason", default="", help="Why: one of the site file's reasons.")
@click.pass_obj
def not_ready(context: Context, number: str, reason: str) -> None:
    """Make an agent not ready: no call comes."""
    reasons = sorted(site_in_force(context.site_path, context.run).reasons.values())
    if reason and reason not in reasons:
        context.fail(f"reason {reason!r} is not in the site file: expected one of {', '.join(reasons)}")
    _ask(context, AgentNotReadyRequested, agent=number, reason=reason)


@agents.command("end-wrapup", epilog="Example: callcenter agents end-wrapup 1001")
@click.argument("number")
@click.pass_obj
def end_wrapup(context: Context, number: str) -> None:
    """End an agent's wrap-up; not while a required disposition is missing."""
    _ask(context, WrapupEndRequested, agent=number)


@agents.command("extend-wrapup", epilog="Example: callcenter agents extend-wrapup 1001 --seconds 120")
@click.argument("number")
@click.option("--seconds", type=click.IntRange(1, 3600), default=60, show_default=True)
@click.pass_obj
def extend_wrapup(context: Context, number: str, seconds: int) -> None:
    """Give an agent more time for the wrap-up he is in."""
    _ask(context, WrapupExtendRequested, agent=number, seconds=seconds)


@agents.command(epilog="Example: callcenter agents dispose 1001 sold")
@click.argument("number")
@click.argument("disposition")
@click.pass_obj
def dispose(context: Context, number: str, disposition: str) -> None:
    """Say what came of the contact that an agent has at hand, or wraps up."""
    site = site_in_force(context.site_path, context.run)
    known = sorted({name for queue in site.queues for name in queue.dispositions.values()})
    if disposition not in known:
        expected = f"expected one of {', '.join(known)}" if known else "no queue of it has any"
        context.fail(f"disposition {disposition!r} is not in the site file: {expected}")
    _ask(context, DispositionRequested, agent=number, disposition=disposition)


def _change(context: Context, number: str, make: Callable[[Person], Person]) -> None:
    """Change what is known of one agent and show his skills and weights as they are now."""

    def take(connection: Connection) -> Person:
        person = make(store.find(connection, number))
        store.change(connection, replace(person, pin_hash=""))
        return person

    person: Person = _write(context, site_in_force(context.site_path, context.run), take)
    if context.json:
        context.print_json(
            {"number": person.number, "skills": dict(person.skills), "weights": dict(person.weights)}
        )
    else:
        context.say(
            f"agent {person.number}: skills {in_pairs(person.skills) or 'none'}"
            + (f"; weights {in_pairs(person.weights)}" if person.weights else "")
        )


def _ask(context: Context, request: type[Request], **fields: Any) -> None:
    site = site_in_force(context.site_path, context.run)
    with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
        reply = floor.ask(request, **fields)
    if context.json:
        context.print_json(reply)
    elif reply.ok:
        context.say(reply.text)
    else:
        context.fail(reply.text)
    if not reply.ok:
        raise SystemExit(1)


def _write(context: Context, site: Site, change: Callable[[Connection], Any], tell: bool = True) -> Any:
    """Change people in one transaction, then tell the floor at once; the back office does if we cannot."""
    with connect(database_url(site, context.run)) as connection:
        done = change(connection)
        connection.commit()
        if tell:
            try:
                with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
                    publish(connection, floor)
            except StateAway:
                _warn("Redis does not answer: the floor learns of it when it is back")
    return done


def _new_pin(given: str | None, number: str) -> tuple[str, str]:
    """The PIN to show ("" when it was given) and its hash. Raises PersonRefused for a weak one."""
    if given is None:
        made_up = generate_pin(number)
        return made_up, hash_pin(made_up)
    pin = _typed_pin() if given == "-" else given
    if why := weakness(pin, number):
        raise PersonRefused(f"PIN: {why}")
    return "", hash_pin(pin)


def _typed_pin() -> str:
    """From the keyboard, unseen and twice; or one line from a pipe."""
    if sys.stdin.isatty():
        typed: str = click.prompt("PIN", hide_input=True, confirmation_prompt=True)
        return typed
    return sys.stdin.readline().strip()


def _live(context: Context, site: Site) -> tuple[dict[str, Agent], str]:
    try:
        with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
            engine = floor.engine()
            fault = "" if engine and engine.alive else "no engine runs: what you see is the state it left"
            return {agent.number: agent for agent in floor.agents()}, fault
    except StateAway as away:
        return {}, str(away)


def _row(person: Person, agent: Agent | None) -> tuple[object, ...]:
    if agent is None:
        return (person.number, person.name, " ".join(person.queues), *[""] * 7)
    presence = str(agent.presence).replace("_", " ") + (f" ({agent.reason})" if agent.reason else "")
    here = agent.presence != "logged_out"
    return (
        person.number,
        person.name,
        " ".join(person.queues),
        presence,
        str(agent.activity) if here else "",
        agent.phone,
        _way(agent),
        clock(time.time() - agent.since) if agent.since else "",
        agent.calls_taken if here else "",
        agent.missed_calls if here else "",
    )


def _way(agent: Agent) -> str:
    if agent.presence == "logged_out":
        return ""
    return "connected" if agent.line else "on-hook"


def _state_now(agent: Agent, midnight: datetime) -> store.State:
    begun = max(datetime.fromtimestamp(agent.since, UTC), midnight.astimezone(UTC))
    return store.State(
        begun,
        None,
        str(agent.presence),
        agent.reason,
        str(agent.activity),
        agent.phone,
        agent.contact,
    )


def _state_row(state: store.State, zone: tzinfo) -> tuple[object, ...]:
    until = state.until or datetime.now(UTC)
    here = state.presence != "logged_out"
    return (
        f"{state.since.astimezone(zone):%H:%M:%S}",
        clock((until - state.since).total_seconds()) + ("" if state.until else " so far"),
        state.presence.replace("_", " ") + (f" ({state.reason})" if state.reason else ""),
        state.activity if here else "",
        state.phone,
        state.contact,
    )


def _warn(text: str) -> None:
    click.echo(f"callcenter: {text}", err=True)


def _allowed(site: Site) -> Allowed:
    return Allowed({queue.name for queue in site.queues}, site.site.languages)
