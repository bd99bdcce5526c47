"""The index of recordings in PostgreSQL. Each function is one statement in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callcenter.history.database import Connection, rows
from callcenter.recordings.files import Joined
from callcenter.recordings.model import Recorded, RecordingName, Use


@dataclass(frozen=True, slots=True)
class Search:
    """Which recordings: all that are not given match. `number` is the caller's or the one he dialled."""

    begin: datetime | None = None
    end: datetime | None = None
    queue: str = ""
    agent: str = ""
    number: str = ""
    contact: str = ""
    limit: int = 100


def search(connection: Connection, floor: str, wanted: Search) -> list[Recorded]:
    """Latest first."""
    found = rows(
        connection,
        """SELECT * FROM recorded WHERE floor = %(floor)s
        AND (%(begin)s::timestamptz IS NULL OR began_at >= %(begin)s)
        AND (%(end)s::timestamptz IS NULL OR began_at < %(end)s)
        AND %(queue)s::text IN ('', queue) AND %(agent)s::text IN ('', agent)
        AND %(contact)s::text IN ('', contact)
        AND (%(number)s::text = '' OR %(number)s IN (ani, dnis))
        ORDER BY began_at DESC, recording LIMIT %(limit)s""",
        floor=floor,
        begin=wanted.begin,
        end=wanted.end,
        queue=wanted.queue,
        agent=wanted.agent,
        number=wanted.number,
        contact=wanted.contact,
        limit=wanted.limit,
    )
    return [_recorded(row) for row in found]


def find(connection: Connection, floor: str, recording: str) -> Recorded | None:
    found = rows(
        connection,
        "SELECT * FROM recorded WHERE floor = %(floor)s AND recording = %(recording)s",
        floor=floor,
        recording=recording,
    )
    return _recorded(found[0]) if found else None


def take(connection: Connection, floor: str, recording: str) -> Recorded | None:
    """Lock a row until the transaction's end; None when it is not there, or another job has it."""
    locked = connection.execute(
        "SELECT 1 FROM recordings WHERE floor = %s AND recording = %s FOR UPDATE SKIP LOCKED",
        (floor, recording),
    )
    return find(connection, floor, recording) if locked.fetchone() else None


def to_join(connection: Connection, floor: str, before: datetime, limit: int = 500) -> list[str]:
    """Recordings that ended before then and are not joined yet, oldest first."""
    found = connection.execute(
        """SELECT recording FROM recordings WHERE floor = %s AND state = 'ended' AND ended_at < %s
        ORDER BY ended_at LIMIT %s""",
        (floor, before, limit),
    )
    return [row[0] for row in found]


def known(connection: Connection, floor: str, recordings: list[str]) -> set[str]:
    """Those of them that are in the index."""
    found = connection.execute(
        "SELECT recording FROM recordings WHERE floor = %s AND recording = ANY(%s)", (floor, recordings)
    )
    return {row[0] for row in found}


def enter_found(
    connection: Connection,
    floor: str,
    name: RecordingName,
    began_at: datetime,
    ended_at: datetime,
    fault: str,
) -> None:
    """A file on the disk that no floor told of; what is known of its call is taken from the call's record."""
    connection.execute(
        """INSERT INTO recordings (floor, recording, contact, queue, agent, began_at, ended_at, fault)
        SELECT %(floor)s, %(recording)s, %(contact)s, coalesce(c.queue, ''), coalesce(c.agent, ''),
            %(began_at)s, %(ended_at)s, %(fault)s
        FROM (SELECT 1) AS one LEFT JOIN LATERAL (SELECT queue, agent FROM contacts
            WHERE contact = %(contact)s AND floor = %(floor)s LIMIT 1) AS c ON true
        ON CONFLICT DO NOTHING""",
        {
            "floor": floor,
            "recording": name.text,
            "contact": name.contact,
            "began_at": began_at,
            "ended_at": ended_at,
            "fault": fault,
        },
    )


def set_stored(connection: Connection, floor: str, recording: str, path: str, joined: Joined) -> None:
    connection.execute(
        """UPDATE recordings SET state = 'stored', path = %s, seconds = %s, bytes = %s, sha256 = %s,
        fault = %s, stored_at = now() WHERE floor = %s AND recording = %s""",
        (path, joined.seconds, joined.bytes, joined.sha256, joined.fault, floor, recording),
    )


def set_missing(connection: Connection, floor: str, recording: str, fault: str) -> None:
    connection.execute(
        "UPDATE recordings SET state = 'missing', fault = %s WHERE floor = %s AND recording = %s",
        (fault, floor, recording),
    )


def set_removed(connection: Connection, floor: str, recording: str) -> None:
    """The row stays: who, when and how long may be asked after the audio is gone."""
    connection.execute(
        "UPDATE recordings SET state = 'removed', path = '' WHERE floor = %s AND recording = %s",
        (floor, recording),
    )


def kept_since(connection: Connection, floor: str) -> list[tuple[str, str, datetime]]:
    """(recording, queue, began_at) of all that are stored, oldest first."""
    found = connection.execute(
        """SELECT recording, queue, began_at FROM recordings WHERE floor = %s AND state = 'stored'
        ORDER BY began_at""",
        (floor,),
    )
    return [(row[0], row[1], row[2]) for row in found]


def note_use(
    connection: Connection, floor: str, recording: str, who: str, what: str, detail: str = ""
) -> None:
    connection.execute(
        "INSERT INTO recording_uses (floor, recording, who, what, detail) VALUES (%s, %s, %s, %s, %s)",
        (floor, recording, who, what, detail),
    )


def uses(connection: Connection, floor: str, recording: str) -> list[Use]:
    found = rows(
        connection,
        """SELECT at, who, what, detail FROM recording_uses WHERE floor = %(floor)s
        AND recording = %(recording)s ORDER BY id""",
        floor=floor,
        recording=recording,
    )
    return [Use(**row) for row in found]


def _recorded(row: dict[str, Any]) -> Recorded:
    del row["floor"]
    return Recorded(**{**row, "pauses": tuple((float(a), float(b)) for a, b in row["pauses"])})
