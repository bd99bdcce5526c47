"""A contact: one caller from arrival to outcome."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ContactState(StrEnum):
    GREETING = "greeting"  # hears the greeting; not yet offered
    WAITING = "waiting"  # in the queue
    OFFERED = "offered"  # in the queue, and an agent's phone rings
    TALKING = "talking"
    LEAVING = "leaving"  # hears a last message, then is hung up or sent outside
    ENDING = "ending"  # recorded; his leg is being hung up


@dataclass(slots=True)
class Contact:
    id: str  # also the id of the caller's leg
    ani: str
    dnis: str
    service: str
    queue: str
    language: str
    arrived_at: float
    state: ContactState
    node: str = ""
    answered: bool = False  # the caller's leg is answered
    queued_at: float = 0.0
    agent: str = ""  # offered or talking
    agent_leg: str = ""
    bridge: str = ""
    connected_at: float = 0.0
    offers: int = 0
    music: bool = False  # hears music
    playback: str = ""  # the playback that the next step waits for
    playbacks: int = 0  # to number them
    leaving_as: str = ""  # the outcome, while LEAVING
