"""An agent: presence is chosen (logged out, not ready, ready), activity is observed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Presence(StrEnum):
    LOGGED_OUT = "logged_out"
    NOT_READY = "not_ready"
    READY = "ready"


class Activity(StrEnum):
    IDLE = "idle"
    OFFERED = "offered"  # the phone rings for a contact
    TALKING = "talking"
    WRAPUP = "wrapup"
    ELSEWHERE = "elsewhere"  # the phone is in a call that is no contact (feature code, fallback)


@dataclass(slots=True)
class Agent:
    number: str
    name: str
    queues: tuple[str, ...]
    language: str = ""
    pin_hash: str = field(default="", repr=False)
    presence: Presence = Presence.LOGGED_OUT
    reason: str = ""  # why not ready: a break reason, or "no-answer", "busy", "unreachable"
    activity: Activity = Activity.IDLE
    phone: str = ""
    contact: str = ""  # offered, talking, or the one the wrap-up is for
    queue: str = ""  # of that contact
    since: float = 0.0  # when presence, reason or activity last changed
    leg: str = ""  # our leg to the phone: ringing, talking, or being hung up
    idle_since: float = 0.0  # the end of the last contact, or the moment of becoming ready
    offered_at: float = 0.0  # the last offer
    calls_taken: int = 0  # since log-in
    logout_when_free: bool = False  # asked to log out during a contact
    removed: bool = False  # no longer published: leaves when free
    pin_failures: int = 0
    locked_until: float = 0.0
