"""What to do. Imperative; carried out by the engine through the switch, after the state is saved.

Ids of legs, bridges and playbacks are made here by us, so that a command repeated after a crash is
a conflict and never a second call.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Command:
    pass


@dataclass(frozen=True, slots=True)
class AnswerLeg(Command):
    leg: str


@dataclass(frozen=True, slots=True)
class IndicateRinging(Command):
    leg: str


@dataclass(frozen=True, slots=True)
class PlayPrompts(Command):
    """Play prompts (names of files under `sounds/`), one after the other, as one playback."""

    leg: str
    playback: str
    prompts: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class StopPlayback(Command):
    playback: str


@dataclass(frozen=True, slots=True)
class StartMusic(Command):
    """`music` "" is silence that is sent, so that phone and network do not take the call for dead."""

    leg: str
    music: str


@dataclass(frozen=True, slots=True)
class StopMusic(Command):
    leg: str


@dataclass(frozen=True, slots=True)
class RingAgent(Command):
    """Ring a phone for a contact; the new leg gets our id and enters our hands when answered.

    With `contact` "" it is to be the standing leg of an agent who is always connected.
    """

    leg: str
    contact: str
    agent: str
    phone: str
    queue: str
    ani: str
    dnis: str
    language: str
    ring_seconds: int
    arrived_at: float


@dataclass(frozen=True, slots=True)
class RingPhone(Command):
    """Ring a phone for no contact (a supervisor who asked from the shell); the leg gets our id."""

    leg: str
    phone: str
    ani: str  # shown on the phone
    ring_seconds: int


@dataclass(frozen=True, slots=True)
class ConnectLegs(Command):
    """Join a caller's and an agent's leg in a new bridge of ours."""

    bridge: str
    caller: str
    agent: str


@dataclass(frozen=True, slots=True)
class AddLeg(Command):
    """Put one more leg into a bridge of ours. `absorb`: its digits are events and nobody hears them."""

    bridge: str
    leg: str
    absorb: bool = False


@dataclass(frozen=True, slots=True)
class RemoveLeg(Command):
    """Take a leg out of a bridge of ours; it stays in our hands."""

    bridge: str
    leg: str


@dataclass(frozen=True, slots=True)
class SnoopLeg(Command):
    """Tap a leg: the new leg `snoop` hears both its sides, and what is said into it `leg` alone hears."""

    snoop: str
    leg: str


@dataclass(frozen=True, slots=True)
class MuteLeg(Command):
    """Whether what is spoken at a leg is heard by nobody."""

    leg: str
    muted: bool


@dataclass(frozen=True, slots=True)
class SendDigits(Command):
    """Let a leg's far end hear digits."""

    leg: str
    digits: str = field(repr=False)  # may be a card number: kept out of every log


@dataclass(frozen=True, slots=True)
class RingOutside(Command):
    """Ring an outside number for a contact, by the dialplan's context for outside numbers; the new leg gets
    our id and enters our hands when answered."""

    leg: str
    contact: str
    number: str
    queue: str
    language: str
    ring_seconds: int
    arrived_at: float


@dataclass(frozen=True, slots=True)
class DestroyBridge(Command):
    bridge: str


@dataclass(frozen=True, slots=True)
class HangUp(Command):
    """`cause` is a Q.850 cause: 16 normal, 17 busy, 34 no circuit, 1 unassigned number."""

    leg: str
    cause: int = 16


@dataclass(frozen=True, slots=True)
class SendOutside(Command):
    """Give the leg to the dialplan's context for outside numbers."""

    leg: str
    number: str


@dataclass(frozen=True, slots=True)
class TagLeg(Command):
    """Write contact, arrival and queue as channel variables: the floor can be rebuilt from them.

    With `agent` (and no contact) it is his standing leg, at `phone`.
    """

    leg: str
    contact: str
    queue: str
    arrived_at: float
    language: str
    head_start: float = 0.0
    agent: str = ""  # of an agent's leg that we did not ring
    phone: str = ""


@dataclass(frozen=True, slots=True)
class StartRecording(Command):
    """Write both sides of a leg to two files named after `recording`; answered by RecordingStarted."""

    leg: str
    recording: str


@dataclass(frozen=True, slots=True)
class SilenceRecording(Command):
    """While `silent`, both files get silence instead of what is said."""

    leg: str
    silent: bool


@dataclass(frozen=True, slots=True)
class StopRecording(Command):
    """Stop whatever records this leg; its end does that too."""

    leg: str


@dataclass(frozen=True, slots=True)
class CheckPin(Command):
    """Slow (scrypt): answered by PinChecked."""

    leg: str
    agent: str
    pin: str = field(repr=False)
    pin_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTimer(Command):
    """One timer per id: starting it again moves its deadline (`due_at`, seconds since the epoch)."""

    timer: str
    due_at: float


@dataclass(frozen=True, slots=True)
class StopTimer(Command):
    timer: str


@dataclass(frozen=True, slots=True)
class SetFallbackMember(Command):
    """Keep the fallback queues' members in step: `present` in the queues, `paused` while not free."""

    phone: str
    agent: str
    queues: tuple[str, ...]
    present: bool
    paused: bool = False


@dataclass(frozen=True, slots=True)
class TakeFromFallback(Command):
    """Bring a caller whom the fallback queue holds back into our hands, variables kept."""

    leg: str
    name: str  # Asterisk's channel name


@dataclass(frozen=True, slots=True)
class Reply(Command):
    """The answer to a Request: one line for the person who asked, `code` for machines."""

    request: str
    ok: bool
    text: str
    code: str = ""
