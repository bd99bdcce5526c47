"""People in PostgreSQL. Each function is one or a few statements in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from callcenter.floor.events import AgentDefinition
from callcenter.history.database import Connection, rows
from callcenter.people.model import Person, PersonRefused

VERSION: LiteralString = "SELECT version FROM people_version"

PEOPLE: LiteralString = """
    SELECT a.number, a.name, a.language, a.pin_hash,
        coalesce(array_agg(q.queue ORDER BY q.position) FILTER (WHERE q.queue IS NOT NULL), '{}') AS queues,
        coalesce(jsonb_object_agg(q.queue, q.weight) FILTER (WHERE q.weight <> 1), '{}') AS weights,
        coalesce((SELECT jsonb_object_agg(s.skill, s.level) FROM agent_skills AS s WHERE s.agent = a.number),
            '{}') AS skills
    FROM agents AS a LEFT JOIN agent_queues AS q ON q.agent = a.number
    GROUP BY a.number ORDER BY length(a.number), a.number"""


def people(connection: Connection) -> list[Person]:
    """Everybody, by number."""
    return [person_of(row) for row in rows(connection, PEOPLE)]


def find(connection: Connection, number: str) -> Person:
    """Raises PersonRefused when there is nobody with this number."""
    for person in people(connection):
        if person.number == number:
            return person
    raise PersonRefused(f"there is no agent {number}: `callcenter agents list` shows all")


@dataclass(frozen=True, slots=True)
class State:
    """What an agent was from `since` until `until`, None for what he is now."""

    since: datetime
    until: datetime | None
    presence: str
    reason: str
    activity: str
    phone: str
    contact: str


def states(connection: Connection, floor: str, number: str, after: datetime) -> list[State]:
    """What this agent was since `after`, which cuts the first; states of no length are left out."""
    found = rows(
        connection,
        """SELECT greatest(since, %(after)s) AS since, until, presence, reason, activity, phone, contact
        FROM agent_states
        WHERE floor = %(floor)s AND agent = %(agent)s AND until > %(after)s AND until > since
        ORDER BY since, epoch, sequence""",
        floor=floor,
        agent=number,
        after=after,
    )
    return [State(**row) for row in found]


def add(connection: Connection, person: Person) -> None:
    """Raises PersonRefused when the number is taken."""
    done = connection.execute(
        """INSERT INTO agents (number, name, language, pin_hash) VALUES (%s, %s, %s, %s)
        ON CONFLICT DO NOTHING""",
        (person.number, person.name, person.language, person.pin_hash),
    )
    if not done.rowcount:
        raise PersonRefused(f"agent {person.number} exists already: `callcenter agents show {person.number}`")
    _set_queues(connection, person)
    set_skills(connection, person)


def change(connection: Connection, person: Person) -> None:
    """Make the agent of this number what `person` says, his PIN too unless `pin_hash` is empty."""
    connection.execute(
        """UPDATE agents SET name = %s, language = %s, pin_hash = coalesce(nullif(%s, ''), pin_hash),
        changed_at = now() WHERE number = %s""",
        (person.name, person.language, person.pin_hash, person.number),
    )
    connection.execute("DELETE FROM agent_queues WHERE agent = %s", (person.number,))
    _set_queues(connection, person)
    set_skills(connection, person)


def set_pin(connection: Connection, number: str, pin_hash: str) -> None:
    """Raises PersonRefused when there is nobody with this number."""
    done = connection.execute(
        "UPDATE agents SET pin_hash = %s, changed_at = now() WHERE number = %s", (pin_hash, number)
    )
    if not done.rowcount:
        raise PersonRefused(f"there is no agent {number}: `callcenter agents list` shows all")


def set_skills(connection: Connection, person: Person) -> None:
    """His skills are these and no others."""
    connection.execute("DELETE FROM agent_skills WHERE agent = %s", (person.number,))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO agent_skills (agent, skill, level) VALUES (%s, %s, %s)",
            [(person.number, skill, level) for skill, level in person.skills.items()],
        )


def remove(connection: Connection, number: str) -> None:
    """Raises PersonRefused when there is nobody with this number."""
    if not connection.execute("DELETE FROM agents WHERE number = %s", (number,)).rowcount:
        raise PersonRefused(f"there is no agent {number}: `callcenter agents list` shows all")


def person_of(row: dict[str, Any]) -> Person:
    """A row of PEOPLE."""
    return Person(
        number=row["number"],
        name=row["name"],
        queues=tuple(row["queues"]),
        language=row["language"],
        skills=row["skills"],
        weights=row["weights"],
        pin_hash=row["pin_hash"],
    )


def definition(person: Person) -> AgentDefinition:
    """What the floor is told of him."""
    return AgentDefinition(
        number=person.number,
        name=person.name,
        queues=person.queues,
        language=person.language,
        skills=dict(person.skills),
        weights=dict(person.weights),
        pin_hash=person.pin_hash,
    )


def _set_queues(connection: Connection, person: Person) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO agent_queues (agent, queue, position, weight) VALUES (%s, %s, %s, %s)",
            [
                (person.number, queue, position, person.weights.get(queue, 1))
                for position, queue in enumerate(person.queues)
            ],
        )
