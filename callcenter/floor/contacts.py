"""A contact: one caller from arrival to outcome; here, what it is and the small things done to one.

What may happen to it, and what follows, is in `journey.py`; the ways out of it are in `endings.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from callcenter.floor.commands import AnswerLeg, PlayPrompts, StartMusic, StopMusic, StopPlayback
from callcenter.floor.records import ContactStep

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene


class ContactState(StrEnum):
    GREETING = "greeting"  # hears the greeting; not yet offered
    WAITING = "waiting"  # in the queue
    OFFERED = "offered"  # keeps the place in the queue while an agent's phone rings
    CONNECTING = "connecting"  # the agent answered; the last is said to one or both before they are joined
    TALKING = "talking"  # with an agent; how they stand is `Talk`
    OUTSIDE = "outside"  # an agent gave him to an outside number, which he talks with
    LEAVING = "leaving"  # hears a last message, then is hung up or sent outside
    ENDING = "ending"  # recorded; the caller's leg is being hung up


class Talk(StrEnum):
    """How caller, agent and a third party stand while the contact is TALKING; the moves are in `talks.py`."""

    TOGETHER = "together"  # caller and agent hear one another
    HELD = "held"  # the caller hears music, the agent nothing
    RINGING = "ringing"  # the same, while the other party's phone rings
    CONSULTING = "consulting"  # the agent talks with the other party, the caller hears music
    SWAPPED = "swapped"  # the agent talks with the caller, the other party hears music
    CONFERENCE = "conference"  # all three hear one another


class Cue(StrEnum):
    """What can happen to a contact."""

    CALLER_GONE = "caller gone"
    CALLER_LEFT = "caller left to the dialplan"
    PLAYBACK_DONE = "playback done"
    ANNOUNCE_DUE = "announcement due"
    ANSWER_DUE = "rung long enough"
    BRIEF_LIMIT = "told long enough"
    KEY_PRESSED = "key pressed"
    WAIT_LIMIT = "waited long enough"
    WHISPER_DONE = "agent was told"
    RING_LIMIT = "agent did not answer in time"
    AGENT_ANSWERED = "agent answered"
    AGENT_GONE = "agent's leg gone"
    OTHER_GONE = "outside party gone"
    CONNECT_FAILED = "could not be joined"
    OUTSIDE_FAILED = "could not be sent outside"
    WIDEN_DUE = "ring to be widened"


@dataclass(slots=True)
class Recording:
    """A recording that runs, see `recording.py`."""

    id: str
    agent: str
    began_at: float
    asked_by: str
    started: bool = False  # Asterisk said so
    paused_at: float = 0.0  # 0.0 while it is not paused
    pauses: list[tuple[float, float]] = field(default_factory=list)  # from, to: seconds after the begin


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
    queued_at: float = 0.0  # joined the first queue
    joined_at: float = 0.0  # joined the queue he is in now
    been_in: tuple[str, ...] = ()  # queues that he was moved out of, in order
    agent: str = ""  # offered or talking
    agent_leg: str = ""
    ringing: dict[str, str] = field(default_factory=dict)  # other agents whose phones ring too -> their legs
    bridge: str = ""
    connected_at: float = 0.0
    head_start: float = 0.0  # seconds by which he stands further in front than he came
    widened: int = 0  # how many times his ring has been widened
    held_for: str = ""  # waits for this agent alone
    held_until: float = 0.0
    offers: int = 0
    tagged: bool = False  # the caller's leg knows his queue
    music: bool = False  # hears music
    playback: str = ""  # what he hears: the next step waits for its end, or music goes on after it
    whisper: str = ""  # the playback that the agent hears before the join
    announced_at: float = 0.0  # the last announcement
    unsaid: tuple[str, ...] = ()  # prompts for as soon as he waits in the queue that he was moved to
    playbacks: int = 0  # to number them
    leaving_as: str = ""  # the outcome, while LEAVING
    announced: bool = False  # heard that the call is recorded
    recording: Recording | None = None
    recordings: int = 0  # the number of the last one
    leaving_to: str = ""  # the outside number he goes to after the message
    # Transfers: who else is there, and whose time is whose (`talks.py`, `parts.py`).
    talk: Talk = Talk.TOGETHER
    other_leg: str = ""  # the third party's leg: rung, asked, or given the caller (OUTSIDE)
    other_agent: str = ""  # his agent number; "" for an outside number
    other_number: str = ""  # what was dialled for him
    other_since: float = 0.0  # when he answered
    second_leg: str = ""  # the phone's second line, where he was called by the agent's own keys
    others: int = 0  # to number his legs
    part_since: float = 0.0  # when the present agent got the caller; 0.0 while there is none
    held_since: float = 0.0  # 0.0 while the caller is not on hold
    held_seconds: float = 0.0  # holds of this part that are over
    parts: int = 0  # that are over
    talked_seconds: float = 0.0  # in parts that are over
    last_agent: str = ""  # of the last part that is over
    served_queue: str = ""  # where he was served first, once he waits or is served anew


def answer(scene: Scene, contact: Contact) -> None:
    """Answer the caller's leg, if that has not been done."""
    scene.stop(f"answer:{contact.id}")
    if not contact.answered:
        contact.answered = True
        scene.do(AnswerLeg(contact.id))


def play(scene: Scene, contact: Contact, prompts: tuple[str, ...]) -> None:
    """Play prompts; their end comes back as Cue.PLAYBACK_DONE."""
    contact.playbacks += 1
    contact.playback = f"{contact.id}~p{contact.playbacks}"
    scene.playbacks[contact.playback] = contact.id
    scene.do(PlayPrompts(contact.id, contact.playback, prompts, contact.language))


def start_music(scene: Scene, contact: Contact, music: str) -> None:
    contact.music = True
    scene.do(StartMusic(contact.id, music))


def stop_sounds(scene: Scene, contact: Contact) -> None:
    """Whatever the caller hears, music or prompts, and what his agent is told before the join."""
    if contact.music:
        contact.music = False
        scene.do(StopMusic(contact.id))
    stop_prompts(scene, contact)


def stop_prompts(scene: Scene, contact: Contact) -> None:
    if not contact.playback and not contact.whisper:
        return
    for playback in (contact.playback, contact.whisper):
        if playback:
            scene.playbacks.pop(playback, None)
            scene.do(StopPlayback(playback))
    contact.playback = contact.whisper = ""


def step(scene: Scene, contact: Contact, at: float, what: str, *, agent: str = "", detail: str = "") -> None:
    """One line of the contact's time line."""
    scene.note(ContactStep(at, contact.id, what, contact.queue, agent, detail))
