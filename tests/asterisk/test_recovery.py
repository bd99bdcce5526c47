"""What the centre withstands: real processes killed and frozen under real calls. Prints what it measures.

One case of each kind; the same under load and at random is in test_recovery_long.py.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

import pytest

from callcenter.demo.network import Answer, CallState, Ignore, NetworkCall
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import ContactState
from tests.asterisk.harness import Centre, World
from tests.asterisk.recovery import (
    accounted,
    agents_are,
    answered_in_order,
    drained,
    epoch,
    hear_each_other,
    mend_all,
    seat,
    start_up_seconds,
    sturdy_centre,
    talk,
    timed,
    wait_dead,
    wait_in_queue,
    waiting,
)
from tests.asterisk.traffic import random_traffic

pytestmark = pytest.mark.asterisk


@pytest.fixture(scope="module")
def module_centre() -> Iterator[Centre]:
    yield from sturdy_centre()


@pytest.fixture
def centre(module_centre: Centre) -> Iterator[Centre]:
    yield module_centre
    mend_all(module_centre)


@pytest.mark.parametrize("how", ["restart", "stand-by", "frozen"])
def test_the_engine_dies_under_calls(centre: Centre, how: str) -> None:
    """Nobody is cut off or loses his place; what happened in the gap is accounted for; new callers ring."""
    limit = {"restart": max(2.0, 1.0 + 1.5 * start_up_seconds()), "stand-by": 2.0, "frozen": 4.0}[how]
    d = "139" + {"restart": "1", "stand-by": "2", "frozen": "3"}[how] + "000000"
    first, second = centre.processes["engine-a"], centre.processes["engine-b"]
    if how != "restart":
        second.start()

    async def script(world: World) -> None:
        await seat(world, p1001="2001", p1002="2002")
        phone = world.network.phone("1002")
        call1, far1 = await talk(world, "1001", d + "1")
        call2, far2 = await talk(world, "1002", d + "2")
        w1, w2, w3 = await wait_in_queue(world, d + "3", d + "4", d + "5")
        greeted = (await wait_in_queue(world, d + "6", number="4000"))[0]
        before, rung = epoch(world), len(phone.rung)

        begun = time.monotonic()
        if how == "frozen":
            first.freeze()
        else:
            first.kill()
        if how == "restart":
            first.start(wait=False)
        await call2.hang_up()  # in the gap: the agent's phone stays in the bridge alone
        await w2.hang_up()  # in the gap: gives up
        late = await world.network.call("4001", ani=d + "7")
        await late.ringing(2.0)

        async def served() -> NetworkCall:
            return await phone.rings(after=rung)

        far = await timed(f"{how}: from the end of the engine to the next offer", limit, begun, served())
        assert far.ani == w1.ani, "the first caller lost his place"
        assert epoch(world) > before
        assert far1.state is CallState.ANSWERED
        await hear_each_other(world, "1001", call1, far1)
        if how == "frozen":  # he wakes up into a world that has gone on
            first.thaw()
            await asyncio.to_thread(wait_dead, centre, "engine-a", 5.0)
            assert epoch(world) > before
        await far.answered()
        await w1.hang_up()
        await answered_in_order(world, "1002", [w3, greeted, late], rung + 1)
        await call1.hang_up()
        assert await far1.ended() == 16
        await far2.ended()
        answered = {call.ani: "answered" for call in (call1, call2, w1, w3, greeted, late)}
        # When exactly he hung up nobody knows: his wait ends when the engine learns that he is gone.
        await accounted(world, {**answered, w2.ani: ("short_abandoned", "abandoned")})

    centre.play(script)


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_postgresql_goes_away_under_calls(centre: Centre, how: str) -> None:
    d = f"1394{len(how)}00000"
    postgresql_away(centre, how, d, seconds=6.0)


def postgresql_away(centre: Centre, how: str, d: str, seconds: float) -> None:
    """Calls go on without it; then every record is there once."""

    async def script(world: World) -> None:
        await seat(world, p1001="2001")
        phone = world.network.phone("1001")
        call, far = await talk(world, "1001", d + "001")
        until = time.monotonic() + seconds
        if how == "kill":
            await asyncio.to_thread(centre.postgres.kill)
        else:
            centre.postgres.freeze()
        await hear_each_other(world, "1001", call, far)
        await call.hang_up()
        await far.ended()
        served = [call.ani]
        while time.monotonic() < until:
            rung = len(phone.rung)
            each = await world.network.call("4001", ani=f"{d}{len(served) + 1:03}")
            await answered_in_order(world, "1001", [each], rung)
            served.append(each.ani)
        quitter = await world.network.call("4000", ani=d + "900")
        phone.policy = Ignore()
        await quitter.answered()
        await quitter.hang_up()
        if how == "kill":
            await asyncio.to_thread(centre.postgres.start)
        else:
            centre.postgres.thaw()
        print(f"\n    {len(served)} calls were served without PostgreSQL", end="")
        await accounted(world, {**dict.fromkeys(served, "answered"), quitter.ani: "short_abandoned"})

    centre.play(script)


@pytest.mark.parametrize("how", ["kill", "freeze", "empty"])
def test_redis_goes_away_under_calls(centre: Centre, how: str) -> None:
    """Conversations go on, new callers are served; when it is back nothing is missing."""
    d = "1395" + str(["kill", "freeze", "empty"].index(how)) + "00000"

    async def script(world: World) -> None:
        await seat(world, p1001="2001", p1002="2002")
        phone1, phone2 = world.network.phone("1001"), world.network.phone("1002")
        call1, far1 = await talk(world, "1001", d + "1")
        call2, far2 = await talk(world, "1002", d + "2")
        w1, w2 = await wait_in_queue(world, d + "3", d + "4")
        rung = len(phone2.rung)
        if how == "freeze":
            centre.redis.freeze()
        else:
            await asyncio.to_thread(centre.redis.kill)
        await call2.hang_up()
        await far2.ended()
        new = await world.network.call("4001", ani=d + "5")
        await answered_in_order(world, "1002", [w1], rung)
        await hear_each_other(world, "1001", call1, far1)
        await w2.answered()  # he is the next
        await phone2.rings(after=rung + 1)
        await call1.hang_up()
        await far1.ended()
        await phone1.rings(after=1)
        await new.answered()
        # Agent 2001 goes on a break, and 2003 logs in, with no Redis there.
        await new.hang_up()
        await phone1.rung[1].ended()
        await phone1.feature("*141")
        await world.network.phone("1003").feature("*11", "2003#", "4711#")
        begun = time.monotonic()
        if how == "freeze":
            centre.redis.thaw()
        else:
            if how == "empty":
                centre.redis.wipe()
            await asyncio.to_thread(centre.redis.start)
        await timed(
            f"Redis back ({how}): the floor is saved again",
            3.0,
            begun,
            world.sees(
                lambda: (
                    epoch(world)
                    and [c.ani for c in world.contacts()] == [w2.ani]
                    and (world.agent("2001").presence, world.agent("2001").reason)
                    == (Presence.NOT_READY, "break")
                ),
                "the floor is saved",
            ),
        )
        await agents_are(world, Presence.READY, Activity.TALKING, "2002")
        await agents_are(world, Presence.READY, Activity.IDLE, "2003")
        await w2.hang_up()
        await accounted(world, {call.ani: "answered" for call in (call1, call2, w1, w2, new)})

    centre.play(script)


def test_the_engine_dies_while_redis_is_away(centre: Centre) -> None:
    """Records of the gap are in the spool; who ended in it is not accounted for twice."""
    d = "139600000"

    async def script(world: World) -> None:
        await seat(world, p1001="2001", p1002="2002")
        call1, far1 = await talk(world, "1001", d + "1")
        call2, far2 = await talk(world, "1002", d + "2")
        (w1, w2) = await wait_in_queue(world, d + "3", d + "4")
        rung = len(world.network.phone("1002").rung)
        await asyncio.to_thread(centre.redis.kill)
        await w2.hang_up()
        await call2.hang_up()
        await far2.ended()
        far = await world.network.phone("1002").rings(after=rung)
        await w1.answered()
        await w1.hang_up()
        await far.ended()
        new = await world.network.call("4001", ani=d + "5")
        far = await world.network.phone("1002").rings(after=rung + 1)
        await new.answered()
        assert await new.hears(world.network.phone("1002").tone_hz)
        centre.processes["engine-a"].kill()
        centre.processes["engine-a"].start(wait=False)
        await asyncio.to_thread(centre.redis.start)
        await world.sees(
            lambda: (
                [(c.ani, c.state) for c in world.contacts()]
                == [(call1.ani, ContactState.TALKING), (new.ani, ContactState.TALKING)]
            ),
            "the floor is as Asterisk has it",
        )
        await hear_each_other(world, "1001", call1, far1)
        await agents_are(world, Presence.READY, Activity.TALKING, "2001", "2002")
        await call1.hang_up()
        await new.hang_up()
        await agents_are(world, Presence.READY, Activity.IDLE, "2001", "2002")
        answered = {call.ani: "answered" for call in (call1, call2, w1, new)}
        await accounted(world, {**answered, w2.ani: "short_abandoned"})

    centre.play(script)


def test_asterisk_dies_under_calls(centre: Centre) -> None:
    """Contacts are closed with the true outcome, agents are free, no ghost is left, new calls are served."""
    d = "139700000"

    async def script(world: World) -> None:
        await seat(world, p1001="2001")
        call, far = await talk(world, "1001", d + "1")
        w1, greeted = await wait_in_queue(world, d + "2", d + "3")
        asterisk = centre.processes["asterisk"]
        asterisk.kill()
        # The far ends hear silence and hang up in the end.
        for each in (call, far, w1, greeted):
            await each.hang_up()
        await asyncio.to_thread(asterisk.start)
        begun = time.monotonic()
        await world.sees(lambda: world.contacts() == [], "no ghost")
        await timed("Asterisk back: contacts closed, agents free", 5.0, begun, agents_are(
            world, Presence.READY, Activity.IDLE, "2001"
        ))  # fmt: skip
        rows = await asyncio.to_thread(lambda: world.centre.rows("SELECT 1"))
        assert rows
        await accounted(world, {call.ani: "answered", w1.ani: "lost", greeted.ani: "lost"})
        assert (await world.record(call.ani))["ended_by"] == "switch"
        await world.network.registered(within=60)
        again, far = await talk(world, "1001", d + "4")
        await hear_each_other(world, "1001", again, far)
        await again.hang_up()
        await accounted(world, {again.ani: "answered"})

    centre.play(script)


def test_the_fallback_queue_serves_and_gives_back(centre: Centre) -> None:
    """No engine: callers ring through to the phones of ready agents. Engine back: fetched by arrival."""
    d = "139800000"
    engine = centre.processes["engine-a"]

    async def script(world: World) -> None:
        await seat(world, p1003="2003", p1001="2001", p1002="2002")
        reply = await asyncio.to_thread(centre.callcenter, "agents", "logout", "2003")
        assert reply.returncode == 0, reply.stderr
        await world.sees(
            lambda: (
                "PJSIP/1003" not in (shown := centre.console("queue show fallback-quick"))
                and "PJSIP/1001" in shown
                and "PJSIP/1002" in shown
            ),
            "the fallback queue knows who is ready",
        )
        engine.kill()
        phones = [world.network.phone(name) for name in ("1001", "1002")]
        rung = [len(phone.rung) for phone in phones]
        calls = []
        for number in range(2):
            calls.append(await world.network.call("4001", ani=f"{d}{number}"))
            await calls[-1].ringing()
        fars = [await phone.rings(within=20, after=r) for phone, r in zip(phones, rung, strict=True)]
        for each in (*calls, *fars):
            await each.answered(15)
        for number in (2, 3):  # these find everybody busy
            calls.append(await world.network.call("4001", ani=f"{d}{number}"))
            await calls[-1].answered(15)
        assert not world.network.phone("1003").rung, "a phone without an agent rang"
        assert not world.network.phone("1005").rung, "a fallback phone rang though agents are there"
        begun = time.monotonic()
        engine.start(wait=False)
        await timed("engine back: callers fetched from the fallback queue", 4.0, begun, world.sees(
            lambda: waiting(world) == [calls[2].ani, calls[3].ani], "fetched by arrival"
        ))  # fmt: skip
        await agents_are(world, Presence.READY, Activity.ELSEWHERE, "2001", "2002")
        assert [far.state for far in fars] == [CallState.ANSWERED] * 2
        before = sum(len(phone.rung) for phone in phones)
        by_ani = {call.ani: call for call in calls}
        await by_ani[fars[0].ani].hang_up()
        await fars[0].ended()
        await answered_in_order(world, "1001", calls[2:], rung[0] + 1)
        assert sum(len(phone.rung) for phone in phones) == before + 2
        await by_ani[fars[1].ani].hang_up()
        await agents_are(world, Presence.READY, Activity.IDLE, "2001", "2002")
        await accounted(world, {calls[2].ani: "answered", calls[3].ani: "answered"})

    centre.play(script)


def test_the_floor_is_rebuilt_from_asterisk_alone(centre: Centre) -> None:
    """Redis has lost all while no engine ran: pairs talk on, callers wait in the order of arrival."""
    d = "139900000"
    engine = centre.processes["engine-a"]

    async def script(world: World) -> None:
        await seat(world, p1001="2001", p1002="2002")
        call1, far1 = await talk(world, "1001", d + "1")
        call2, far2 = await talk(world, "1002", d + "2")
        calls = await wait_in_queue(world, d + "3", d + "4", d + "5")
        await drained(world)
        engine.kill()
        await asyncio.to_thread(centre.redis.kill)
        centre.redis.wipe()
        await asyncio.to_thread(centre.redis.start)
        begun = time.monotonic()
        engine.start(wait=False)
        await timed("an empty Redis: the floor is rebuilt", 6.0, begun, world.sees(
            lambda: waiting(world) == [call.ani for call in calls] and sorted(
                (c.ani, c.agent, c.state) for c in world.contacts() if c.agent
            ) == [(call1.ani, "2001", ContactState.TALKING), (call2.ani, "2002", ContactState.TALKING)],
            "all contacts are known",
        ))  # fmt: skip
        await agents_are(world, Presence.READY, Activity.TALKING, "2001", "2002")
        await hear_each_other(world, "1001", call1, far1)
        await world.sees(lambda: world.agent("2001").queues != (), "people are published again")
        rung = len(world.network.phone("1002").rung)
        await call2.hang_up()
        await far2.ended()
        await answered_in_order(world, "1002", calls, rung)
        await call1.hang_up()
        await accounted(world, {call.ani: "answered" for call in (call1, call2, *calls)})

    centre.play(script)


def test_hang_ups_at_every_step(centre: Centre) -> None:
    """30 calls at random: everybody hangs up whenever he likes; all is accounted for, nothing is left."""

    async def script(world: World) -> None:
        await seat(world, p1001="2001", p1002="2002", p1003="2003")
        told = await random_traffic(world, random.Random(2), calls=30, prefix="1381000", at_once=6)
        assert len(set(told.values())) > 1, "only one kind of end was tried"
        await accounted(world, told, within=30)

    centre.play(script)


def test_an_agent_answers_as_the_caller_hangs_up(centre: Centre) -> None:
    """The answer and the hang-up cross: either it was a conversation or it was none; the agent is free."""

    async def script(world: World) -> None:
        await seat(world, p1001="2001")
        phone = world.network.phone("1001")
        phone.policy = Answer(0.1)
        expected: dict[str, str | tuple[str, ...]] = {}
        for number in range(8):
            rung = len(phone.rung)
            call = await world.network.call("4001", ani=f"138200000{number}")
            expected[call.ani] = ("answered", "short_abandoned")
            await phone.rings(after=rung)
            await asyncio.sleep(0.06 + 0.01 * number)  # the crossing itself is what is tried
            await call.hang_up()
            await call.ended()
            await agents_are(world, Presence.READY, Activity.IDLE, "2001")
            await world.sees(lambda: phone.current is None, "the phone is free")
        await accounted(world, expected)

    centre.play(script)
