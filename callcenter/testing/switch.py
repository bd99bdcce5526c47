"""An Asterisk in memory with the interface of AsteriskSwitch.

A test plays the people: somebody calls, a phone answers, somebody hangs up. Everything happens at once and in
the order in which it is told; nothing waits and nothing is timed, so `ring_out` ends a ringing that nobody
answers. `callcenter.testing.contract` holds this and the real switch to the same checks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from callcenter.floor import commands as do
from callcenter.floor.events import (
    CallArrived,
    CommandFailed,
    DigitPressed,
    Event,
    Failure,
    LegAnswered,
    LegHungUp,
    LegLeft,
    PhoneDialled,
    PhonesSeen,
    PlaybackFinished,
    RecordingStarted,
    SeenLeg,
    SwitchLost,
    SwitchSurveyed,
)
from callcenter.switch.recorder import RecordingCommand, sides
from callcenter.switch.translate import Lines, Untranslatable, requests
from callcenter.testing.clock import FakeClock

_HARMLESS = (
    *(do.IndicateRinging, do.RemoveLeg, do.SendDigits, do.StopMusic, do.StopPlayback, do.TagLeg),
    *(do.SilenceRecording, do.StopRecording),
)
_GONE_IS_FINE = (do.DestroyBridge, do.HangUp)


class Phone(StrEnum):
    """How a phone takes a call."""

    RINGS = "rings"  # until the test answers it
    ANSWERS = "answers"
    BUSY = "busy"
    UNREACHABLE = "unreachable"  # not registered: the call cannot even be made


@dataclass(slots=True)
class FakeLeg:
    id: str
    name: str
    phone: str = ""
    ani: str = ""
    dnis: str = ""
    arrived_at: float = 0.0
    up: bool = False
    in_app: bool = True
    application: str = "Stasis"
    bridge: str = ""
    contact: str = ""
    agent: str = ""
    queue: str = ""
    language: str = ""
    head_start: float = 0.0
    hears: list[str] = field(default_factory=list)  # prompts and music, in order
    playback: str = ""
    muted: bool = False
    taps: str = ""  # the leg that it taps
    recordings: list[str] = field(default_factory=list)  # that run
    silent: bool = False  # they are

    @property
    def ours(self) -> bool:
        """Made at our command: ids of calls that came to us have no ~."""
        return bool(self.agent) or "~" in self.id


class FakeSwitch:
    """The same interface as AsteriskSwitch, and the people's side of it for the test."""

    def __init__(
        self,
        phones: Iterable[str],
        on_event: Callable[[Event], None],
        on_replaced: Callable[[], None] = lambda: None,
        clock: Callable[[], float] | None = None,
        node: str = "",
    ) -> None:
        self._on_event = on_event
        self._on_replaced = on_replaced
        self._clock = clock or FakeClock()
        self._node = node
        self._numbers = itertools.count(1)
        self._failing: list[tuple[type[do.Command], Failure]] = []
        self._lines = Lines({phone: f"PJSIP/{phone}" for phone in phones}, "floor-fake", node)
        self.phones: dict[str, Phone] = {}  # how they take calls; Phone.RINGS for the others
        self.connected = False
        self.started_at = self._clock()
        self.legs: dict[str, FakeLeg] = {}
        self.bridges: set[str] = set()
        self.members: dict[str, do.SetFallbackMember] = {}  # of the fallback queues, by phone
        self.sent: list[do.Command] = []  # all that was asked for, in order
        self.beats = 0

    # The engine's side.

    async def start(self) -> None:
        self.reconnect()

    async def close(self) -> None:
        self.connected = False

    def set_endpoints(self, endpoints: Mapping[str, str]) -> None:
        self._lines = Lines(endpoints, self._lines.app, self._node)

    def beat(self) -> None:
        self.beats += 1

    def send(self, commands: Sequence[do.Command]) -> None:
        for command in commands:
            self.sent.append(command)
            failure = self._carry_out(command)
            if failure is None or isinstance(command, _HARMLESS):
                continue
            if failure is Failure.NOT_FOUND and isinstance(command, _GONE_IS_FINE):
                continue
            self._on_event(CommandFailed(self._clock(), command, failure, "as the fake switch sees it"))

    # The people's side.

    def call(self, dnis: str, ani: str = "5550001") -> str:
        """Somebody calls `dnis`; gives the contact's id. Without a connection the fallback queue takes it."""
        leg = self._new_leg("trunk", ani=ani, dnis=dnis, arrived_at=self._clock())
        if not self.connected:
            leg.in_app, leg.application, leg.up = False, "Queue", True
            return leg.id
        self._arrived(leg)
        return leg.id

    def dial(self, phone: str, number: str) -> str:
        """One of our phones dials `number`; gives the leg's id. Emergency numbers (110) never reach us."""
        leg = self._new_leg(phone, phone=phone, dnis=number, ani=phone)
        if number == "110" or not self.connected:
            leg.in_app, leg.application, leg.up = False, "Wait", True
            self.look_at_phones()
        else:
            self._on_event(PhoneDialled(self._clock(), leg.id, phone, number, self._node))
        return leg.id

    def ringing(self, phone: str) -> str:
        """The leg that rings at `phone`, "" if none does."""
        legs = [leg.id for leg in self.legs.values() if leg.phone == phone and leg.ours and not leg.up]
        return legs[0] if legs else ""

    def answer(self, leg: str) -> None:
        """Somebody picks the ringing phone up."""
        found = self.legs[leg]
        found.up = found.in_app = True
        found.application = "Stasis"
        self._tell(LegAnswered(self._clock(), leg))

    def ring_out(self, leg: str) -> None:
        """Nobody picked the phone up in time."""
        self.hang_up(leg, 19)

    def hang_up(self, leg: str, cause: int = 16) -> None:
        """The other end hangs up, or refuses with `cause`."""
        found = self.legs.pop(leg)
        if found.playback:
            self.finish(found.playback, of=found, failed=True)
        if found.in_app or found.ours:
            self._tell(LegHungUp(self._clock(), leg, cause))
        elif found.phone:
            self.look_at_phones()
        for tap in [each.id for each in self.legs.values() if each.taps == leg]:
            self.hang_up(tap)

    def press(self, leg: str, digits: str) -> None:
        for digit in digits:
            self._tell(DigitPressed(self._clock(), leg, digit))

    def finish(self, playback: str, *, of: FakeLeg | None = None, failed: bool = False) -> None:
        """A playback comes to its end."""
        legs = [of] if of else [leg for leg in self.legs.values() if leg.playback == playback]
        for leg in legs:
            leg.playback = ""
            self._tell(PlaybackFinished(self._clock(), playback, failed))

    # Misfortune.

    def fail_next(self, kind: type[do.Command], failure: Failure) -> None:
        """The next command of this kind is not carried out."""
        self._failing.append((kind, failure))

    def lose(self) -> None:
        """The connection breaks; calls live on."""
        self.connected = False
        self._on_event(SwitchLost(self._clock(), self._node))

    def reconnect(self) -> None:
        """The connection is there (again)."""
        self.connected = True
        legs = tuple(self._seen(leg) for leg in self.legs.values())
        self._on_event(
            SwitchSurveyed(self._clock(), legs, tuple(sorted(self.bridges)), self._node, self.started_at)
        )
        if any(leg.phone and not leg.in_app and not leg.ours for leg in self.legs.values()):
            self.look_at_phones()

    def restart(self) -> None:
        """Asterisk itself ends and comes back: every call is gone, and nobody says so."""
        self.lose()
        self.legs.clear()
        self.bridges.clear()
        self.started_at = self._clock()
        self.reconnect()

    def replace(self) -> None:
        """Another engine takes the application over."""
        self._on_replaced()

    def look_at_phones(self) -> None:
        """What the poll of calls that are not ours tells."""
        busy = {leg.phone for leg in self.legs.values() if leg.phone and not leg.in_app and not leg.ours}
        self._tell(PhonesSeen(self._clock(), frozenset(busy), self._node))

    # Asterisk's side.

    def _carry_out(self, command: do.Command) -> Failure | None:
        for index, (kind, failure) in enumerate(self._failing):
            if isinstance(command, kind):
                del self._failing[index]
                return failure
        if isinstance(command, do.SetFallbackMember):
            if command.present:
                self.members[command.phone] = command
            else:
                self.members.pop(command.phone, None)
            return None
        if isinstance(command, do.TakeFromFallback):
            return self._take(command)
        if isinstance(command, RecordingCommand):
            return self._record(command)
        try:
            requests(command, self._lines)  # refuses what the real one refuses
        except Untranslatable:
            return Failure.REFUSED
        if not self.connected:
            return Failure.AWAY
        return self._act(command)

    def _act(self, command: do.Command) -> Failure | None:
        match command:
            case do.RingAgent():
                return self._ring(command, self._agent_leg(command))
            case do.RingPhone(leg, phone):
                return self._ring(command, FakeLeg(leg, f"PJSIP/{phone}-{next(self._numbers):08x}", phone))
            case do.ConnectLegs(bridge, caller, agent):
                return self._connect(bridge, (caller, agent))
            case do.AddLeg(bridge, name):
                return self._connect(bridge, (name,)) if bridge in self.bridges else Failure.FAILED
            case do.RemoveLeg(bridge, name):
                if name in self.legs and self.legs[name].bridge == bridge:
                    self.legs[name].bridge = ""
            case do.RingOutside():
                return self._ring_outside(command)
            case do.SnoopLeg(tap, name):
                return self._tap(tap, name)
            case do.DestroyBridge(bridge):
                if bridge not in self.bridges:
                    return Failure.NOT_FOUND
                self.bridges.discard(bridge)
                for each in self.legs.values():
                    each.bridge = "" if each.bridge == bridge else each.bridge
            case do.StopPlayback(playback):
                self.finish(playback)
            case (
                do.AnswerLeg(leg)
                | do.IndicateRinging(leg)
                | do.PlayPrompts(leg)
                | do.StartMusic(leg)
                | do.StopMusic(leg)
                | do.MuteLeg(leg)
                | do.HangUp(leg)
                | do.SendDigits(leg)
                | do.SendOutside(leg)
                | do.TagLeg(leg)
            ):
                found = self.legs.get(leg)
                if found is None:
                    return Failure.NOT_FOUND
                if not found.in_app and not isinstance(command, do.HangUp):
                    return Failure.CONFLICT
                self._on_leg(command, found)
        return None

    def _on_leg(self, command: do.Command, leg: FakeLeg) -> None:
        match command:
            case do.AnswerLeg():
                leg.up = True
            case do.PlayPrompts(_, playback, prompts, _):
                leg.hears += prompts
                leg.playback = playback
            case do.MuteLeg(_, muted):
                leg.muted = muted
            case do.StartMusic(_, music):
                leg.hears.append(f"music {music}" if music else "silence")
            case do.HangUp():
                self.hang_up(leg.id)
            case do.SendDigits(_, digits):
                leg.hears.append(f"digits {digits}")
            case do.SendOutside(_, number):
                leg.in_app, leg.application, leg.dnis = False, "Dial", number
                self._tell(LegLeft(self._clock(), leg.id))
            case do.TagLeg(_, contact, queue, arrived_at, language, head_start, agent, _):
                leg.contact, leg.queue, leg.agent = contact, queue, agent
                leg.arrived_at, leg.language = arrived_at, language
                leg.head_start = head_start

    def _record(self, command: RecordingCommand) -> Failure | None:
        if isinstance(command, do.StartRecording):
            try:
                sides(command.recording)
            except ValueError:
                return Failure.REFUSED
        leg = self.legs.get(command.leg)
        if leg is None:
            return Failure.NOT_FOUND
        match command:
            case do.StartRecording():
                leg.recordings.append(command.recording)
                leg.silent = False
                self._tell(RecordingStarted(self._clock(), leg.id, command.recording))
            case do.SilenceRecording():
                leg.silent = command.silent and bool(leg.recordings)
            case do.StopRecording():
                leg.recordings.clear()
        return None

    def _agent_leg(self, command: do.RingAgent) -> FakeLeg:
        return FakeLeg(
            command.leg,
            f"PJSIP/{command.phone}-{next(self._numbers):08x}",
            phone=command.phone,
            ani=command.ani,
            dnis=command.dnis,
            arrived_at=command.arrived_at,
            contact=command.contact,
            agent=command.agent,
            queue=command.queue,
            language=command.language,
        )

    def _ring(self, command: do.RingAgent | do.RingPhone, leg: FakeLeg) -> Failure | None:
        if leg.id in self.legs:
            return Failure.CONFLICT
        how = self.phones.get(command.phone, Phone.RINGS)
        if how is Phone.UNREACHABLE:
            return Failure.REFUSED
        leg.in_app, leg.application = False, "AppDial2"
        self.legs[leg.id] = leg
        if how is Phone.BUSY:
            self.hang_up(leg.id, 17)
        elif how is Phone.ANSWERS:
            self.answer(leg.id)
        return None

    def _tap(self, tap: str, leg: str) -> Failure | None:
        if tap in self.legs:
            return Failure.CONFLICT
        if leg not in self.legs:
            return Failure.NOT_FOUND
        self.legs[tap] = FakeLeg(tap, f"Snoop/{leg}-{next(self._numbers):08x}", up=True, taps=leg)
        self._tell(LegAnswered(self._clock(), tap))
        return None

    def _ring_outside(self, command: do.RingOutside) -> Failure | None:
        """Rings until the test answers it."""
        if command.leg in self.legs:
            return Failure.CONFLICT
        self.legs[command.leg] = FakeLeg(
            command.leg,
            f"Local/{command.number}@outside-{next(self._numbers):08x};1",
            arrived_at=command.arrived_at,
            in_app=False,
            application="AppDial2",
            contact=command.contact,
            queue=command.queue,
            language=command.language,
        )
        return None

    def _connect(self, bridge: str, legs: tuple[str, ...]) -> Failure | None:
        self.bridges.add(bridge)
        failure = None
        for leg in legs:
            if leg in self.legs:
                self.legs[leg].bridge = bridge
            else:
                failure = Failure.NOT_FOUND
        return failure

    def _take(self, command: do.TakeFromFallback) -> Failure | None:
        leg = self.legs.get(command.leg)
        if leg is None or leg.name != command.name:
            return Failure.NOT_FOUND
        leg.in_app, leg.application = True, "Stasis"
        self._arrived(leg)
        return None

    def _arrived(self, leg: FakeLeg) -> None:
        self._tell(CallArrived(self._clock(), leg.id, leg.ani, leg.dnis, leg.arrived_at, self._node, leg.up))

    def _new_leg(
        self, resource: str, *, phone: str = "", ani: str = "", dnis: str = "", arrived_at: float = 0.0
    ) -> FakeLeg:
        number = next(self._numbers)
        leg = FakeLeg(
            f"{self._clock():.0f}.{number}",
            f"PJSIP/{resource}-{number:08x}",
            phone=phone,
            ani=ani,
            dnis=dnis,
            arrived_at=arrived_at,
        )
        self.legs[leg.id] = leg
        return leg

    def _seen(self, leg: FakeLeg) -> SeenLeg:
        return SeenLeg(
            leg=leg.id,
            name=leg.name,
            up=leg.up,
            in_app=leg.in_app,
            application=leg.application,
            phone=leg.phone,
            ani=leg.ani,
            dnis=leg.dnis,
            arrived_at=leg.arrived_at,
            bridge=leg.bridge,
            contact=leg.contact,
            agent=leg.agent,
            queue=leg.queue,
            language=leg.language,
            head_start=leg.head_start,
        )

    def _tell(self, event: Event) -> None:
        """Nothing is heard while the connection is away."""
        if self.connected:
            self._on_event(event)
