"""What a phone dials while no engine is there: waited for, then told; phones still reach each other."""

from __future__ import annotations

import asyncio
import time

import pytest

from callcenter.demo.network import Answer
from callcenter.floor.agents import Presence
from tests.asterisk.harness import PIN, Centre, World

pytestmark = pytest.mark.asterisk


def test_a_code_dialled_while_the_engine_starts_anew_is_taken(centre: Centre) -> None:
    engine = centre.processes["engine-a"]

    async def script(world: World) -> None:
        phone = world.network.phone("1001")
        for _ in range(5):
            await asyncio.to_thread(engine.stop)
            call = await phone.dial("*11")
            await call.ringing()
            assert not call.answered_at
            await asyncio.to_thread(engine.start)
            if time.time() - call.started_at < 2.5:
                break
            await phone.hang_up()  # this machine was too slow to tell
        await call.answered(within=4)
        for entry in ("2001#", f"{PIN}#"):
            await asyncio.sleep(0.3)  # a person's pause
            await call.send_digits(entry)
        await call.ended(within=15)
        await world.sees(lambda: world.agent("2001").presence is Presence.READY, "agent 2001 is ready")

    centre.play(script)


def test_without_any_engine_a_code_fails_and_a_phone_still_rings(centre: Centre) -> None:
    engine = centre.processes["engine-a"]

    async def script(world: World) -> None:
        await asyncio.to_thread(engine.stop)
        try:
            other = world.network.phone("1002")
            other.policy = Answer(0.0)
            code, call = (
                await world.network.phone("1003").dial("*13"),
                await world.network.phone("1001").dial("1002"),
            )
            far = await other.rings(within=8)
            assert far.ani == "1001"
            await call.answered()
            await call.hang_up()
            assert not code.answered_at
            await code.ended(within=12)
        finally:
            await asyncio.to_thread(engine.start)

    centre.play(script)
