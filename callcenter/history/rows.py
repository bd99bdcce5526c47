"""Records as rows: which table, and the values in the order of its columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from callcenter.floor.records import (
    AgentState,
    ContactClosed,
    ContactStep,
    DispositionGiven,
    Intervention,
    NightSwitched,
    QueueMoved,
    Record,
    RecordingEnded,
    TalkClosed,
)

# One statement per kind of record. The name comes first, so that a record that is here stays as it is.
INSERT: dict[type[Record], LiteralString] = {
    ContactStep: """INSERT INTO contact_steps (floor, epoch, sequence, contact, at, step, queue, agent,
        detail)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
    ContactClosed: """INSERT INTO contacts (floor, epoch, sequence, contact, ani, dnis, service, queue,
        language, outcome, agent, arrived_at, queued_at, connected_at, closed_at, wait_seconds, talk_seconds,
        offers, ended_by, first_queue)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT DO NOTHING""",
    TalkClosed: """INSERT INTO talks (floor, epoch, sequence, contact, queue, agent, role, since, until,
        talk_seconds, hold_seconds, ended)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
    AgentState: """INSERT INTO agent_states (floor, epoch, sequence, agent, presence, reason, activity, phone,
        contact, queue, since, until)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
    # A row of epoch 0 was made by the sweep, which found the files before the record came.
    RecordingEnded: """INSERT INTO recordings AS old (floor, epoch, sequence, recording, contact, queue,
        agent, began_at, ended_at, pauses, consent, asked_by, fault)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (floor, recording) DO UPDATE SET epoch = EXCLUDED.epoch, sequence = EXCLUDED.sequence,
        contact = EXCLUDED.contact, queue = EXCLUDED.queue, agent = EXCLUDED.agent,
        began_at = EXCLUDED.began_at, ended_at = EXCLUDED.ended_at, pauses = EXCLUDED.pauses,
        consent = EXCLUDED.consent, asked_by = EXCLUDED.asked_by
        WHERE old.epoch = 0""",
    DispositionGiven: """INSERT INTO dispositions (floor, epoch, sequence, contact, at, queue, agent,
        disposition, by)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
    Intervention: """INSERT INTO interventions (floor, epoch, sequence, at, by, act, agent, contact, queue,
        detail)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
    NightSwitched: """INSERT INTO night_switches (floor, epoch, sequence, at, closed, by)
        VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
    QueueMoved: """INSERT INTO queue_moves (floor, epoch, sequence, contact, at, queue, to_queue, cause,
        arrived_at, wait_seconds)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
}

INSERT_OTHER: LiteralString = """INSERT INTO records_other (floor, epoch, sequence, fault, body)
    VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""


def row(record: Record) -> tuple[Any, ...]:
    """The values behind floor, epoch and sequence. Raises ValueError for times outside the calendar,
    KeyError for a record that has no table."""
    match record:
        case ContactStep():
            texts = (record.step, record.queue, record.agent, record.detail)
            return (_text(record.contact), _moment(record.at), *map(_text, texts))
        case ContactClosed():
            return _contact(record)
        case TalkClosed():
            told = (record.contact, record.queue, record.agent, record.role)
            shares = (record.talk_seconds, record.hold_seconds)
            when = (_moment(record.since), _moment(record.at))
            return (*map(_text, told), *when, *shares, _text(record.ended))
        case AgentState():
            states = (record.agent, record.presence, record.reason, record.activity, record.phone)
            where = (record.contact, record.queue)
            return (*map(_text, (*states, *where)), _moment(record.since), _moment(record.at))
        case RecordingEnded():
            who = (record.recording, record.contact, record.queue, record.agent)
            span = (_moment(record.began_at), _moment(record.at))
            how = (record.consent, record.asked_by, record.fault)
            return (*map(_text, who), *span, Jsonb(record.pauses), *map(_text, how))
        case DispositionGiven():
            given = (record.queue, record.agent, record.disposition, record.by)
            return (_text(record.contact), _moment(record.at), *map(_text, given))
        case Intervention():
            acted = (record.by, record.act, record.agent, record.contact, record.queue, record.detail)
            return (_moment(record.at), *map(_text, acted))
        case NightSwitched():
            return (_moment(record.at), record.closed, _text(record.by))
        case QueueMoved():
            move = (record.queue, record.to_queue, record.cause)
            times = (_moment(record.arrived_at), record.wait_seconds)
            return (_text(record.contact), _moment(record.at), *map(_text, move), *times)
    raise KeyError(type(record).__name__)


def _contact(record: ContactClosed) -> tuple[Any, ...]:
    who = (record.contact, record.ani, record.dnis, record.service, record.queue, record.language)
    return (
        *map(_text, (*who, record.outcome, record.agent)),
        _moment(record.arrived_at),
        _moment(record.queued_at) if record.queued_at else None,
        _moment(record.connected_at) if record.connected_at else None,
        _moment(record.at),
        record.wait_seconds,
        record.talk_seconds,
        record.offers,
        _text(record.ended_by),
        _text(record.first_queue),
    )


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"no time: {seconds}") from error


def _text(text: str) -> str:
    # callers' numbers come from outside; PostgreSQL refuses NUL, UTF-8 refuses half characters
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
