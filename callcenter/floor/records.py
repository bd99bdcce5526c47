"""What is remembered. Nouns; written exactly once, drained to PostgreSQL, folded into reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    ANSWERED = "answered"  # talked with an agent
    ABANDONED = "abandoned"  # hung up while waiting
    SHORT_ABANDONED = "short_abandoned"  # the same, under the queue's threshold
    CLOSED = "closed"  # outside opening hours
    FULL = "full"  # the queue was full
    MAX_WAIT = "max_wait"  # waited the longest allowed
    UNSTAFFED = "unstaffed"  # nobody was logged in or ready to serve him
    LONG_WAIT = "long_wait"  # he would have waited too long
    EXITED = "exited"  # pressed a key of the queue's that leads out of it
    OVERFLOWED = "overflowed"  # sent to an outside number by a rule of the queue
    UNKNOWN_NUMBER = "unknown_number"  # nobody serves the dialled number
    LOST = "lost"  # cut off by our side: Asterisk ended under the call
    LEFT = "left"  # taken out of our hands (an operator, a dialplan)


@dataclass(frozen=True, slots=True)
class Record:
    at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class ContactStep(Record):
    """One line of a contact's time line: arrived, greeted, queued, offered, …; `detail` for people."""

    contact: str
    step: str
    queue: str = ""
    agent: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ContactClosed(Record):
    """The whole of a contact, written once when it ends. Times 0.0 where that never happened.

    `wait_seconds` is from joining the (first) queue to the connect or the end; `talk_seconds` from the
    connect to the end. `queue` is the last one, `first_queue` where he began if that is another. A caller
    whom an agent transferred counts in the queue that served him first: `queue` is that one, `agent` the last
    who had him, `talk_seconds` the sum of all agents' parts (TalkClosed), without the waits between.
    """

    contact: str
    ani: str
    dnis: str
    service: str
    queue: str
    language: str
    outcome: Outcome
    agent: str
    arrived_at: float
    queued_at: float
    connected_at: float
    wait_seconds: float
    talk_seconds: float
    offers: int
    ended_by: str  # "caller", "agent", "centre", "switch"
    first_queue: str = ""


@dataclass(frozen=True, slots=True)
class QueueMoved(Record):
    """A caller went on from one queue to another; his wait goes on. `cause` is the rule or "key 1".

    `wait_seconds` is his time in `queue`; 0 when he was moved on arrival.
    """

    contact: str
    queue: str
    to_queue: str
    cause: str
    arrived_at: float
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class RecordingEnded(Record):
    """A part of a conversation was recorded from `began_at` until `at`; `recording` names its files.

    `pauses` are seconds after the begin. `consent` is "announced", "not announced", or "" where the site
    announces nothing. `fault` says why there may be no files: "" when Asterisk said that it records.
    """

    contact: str
    recording: str
    queue: str
    agent: str
    began_at: float
    pauses: tuple[tuple[float, float], ...]
    consent: str
    asked_by: str  # "rule", or who asked for it
    fault: str = ""


@dataclass(frozen=True, slots=True)
class TalkClosed(Record):
    """One agent's part of a contact, from `since` to `at`. A contact that one agent served without a hold
    has none: ContactClosed tells it all.

    `role` is "served" (the caller was his; these parts add up to the contact's `talk_seconds`) or "consulted"
    (another agent had asked him; his time, not the contact's). `hold_seconds` is a part of `talk_seconds`.
    """

    contact: str
    queue: str
    agent: str
    role: str
    since: float
    talk_seconds: float
    hold_seconds: float
    ended: (
        str  # "transferred", "handed over", "given up", "taken over", "caller", "agent", "centre", "switch"
    )


@dataclass(frozen=True, slots=True)
class AgentState(Record):
    """An agent's state as it was from `since` until `at` (when it changed)."""

    agent: str
    presence: str
    reason: str
    activity: str
    phone: str
    contact: str
    queue: str
    since: float


@dataclass(frozen=True, slots=True)
class DispositionGiven(Record):
    """What came of an agent's part in a contact. The last one given counts; "" where one was required and
    none was given in time (`by` "limit") or he left before (`by` "leave")."""

    contact: str
    queue: str
    agent: str
    disposition: str
    by: str


@dataclass(frozen=True, slots=True)
class Intervention(Record):
    """What somebody did to an agent, a call or a conversation that is not his own.

    `by` is the agent number of a leader or supervisor, else the name of who sat at the shell.
    """

    by: str
    act: str
    agent: str = ""
    contact: str = ""
    queue: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NightSwitched(Record):
    closed: bool
    by: str
