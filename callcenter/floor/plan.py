"""What the site file tells the floor, already checked: `site/` builds it, the floor only reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, tzinfo
from enum import StrEnum

ANY_NUMBER = "*"  # the service for a DNIS that no other names


class Strategy(StrEnum):
    LONGEST_IDLE = "longest_idle"
    ROUND_ROBIN = "round_robin"
    FEWEST_CALLS = "fewest_calls"


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
    hours: str = ""  # "" for always open
    night_switch: bool = True  # obeys the night switch
    closed_prompts: tuple[str, ...] = ("closed",)


@dataclass(frozen=True, slots=True)
class QueuePlan:
    name: str
    title: str
    strategy: Strategy = Strategy.LONGEST_IDLE
    ring_seconds: int = 20  # an agent's phone rings so long before it counts as not answered
    wrapup_seconds: int = 0  # 0: none
    service_level_seconds: int = 20
    short_abandon_seconds: float = 5.0
    greeting: tuple[str, ...] = ()  # played before the caller can be offered; () for none
    music: str = ""  # music class while waiting; "" keeps the caller ringing
    answer_after_seconds: int = 20  # with music "": ring so long at most, then answer
    ringing_music: str = "default"  # what a caller hears after answer_after_seconds
    max_wait_seconds: int = 0  # 0: no limit
    max_waiting: int = 0  # 0: no limit
    full_prompts: tuple[str, ...] = ("queue-full",)
    max_wait_prompts: tuple[str, ...] = ("max-wait",)
    overflow_number: str = ""  # where a caller goes after the message; "" hangs up
    record_percent: int = 0  # so many of a hundred conversations are recorded from their begin
    record_on_demand: bool = False  # any other may be, when somebody asks


@dataclass(frozen=True, slots=True)
class PhonePlan:
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class FeatureCodes:
    login: str = "*11"
    logout: str = "*12"
    ready: str = "*13"
    not_ready: str = "*14"  # a reason digit may follow at once
    wrapup_end: str = "*15"
    record: str = "*7"  # in a conversation: recording on and off
    record_pause: str = "*8"  # … and paused, for card data, and going on
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
    login_ready: bool = True  # ready at once after logging in
    pin_tries: int = 3
    pin_lock_seconds: int = 60
    recording_beep: bool = False  # as a recording begins, for both to hear
    recording_announcement: tuple[str, ...] = ()  # after the greeting, where a call may be recorded
    session_seconds: int = 30  # a feature-code call without a key for so long is ended
