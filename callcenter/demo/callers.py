"""Those who call in the demo, and what became of each as the public network saw it."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from callcenter.demo.network import NetworkCall, NetworkFault, NetworkPhone, PublicNetwork

SETUP_SECONDS = 10.0
HEARING_SECONDS = 4.0


@dataclass(slots=True)
class Caller:
    """One call. `phone` is who answered; times are seconds since the epoch, 0.0 for never.

    `heard`: both ends heard each other's tone; None when the talk was too short to tell.
    """

    ani: str
    dnis: str
    patience_seconds: float
    talk_seconds: float
    tone_hz: int
    call: NetworkCall | None = None
    phone: str = ""
    talked_at: float = 0.0
    heard: bool | None = None
    trouble: str = ""
    joined: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def started_at(self) -> float:
        return self.call.started_at if self.call else 0.0

    @property
    def over(self) -> bool:
        return bool(self.trouble) or (self.call is not None and self.call.ended_at > 0)

    @property
    def gave_up(self) -> bool:
        """He hung up and nobody had answered."""
        return self.over and not self.phone and self.call is not None and self.call.hung_up_here

    @property
    def wait_seconds(self) -> float:
        """From dialling to an agent's voice, or to the end."""
        end = self.talked_at or (self.call.ended_at if self.call else 0.0)
        return max(0.0, end - self.started_at) if end else max(0.0, time.time() - self.started_at)

    @property
    def talk_lasted(self) -> float:
        return max(0.0, self.call.ended_at - self.talked_at) if self.call and self.talked_at else 0.0

    def fate(self) -> str:
        """One line for the board and the closing list."""
        if self.trouble:
            return self.trouble
        if self.phone:
            return f"talked with phone {self.phone} for {self.talk_lasted:.0f} s"
        if self.gave_up:
            return f"gave up after {self.wait_seconds:.0f} s"
        cause = self.call.cause if self.call else 0
        return f"was let go by the centre after {self.wait_seconds:.0f} s (cause {cause})"

    async def live(self, network: PublicNetwork) -> None:
        """Call, wait as long as patience lasts, talk, hang up (unless the other side does)."""
        try:
            self.call = call = await network.call(self.dnis, self.ani)
        except NetworkFault as fault:
            self.trouble = str(fault)
            return
        over = asyncio.ensure_future(call.ended(within=3600))
        joined = asyncio.ensure_future(self.joined.wait())
        try:
            await asyncio.wait(
                (over, joined), timeout=self.patience_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if self.joined.is_set():
                await call.hum(self.tone_hz)
                await asyncio.wait((over,), timeout=self.talk_seconds)
            await call.hang_up()
            await call.ended(within=SETUP_SECONDS)
        except NetworkFault as fault:
            self.trouble = str(fault)
        finally:
            over.cancel()
            joined.cancel()

    async def meet(self, phone: NetworkPhone, call: NetworkCall) -> None:
        """`phone` has answered this caller with `call`: can each hear the other?"""
        self.phone, self.talked_at = phone.name, time.time()
        self.joined.set()
        if self.call is None:
            return
        both = await asyncio.gather(
            self.call.hears(phone.tone_hz, HEARING_SECONDS), call.hears(self.tone_hz, HEARING_SECONDS)
        )
        if all(both):
            self.heard = True
        elif self.call.ended_at == 0.0 and call.ended_at == 0.0:
            self.heard = False


def next_caller(chance: random.Random, number: int, numbers: list[str], tones: list[int]) -> Caller:
    """The next one to call: mostly patient, every fifth in a hurry. Each has a number of his own."""
    hurried = number % 5 == 1
    return Caller(
        ani=f"13{chance.randrange(10**5):05d}{number % 10_000:04d}",
        dnis=chance.choice(numbers),
        patience_seconds=chance.choice((chance.uniform(2, 4), chance.uniform(6, 9)))
        if hurried
        else chance.uniform(25, 60),
        talk_seconds=chance.uniform(3, 12),
        tone_hz=chance.choice(tones),
    )
