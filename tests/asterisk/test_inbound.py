"""A call from the public network reaches an agent, end to end on real Asterisks."""

from __future__ import annotations

import asyncio

import pytest

from callcenter.demo.network import Answer, Ignore, NetworkFault, Refuse
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import ContactState
from tests.asterisk.harness import Centre, World

pytestmark = pytest.mark.asterisk


def test_a_call_is_greeted_queued_answered_and_remembered(centre: Centre) -> None:
    async def script(world: World) -> None:
        phone = world.network.phone("1001")
        phone.policy = Answer(0.5)
        call = await world.network.call("4000", ani="13800000001")
        await call.answered()
        assert await call.hears_sound(), "no greeting"
        await world.sees(
            lambda: [contact.state for contact in world.contacts()] == [ContactState.WAITING], "he waits"
        )
        assert await call.hears_sound(), "no music"
        await world.log_in("2001", "1001")
        far = await phone.rings()
        assert far.ani == "13800000001"
        await far.answered()
        await call.hum(1400)
        assert await call.hears(phone.tone_hz), "the caller does not hear the agent"
        assert await far.hears(1400), "the agent does not hear the caller"
        assert world.agent("2001").activity is Activity.TALKING
        await phone.hang_up()
        assert await call.ended() == 16
        record = await world.record("13800000001")
        assert (record["outcome"], record["agent"], record["queue"], record["ended_by"]) == (
            "answered", "2001", "greeted", "agent",
        )  # fmt: skip
        assert record["arrived_at"] < record["queued_at"] < record["connected_at"] < record["closed_at"]
        await world.sees(lambda: world.agent("2001").activity is Activity.IDLE, "wrap-up is over", 5)

    centre.play(script)


def test_a_caller_with_the_number_of_a_phone_is_a_caller(centre: Centre) -> None:
    """A trunk's call is the trunk's, whoever it says it is: it is not challenged, nor taken for the phone."""

    async def script(world: World) -> None:
        phone = world.network.phone("1001")
        phone.policy = Answer(0.0)
        await world.log_in("2001", "1001")
        call = await world.network.call("4001", ani="1002")
        far = await phone.rings()
        assert far.ani == "1002"
        await call.answered()
        await call.hang_up()
        await far.ended()
        assert (await world.record("1002"))["outcome"] == "answered"
        await world.network.call("*11", ani="1002")  # codes are for phones
        await world.sees(lambda: not world.contacts(), "no contact is left")
        assert await world.network.quiet() == []

    centre.play(script)


def test_callers_are_served_in_the_order_of_arrival(centre: Centre) -> None:
    async def script(world: World) -> None:
        phone = world.network.phone("1001")
        phone.policy = Answer(0.0)
        calls = []
        for number in range(3):
            calls.append(await world.network.call("4001", ani=f"1380000001{number}"))
            await world.sees(lambda wanted=number: len(world.contacts()) == wanted + 1, "he waits")  # type: ignore[misc]
        await world.log_in("2001", "1001")
        for number, call in enumerate(calls):
            far = await phone.rings(after=number)
            assert far.ani == call.ani
            await call.answered()
            await call.hang_up()
            await far.ended()
        for number in range(3):
            assert (await world.record(f"1380000001{number}"))["outcome"] == "answered"

    centre.play(script)


@pytest.mark.parametrize(
    ("policy", "reason"), [(Ignore(), "no-answer"), (Refuse(17), "busy")], ids=["no answer", "busy"]
)
def test_an_agent_who_does_not_answer_is_set_aside_and_the_caller_keeps_the_place(
    centre: Centre, policy: Ignore | Refuse, reason: str
) -> None:
    ani = "13800000021" if reason == "busy" else "13800000022"

    async def script(world: World) -> None:
        world.network.phone("1001").policy = policy
        await world.log_in("2001", "1001")
        call = await world.network.call("4001", ani=ani)
        await world.sees(
            lambda: (
                (world.agent("2001").presence, world.agent("2001").reason) == (Presence.NOT_READY, reason)
            ),
            f"not ready: {reason}",
        )
        assert [contact.state for contact in world.contacts()] == [ContactState.WAITING]
        world.network.phone("1002").policy = Answer(0.0)
        await world.log_in("2002", "1002")
        await call.answered()
        await world.network.phone("1002").hang_up()
        await call.ended()
        record = await world.record(ani)
        assert (record["outcome"], record["agent"], record["offers"]) == ("answered", "2002", 2)

    centre.play(script)


def test_a_phone_that_is_gone_is_unreachable(centre: Centre) -> None:
    async def script(world: World) -> None:
        phone = world.network.phone("1003")
        await world.log_in("2003", "1003")
        await phone.unregister()
        try:
            call = await world.network.call("4001", ani="13800000031")
            await world.sees(lambda: world.agent("2003").reason == "unreachable", "unreachable")
            await call.hang_up()
        finally:
            await phone.register()

    centre.play(script)


def test_a_caller_gives_up(centre: Centre) -> None:
    async def script(world: World) -> None:
        call = await world.network.call("4001", ani="13800000041")
        await call.ringing()
        await world.sees(lambda: len(world.contacts()) == 1, "he waits")
        await call.hang_up()
        assert (await world.record("13800000041"))["outcome"] == "short_abandoned"

    centre.play(script)


def test_closed_full_and_longest_wait(centre: Centre) -> None:
    async def script(world: World) -> None:
        closed = await world.network.call("4003", ani="13800000051")
        assert await closed.ended(15) == 16
        first = await world.network.call("4002", ani="13800000052")
        await world.sees(lambda: [c.ani for c in world.contacts()] == [first.ani], "he alone waits")
        full = await world.network.call("4002", ani="13800000053")
        await full.answered()
        assert await full.hears_sound(), "no message"
        await asyncio.gather(full.ended(15), first.ended(25))
        outcomes = {ani: (await world.record(ani))["outcome"] for ani in (closed.ani, first.ani, full.ani)}
        assert outcomes == {closed.ani: "closed", first.ani: "max_wait", full.ani: "full"}

    centre.play(script)


def test_feature_codes_refuse_a_wrong_pin_and_change_presence(centre: Centre) -> None:
    async def script(world: World) -> None:
        phone = world.network.phone("1001")
        call = await phone.dial("*11")
        await call.answered()
        await call.send_digits("2004#")
        await call.send_digits("0000#")
        assert await call.hears_sound(), "nothing was said"
        await call.hang_up()
        await call.ended()
        assert world.agent("2004").presence is Presence.LOGGED_OUT
        assert world.agent("2004").pin_failures == 1
        await world.log_in("2004", "1001")
        await phone.feature("*141")
        assert (world.agent("2004").presence, world.agent("2004").reason) == (Presence.NOT_READY, "break")
        await phone.feature("*13")
        assert world.agent("2004").presence is Presence.READY
        await phone.feature("*12")
        assert world.agent("2004").presence is Presence.LOGGED_OUT

    centre.play(script)


def test_an_emergency_number_leaves_with_the_engine_down(centre: Centre) -> None:
    async def script(world: World) -> None:
        centre.processes["engine-a"].kill()
        call = await world.network.phone("1002").dial("110")
        await call.answered()
        assert [stranger.number for stranger in world.network.strangers] == ["110"]
        await call.hang_up()
        await call.ended()

    centre.play(script, clean=False)
    centre.mend()
    centre.play(_nothing)


def test_nobody_is_called_without_an_engine_for_ever(centre: Centre) -> None:
    """The fallback queue rings the phones of the site file."""

    async def script(world: World) -> None:
        centre.processes["engine-a"].kill()
        phone = world.network.phone("1005")
        phone.policy = Answer(0.2)
        call = await world.network.call("4001", ani="13800000061")
        far = await phone.rings(within=20)
        await far.answered()
        await call.hum(1500)
        assert await far.hears(1500)
        with pytest.raises(NetworkFault):
            await call.ended(within=0.5)
        await phone.hang_up()
        await call.ended()

    centre.play(script, clean=False)
    centre.mend()
    centre.play(_nothing)


async def _nothing(world: World) -> None:
    """Only the checks at the end."""
