"""What the site file tells the floor, already checked: `site/` builds it, the floor only reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, tzinfo
from enum import StrEnum

from callcenter.floor.skills import ANYBODY, Expression

ANY_NUMBER = "*"  # the service for a DNIS that no other names
UNTIL_ENDED = -1  # a wrap-up that lasts until the agent ends it


class Strategy(StrEnum):
    LONGEST_IDLE = "longest_idle"
    ROUND_ROBIN = "round_robin"
    FEWEST_CALLS = "fewest_calls"
    LEAST_OCCUPIED = "least_occupied"
    TOP_DOWN = "top_down"
    RING_ALL = "ring_all"
    RANDOM = "random"
    WEIGHTED_RANDOM = "weighted_random"


class OverflowWhen(StrEnum):
    """What makes a queue pass a caller on. `seconds` and `count` are the rule's."""

    WAIT = "wait"  # he has waited `seconds` in this queue
    LENGTH = "length"  # `count` callers wait already; looked at when he joins
    NOBODY_STAFFED = "nobody_staffed"  # nobody who serves the queue is logged in; he has waited `seconds`
    NOBODY_READY = "nobody_ready"  # nobody of them is ready, wrap-up apart; he has waited `seconds`
    EXPECTED_WAIT = "expected_wait"  # he would wait more than `seconds` from now on


@dataclass(frozen=True, slots=True)
class Target:
    """Where a caller goes who leaves a queue: another queue, an outside number, else he is hung up.

    The prompts are played first; on the way to another queue he keeps his place while he hears them.
    """

    to_queue: str = ""
    to_number: str = ""
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overflow(Target):
    """One rule of a queue; of several that apply the first counts."""

    when: OverflowWhen = OverflowWhen.WAIT
    seconds: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Announce:
    """What a waiting caller is told of his wait: `first_after` seconds, then `every` so many."""

    position: bool = False
    expected_wait: bool = False
    first_after: int = 15
    every: int = 45


@dataclass(frozen=True, slots=True)
class Message:
    """Prompts played `every` so many seconds while a caller waits."""

    prompts: tuple[str, ...]
    every: int


class DispositionRule(StrEnum):
    NONE = "none"  # nobody is asked, and none is taken
    OPTIONAL = "optional"
    REQUIRED = "required"  # wrap-up does not end before one is given, or the limit has passed


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` up to, not including, `end`; minutes since local midnight, end at most 1440."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class HoursPlan:
    """Opening hours in `zone`. A day in `days` (own days, make-up working days) overrides holidays,
    a holiday overrides the week."""

    name: str
    zone: tzinfo
    week: tuple[tuple[Span, ...], ...]  # Monday first, seven entries
    holidays: frozenset[date] = frozenset()
    days: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """What a dialled number gives its caller. `numbers` are full DNIS, or ANY_NUMBER."""

    name: str
    numbers: tuple[str, ...]
    queue: str
    language: str
    skills: Expression = ANYBODY  # asked for besides what the queue asks for
    head_start_seconds: int = 0  # its callers stand in the queue as if they had come so much earlier
    agent: str = ""  # takes its callers first, for the queue's sticky_seconds
    hours: str = ""  # "" for always open
    night_switch: bool = True  # obeys the night switch
    closed_prompts: tuple[str, ...] = ("closed",)


@dataclass(frozen=True, slots=True)
class Ring:
    """What a caller asks of an agent when he has been in the queue for `after` seconds."""

    after: int
    skills: Expression


@dataclass(frozen=True, slots=True)
class QueuePlan:
    name: str
    title: str
    number: str = ""  # agents reach it by this number (transfers); "" for none
    strategy: Strategy = Strategy.LONGEST_IDLE
    skills: Expression = ANYBODY  # what an agent must have
    prefer: tuple[str, ...] = ()  # highest level of these skills first, then by the strategy
    rings: tuple[Ring, ...] = ()  # take the place of `skills`, one after the other, `after` ascending
    weight_seconds: int = 0  # its callers go before those of other queues, as if they had waited longer
    sticky_seconds: int = 0  # a caller waits so long for the agent he last talked to (or his number's)
    misses: int = 1  # so many offers missed in a row set an agent not ready; 0: never
    retry_after_seconds: int = 5  # an agent who missed an offer and stays ready is left alone for so long
    ring_seconds: int = 20  # an agent's phone rings so long before it counts as not answered
    wrapup_seconds: int = 0  # 0: none; UNTIL_ENDED
    wrapup_extend_seconds: int = 60  # so much longer by the code
    disposition: DispositionRule = DispositionRule.OPTIONAL
    dispositions: Mapping[str, str] = field(default_factory=dict)  # digits -> name; {}: none to give
    disposition_limit_seconds: int = 300  # a required one that is not given by then is given up
    service_level_seconds: int = 20
    short_abandon_seconds: float = 5.0
    greeting: tuple[str, ...] = ()  # played before the caller can be offered; () for none
    music: str = ""  # music class while waiting; "" keeps the caller ringing
    answer_after_seconds: int = 20  # with music "": ring so long at most, then answer
    ringing_music: str = "default"  # what a caller hears after answer_after_seconds
    record_percent: int = 0  # so many of a hundred conversations are recorded from their begin
    record_on_demand: bool = False  # any other may be, when somebody asks
    announce: Announce | None = None
    messages: tuple[Message, ...] = ()
    exits: Mapping[str, Target] = field(default_factory=dict)  # by the digit that a waiting caller presses
    overflow: tuple[Overflow, ...] = ()
    tell_agent_number: bool = False  # the caller hears who will serve him, then both are joined
    whisper: bool = (
        False  # the agent hears `title_prompts` and how long the caller waited, then both are joined
    )
    title_prompts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PhonePlan:
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class FeatureCodes:
    login_connected: str = "*10"  # always connected: the agent's number may follow at once
    login: str = "*11"
    logout: str = "*12"
    ready: str = "*13"
    not_ready: str = "*14"  # a reason digit may follow at once
    wrapup_end: str = "*15"
    record: str = "*7"  # in a conversation: recording on and off
    record_pause: str = "*9"  # … and paused, for card data, and going on
    wrapup_extend: str = "*16"
    disposition: str = "*17"  # the digits of one may follow at once
    end_contact: str = "*0"  # keyed by an agent who is always connected: he has no hook to put down
    listen: str = "*81"  # these seven are followed by an agent's number, and for leaders only
    whisper: str = "*82"
    barge: str = "*83"
    force_logout: str = "*84"
    force_ready: str = "*85"
    force_not_ready: str = "*86"
    speak: str = "*87"  # to the teams that he leads; no number follows
    take_over: str = "*88"
    # During a talk, on the agent's own phone.
    hold: str = "*1"
    transfer: str = "*2"  # then a number and #
    consult: str = "*3"  # then a number and #
    swap: str = "*4"
    join: str = "*5"
    give_up: str = "*6"
    night_on: str = "*18"
    night_off: str = "*19"


@dataclass(frozen=True, slots=True)
class FloorPlan:
    name: str
    services: Mapping[str, ServicePlan]  # by name
    queues: Mapping[str, QueuePlan]
    hours: Mapping[str, HoursPlan]
    phones: Mapping[str, PhonePlan]
    features: FeatureCodes = FeatureCodes()
    reasons: Mapping[str, str] = field(default_factory=dict)  # digit -> reason of a break
    language: str = "en"
    transfer_outside: tuple[str, ...] = ()  # regular expressions: outside numbers agents may transfer to
    login_ready: bool = True  # ready at once after logging in
    standing_music: str = ""  # what an always-connected agent hears between contacts; "" for silence
    pin_tries: int = 3
    pin_lock_seconds: int = 60
    recording_beep: bool = False  # as a recording begins, for both to hear
    recording_announcement: tuple[str, ...] = ()  # after the greeting, where a call may be recorded
    session_seconds: int = 30  # a feature-code call without a key for so long is ended
