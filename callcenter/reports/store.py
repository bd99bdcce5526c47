"""What reports read of PostgreSQL, as the records that were written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, LiteralString

from callcenter.days import SiteDay
from callcenter.floor.figures import AgentFigures
from callcenter.floor.records import ContactClosed, ContactStep, Outcome, QueueMoved
from callcenter.history.database import Connection, rows

_LONGEST_CONTACT = timedelta(hours=6)  # so that the index by arrival helps
_CONTACTS: LiteralString = "SELECT * FROM contacts WHERE floor = %(floor)s"


def contacts_of(
    connection: Connection, floor: str, day: SiteDay, queue: str = "", at_most: int | None = None
) -> list[ContactClosed]:
    """The contacts that arrived on this day and have ended, latest first; of one queue, or "" for all."""
    found = rows(
        connection,
        _CONTACTS
        + """ AND arrived_at >= %(start)s AND arrived_at < %(end)s AND (%(queue)s = '' OR queue = %(queue)s)
        ORDER BY arrived_at DESC, sequence DESC LIMIT %(at_most)s""",
        floor=floor,
        start=day.start,
        end=day.end,
        queue=queue,
        at_most=at_most,
    )
    return [_contact(row) for row in found]


def contact(connection: Connection, floor: str, name: str) -> ContactClosed | None:
    """One contact that has ended."""
    found = rows(
        connection,
        _CONTACTS + " AND contact = %(contact)s ORDER BY closed_at DESC",
        floor=floor,
        contact=name,
    )
    return _contact(found[0]) if found else None


def steps(connection: Connection, floor: str, name: str) -> list[ContactStep]:
    """The time line of a contact, in the order of what happened."""
    found = rows(
        connection,
        """SELECT at, contact, step, queue, agent, detail FROM contact_steps
        WHERE floor = %(floor)s AND contact = %(contact)s ORDER BY at, epoch, sequence""",
        floor=floor,
        contact=name,
    )
    return [ContactStep(**{**row, "at": row["at"].timestamp()}) for row in found]


def answered_in_time(
    connection: Connection, floor: str, since: datetime, thresholds: Mapping[str, int]
) -> dict[str, tuple[int, int, int]]:
    """By queue, of the contacts that ended since: answered within its threshold, offered, short abandoned.

    The counts of `figures.figures`, made by the database: for a board that asks again and again.
    """
    found = rows(
        connection,
        """SELECT c.queue,
            count(*) FILTER (WHERE connected_at IS NOT NULL AND wait_seconds <= t.seconds) AS in_time,
            count(*) AS offered,
            count(*) FILTER (WHERE connected_at IS NULL AND outcome = %(short)s) AS short
        FROM contacts AS c
        JOIN unnest(%(queues)s::text[], %(seconds)s::integer[]) AS t (queue, seconds) ON t.queue = c.queue
        WHERE floor = %(floor)s AND closed_at >= %(since)s AND arrived_at >= %(arrived)s
            AND NOT outcome = ANY(%(not_offered)s)
        GROUP BY c.queue""",
        floor=floor,
        since=since,
        arrived=since - _LONGEST_CONTACT,
        queues=list(thresholds),
        seconds=list(thresholds.values()),
        short=Outcome.SHORT_ABANDONED.value,
        not_offered=[Outcome.CLOSED.value, Outcome.UNKNOWN_NUMBER.value],
    )
    return {row["queue"]: (row["in_time"], row["offered"], row["short"]) for row in found}


def wrapup_seconds(connection: Connection, floor: str, day: SiteDay) -> dict[str, float]:
    """By queue: how long agents wrapped up the contacts that arrived on this day."""
    found = rows(
        connection,
        """SELECT c.queue, sum(extract(epoch FROM s.until - s.since))::float AS seconds
        FROM contacts AS c JOIN agent_states AS s ON s.contact = c.contact AND s.floor = c.floor
        WHERE c.floor = %(floor)s AND c.arrived_at >= %(start)s AND c.arrived_at < %(end)s
            AND s.activity = 'wrapup' AND s.since >= %(start)s
        GROUP BY c.queue""",
        floor=floor,
        start=day.start,
        end=day.end,
    )
    return {row["queue"]: row["seconds"] for row in found}


def moves_of(connection: Connection, floor: str, day: SiteDay, queue: str = "") -> list[QueueMoved]:
    """The moves out of a queue ("" for all) of contacts that arrived on this day, in order."""
    found = rows(
        connection,
        """SELECT at, contact, queue, to_queue, cause, arrived_at, wait_seconds FROM queue_moves
        WHERE floor = %(floor)s AND arrived_at >= %(start)s AND arrived_at < %(end)s
            AND (%(queue)s = '' OR queue = %(queue)s) ORDER BY at, epoch, sequence""",
        floor=floor,
        start=day.start,
        end=day.end,
        queue=queue,
    )
    return [
        QueueMoved(**{**row, "at": row["at"].timestamp(), "arrived_at": row["arrived_at"].timestamp()})
        for row in found
    ]


def agents_of(connection: Connection, floor: str, day: SiteDay) -> dict[str, AgentFigures]:
    """By agent: the parts of calls that began on this day and have ended, and the wrap-ups of the day."""
    between = {"floor": floor, "start": day.start, "end": day.end}
    talks = rows(
        connection,
        """SELECT agent, role, count(*) AS parts, sum(talk_seconds) AS talk, sum(hold_seconds) AS hold
        FROM agent_talks WHERE floor = %(floor)s AND since >= %(start)s AND since < %(end)s AND agent <> ''
        GROUP BY agent, role""",
        **between,
    )
    wrapups = rows(
        connection,
        """SELECT agent, sum(extract(epoch FROM until - since))::float AS seconds FROM agent_states
        WHERE floor = %(floor)s AND since >= %(start)s AND since < %(end)s AND activity = 'wrapup'
        GROUP BY agent""",
        **between,
    )
    by_role = {(row["agent"], row["role"]): (row["parts"], row["talk"], row["hold"]) for row in talks}
    wrapped = {row["agent"]: row["seconds"] for row in wrapups}
    found = {}
    for agent in sorted({agent for agent, _ in by_role} | wrapped.keys()):
        served = by_role.get((agent, "served"), (0, 0.0, 0.0))
        asked = by_role.get((agent, "consulted"), (0, 0.0, 0.0))
        found[agent] = AgentFigures(*served, wrapped.get(agent, 0.0), asked[0], asked[1])
    return found


def _contact(row: dict[str, Any]) -> ContactClosed:
    def moment(value: datetime | None) -> float:
        return value.timestamp() if value else 0.0

    return ContactClosed(
        at=moment(row["closed_at"]),
        contact=row["contact"],
        ani=row["ani"],
        dnis=row["dnis"],
        service=row["service"],
        queue=row["queue"],
        language=row["language"],
        outcome=Outcome(row["outcome"]) if row["outcome"] in set(Outcome) else Outcome.LEFT,
        agent=row["agent"],
        arrived_at=moment(row["arrived_at"]),
        queued_at=moment(row["queued_at"]),
        connected_at=moment(row["connected_at"]),
        wait_seconds=row["wait_seconds"],
        talk_seconds=row["talk_seconds"],
        offers=row["offers"],
        ended_by=row["ended_by"],
        first_queue=row["first_queue"],
    )
