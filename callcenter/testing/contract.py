"""What every switch must do, as checks that run against FakeSwitch and against the real one alike.

A `Stage` sets the scene: it owns a switch, hears its events and plays the people. Each check is one
coroutine that raises AssertionError; CHECKS lists them all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from callcenter.floor.commands import (
    AddLeg,
    AnswerLeg,
    Command,
    ConnectLegs,
    DestroyBridge,
    HangUp,
    MuteLeg,
    PlayPrompts,
    RingAgent,
    RingPhone,
    SendOutside,
    SilenceRecording,
    SnoopLeg,
    StartRecording,
    StopMusic,
    StopPlayback,
    StopRecording,
    TagLeg,
    TakeFromFallback,
)
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

E = TypeVar("E", bound=Event)


class Stage(Protocol):
    """A switch with people around it. Phones 1001-1003 exist; 1008 is unreachable, 1009 is unknown."""

    heard: list[Event]
    replaced: int

    def send(self, *commands: Command) -> None: ...

    async def start(self) -> None:
        """Connect; returns when the survey was heard."""

    async def lose(self) -> None:
        """Break the connection; returns when the loss was heard. It does not come back before `start`."""

    async def another_engine(self) -> None:
        """Another client takes the application."""

    async def hear(self, kind: type[E], true: Callable[[E], bool] = ..., seconds: float = ...) -> E:
        """The first event of a kind for which `true`; AssertionError if none comes."""

    async def settle(self) -> None:
        """Long enough that an event which must not come would have come."""

    async def phones(self, how: str) -> None:
        """From now on phones "answer", "ring" or are "busy"."""

    async def call(self, dnis: str, ani: str, digits: str = "") -> None:
        """Somebody calls; presses `digits` a moment after he is answered."""

    async def dial(self, phone: str, number: str) -> None: ...

    async def everybody_hangs_up(self) -> None:
        """All who are out there: callers and phones."""


async def caller(stage: Stage, digits: str = "") -> str:
    """One more caller; gives his contact id."""
    before = sum(isinstance(event, CallArrived) for event in stage.heard)
    await stage.call("4001", "5550001", digits)
    arrivals: list[CallArrived] = []

    def is_new(event: CallArrived) -> bool:
        arrivals.append(event)
        return len(arrivals) > before

    return (await stage.hear(CallArrived, is_new)).contact


def ring(leg: str, contact: str, phone: str = "1001", seconds: int = 5) -> RingAgent:
    return RingAgent(leg, contact, "501", phone, "sales", "5550001", "4001", "en", seconds, 12.5)


def ends_of(stage: Stage, leg: str) -> list[LegHungUp]:
    return [event for event in stage.heard if isinstance(event, LegHungUp) and event.leg == leg]


async def talk(stage: Stage, leg: str, bridge: str) -> str:
    """A caller and the agent on 1001, talking."""
    await stage.phones("answer")
    contact = await caller(stage)
    stage.send(AnswerLeg(contact), TagLeg(contact, contact, "sales", 12.5, "zh", 40.0), ring(leg, contact))
    await stage.hear(LegAnswered, lambda event: event.leg == leg)
    stage.send(ConnectLegs(bridge, contact, leg))
    return contact


async def survey_again(stage: Stage) -> SwitchSurveyed:
    await stage.lose()
    del stage.heard[:]
    await stage.start()
    return await stage.hear(SwitchSurveyed)


def leg_in(survey: SwitchSurveyed, leg: str) -> SeenLeg:
    found = [one for one in survey.legs if one.leg == leg]
    assert len(found) == 1, f"{leg} is {len(found)} times in the survey"
    return found[0]


# The checks.


async def a_call_arrives(stage: Stage) -> None:
    await stage.start()
    contact = await caller(stage)
    event = await stage.hear(CallArrived)
    assert (event.contact, event.dnis, event.ani) == (contact, "4001", "5550001")
    assert not event.answered
    assert event.at - 5 < event.arrived_at < event.at + 1


async def a_caller_gives_up(stage: Stage) -> None:
    await stage.start()
    contact = await caller(stage)
    await stage.everybody_hangs_up()
    await stage.hear(LegHungUp, lambda event: event.leg == contact)
    await stage.settle()
    assert len(ends_of(stage, contact)) == 1
    assert not [event for event in stage.heard if isinstance(event, LegLeft)]


async def we_hang_up(stage: Stage) -> None:
    await stage.start()
    contact = await caller(stage)
    stage.send(HangUp(contact, 17))
    await stage.hear(LegHungUp, lambda event: event.leg == contact)
    await stage.settle()
    assert len(ends_of(stage, contact)) == 1


async def prompts_end(stage: Stage) -> None:
    await stage.start()
    contact = await caller(stage)
    stage.send(AnswerLeg(contact), PlayPrompts(contact, "playback-1", ("demo-congrats",), "en"))
    stage.send(StopPlayback("playback-1"))
    event = await stage.hear(PlaybackFinished)
    assert event.playback == "playback-1"


async def an_agent_talks(stage: Stage) -> None:
    await stage.start()
    contact = await talk(stage, "leg-1", "bridge-1")
    await stage.settle()
    assert not (failed := [event for event in stage.heard if isinstance(event, CommandFailed)]), failed
    stage.send(HangUp(contact), HangUp("leg-1"), DestroyBridge("bridge-1"), DestroyBridge("bridge-1"))
    await stage.hear(LegHungUp, lambda event: event.leg == contact)
    await stage.hear(LegHungUp, lambda event: event.leg == "leg-1")
    await stage.settle()
    assert len(ends_of(stage, contact)) == len(ends_of(stage, "leg-1")) == 1
    assert not (strange := [event for event in stage.heard if isinstance(event, CommandFailed | LegLeft)]), (
        strange
    )


async def the_same_connection_twice(stage: Stage) -> None:
    """A repetition after a crash disturbs nobody."""
    await stage.start()
    contact = await talk(stage, "leg-1", "bridge-1")
    await stage.settle()
    stage.send(ConnectLegs("bridge-1", contact, "leg-1"))
    await stage.settle()
    strange = [event for event in stage.heard if isinstance(event, CommandFailed | LegHungUp | LegLeft)]
    assert not strange, strange
    survey = await survey_again(stage)
    assert leg_in(survey, contact).bridge == leg_in(survey, "leg-1").bridge == "bridge-1"


async def a_supervisor_joins_a_talk(stage: Stage) -> None:
    """His phone rings, the agent's leg is tapped for him, he goes over into the talk's bridge and back."""
    await stage.start()
    contact = await talk(stage, "leg-1", "bridge-1")
    stage.send(RingPhone("w~1002", "1002", "501", 5), SnoopLeg("w~tap1", "leg-1"))
    await stage.hear(LegAnswered, lambda event: event.leg == "w~1002")
    await stage.hear(LegAnswered, lambda event: event.leg == "w~tap1")
    stage.send(MuteLeg("w~1002", True), ConnectLegs("w~beside", "w~tap1", "w~1002"))
    await stage.settle()
    survey = await survey_again(stage)
    assert leg_in(survey, "w~tap1").bridge == leg_in(survey, "w~1002").bridge == "w~beside"
    tap, phone = leg_in(survey, "w~tap1"), leg_in(survey, "w~1002")
    assert (tap.phone, tap.agent, tap.in_app, tap.made_by_us) == ("", "", True, True)
    assert (phone.phone, phone.agent, phone.in_app, phone.made_by_us) == ("1002", "", True, True)
    stage.send(MuteLeg("w~1002", False), AddLeg("bridge-1", "w~1002", absorb=True))
    await stage.settle()
    survey = await survey_again(stage)
    in_talk = {leg.leg for leg in survey.legs if leg.bridge == "bridge-1"}
    assert in_talk == {contact, "leg-1", "w~1002"}
    stage.send(AddLeg("w~beside", "w~1002", absorb=True))
    await stage.settle()
    survey = await survey_again(stage)
    assert leg_in(survey, "w~tap1").bridge == leg_in(survey, "w~1002").bridge == "w~beside"
    assert not (failed := [event for event in stage.heard if isinstance(event, CommandFailed)]), failed
    stage.send(HangUp("leg-1"))  # and the tap with it
    await stage.hear(LegHungUp, lambda event: event.leg == "w~tap1")
    stage.send(HangUp("w~1002"), DestroyBridge("w~beside"), DestroyBridge("bridge-1"), HangUp(contact))
    await stage.hear(LegHungUp, lambda event: event.leg == "w~1002")


async def what_cannot_be_joined(stage: Stage) -> None:
    await stage.start()
    commands = (
        *(SnoopLeg("w~tap1", "nobody"), MuteLeg("nobody", True), AddLeg("nothing", "nobody")),
        RingPhone("w~1009", "1009", "501", 5),
    )
    for command in commands:
        del stage.heard[:]
        stage.send(command)
        assert (await stage.hear(CommandFailed)).command == command


async def everybody_leaves_a_talk(stage: Stage) -> None:
    await stage.start()
    contact = await talk(stage, "leg-1", "bridge-1")
    await stage.settle()
    await stage.everybody_hangs_up()
    await stage.hear(LegHungUp, lambda event: event.leg == contact)
    await stage.hear(LegHungUp, lambda event: event.leg == "leg-1")
    await stage.settle()
    assert len(ends_of(stage, contact)) == len(ends_of(stage, "leg-1")) == 1


async def a_talk_is_recorded(stage: Stage) -> None:
    await stage.start()
    contact = await talk(stage, "leg-1", "bridge-1")
    stage.send(StartRecording(contact, f"{contact}~r1"), SilenceRecording(contact, True))
    event = await stage.hear(RecordingStarted)
    assert (event.leg, event.recording) == (contact, f"{contact}~r1")
    stage.send(StopRecording(contact), StopRecording("nobody"), SilenceRecording("nobody", True))
    stage.send(StartRecording("nobody", "nobody~r1"))
    failed = await stage.hear(CommandFailed)
    assert (failed.command, failed.failure) == (StartRecording("nobody", "nobody~r1"), Failure.NOT_FOUND)
    stage.send(StartRecording(contact, "../x"))
    await stage.hear(CommandFailed, lambda event: event.failure is Failure.REFUSED)
    await stage.everybody_hangs_up()
    await stage.hear(LegHungUp, lambda event: event.leg == contact)


async def a_phone_is_busy(stage: Stage) -> None:
    await stage.start()
    await stage.phones("busy")
    contact = await caller(stage)
    stage.send(ring("leg-1", contact))
    event = await stage.hear(LegHungUp)
    assert (event.leg, event.cause) == ("leg-1", 17)
    assert not [event for event in stage.heard if isinstance(event, LegAnswered)]


async def ringing_is_called_off(stage: Stage) -> None:
    await stage.start()
    await stage.phones("ring")
    contact = await caller(stage)
    stage.send(ring("leg-1", contact, seconds=30))
    await stage.settle()
    stage.send(HangUp("leg-1"))
    await stage.hear(LegHungUp, lambda event: event.leg == "leg-1")
    await stage.settle()
    assert len(ends_of(stage, "leg-1")) == 1


async def an_unreachable_phone(stage: Stage) -> None:
    await stage.start()
    contact = await caller(stage)
    stage.send(ring("leg-1", contact, phone="1008"))
    event = await stage.hear(CommandFailed)
    assert event.command == ring("leg-1", contact, phone="1008")
    assert event.failure is Failure.REFUSED, event


async def an_unknown_phone(stage: Stage) -> None:
    await stage.start()
    stage.send(ring("leg-1", "contact", phone="1009"))
    assert (await stage.hear(CommandFailed)).failure is Failure.REFUSED


async def the_same_ring_twice(stage: Stage) -> None:
    await stage.start()
    await stage.phones("ring")
    contact = await caller(stage)
    stage.send(ring("leg-1", contact), ring("leg-1", contact))
    assert (await stage.hear(CommandFailed)).failure is Failure.CONFLICT


async def what_is_gone(stage: Stage) -> None:
    await stage.start()
    stage.send(HangUp("nobody"), DestroyBridge("nothing"), StopPlayback("nothing"), StopMusic("nobody"))
    stage.send(AnswerLeg("nobody"))
    event = await stage.hear(CommandFailed)
    assert (event.command, event.failure) == (AnswerLeg("nobody"), Failure.NOT_FOUND)
    await stage.settle()
    assert len([event for event in stage.heard if isinstance(event, CommandFailed)]) == 1


async def connecting_a_caller_who_left(stage: Stage) -> None:
    await stage.start()
    await stage.phones("answer")
    contact = await caller(stage)
    stage.send(ring("leg-1", contact))
    await stage.hear(LegAnswered)
    stage.send(ConnectLegs("bridge-1", "nobody", "leg-1"))
    event = await stage.hear(CommandFailed)
    assert event.failure is Failure.NOT_FOUND
    await stage.settle()
    assert len([event for event in stage.heard if isinstance(event, CommandFailed)]) == 1


async def strange_values_are_refused(stage: Stage) -> None:
    await stage.start()
    contact = await caller(stage)
    for command in (
        PlayPrompts(contact, "playback-1", ("../../etc/passwd",), "en"),
        PlayPrompts(contact, "playback-1", ("a,b",), "en"),
        PlayPrompts(contact, "playback-1", (), "en"),
        SendOutside(contact, "123&Local/1"),
        SendOutside(contact, ""),
    ):
        del stage.heard[:]
        stage.send(command)
        event = await stage.hear(CommandFailed)
        assert (event.command, event.failure) == (command, Failure.REFUSED)


async def a_phone_dials(stage: Stage) -> None:
    await stage.start()
    await stage.dial("1002", "*11")
    event = await stage.hear(PhoneDialled)
    assert (event.phone, event.number) == ("1002", "*11")


async def digits_are_heard(stage: Stage) -> None:
    await stage.start()
    contact = await caller(stage, digits="12#")
    stage.send(AnswerLeg(contact))
    await stage.hear(DigitPressed, lambda event: event.digit == "#")
    digits = [event.digit for event in stage.heard if isinstance(event, DigitPressed)]
    assert digits == ["1", "2", "#"]


async def a_caller_is_sent_outside(stage: Stage) -> None:
    await stage.start()
    contact = await caller(stage)
    stage.send(SendOutside(contact, "02112345"))
    assert (await stage.hear(LegLeft)).leg == contact
    await stage.settle()
    assert not ends_of(stage, contact)


async def a_survey_sees_a_talk(stage: Stage) -> None:
    await stage.start()
    contact = await talk(stage, "leg-1", "bridge-1")
    await stage.settle()
    survey = await survey_again(stage)
    seen, agent = leg_in(survey, contact), leg_in(survey, "leg-1")
    assert survey.bridges == ("bridge-1",)
    assert (seen.bridge, agent.bridge) == ("bridge-1", "bridge-1")
    assert (seen.contact, seen.queue, seen.arrived_at, seen.language) == (contact, "sales", 12.5, "zh")
    assert seen.head_start == 40.0
    assert (seen.phone, seen.agent, seen.dnis, seen.ani) == ("", "", "4001", "5550001")
    assert (agent.contact, agent.agent, agent.phone, agent.queue) == (contact, "501", "1001", "sales")
    assert seen.up
    assert seen.in_app
    assert agent.up
    assert agent.in_app
    await stage.everybody_hangs_up()
    await stage.hear(LegHungUp, lambda event: event.leg == contact)
    await stage.hear(LegHungUp, lambda event: event.leg == "leg-1")


async def without_a_connection(stage: Stage) -> None:
    await stage.start()
    contact = await caller(stage)
    await stage.lose()
    assert [event for event in stage.heard if isinstance(event, SwitchLost)]
    stage.send(AnswerLeg(contact))
    event = await stage.hear(CommandFailed)
    assert (event.command, event.failure) == (AnswerLeg(contact), Failure.AWAY)


async def a_phone_rings_through_a_loss(stage: Stage) -> None:
    await stage.start()
    await stage.phones("ring")
    contact = await caller(stage)
    stage.send(ring("leg-1", contact, seconds=30))
    await stage.settle()
    survey = await survey_again(stage)
    seen = leg_in(survey, "leg-1")
    assert (seen.up, seen.in_app, seen.agent, seen.contact) == (False, False, "501", contact)
    await stage.everybody_hangs_up()
    await stage.hear(LegHungUp, lambda event: event.leg == "leg-1")
    await stage.hear(LegHungUp, lambda event: event.leg == contact)
    await stage.settle()
    assert len(ends_of(stage, "leg-1")) == 1


async def a_caller_comes_back_from_fallback(stage: Stage) -> None:
    await stage.call("4001", "5550001")  # nobody of ours is there
    await stage.settle()
    await stage.start()
    survey = await stage.hear(SwitchSurveyed)
    assert len(survey.legs) == 1, survey.legs
    waiting = survey.legs[0]
    assert (waiting.in_app, waiting.application, waiting.dnis) == (False, "Queue", "4001")
    assert waiting.arrived_at > 1000
    stage.send(TakeFromFallback(waiting.leg, waiting.name))
    event = await stage.hear(CallArrived)
    assert (event.contact, event.dnis, event.ani) == (waiting.leg, "4001", "5550001")
    assert event.arrived_at == waiting.arrived_at
    stage.send(TakeFromFallback("nobody", "PJSIP/nobody-00000000"))
    assert (await stage.hear(CommandFailed)).failure is Failure.NOT_FOUND


async def a_phone_in_another_call(stage: Stage) -> None:
    await stage.dial("1002", "110")
    await stage.settle()
    await stage.start()
    assert (await stage.hear(PhonesSeen)).busy == frozenset({"1002"})
    await stage.everybody_hangs_up()
    await stage.hear(PhonesSeen, lambda event: not event.busy)


async def another_engine_takes_over(stage: Stage) -> None:
    await stage.start()
    await stage.another_engine()
    await stage.settle()
    assert stage.replaced == 1


CHECKS: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    a_call_arrives,
    a_caller_gives_up,
    we_hang_up,
    prompts_end,
    an_agent_talks,
    the_same_connection_twice,
    a_supervisor_joins_a_talk,
    what_cannot_be_joined,
    everybody_leaves_a_talk,
    a_talk_is_recorded,
    a_phone_is_busy,
    ringing_is_called_off,
    an_unreachable_phone,
    an_unknown_phone,
    the_same_ring_twice,
    what_is_gone,
    connecting_a_caller_who_left,
    strange_values_are_refused,
    a_phone_dials,
    digits_are_heard,
    a_caller_is_sent_outside,
    a_survey_sees_a_talk,
    without_a_connection,
    a_phone_rings_through_a_loss,
    a_caller_comes_back_from_fallback,
    a_phone_in_another_call,
    another_engine_takes_over,
)
