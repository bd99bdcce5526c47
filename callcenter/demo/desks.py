"""The agents of the demo at their phones: they log in by feature code, answer, wrap up, take breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from callcenter.demo.callers import Caller
from callcenter.demo.network import Answer, Ignore, NetworkCall, NetworkFault, NetworkPhone
from callcenter.floor.plan import FeatureCodes


class Habit(StrEnum):
    DILIGENT = "answers"
    BREAKS = "takes a break after the first call"
    SLOW = "does not answer now and then"


@dataclass(slots=True)
class Desk:
    """One agent at one phone. `find` gives the caller with a number, `say` tells the board."""

    number: str
    name: str
    pin: str = field(repr=False)
    phone: NetworkPhone
    codes: FeatureCodes
    break_digit: str
    habit: Habit
    chance: random.Random
    find: Callable[[str], Caller | None]
    say: Callable[[str], None]
    taken: int = 0
    rested: bool = False
    troubles: list[str] = field(default_factory=list)
    unknown: list[NetworkCall] = field(default_factory=list)  # answered, of callers we do not know

    async def log_in(self) -> None:
        """Raises NetworkFault when the centre does not take the code."""
        await self._code(self.codes.login, f"{self.number}#", f"{self.pin}#")
        self.say(f"agent {self.number} logs in at phone {self.phone.name}")

    async def work(self) -> None:
        """Take calls until cancelled."""
        seen = 0
        self._decide()
        while True:
            call = await self.phone.rings(within=86_400, after=seen)
            seen += 1
            try:
                await self._one(call)
            except NetworkFault as fault:
                self.troubles.append(str(fault))
                self.say(str(fault))
            self._decide()

    def _decide(self) -> None:
        """What the agent will do when the phone rings next."""
        if self.habit is Habit.SLOW and self.taken % 2 == 0:
            self.phone.policy = Ignore()
        else:
            self.phone.policy = Answer(self.chance.uniform(0.4, 2.0))

    async def _one(self, call: NetworkCall) -> None:
        try:
            await call.answered(within=300)
        except NetworkFault:  # not answered: the caller gave up, or this agent does not answer
            if isinstance(self.phone.policy, Ignore) and not call.hung_up_here:
                self.taken += 1
                self.say(f"agent {self.number} did not answer")
                await self._rest(6, 10)
                if await self._code(self.codes.ready):
                    self.say(f"agent {self.number} is ready again")
            return
        self.taken += 1
        caller = self.find(call.ani)
        if caller is None:
            self.unknown.append(call)
        else:
            await caller.meet(self.phone, call)
        # Mostly the caller ends the call; some agents are quicker.
        try:
            await call.ended(within=self.chance.uniform(5, 20))
        except NetworkFault:
            await call.hang_up()
            await call.ended()
        await self._after_call()

    async def _after_call(self) -> None:
        missed = self.phone.missed
        if self.habit is Habit.BREAKS and not self.rested:
            self.rested = await self._code(self.codes.not_ready + self.break_digit)
            if self.rested:
                self.say(f"agent {self.number} takes a break")
                await self._rest(10, 15)
                await self._code(self.codes.ready)
                self.say(f"agent {self.number} is back")
        elif self.chance.random() < 0.3:
            await self._rest(0.5, 2)
            await self._code(self.codes.wrapup_end)
        if self.phone.missed > missed:  # rung in the moment of dialling: the centre set him aside
            await self._code(self.codes.ready)

    async def _rest(self, least: float, most: float) -> None:
        await asyncio.sleep(self.chance.uniform(least, most))

    async def _code(self, code: str, *entries: str) -> bool:
        """Dial a code. False when a caller was quicker: then he comes first. Raises NetworkFault."""
        if self.phone.current is not None:
            return False
        try:
            await self.phone.feature(code, *entries)
        except NetworkFault as fault:
            raise NetworkFault(f"agent {self.number}, code {code}: {fault}") from fault
        return True
