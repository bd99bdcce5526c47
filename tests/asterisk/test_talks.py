"""Hold, transfers and conference, heard by tones on real Asterisks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from callcenter.demo.network import Answer, NetworkCall, NetworkPhone
from callcenter.floor.agents import Activity
from callcenter.floor.contacts import ContactState, Talk
from callcenter.floor.events import AgentLoginRequested
from tests.asterisk.harness import Centre, World
from tests.asterisk.sip_phone import Line, SipPhone

pytestmark = pytest.mark.asterisk

CALLER_HZ = 1400


class Conversation:
    """2001 at phone 1001 talks with a caller, who hums; 2002 is at phone 1002."""

    def __init__(self, world: World, call: NetworkCall, far: NetworkCall) -> None:
        self.world, self.call, self.far = world, call, far
        self.phone, self.second = world.network.phone("1001"), world.network.phone("1002")

    async def key(self, digits: str) -> None:
        await self.far.send_digits(digits)

    async def stands(self, talk: Talk) -> None:
        await self.world.sees(lambda: [c.talk for c in self.world.contacts()] == [talk], f"they are {talk}")

    async def together(self, far: NetworkCall, phone: NetworkPhone) -> None:
        assert await self.call.hears(phone.tone_hz), f"the caller does not hear {phone.name}"
        assert await far.hears(CALLER_HZ), f"{phone.name} does not hear the caller"


async def talking(world: World, ani: str, number: str = "4001") -> Conversation:
    for agent, name in (("2001", "1001"), ("2002", "1002")):
        world.network.phone(name).policy = Answer(0.0)
        if agent == "2001":
            await world.log_in(agent, name)
    call = await world.network.call(number, ani=ani)
    far = await world.network.phone("1001").rings()
    await call.answered()
    await world.log_in("2002", "1002")
    await call.hum(CALLER_HZ)
    talk = Conversation(world, call, far)
    await talk.together(far, talk.phone)
    return talk


def test_hold_and_back(centre: Centre) -> None:
    async def script(world: World) -> None:
        t = await talking(world, "13800000201")
        await t.key("*1")
        await t.stands(Talk.HELD)
        assert world.agent("2001").activity is Activity.HOLDING
        assert await t.call.hears_sound(), "no music"
        assert not await t.call.hears(t.phone.tone_hz, within=0.7), "the caller hears the agent"
        assert not await t.far.hears(CALLER_HZ, within=0.7), "the agent hears the caller"
        assert not await t.far.hears_sound(within=0.7), "the agent hears music"
        await t.key("*1")
        await t.stands(Talk.TOGETHER)
        await t.together(t.far, t.phone)
        await t.key("47")
        assert await t.call.hears_digits("47"), t.call.digits_heard
        assert "*" not in t.call.digits_heard
        await t.call.hang_up()
        await t.far.ended()
        record = await world.record("13800000201")
        parts = centre.rows("SELECT * FROM agent_talks WHERE contact = %s", record["contact"])
        assert [(p["agent"], p["role"]) for p in parts] == [("2001", "served")]
        assert 0 < parts[0]["hold_seconds"] < parts[0]["talk_seconds"]
        assert parts[0]["talk_seconds"] == pytest.approx(record["talk_seconds"], abs=0.01)

    centre.play(script)


def test_blind_transfers_to_a_queue_and_to_nowhere(centre: Centre) -> None:
    async def script(world: World) -> None:
        t = await talking(world, "13800000202")
        await t.call.hush()
        assert not await t.far.hears_sound(within=0.7)
        await t.key("*299999#")
        assert await t.far.hears_sound(), "nothing was said"
        await t.stands(Talk.TOGETHER)
        await t.call.hum(CALLER_HZ)
        await t.key("*28002#")
        await t.far.ended()
        far = await t.second.rings(within=15)
        await far.answered()
        await t.together(far, t.second)
        assert world.contacts()[0].queue == "limited"
        await t.call.hang_up()
        await far.ended()
        record = await world.record("13800000202")
        assert (record["queue"], record["agent"], record["outcome"]) == ("quick", "2002", "answered")
        parts = centre.rows("SELECT * FROM agent_talks WHERE contact = %s ORDER BY since", record["contact"])
        assert [(p["agent"], p["ended"]) for p in parts] == [("2001", "transferred"), ("2002", "caller")]
        assert sum(p["talk_seconds"] for p in parts) == pytest.approx(record["talk_seconds"], abs=0.01)

    centre.play(script)


def test_a_consultation_completed_by_hanging_up(centre: Centre) -> None:
    async def script(world: World) -> None:
        t = await talking(world, "13800000203")
        await t.key("*32002#")
        far = await t.second.rings()
        await t.stands(Talk.CONSULTING)
        assert await far.hears(t.phone.tone_hz), "the consulted agent does not hear the first"
        assert await t.far.hears(t.second.tone_hz)
        assert await t.call.hears_sound(), "no music"
        assert not await far.hears(CALLER_HZ, within=0.7), "the caller is heard on hold"
        await t.key("*4")
        await t.stands(Talk.SWAPPED)
        await t.together(t.far, t.phone)
        assert await far.hears_sound(), "no music for the consulted"
        await t.key("*4")
        await t.stands(Talk.CONSULTING)
        await t.phone.hang_up()
        await t.stands(Talk.TOGETHER)
        await t.together(far, t.second)
        await far.send_digits("*1")  # he has all codes now
        await t.stands(Talk.HELD)
        await t.second.hang_up()
        await t.call.ended()
        record = await world.record("13800000203")
        parts = centre.rows(
            "SELECT * FROM agent_talks WHERE contact = %s ORDER BY since, role", record["contact"]
        )
        assert [(p["agent"], p["role"]) for p in parts] == [
            ("2001", "served"), ("2002", "consulted"), ("2002", "served"),
        ]  # fmt: skip

    centre.play(script)


def test_a_conference_is_heard_by_all_three(centre: Centre) -> None:
    async def script(world: World) -> None:
        t = await talking(world, "13800000204")
        await t.key("*31002#")
        far = await t.second.rings()
        await t.stands(Talk.CONSULTING)
        await t.key("*5")
        await t.stands(Talk.CONFERENCE)
        legs = {t.call: CALLER_HZ, t.far: t.phone.tone_hz, far: t.second.tone_hz}
        for leg in legs:
            await leg.hush()
        for speaker, hz in legs.items():  # one after the other: a detector wants one tone at a time
            await speaker.hum(hz)
            for listener in legs:
                if listener is not speaker:
                    assert await listener.hears(hz), f"{listener!r} does not hear {speaker!r}"
            await speaker.hush()
        await t.far.hum(t.phone.tone_hz)
        await t.call.hum(CALLER_HZ)
        await t.key("*6")
        await far.ended()
        await t.together(t.far, t.phone)
        await t.call.hang_up()
        await t.far.ended()

    centre.play(script)


def test_an_outside_number_is_consulted_and_given_the_caller(centre: Centre) -> None:
    async def script(world: World) -> None:
        t = await talking(world, "13800000205")
        await t.key("*3139123#")
        await t.stands(Talk.CONSULTING)
        stranger = next(s for s in world.network.strangers if s.number == "139123")
        await stranger.hum(1200)
        assert await t.far.hears(1200), "the agent does not hear the number outside"
        await t.phone.hang_up()
        await world.sees(lambda: [c.state for c in world.contacts()] == [ContactState.OUTSIDE], "given away")
        assert await t.call.hears(1200), "the caller does not hear the number outside"
        assert await stranger.hears(CALLER_HZ)
        await stranger.hang_up()
        await t.call.ended()
        assert (await world.record("13800000205"))["ended_by"] == "outside"

    centre.play(script)


def test_a_blind_transfer_to_an_outside_number(centre: Centre) -> None:
    async def script(world: World) -> None:
        t = await talking(world, "13800000213")
        await t.key("*1")
        await t.stands(Talk.HELD)
        await t.key("*2139124#")
        await t.far.ended()
        await world.sees(
            lambda: any(s.number == "139124" for s in world.network.strangers), "it rings outside"
        )
        stranger = next(s for s in world.network.strangers if s.number == "139124")
        await stranger.answered()
        assert stranger.ani == "13800000213"
        # One way only: Asterisk joins two trunk calls natively, and the network, itself an Asterisk, may take
        # the other call's sequence numbers for old ones on the way back.
        assert await stranger.hears(CALLER_HZ)
        await stranger.hang_up()
        await t.call.ended()
        record = await world.record("13800000213")
        assert (record["outcome"], record["agent"]) == ("answered", "2001")

    centre.play(script)


def test_the_engine_killed_during_a_consultation(centre: Centre) -> None:
    engine = centre.processes["engine-a"]

    async def script(world: World) -> None:
        t = await talking(world, "13800000206")
        await t.key("*32002#")
        far = await t.second.rings()
        await t.stands(Talk.CONSULTING)
        await asyncio.to_thread(engine.kill)
        assert await t.far.hears(t.second.tone_hz), "cut off"
        await asyncio.to_thread(engine.start)
        await asyncio.to_thread(centre.wait_engine)
        assert await t.far.hears(t.second.tone_hz), "cut off"
        await t.phone.hang_up()
        await t.stands(Talk.TOGETHER)
        await t.together(far, t.second)
        await t.call.hang_up()
        await far.ended()

    centre.play(script)


def _uri(world: World, number: str) -> str:
    place = world.network.asterisk.place
    return f"sip:{number}@{place.host}:{place.centre_sip_port}"


def test_the_phones_own_transfer_to_a_queue(centre: Centre) -> None:
    async def script(world: World) -> None:
        t = await talking(world, "13800000207")
        await t.far.refer(_uri(world, "8002"))
        far = await t.second.rings(within=15)
        await t.phone.hang_up()
        await far.answered()
        await t.together(far, t.second)
        await t.call.hang_up()
        await far.ended()
        record = await world.record("13800000207")
        parts = centre.rows("SELECT * FROM agent_talks WHERE contact = %s ORDER BY since", record["contact"])
        assert [p["agent"] for p in parts] == ["2001", "2002"]

    centre.play(script)


def test_the_phones_own_transfer_to_nowhere_keeps_the_caller(centre: Centre) -> None:
    async def script(world: World) -> None:
        t = await talking(world, "13800000208")
        await t.far.refer(_uri(world, "99999"))
        await t.phone.hang_up()
        again = await t.second.rings(within=20)
        await t.together(again, t.second)
        await t.call.hang_up()
        await again.ended()

    centre.play(script)


def test_the_phones_own_hold_key(centre: Centre) -> None:
    async def script(world: World) -> None:
        t = await talking(world, "13800000209")
        await t.far.hold_key(True)
        await t.stands(Talk.HELD)
        assert await t.call.hears_sound(), "no music"
        assert world.agent("2001").activity is Activity.HOLDING
        await t.far.hold_key(False)
        await t.stands(Talk.TOGETHER)
        await t.far.hum(t.phone.tone_hz)
        await t.together(t.far, t.phone)
        await t.call.hang_up()
        await t.far.ended()

    centre.play(script)


@asynccontextmanager
async def sip_phone(
    world: World, ani: str
) -> AsyncIterator[tuple[SipPhone, Line, NetworkCall, NetworkPhone]]:
    """2003 at the SIP phone talks with a caller, who hums; 2002 is at phone 1002, ready."""
    centre = world.centre
    phone = await SipPhone.open("1009", centre.sip_phone_port, centre.site.asterisk.sip_port)
    second = world.network.phone("1002")
    second.policy = Answer(0.0)
    try:
        await asyncio.to_thread(world.floor.ask, AgentLoginRequested, agent="2003", phone="1009")
        call = await world.network.call("4001", ani=ani)
        line = await phone.rung()
        await call.answered()
        await world.log_in("2002", "1002")
        await call.hum(CALLER_HZ)
        yield phone, line, call, second
    finally:
        phone.close()


@pytest.mark.parametrize("header", ["Refer-Sub: false", "X-Plain: yes"], ids=["Refer-Sub false", "plain"])
def test_a_refer_that_wants_no_news_of_itself(centre: Centre, header: str) -> None:
    """Asterisk 22.10.1 ends on a REFER with `Refer-Sub: false` if it is given to the application."""
    ani = "13800000210" if "Sub" in header else "13800000211"

    async def script(world: World) -> None:
        async with sip_phone(world, ani) as (phone, line, call, second):
            status = await phone.refer(line, f"sip:8002@127.0.0.1:{centre.site.asterisk.sip_port}", header)
            assert status in (200, 202)
            far = await second.rings(within=15)
            await phone.bye(line)
            await far.answered()
            assert await call.hears(second.tone_hz)
            assert await far.hears(CALLER_HZ)
            assert bool(phone.notified) == (header == "X-Plain: yes")
            await call.hang_up()
            await far.ended()

    centre.play(script)


def test_the_phones_own_attended_transfer(centre: Centre) -> None:
    """A second line to another agent, then the transfer key: REFER with Replaces."""

    async def script(world: World) -> None:
        async with sip_phone(world, "13800000212") as (phone, line, call, second):
            asked = await phone.dial("2002")
            far = await second.rings()
            await far.answered()
            assert await phone.join(line, asked) in (200, 202)
            await world.sees(lambda: [c.agent for c in world.contacts()] == ["2002"], "2002 has the caller")
            assert await call.hears(second.tone_hz), "the caller does not hear the second agent"
            assert await far.hears(CALLER_HZ)
            for each in (line, asked):
                await phone.bye(each)
            await call.hang_up()
            await far.ended()
        record = await world.record("13800000212")
        query = "SELECT * FROM agent_talks WHERE contact = %s ORDER BY since, role"
        parts = centre.rows(query, record["contact"])
        assert [(p["agent"], p["role"]) for p in parts] == [
            ("2003", "served"), ("2002", "consulted"), ("2002", "served"),
        ]  # fmt: skip

    centre.play(script)
