"""A model of Asterisk for the floor's tests: carries commands out, queues what Asterisk would tell.

It keeps legs, bridges, playbacks and the fallback queues' members. Its clock is `now`, moved by the test;
commands that a test wants to fail do (`fail_next`), and while the connection is broken none is heard.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeVar

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.events import Event, Failure, SeenLeg

C = TypeVar("C", bound=do.Command)

# A failure of these is not told to the floor by the switch.
HARMLESS = (
    *(do.IndicateRinging, do.RemoveLeg, do.SendDigits, do.StopMusic, do.StopPlayback, do.TagLeg),
    *(do.SilenceRecording, do.StopRecording),
)
GONE_IS_FINE = (do.DestroyBridge, do.HangUp)


@dataclass(slots=True)
class Leg:
    id: str
    name: str
    phone: str = ""
    ani: str = ""
    dnis: str = ""
    arrived_at: float = 0.0
    up: bool = False
    in_app: bool = True
    application: str = "Stasis"
    music: bool = False
    ringing: bool = False  # as a tone in the call
    digits: str = ""  # that its far end heard
    contact: str = ""
    agent: str = ""
    queue: str = ""
    language: str = ""
    muted: bool = False
    taps: str = ""  # the leg that it taps
    recording: str = ""  # what is written of it at this moment
    silent: bool = False
    head_start: float = 0.0


class Asterisk:
    def __init__(self, now: float) -> None:
        self.now = now
        self.legs: dict[str, Leg] = {}
        self.bridges: dict[str, set[str]] = {}
        self.playing: dict[str, str] = {}  # playback -> leg
        self.members: dict[str, do.SetFallbackMember] = {}  # phone -> the last word
        self.replies: list[do.Reply] = []
        self.pending: deque[Event] = deque()
        self.done: list[do.Command] = []
        self.forgot = False  # state was lost, so that records may overlap
        self.recorded: list[str] = []  # every recording that ever began
        self.faults: list[tuple[type[do.Command], Failure]] = []
        self.connected = True  # the engine's socket
        self.asterisk_started_at = 0.0
        self._callers = 0
        self._dials = 0

    # What people do.

    def call(self, dnis: str = "100", ani: str = "13800000000", answered: bool = False) -> str:
        """A caller from the trunk; gives the contact's id, which is also the leg's."""
        self._callers += 1
        leg = f"c{self._callers}"
        self.legs[leg] = Leg(leg, f"PJSIP/trunk-{leg}", ani=ani, dnis=dnis, arrived_at=self.now, up=answered)
        self._tell(seen.CallArrived(self.now, leg, ani, dnis, self.now, answered=answered))
        return leg

    def call_fallback(self, dnis: str = "100") -> str:
        """A caller who came while nobody was there: the fallback queue holds him."""
        self._callers += 1
        leg = f"c{self._callers}"
        self.legs[leg] = Leg(
            leg,
            f"PJSIP/trunk-{leg}",
            dnis=dnis,
            arrived_at=self.now,
            up=True,
            in_app=False,
            application="Queue",
        )
        return leg

    def dial(self, phone: str, number: str) -> str:
        self._dials += 1
        leg = f"d{self._dials}"
        self.legs[leg] = Leg(leg, f"PJSIP/{phone}-{leg}", phone=phone)
        self._tell(seen.PhoneDialled(self.now, leg, phone, number))
        return leg

    def press(self, leg: str, digits: str) -> None:
        for digit in digits:
            self._tell(seen.DigitPressed(self.now, leg, digit))

    def answer(self, leg: str) -> None:
        self.legs[leg].up = self.legs[leg].in_app = True
        self._tell(seen.LegAnswered(self.now, leg))

    def hang_up(self, leg: str, cause: int = 16) -> None:
        if leg not in self.legs:
            return
        del self.legs[leg]
        self._leave_bridge(leg)
        for playback in [p for p, on in self.playing.items() if on == leg]:
            self.finish_playback(playback, failed=True)
        self._tell(seen.LegHungUp(self.now, leg, cause))
        for tap in [each.id for each in self.legs.values() if each.taps == leg]:
            self.hang_up(tap)

    def finish_playback(self, playback: str, failed: bool = False) -> None:
        if self.playing.pop(playback, None) is not None:
            self._tell(seen.PlaybackFinished(self.now, playback, failed))

    # What a test looks at, and does to it.

    def fail_next(self, command: type[do.Command], failure: Failure) -> None:
        self.faults.append((command, failure))

    def agent_legs(self) -> list[Leg]:
        """Live legs to agents, in the order they were made; standing ones too."""
        return [leg for leg in self.legs.values() if leg.agent]

    def ringing(self) -> dict[str, str]:
        """Agent -> contact, for every phone that rings; "" for a standing leg."""
        return {leg.agent: leg.contact for leg in self.agent_legs() if not leg.up}

    def leg_to(self, agent: str) -> str:
        return next(leg.id for leg in self.agent_legs() if leg.agent == agent)

    def commands(self, kind: type[C]) -> list[C]:
        return [c for c in self.done if isinstance(c, kind)]

    def survey_now(self) -> seen.SwitchSurveyed:
        """All that lives here."""
        bridge_of = {leg: bridge for bridge, legs in self.bridges.items() for leg in legs}
        legs = tuple(
            SeenLeg(
                leg=leg.id,
                name=leg.name,
                up=leg.up,
                in_app=leg.in_app,
                application=leg.application,
                phone=leg.phone,
                ani=leg.ani,
                dnis=leg.dnis,
                arrived_at=leg.arrived_at,
                bridge=bridge_of.get(leg.id, ""),
                contact=leg.contact,
                agent=leg.agent,
                queue=leg.queue,
                language=leg.language,
                head_start=leg.head_start,
            )
            for leg in self.legs.values()
        )
        return seen.SwitchSurveyed(self.now, legs, tuple(self.bridges), "", self.asterisk_started_at)

    # Asterisk.

    def _tell(self, event: Event) -> None:
        if self.connected:
            self.pending.append(event)

    def _tell_ourselves(self, event: Event) -> None:
        self.pending.append(event)

    def _fail(self, command: do.Command, failure: Failure) -> None:
        if isinstance(command, HARMLESS):
            return
        if failure is Failure.NOT_FOUND and isinstance(command, GONE_IS_FINE):
            return
        self._tell_ourselves(seen.CommandFailed(self.now, command, failure))

    def _act(self, command: do.Command) -> None:
        self.done.append(command)
        match command:
            case do.StartTimer() | do.StopTimer():
                return
            case do.Reply():
                self.replies.append(command)
                return
            case do.CheckPin():
                ok = bool(command.pin_hash) and command.pin == command.pin_hash
                self._tell_ourselves(seen.PinChecked(self.now, command.leg, command.agent, ok))
                return
            case do.SetFallbackMember():
                self.members[command.phone] = command
                return
        if not self.connected:
            self._fail(command, Failure.AWAY)
            return
        fault = next((f for f in self.faults if isinstance(command, f[0])), None)
        if fault is not None:
            self.faults.remove(fault)
            self._fail(command, fault[1])
            return
        self._carry_out(command)

    def _carry_out(self, command: do.Command) -> None:  # one case per command of the switch
        match command:
            case do.RingAgent():
                self._ring_agent(command)
            case do.ConnectLegs(bridge, caller, agent):
                self.bridges.setdefault(bridge, set())
                for leg in (caller, agent):
                    if leg not in self.legs:
                        self._fail(command, Failure.NOT_FOUND)
                        return
                    self._leave_bridge(leg)
                    self.bridges[bridge].add(leg)
            case do.AddLeg(bridge, leg):
                if leg not in self.legs:
                    self._fail(command, Failure.NOT_FOUND)
                elif bridge not in self.bridges or not self.legs[leg].in_app:
                    self._fail(command, Failure.FAILED)
                else:
                    self._leave_bridge(leg)
                    self.bridges[bridge].add(leg)
            case do.RemoveLeg(bridge, leg):
                self.bridges.get(bridge, set()).discard(leg)
            case do.RingOutside():
                self._ring_outside(command)
            case do.RingPhone():
                self._ring(command, Leg(command.leg, f"PJSIP/{command.phone}-{command.leg}", command.phone))
            case do.SnoopLeg(tap, leg):
                if leg not in self.legs or tap in self.legs:
                    self._fail(command, Failure.CONFLICT if tap in self.legs else Failure.NOT_FOUND)
                    return
                self.legs[tap] = Leg(tap, f"Snoop/{leg}-{tap}", up=True, taps=leg)
                self._tell(seen.LegAnswered(self.now, tap))
            case do.DestroyBridge(bridge):
                self.bridges.pop(bridge, None)
            case do.StopPlayback(playback):
                self.finish_playback(playback)
            case do.HangUp(leg):
                self.hang_up(leg)
            case do.TakeFromFallback(leg):
                self._take_back(command, self.legs.get(leg))
            case do.StartRecording() | do.SilenceRecording() | do.StopRecording():
                self._record(command, self.legs.get(command.leg))
            case _:
                on = self.legs.get(getattr(command, "leg", ""))
                if on is None:
                    self._fail(command, Failure.NOT_FOUND)
                elif not on.in_app:
                    self._fail(command, Failure.CONFLICT)
                else:
                    self._on_leg(command, on)

    def _on_leg(self, command: do.Command, leg: Leg) -> None:
        match command:
            case do.AnswerLeg():
                leg.up = True
            case do.StartMusic():
                leg.music, leg.ringing = True, False
            case do.IndicateRinging():
                leg.ringing = True
            case do.StopMusic():
                leg.music = False
            case do.MuteLeg(_, muted):
                leg.muted = muted
            case do.PlayPrompts():
                self.playing[command.playback] = leg.id
                leg.music = leg.ringing = False  # a prompt ends both
            case do.TagLeg():
                leg.contact, leg.queue, leg.language = command.contact, command.queue, command.language
                leg.agent = command.agent
                leg.head_start = command.head_start
            case do.SendDigits(_, digits):
                leg.digits += digits
            case do.SendOutside():
                leg.in_app, leg.application = False, "Dial"
                self._tell(seen.LegLeft(self.now, leg.id))

    def _record(
        self, command: do.StartRecording | do.SilenceRecording | do.StopRecording, leg: Leg | None
    ) -> None:
        if leg is None:
            self._fail(command, Failure.NOT_FOUND)
            return
        match command:
            case do.StartRecording():
                assert not leg.recording, f"{leg.id} is recorded twice: {leg.recording}, {command.recording}"
                # A floor that lost all in the second of the begin takes the same name: the file is added to.
                again = command.recording in self.recorded
                assert not again or self.forgot, f"{command.recording} is a name used twice"
                self.recorded.append(command.recording)
                leg.recording, leg.silent = command.recording, False
                self._tell_ourselves(seen.RecordingStarted(self.now, leg.id, command.recording))
            case do.SilenceRecording():
                leg.silent = command.silent
            case do.StopRecording():
                leg.recording = ""

    def _ring_agent(self, command: do.RingAgent) -> None:
        leg = Leg(
            command.leg,
            f"PJSIP/{command.phone}-{command.leg}",
            phone=command.phone,
            ani=command.ani,
            dnis=command.dnis,
            arrived_at=command.arrived_at,
            contact=command.contact,
            agent=command.agent,
            queue=command.queue,
            language=command.language,
        )
        self._ring(command, leg)

    def _ring(self, command: do.RingAgent | do.RingPhone, leg: Leg) -> None:
        if leg.id in self.legs:
            self._fail(command, Failure.CONFLICT)
            return
        leg.in_app, leg.application = False, "AppDial2"
        self.legs[leg.id] = leg

    def _leave_bridge(self, leg: str) -> None:
        for members in self.bridges.values():
            members.discard(leg)

    def _ring_outside(self, command: do.RingOutside) -> None:
        if command.leg in self.legs:
            self._fail(command, Failure.CONFLICT)
            return
        self.legs[command.leg] = Leg(
            command.leg,
            f"Local/{command.number}@outside-{command.leg};1",
            arrived_at=command.arrived_at,
            in_app=False,
            application="AppDial2",
            contact=command.contact,
            queue=command.queue,
            language=command.language,
        )

    def _take_back(self, command: do.Command, leg: Leg | None) -> None:
        if leg is None or leg.application != "Queue":
            self._fail(command, Failure.NOT_FOUND)
            return
        leg.in_app, leg.application = True, "Stasis"
        self._tell(seen.CallArrived(self.now, leg.id, leg.ani, leg.dnis, leg.arrived_at, answered=leg.up))
