"""The switch in memory keeps the same promises as the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from callcenter.floor.commands import Command, SetFallbackMember, StartTimer
from callcenter.floor.events import CommandFailed, Event, Failure, LegHungUp, SwitchSurveyed
from callcenter.testing import FakeClock, FakeSwitch, Phone
from callcenter.testing.contract import CHECKS, Stage, caller, ring

E = TypeVar("E", bound=Event)
_HOW = {"answer": Phone.ANSWERS, "ring": Phone.RINGS, "busy": Phone.BUSY}


class FakeStage:
    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.replaced = 0
        self.clock = FakeClock()
        self.switch = FakeSwitch(("1001", "1002", "1003", "1008"), self.heard.append, self._count, self.clock)
        self.switch.phones["1008"] = Phone.UNREACHABLE
        self._digits = ""

    def _count(self) -> None:
        self.replaced += 1

    def send(self, *commands: Command) -> None:
        self.switch.send(commands)

    async def start(self) -> None:
        await self.switch.start()

    async def lose(self) -> None:
        self.switch.lose()

    async def another_engine(self) -> None:
        self.switch.replace()

    async def hear(
        self, kind: type[E], true: Callable[[E], bool] = lambda _: True, seconds: float = 0.0
    ) -> E:
        await self.settle()
        for event in self.heard:
            if isinstance(event, kind) and true(event):
                return event
        raise AssertionError(f"no such {kind.__name__} among {self.heard}")

    async def settle(self) -> None:
        for leg in self.switch.legs.values():
            if leg.up and self._digits and leg.in_app:
                digits, self._digits = self._digits, ""
                self.switch.press(leg.id, digits)

    async def phones(self, how: str) -> None:
        for phone in ("1001", "1002", "1003"):
            self.switch.phones[phone] = _HOW[how]

    async def call(self, dnis: str, ani: str, digits: str = "") -> None:
        self._digits = digits
        self.switch.call(dnis, ani)

    async def dial(self, phone: str, number: str) -> None:
        self.switch.dial(phone, number)

    async def everybody_hangs_up(self) -> None:
        for leg in list(self.switch.legs):
            self.switch.hang_up(leg)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        await check(FakeStage())

    asyncio.run(run())


def test_a_command_can_be_made_to_fail_once() -> None:
    async def run() -> None:
        stage = FakeStage()
        await stage.start()
        contact = await caller(stage)
        stage.switch.fail_next(type(ring("leg-1", contact)), Failure.TIMED_OUT)
        stage.send(ring("leg-1", contact), ring("leg-2", contact))
        failures = [event for event in stage.heard if isinstance(event, CommandFailed)]
        assert [event.command for event in failures] == [ring("leg-1", contact)]
        assert stage.switch.ringing("1001") == "leg-2"
        stage.switch.ring_out("leg-2")
        assert stage.heard[-1] == LegHungUp(stage.clock(), "leg-2", 19)

    asyncio.run(run())


def test_after_a_restart_nothing_lives() -> None:
    async def run() -> None:
        stage = FakeStage()
        await stage.start()
        await caller(stage)
        stage.clock.advance(60)
        stage.switch.restart()
        survey = stage.heard[-1]
        assert isinstance(survey, SwitchSurveyed)
        assert (survey.legs, survey.started_at) == ((), stage.clock())

    asyncio.run(run())


def test_fallback_members_and_foreign_commands() -> None:
    stage = FakeStage()
    asyncio.run(stage.start())
    member = SetFallbackMember("1001", "501", ("sales",), present=True)
    stage.send(member, StartTimer("t", 1.0))
    assert stage.switch.members == {"1001": member}
    failed = stage.heard[-1]
    assert isinstance(failed, CommandFailed)
    assert failed.failure is Failure.REFUSED
    stage.send(SetFallbackMember("1001", "501", ("sales",), present=False))
    assert stage.switch.members == {}


def test_a_clock_does_not_go_back() -> None:
    clock = FakeClock(10.0)
    assert clock.advance(2.5) == clock() == 12.5
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
