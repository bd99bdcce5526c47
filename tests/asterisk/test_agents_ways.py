"""How agents work: always connected by one long call, and with a disposition that must be given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from callcenter.demo.network import Answer, CallState, NetworkCall
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import ContactState
from tests.asterisk.harness import PIN, SITE, Centre, World
from tests.asterisk.recovery import HUM_HZ, agents_are, mend_all, seat, sturdy_centre

pytestmark = pytest.mark.asterisk

ZIP_HZ = 950
ASKED = """\
[[queues]]
name = "asked"
ring_seconds = 5
disposition = "required"
dispositions = { 1 = "sold", 2 = "call back" }

[[numbers]]
number = "4004"
queue = "asked"

[[phones]]
"""


@pytest.fixture(scope="module")
def module_centre() -> Iterator[Centre]:
    yield from sturdy_centre(
        site_text=SITE.replace("[[phones]]\n", ASKED.replace("{", "{{").replace("}", "}}"), 1)
    )


@pytest.fixture
def centre(module_centre: Centre) -> Iterator[Centre]:
    yield module_centre
    mend_all(module_centre)


async def stand(world: World, phone: str, agent: str) -> NetworkCall:
    """The agent dials the code and stays on the line, humming; the line."""
    line = await world.network.phone(phone).dial("*10")
    await line.answered()
    for entry in (f"{agent}#", f"{PIN}#"):
        await asyncio.sleep(0.3)  # a person's pause
        await line.send_digits(entry)
    await world.sees(lambda: world.agent(agent).line_up, f"agent {agent} has a standing leg")
    await agents_are(world, Presence.READY, Activity.IDLE, agent)
    await line.hum(world.network.phone(phone).tone_hz)
    return line


async def take(world: World, line: NetworkCall, phone: str, ani: str, number: str = "4001") -> NetworkCall:
    """A caller whom the standing agent takes: the agent hears the tone, the caller (he is answered before
    only where he is greeted) does not."""
    tone = asyncio.create_task(line.hears(ZIP_HZ, 10))
    await asyncio.sleep(0.5)  # until the ear is set
    call = await world.network.call(number, ani=ani)
    await call.answered()
    caller_hears_tone = asyncio.create_task(call.hears(ZIP_HZ, 6 if number == "4000" else 0.5))
    await call.hum(HUM_HZ)
    assert await tone, f"the agent heard no tone\n{world.centre.story()}"
    assert not await caller_hears_tone
    heard = await asyncio.gather(call.hears(world.network.phone(phone).tone_hz, 10), line.hears(HUM_HZ, 10))
    assert all(heard), f"caller hears agent, agent hears caller: {heard}"
    return call


async def together(world: World, phone: str, call: NetworkCall, far: NetworkCall) -> bool:
    """Whether the fallback queue has joined these two: one at least hears the other."""
    tone = world.network.phone(phone).tone_hz
    return any(await asyncio.gather(call.hears(tone, 10), far.hears(HUM_HZ, 10)))


def test_an_always_connected_agent_takes_two_calls_on_one_leg(centre: Centre) -> None:
    engine = centre.processes["engine-a"]

    async def script(world: World) -> None:
        phone = world.network.phone("1001")
        line = await stand(world, "1001", "2001")
        leg = world.agent("2001").line
        first = await take(world, line, "1001", "13920000001", number="4000")
        await first.hang_up()
        await agents_are(world, Presence.READY, Activity.IDLE, "2001")
        await asyncio.to_thread(engine.kill)
        await asyncio.to_thread(engine.start)
        await asyncio.to_thread(world.centre.wait_engine)
        second = await take(world, line, "1001", "13920000002")
        assert world.agent("2001").line == leg, "still the same leg"
        await line.hush()
        await line.send_digits("*0")  # he has no hook to put down
        await second.ended()
        await agents_are(world, Presence.READY, Activity.IDLE, "2001")
        assert line.state is CallState.ANSWERED
        assert phone.rung == []
        closed = await world.record("13920000002")
        assert (closed["ended_by"], closed["agent"], closed["outcome"]) == ("agent", "2001", "answered")
        await asyncio.sleep(0.3)
        await line.send_digits("*141")
        await agents_are(world, Presence.NOT_READY, Activity.IDLE, "2001")
        await line.hang_up()
        await world.sees(lambda: world.agent("2001").presence is Presence.LOGGED_OUT, "he is logged out")

    centre.play(script)


def test_the_engine_dies_under_a_call_on_a_standing_leg(centre: Centre) -> None:
    engine = centre.processes["engine-a"]

    async def script(world: World) -> None:
        line = await stand(world, "1001", "2001")
        call = await take(world, line, "1001", "13920000011")
        await asyncio.to_thread(engine.kill)
        await asyncio.to_thread(engine.start)
        await asyncio.to_thread(world.centre.wait_engine)
        heard = await asyncio.gather(
            call.hears(world.network.phone("1001").tone_hz, 10), line.hears(HUM_HZ, 10)
        )
        assert all(heard)
        await call.hang_up()
        await agents_are(world, Presence.READY, Activity.IDLE, "2001")
        assert line.state is CallState.ANSWERED
        await (await take(world, line, "1001", "13920000012")).hang_up()

    centre.play(script)


def test_a_phone_is_rung_once_for_its_standing_leg(centre: Centre) -> None:
    async def script(world: World) -> None:
        phone = world.network.phone("1001")
        phone.policy = Answer(0.0)
        shell = await asyncio.to_thread(
            world.centre.callcenter, "agents", "login", "2001", "1001", "--connected"
        )
        assert shell.returncode == 0, shell.stderr
        line = await phone.rings()
        await world.sees(lambda: world.agent("2001").line_up, "the agent has a standing leg")
        for ani in ("13920000021", "13920000022"):
            await (await take(world, line, "1001", ani)).hang_up()
        assert len(phone.rung) == 1

    centre.play(script)


def test_with_no_engine_the_fallback_queue_gets_the_phones_of_standing_agents(centre: Centre) -> None:
    """An idle one at once; one who talks goes on, and is freed when his caller is gone."""
    engine = centre.processes["engine-a"]

    async def script(world: World) -> None:
        idle = await stand(world, "1001", "2001")
        call = await take(world, idle, "1001", "13920000031")
        talking, idle = idle, await stand(world, "1002", "2002")
        for name in ("1001", "1002"):
            world.network.phone(name).policy = Answer(0.0)
        await asyncio.to_thread(engine.kill)
        begun = time.monotonic()
        first = await world.network.call("4001", ani="13920000032")
        far = await world.network.phone("1002").rings(within=15)
        print(f"\n    idle phone rung by the fallback queue: {time.monotonic() - begun:.1f} s", end="")
        assert idle.state is CallState.ENDED
        await far.answered()
        await first.hum(HUM_HZ)
        assert await together(world, "1002", first, far)
        assert talking.state is CallState.ANSWERED
        assert await call.hears(world.network.phone("1001").tone_hz, 10), "nobody is cut off"
        second = await world.network.call("4001", ani="13920000033")
        await second.answered()
        await second.hum(HUM_HZ)
        begun = time.monotonic()
        await call.hang_up()
        far = await world.network.phone("1001").rings(within=15)
        print(f"; after a talk: {time.monotonic() - begun:.1f} s", end="")
        await far.answered()
        await asyncio.to_thread(engine.start)
        await asyncio.to_thread(world.centre.wait_engine)
        assert await together(world, "1001", second, far)
        await first.hang_up()
        await second.hang_up()
        await agents_are(world, Presence.READY, Activity.IDLE, "2001", "2002")
        assert not world.agent("2001").line, "on-hook from now on"
        third = await world.network.call("4001", ani="13920000034")
        await third.answered()
        await third.hang_up()

    centre.play(script)


def test_a_required_disposition_by_digits(centre: Centre) -> None:
    async def script(world: World) -> None:
        await asyncio.to_thread(world.centre.add_agent, "2005", "asked")
        await world.sees(lambda: "2005" in [a.number for a in world.floor.agents()], "the floor knows him")
        await seat(world, p1003="2005")
        phone = world.network.phone("1003")
        call = await world.network.call("4004", ani="13920000041")
        await call.answered()
        await world.sees(lambda: [c.state for c in world.contacts()] == [ContactState.TALKING], "they talk")
        await call.hang_up()
        await agents_are(world, Presence.READY, Activity.WRAPUP, "2005")
        await phone.feature("*13")
        assert world.agent("2005").activity is Activity.WRAPUP, "refused by voice"
        shell = await asyncio.to_thread(world.centre.callcenter, "agents", "ready", "2005")
        assert shell.returncode == 1
        assert "disposition" in shell.stderr
        await phone.feature("*179", "8", "7")
        assert world.agent("2005").activity is Activity.WRAPUP, "there is no such disposition"
        await phone.feature("*171")
        await agents_are(world, Presence.READY, Activity.IDLE, "2005")
        found: list[dict[str, object]] = []

        def there() -> bool:
            found[:] = world.centre.rows("SELECT queue, agent, disposition, by FROM dispositions")
            return bool(found)

        await world.sees(there, "the record")
        assert found == [{"queue": "asked", "agent": "2005", "disposition": "sold", "by": "phone 1003"}]

    centre.play(script)
