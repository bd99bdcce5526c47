"""The account at the end: each call as the network saw it, against what the centre wrote down.

Two witnesses that know nothing of each other. A call is lost when the centre has no record of it, has
two, or tells another story.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from callcenter.demo.callers import Caller
from callcenter.floor.records import Outcome

TALK_TOLERANCE_SECONDS = 2.0
SAME_INSTANT_SECONDS = 0.5  # a caller who hangs up just as the agent answers: both stories are true

GAVE_UP = frozenset({Outcome.ABANDONED, Outcome.SHORT_ABANDONED})
LET_GO = frozenset(
    {
        *(Outcome.CLOSED, Outcome.FULL, Outcome.MAX_WAIT, Outcome.OVERFLOWED, Outcome.UNKNOWN_NUMBER),
        *(Outcome.UNSTAFFED, Outcome.LONG_WAIT, Outcome.EXITED),
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One closed contact as PostgreSQL has it."""

    contact: str
    ani: str
    outcome: Outcome
    agent: str
    wait_seconds: float
    talk_seconds: float


@dataclass(frozen=True, slots=True)
class Account:
    """One call and all that was written of it; `faults` is empty when both agree."""

    caller: Caller
    entries: tuple[Entry, ...]
    faults: tuple[str, ...]


def entries_since(database_url: str, since: float) -> list[Entry]:
    """The contacts that arrived since then (seconds since the epoch) and are closed."""
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        rows = connection.execute(
            "SELECT contact, ani, outcome, agent, wait_seconds, talk_seconds FROM contacts "
            "WHERE arrived_at >= %s ORDER BY arrived_at",
            (datetime.fromtimestamp(since, UTC),),
        ).fetchall()
    return [Entry(row[0], row[1], Outcome(row[2]), row[3], row[4], row[5]) for row in rows]


def settle(
    callers: Sequence[Caller], entries: Iterable[Entry], agents_at: Mapping[str, str]
) -> tuple[list[Account], list[Entry]]:
    """Each caller's account, and the entries of nobody. `agents_at` is agent number by phone."""
    by_ani: dict[str, list[Entry]] = {}
    for entry in entries:
        by_ani.setdefault(entry.ani, []).append(entry)
    accounts = []
    for caller in callers:
        found = tuple(by_ani.pop(caller.ani, ()))
        accounts.append(Account(caller, found, tuple(_faults(caller, found, agents_at))))
    return accounts, [entry for left in by_ani.values() for entry in left]


def _faults(caller: Caller, entries: Sequence[Entry], agents_at: Mapping[str, str]) -> list[str]:
    faults = []
    if caller.trouble:
        faults.append(caller.trouble)
    if caller.heard is False:
        faults.append("the caller and the agent did not hear each other")
    if not entries:
        return [*faults, "the centre has no record of it"]
    if len(entries) > 1:
        return [*faults, f"the centre has {len(entries)} records of it"]
    entry = entries[0]
    if entry.outcome is Outcome.ANSWERED:
        return faults + _talk_faults(caller, entry, agents_at)
    if caller.phone:
        if not (entry.outcome in GAVE_UP and caller.talk_lasted <= SAME_INSTANT_SECONDS):
            faults.append(f"talked with phone {caller.phone}, and the record says {entry.outcome}")
    elif caller.gave_up and entry.outcome not in GAVE_UP:
        faults.append(f"gave up, and the record says {entry.outcome}")
    elif not caller.gave_up and entry.outcome not in LET_GO:
        faults.append(f"was cut off, and the record says {entry.outcome}")
    return faults


def _talk_faults(caller: Caller, entry: Entry, agents_at: Mapping[str, str]) -> list[str]:
    if not caller.phone:
        return [f"talked with nobody, and the record says with agent {entry.agent}"]
    faults = []
    if agents_at.get(caller.phone) != entry.agent:
        faults.append(f"talked with phone {caller.phone}, and the record says with agent {entry.agent}")
    if abs(caller.talk_lasted - entry.talk_seconds) > TALK_TOLERANCE_SECONDS:
        faults.append(f"talked {caller.talk_lasted:.1f} s, and the record says {entry.talk_seconds:.1f} s")
    return faults
