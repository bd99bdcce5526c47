"""Teams in PostgreSQL: who is in them and who leads them. Each function is in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from callcenter.history.database import Connection, rows
from callcenter.people.model import PersonRefused, Team, known_team

MISSES = ("no-answer", "busy", "unreachable", "rejected")  # steps of a contact that blame an agent


@dataclass(frozen=True, slots=True)
class Done:
    """An intervention as `callcenter teams log` shows it."""

    at: datetime
    by: str
    act: str
    agent: str
    contact: str
    queue: str
    detail: str


def teams(connection: Connection) -> list[Team]:
    """All, by name."""
    found = rows(
        connection,
        """SELECT t.name, t.title, ARRAY(SELECT l.agent FROM team_leaders AS l WHERE l.team = t.name
            ORDER BY length(l.agent), l.agent) AS leaders,
            (SELECT count(*) FROM agents AS a WHERE a.team = t.name) AS members
        FROM teams AS t ORDER BY t.name""",
    )
    return [Team(row["name"], row["title"], tuple(row["leaders"]), row["members"]) for row in found]


def find(connection: Connection, name: str) -> Team:
    """Raises PersonRefused when there is none of this name."""
    found = {team.name: team for team in teams(connection)}
    known_team(name, found)
    return found[name]


def add(connection: Connection, team: Team) -> None:
    """Raises PersonRefused when the name is taken."""
    done = connection.execute(
        "INSERT INTO teams (name, title) VALUES (%s, %s) ON CONFLICT DO NOTHING", (team.name, team.title)
    )
    if not done.rowcount:
        raise PersonRefused(f"team {team.name} exists already: `callcenter teams show {team.name}`")


def remove(connection: Connection, name: str) -> None:
    """Its members stay, in no team. Raises PersonRefused when there is none of this name."""
    find(connection, name)
    connection.execute("DELETE FROM teams WHERE name = %s", (name,))


def assign(connection: Connection, name: str, agents: Sequence[str]) -> None:
    """Make agents members, of this team alone; "" of none. Raises PersonRefused for an unknown one."""
    for agent in agents:
        _one(connection, "UPDATE agents SET team = nullif(%s, '') WHERE number = %s", name, agent)


def set_leader(connection: Connection, name: str, agent: str, leads: bool) -> None:
    """Raises PersonRefused for an unknown agent."""
    _one(connection, "UPDATE agents SET changed_at = now() WHERE number = %s", agent)
    if leads:
        connection.execute("INSERT INTO team_leaders VALUES (%s, %s) ON CONFLICT DO NOTHING", (name, agent))
    else:
        connection.execute("DELETE FROM team_leaders WHERE team = %s AND agent = %s", (name, agent))


def set_supervisor(connection: Connection, agent: str, supervisor: bool) -> None:
    """Raises PersonRefused for an unknown agent."""
    _one(connection, "UPDATE agents SET supervisor = %s WHERE number = %s", supervisor, agent)


def misses(connection: Connection, floor: str, since: datetime) -> dict[str, int]:
    """By agent: offers that his phone did not take."""
    found = rows(
        connection,
        """SELECT agent, count(*) AS missed FROM contact_steps
        WHERE floor = %(floor)s AND at >= %(since)s AND step = ANY(%(misses)s) GROUP BY agent""",
        floor=floor,
        since=since,
        misses=list(MISSES),
    )
    return {row["agent"]: row["missed"] for row in found}


def interventions(connection: Connection, floor: str, limit: int) -> list[Done]:
    """The latest first."""
    found = rows(
        connection,
        """SELECT at, by, act, agent, contact, queue, detail FROM interventions WHERE floor = %(floor)s
        ORDER BY at DESC, sequence DESC LIMIT %(limit)s""",
        floor=floor,
        limit=limit,
    )
    return [Done(**row) for row in found]


def _one(connection: Connection, statement: LiteralString, *values: object) -> None:
    if not connection.execute(statement, values).rowcount:
        raise PersonRefused(f"there is no agent {values[-1]}: `callcenter agents list` shows all")
