"""`callcenter teams`: who is in a team, who leads it, and how it stands now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

from callcenter.asking import AS_LEADER, ask
from callcenter.cli_context import Context
from callcenter.durations import clock
from callcenter.endpoints import database_url, redis_url
from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.events import SpeakRequested
from callcenter.history.database import Connection, connect
from callcenter.people import store, teams
from callcenter.people.model import Team, accept_team
from callcenter.people.publishing import change_people
from callcenter.site import Site, site_in_force
from callcenter.state import FloorClient


@click.group("teams", epilog="Example: callcenter teams add north --leader 2001")
def teams_cli() -> None:
    """Teams: their members, their leaders, and how they stand now."""


@teams_cli.command(epilog="Example: callcenter teams add north --title 北区 --leader 2001")
@click.argument("name")
@click.option("--title", default="", help="What people call it.")
@click.option("--leader", "leaders", multiple=True, help="An agent who leads it; repeat it for more.")
@click.pass_obj
def add(context: Context, name: str, title: str, leaders: tuple[str, ...]) -> None:
    """Add a team. A leader may listen to its members, force their states and move their callers."""

    def take(connection: Connection) -> None:
        teams.add(connection, accept_team(name, title))
        for leader in leaders:
            teams.set_leader(connection, name, leader, True)

    _change(context, take)
    context.say(f"team {name} is added")


@teams_cli.command("list", epilog="Example: callcenter teams list --json")
@click.pass_obj
def list_(context: Context) -> None:
    """All teams."""
    site = site_in_force(context.site_path, context.run)
    with connect(database_url(site, context.run)) as connection:
        found = teams.teams(connection)
    context.print_table(
        ("team", "title", "leaders", "members"),
        [(each.name, each.title, " ".join(each.leaders), each.members) for each in found],
    )


@teams_cli.command(epilog="Example: callcenter teams remove north")
@click.argument("name")
@click.pass_obj
def remove(context: Context, name: str) -> None:
    """Remove a team; its members stay, in no team."""
    _change(context, lambda connection: teams.remove(connection, name))
    context.say(f"team {name} is removed")


@teams_cli.command(epilog="Example: callcenter teams assign north 2002 2003")
@click.argument("name")
@click.argument("agents", nargs=-1, required=True)
@click.pass_obj
def assign(context: Context, name: str, agents: tuple[str, ...]) -> None:
    """Make agents members of a team, and of no other."""

    def take(connection: Connection) -> None:
        teams.find(connection, name)
        teams.assign(connection, name, agents)

    _change(context, take)
    context.say(f"team {name}: {_agents(agents)} in it now")


@teams_cli.command(epilog="Example: callcenter teams unassign 2002")
@click.argument("agents", nargs=-1, required=True)
@click.pass_obj
def unassign(context: Context, agents: tuple[str, ...]) -> None:
    """Take agents out of their team."""
    _change(context, lambda connection: teams.assign(connection, "", agents))
    context.say(f"{_agents(agents)} in no team now")


@teams_cli.command(epilog="Example: callcenter teams leader north 2001 --off")
@click.argument("name")
@click.argument("agent")
@click.option("--on/--off", default=True, help="He leads it, or no longer.")
@click.pass_obj
def leader(context: Context, name: str, agent: str, on: bool) -> None:
    """Make an agent a leader of a team, or no longer."""

    def take(connection: Connection) -> None:
        teams.find(connection, name)
        teams.set_leader(connection, name, agent, on)

    _change(context, take)
    context.say(f"agent {agent} {'leads' if on else 'does not lead'} team {name} now")


@teams_cli.command(epilog="Example: callcenter teams supervisor 2001")
@click.argument("agent")
@click.option("--on/--off", default=True, help="He is one, or no longer.")
@click.pass_obj
def supervisor(context: Context, agent: str, on: bool) -> None:
    """Make an agent a supervisor of everybody, or no longer."""
    _change(context, lambda connection: teams.set_supervisor(connection, agent, on))
    context.say(f"agent {agent} is {'a' if on else 'no'} supervisor now")


@teams_cli.command(epilog="Example: callcenter teams show north")
@click.argument("name")
@click.pass_obj
def show(context: Context, name: str) -> None:
    """What a team's members are doing, for how long; long breaks are marked, calls missed today counted."""
    site = site_in_force(context.site_path, context.run)
    zone = ZoneInfo(site.site.zone)
    midnight = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    with connect(database_url(site, context.run)) as connection:
        team = teams.find(connection, name)
        members = [each for each in store.people(connection) if each.team == name]
        missed = teams.misses(connection, site.floor.name, midnight.astimezone(UTC))
    with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
        live = {agent.number: agent for agent in floor.agents()}
    now, long_break = time.time(), site.floor.long_break_seconds
    rows = [
        (
            *(each.number, each.name, *state_in_words(live.get(each.number))),
            _for(live.get(each.number), now),
            "long break" if is_long_break(live.get(each.number), now, long_break) else "",
            missed.get(each.number, 0),
        )
        for each in members
    ]
    if not context.json:
        context.say(_headline(team, live))
    context.print_table(("agent", "name", "presence", "activity", "for", "mark", "missed today"), rows)


@teams_cli.command(epilog="Example: callcenter teams speak north --phone 1005")
@click.argument("name")
@click.option("--phone", required=True, help="Where it is spoken: it rings, and then the team's phones.")
@AS_LEADER
@click.pass_obj
def speak(context: Context, name: str, phone: str, leader: str) -> None:
    """Speak to the idle agents of a team: who answers hears you and is not heard."""
    ask(context, SpeakRequested, team=name, phone=phone, leader=leader)


@teams_cli.command(epilog="Example: callcenter teams log --limit 20")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.pass_obj
def log(context: Context, limit: int) -> None:
    """What leaders, supervisors and the shell did to agents and calls, the latest first."""
    site = site_in_force(context.site_path, context.run)
    zone = ZoneInfo(site.site.zone)
    with connect(database_url(site, context.run)) as connection:
        found = teams.interventions(connection, site.floor.name, limit)
    context.print_table(
        ("at", "by", "did", "agent", "call", "queue", "detail"),
        [
            (
                f"{each.at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
                *(each.by, each.act, each.agent, each.contact, each.queue, each.detail),
            )
            for each in found
        ],
    )


def is_long_break(agent: Agent | None, now: float, long_break_seconds: int) -> bool:
    """Not ready, and not at work, for longer than the site allows."""
    return (
        agent is not None
        and agent.presence is Presence.NOT_READY
        and agent.activity is Activity.IDLE
        and now - agent.since > long_break_seconds
    )


def state_in_words(agent: Agent | None) -> tuple[str, str]:
    if agent is None:
        return "", ""
    presence = str(agent.presence).replace("_", " ") + (f" ({agent.reason})" if agent.reason else "")
    return presence, "" if agent.presence is Presence.LOGGED_OUT else str(agent.activity)


def _for(agent: Agent | None, now: float) -> str:
    return clock(now - agent.since) if agent is not None and agent.since else ""


def _headline(team: Team, live: Mapping[str, Agent]) -> str:
    leaders = [f"{each} {live[each].name}" if each in live else each for each in team.leaders]
    return f"team {team.name} {team.title}".rstrip() + f", led by {', '.join(leaders) or 'nobody'}"


def _agents(agents: tuple[str, ...]) -> str:
    return f"agent {agents[0]} is" if len(agents) == 1 else f"agents {', '.join(agents)} are"


def _change(context: Context, change: Callable[[Connection], None]) -> None:
    site: Site = site_in_force(context.site_path, context.run)
    change_people(context, site, change)
