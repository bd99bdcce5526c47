"""The site changed under calls: the floor goes on under the new plan, and nobody is cut off."""

from __future__ import annotations

import asyncio
import json

import pytest

from callcenter.demo.network import Answer, NetworkCall, NetworkFault
from tests.asterisk.harness import Centre, World

pytestmark = pytest.mark.asterisk

HEARING_SECONDS = 20.0  # a busy machine's audio has gaps, and a tone is only heard without one


def test_a_new_number_is_served_at_once_and_the_talk_goes_on(centre: Centre) -> None:
    before = centre.site_path.read_text("utf-8")

    async def site(*words: str) -> str:
        done = await asyncio.to_thread(centre.callcenter, "site", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def script(world: World) -> None:
        phone = world.network.phone("1001")
        phone.policy = Answer(0.0)
        await world.log_in("2001", "1001")
        talk = await world.network.call("4001", ani="13800000701")
        far = await phone.rings()
        await talk.answered()
        await talk.hum(1500)
        assert await far.hears(1500, HEARING_SECONDS), "they talk"

        stranger = await world.network.call("4777", ani="13800000702")
        await stranger.ended()
        assert (await world.record("13800000702"))["outcome"] == "unknown_number"

        centre.site_path.write_text(before.replace('number = "4001"', 'number = ["4001", "4777"]'), "utf-8")
        told = json.loads(await site("apply", "--json"))
        assert told["commands"] == ["dialplan reload"]
        assert told["asterisk_running"]
        served = await _call_until(world, "4777", "13800000703", "quick")
        await served.hang_up()
        await served.ended()

        with pytest.raises(NetworkFault):
            await talk.ended(within=0.2)
        assert await far.hears(1500, HEARING_SECONDS), "the conversation must go on"

        await site("rollback")
        await _call_until(world, "4777", "13800000704", "")
        await phone.hang_up()
        await talk.ended()

    try:
        centre.play(script)
    finally:
        centre.site_path.write_text(before, "utf-8")


async def _call_until(world: World, number: str, ani: str, queue: str) -> NetworkCall:
    """Call `number` until it leads to `queue` ("" for nobody's): the engine reads a new plan in a moment."""
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        call = await world.network.call(number, ani=ani)
        try:
            await call.ended(within=1.5)
            found = ""
        except NetworkFault:
            found = next((contact.queue for contact in world.contacts() if contact.ani == ani), "")
        if found == queue:
            return call
        assert asyncio.get_running_loop().time() < deadline, f"{number} leads to {found!r}, not to {queue!r}"
        await call.hang_up()


def test_emergency_calls_leave_with_the_engine_up(centre: Centre) -> None:
    async def script(world: World) -> None:
        for number in ("119", "120", "122"):
            call = await world.network.phone("1003").dial(number)
            await call.answered()
            assert world.network.strangers[-1].number == number
            await call.hang_up()
            await call.ended()

    centre.play(script)
