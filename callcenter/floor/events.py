"""What happened. Past tense; every event says when (`at`, seconds since the epoch).

Time comes inside events, never from a clock: production, the tests and the simulator run the very
same lines. An event names legs and contacts by our ids; nothing of Asterisk's JSON comes this far.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from callcenter.floor.commands import Command
from callcenter.floor.plan import FloorPlan


class Failure(StrEnum):
    """Why the switch could not carry out a command."""

    NOT_FOUND = "not_found"  # the channel, bridge or playback is gone
    CONFLICT = "conflict"  # it exists already, or is in a state that forbids it
    REFUSED = "refused"  # the request itself was refused (bad value, no such endpoint)
    FAILED = "failed"  # Asterisk could not do it
    TIMED_OUT = "timed_out"  # no answer in time: it may or may not have been done
    AWAY = "away"  # no connection to Asterisk: it was not sent


@dataclass(frozen=True, slots=True)
class Event:
    at: float


# From the switch.


@dataclass(frozen=True, slots=True)
class CallArrived(Event):
    """A caller from a trunk is in our hands. `contact` is also the id of the caller's leg.

    `arrived_at` is when the trunk rang, which may be earlier than `at` (retries, fallback, restart).
    """

    contact: str
    ani: str
    dnis: str
    arrived_at: float
    node: str = ""
    answered: bool = False


@dataclass(frozen=True, slots=True)
class PhoneDialled(Event):
    """One of our phones dialled a feature code (or anything else that the floor must decide)."""

    leg: str
    phone: str
    number: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class LegAnswered(Event):
    """A leg that we rang was answered and is in our hands."""

    leg: str


@dataclass(frozen=True, slots=True)
class LegHungUp(Event):
    """A leg is gone, answered or not. `cause` is the Q.850 cause (17 busy, 19 no answer, …)."""

    leg: str
    cause: int = 16


@dataclass(frozen=True, slots=True)
class LegLeft(Event):
    """A leg went back to the dialplan (at our command or by an operator's hand); it still lives."""

    leg: str


@dataclass(frozen=True, slots=True)
class DigitPressed(Event):
    leg: str
    digit: str = field(repr=False)  # may be part of a PIN: kept out of every log


@dataclass(frozen=True, slots=True)
class PhoneHeld(Event):
    """The phone's own hold key was pressed."""

    leg: str


@dataclass(frozen=True, slots=True)
class PhoneUnheld(Event):
    leg: str


@dataclass(frozen=True, slots=True)
class LegReplaced(Event):
    """The phone's own transfer key took its leg out of the conversation; where to follows."""

    leg: str


@dataclass(frozen=True, slots=True)
class PhoneTransferred(Event):
    """The phone's own transfer key: the conversation's other side is to go to `number`."""

    leg: str
    number: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished(Event):
    """A playback ended: played to its end, stopped, or failed."""

    playback: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class RecordingStarted(Event):
    """Both sides of a leg are being written."""

    leg: str
    recording: str


@dataclass(frozen=True, slots=True)
class CommandFailed(Event):
    command: Command
    failure: Failure
    text: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired(Event):
    timer: str


@dataclass(frozen=True, slots=True)
class SwitchLost(Event):
    """The connection to one Asterisk broke: its calls may live on, commands cannot reach it."""

    node: str = ""


@dataclass(frozen=True, slots=True)
class SeenLeg:
    """One channel as a survey of Asterisk found it."""

    leg: str
    name: str  # Asterisk's own name of the channel
    up: bool  # answered
    in_app: bool  # in our hands (Stasis)
    application: str  # the dialplan application it is in ("Stasis", "Queue", …)
    phone: str  # the phone it belongs to, "" for a trunk
    ani: str
    dnis: str
    arrived_at: float
    bridge: str  # the bridge it is in, ""
    contact: str = ""  # what our channel variables say
    agent: str = ""
    queue: str = ""
    language: str = ""
    head_start: float = 0.0

    @property
    def made_by_us(self) -> bool:
        """A leg that we rang or a tap: our ids have a ~, those of calls that came to us never."""
        return "~" in self.leg


@dataclass(frozen=True, slots=True)
class SwitchSurveyed(Event):
    """All that lives in one Asterisk, taken after every (re)connect: the truth about channels."""

    legs: tuple[SeenLeg, ...]
    bridges: tuple[str, ...]  # ids of the bridges of ours
    node: str = ""
    started_at: float = 0.0  # when that Asterisk started: whoever arrived before was cut off by us


@dataclass(frozen=True, slots=True)
class PhonesSeen(Event):
    """Phones that are in calls which are not ours (fallback, emergency), and callers whom the fallback queue
    holds unserved: polled, more often while there are any."""

    busy: frozenset[str]
    node: str = ""
    held: tuple[SeenLeg, ...] = ()


# From people and the back office. `request` asks for a Reply; "" for none. `by` names who asked.


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """What PostgreSQL knows of an agent; `pin_hash` is opaque to the floor."""

    number: str
    name: str
    queues: tuple[str, ...]
    language: str = ""
    pin_hash: str = field(default="", repr=False)
    team: str = ""
    leads: tuple[str, ...] = ()  # teams
    supervisor: bool = False
    skills: dict[str, int] = field(default_factory=dict)  # name -> level
    weights: dict[str, int] = field(default_factory=dict)  # queue -> weight, where it is not 1


@dataclass(frozen=True, slots=True)
class PeoplePublished(Event):
    """The complete list of agents at `version`. Agents who are no longer in it leave when free."""

    version: int
    agents: tuple[AgentDefinition, ...]


@dataclass(frozen=True, slots=True)
class Request(Event):
    """With `leader`, an agent's number, it is granted if he has the right; else an administrator asks."""

    request: str
    by: str
    leader: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class AgentLoginRequested(Request):
    """`connected`: always connected; his phone is rung once and stays in that call."""

    agent: str
    phone: str
    connected: bool = False


@dataclass(frozen=True, slots=True)
class AgentLogoutRequested(Request):
    agent: str


@dataclass(frozen=True, slots=True)
class AgentReadyRequested(Request):
    agent: str


@dataclass(frozen=True, slots=True)
class AgentNotReadyRequested(Request):
    agent: str
    reason: str


@dataclass(frozen=True, slots=True)
class WrapupEndRequested(Request):
    agent: str


@dataclass(frozen=True, slots=True)
class WrapupExtendRequested(Request):
    agent: str
    seconds: int


@dataclass(frozen=True, slots=True)
class DispositionRequested(Request):
    """What came of a contact: the one the agent has at hand, or one that is over (`contact`, `queue`)."""

    agent: str
    disposition: str
    contact: str = ""
    queue: str = ""


@dataclass(frozen=True, slots=True)
class SuperviseRequested(Request):
    """Ring `phone` and join it to the agent's conversation; `act` is "listen", "whisper", …"""

    agent: str
    phone: str
    act: str


@dataclass(frozen=True, slots=True)
class SpeakRequested(Request):
    """Ring `phone`, then the idle agents of `team`, who hear what is said there."""

    team: str
    phone: str


@dataclass(frozen=True, slots=True)
class CallMoveRequested(Request):
    """A waiting caller to another queue; the time waited counts there."""

    contact: str
    queue: str


@dataclass(frozen=True, slots=True)
class CallPrioritizeRequested(Request):
    """A waiting caller's head start, in seconds; 0 takes it back."""

    contact: str
    head_start: float


@dataclass(frozen=True, slots=True)
class NightSwitchRequested(Request):
    closed: bool


class RecordingWish(StrEnum):
    """What may be asked of a conversation's recording."""

    ON = "on"
    OFF = "off"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class RecordingRequested(Request):
    contact: str
    wish: RecordingWish


@dataclass(frozen=True, slots=True)
class RecordingSpaceSeen(Request):
    """The disk for recordings has become too full (`enough` false), or has room again."""

    enough: bool


@dataclass(frozen=True, slots=True)
class PinChecked(Event):
    """The answer to CheckPin for the login session on `leg`."""

    leg: str
    agent: str
    ok: bool


@dataclass(frozen=True, slots=True)
class PlanApplied(Event):
    """`site apply` changed the site: the floor goes on under the new plan, no call is touched."""

    plan: FloorPlan
