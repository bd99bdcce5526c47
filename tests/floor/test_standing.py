"""Always-connected working: one standing leg, contact after contact."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import ContactState, Talk
from callcenter.floor.events import Failure
from tests.floor import plans
from tests.floor.invariants import check
from tests.floor.test_codes import Phone
from tests.floor.world import World


def standing(world: World | None = None) -> tuple[World, str]:
    """Agent 14 has dialled the code at phone 1004; his leg."""
    world = world or World()
    phone = Phone(world, "1004")
    assert phone.dial("*1014", "4444#") == ("logged-in-connected",)
    assert world.agent("14").activity is Activity.ELSEWHERE, "until he has been told"
    phone.listen()
    assert world.floor.scene.is_free(world.agent("14"))
    check(world)
    return world, phone.leg


def hear_out(world: World) -> None:
    for playback in list(world.playing):
        world.finish_playback(playback)
    world.run()
    check(world)


def joined(world: World, number: str = "300") -> str:
    """A caller of the gold queue, talking on the standing leg."""
    caller = world.call(number)
    world.run()
    hear_out(world)
    assert world.contact(caller).state is ContactState.TALKING
    return caller


def prompts(world: World, leg: str) -> list[str]:
    return [prompt for play in world.commands(do.PlayPrompts) if play.leg == leg for prompt in play.prompts]


def test_two_callers_on_one_leg() -> None:
    world, leg = standing()
    for _ in range(2):
        caller = world.call("300")
        world.run()
        assert world.contact(caller).state is ContactState.OFFERED
        assert prompts(world, leg)[-1] == "zip-tone"
        assert "zip-tone" not in prompts(world, caller)
        hear_out(world)
        assert set(world.bridges[world.contact(caller).bridge]) == {caller, leg}
        world.pass_time(10.0)
        world.hang_up(caller)
        world.run()
        assert leg in world.legs
        assert world.floor.scene.is_free(world.agent("14"))
        assert (world.closed(caller).agent, world.closed(caller).talk_seconds) == ("14", 10.0)
    assert not world.commands(do.RingAgent)
    assert world.agent("14").calls_taken == 2
    assert not world.bridges


def test_the_leg_rests_in_music_or_in_silence() -> None:
    for music in ("", "quiet"):
        world, leg = standing(World(plans.plan(standing_music=music)))
        assert [c.music for c in world.commands(do.StartMusic) if c.leg == leg] == [music]
        world.hang_up(joined(world))
        world.run()
        assert [c.music for c in world.commands(do.StartMusic) if c.leg == leg] == [music] * 2
        assert len([c for c in world.commands(do.StopMusic) if c.leg == leg]) == bool(music)


def test_his_phone_is_rung_once_at_the_request() -> None:
    world = World()
    reply = world.ask(seen.AgentLoginRequested, agent="14", phone="1004", connected=True)
    assert reply is not None
    assert reply.text == "agent 14 is logged in: phone 1004 is being rung"
    caller = world.call("300")
    world.run()
    assert world.contact(caller).state is ContactState.WAITING, "he has not picked up"
    world.answer(world.leg_to("14"))
    world.run()
    hear_out(world)
    assert world.contact(caller).state is ContactState.TALKING
    assert len(world.commands(do.RingAgent)) == 1


def test_who_does_not_pick_up_is_logged_out() -> None:
    world = World()
    world.ask(seen.AgentLoginRequested, agent="14", phone="1004", connected=True)
    world.hang_up(world.leg_to("14"), 19)
    world.run()
    assert world.agent("14").presence is Presence.LOGGED_OUT
    check(world)


@pytest.mark.parametrize("when", ["idle", "offered", "talking", "wrap-up", "not ready"])
def test_his_hang_up_logs_him_out(when: str) -> None:
    world, leg = standing(World(plans.plan(replace(plans.GOLD, wrapup_seconds=30))))
    caller = ""
    if when == "offered":
        caller = world.call("300")
        world.run()
    elif when in ("talking", "wrap-up"):
        caller = joined(world)
    elif when == "not ready":
        world.ask(seen.AgentNotReadyRequested, agent="14", reason="lunch")
    if when == "wrap-up":
        world.hang_up(caller)
        world.run()
    world.hang_up(leg)
    world.run()
    check(world)
    assert world.agent("14").presence is Presence.LOGGED_OUT
    assert world.agent("14").missed_calls == 0
    if when == "offered":
        assert world.contact(caller).state is ContactState.WAITING, "he keeps his place"
    if when == "talking":
        assert world.closed(caller).ended_by == "agent"


def test_a_caller_who_gives_up_during_the_tone() -> None:
    world, leg = standing()
    caller = world.call("300")
    world.run()
    world.hang_up(caller)
    world.run()
    check(world)
    assert leg in world.legs
    assert world.floor.scene.is_free(world.agent("14"))
    assert world.agent("14").missed_calls == 0
    assert not world.floor.scene.playbacks
    joined(world)


def test_an_end_of_the_tone_that_nobody_tells_joins_them_all_the_same() -> None:
    world, leg = standing()
    caller = world.call("300")
    world.pass_time(3.0)
    assert world.contact(caller).state is ContactState.TALKING
    assert leg in world.bridges[world.contact(caller).bridge]


def test_a_tone_that_cannot_be_played() -> None:
    world, _ = standing()
    world.fail_next(do.PlayPrompts, Failure.REFUSED)
    caller = world.call("300")
    world.pass_time(0.5)
    assert world.contact(caller).state is ContactState.TALKING


def test_legs_that_cannot_be_joined_leave_the_standing_one() -> None:
    world, leg = standing()
    world.fail_next(do.ConnectLegs, Failure.FAILED)
    caller = world.call("300")
    world.run()
    hear_out(world)
    hear_out(world)
    assert world.contact(caller).state is ContactState.TALKING, "tried again"
    assert leg in world.bridges[world.contact(caller).bridge]


def test_codes_are_keyed_between_contacts_and_one_ends_a_contact() -> None:
    world, leg = standing()
    caller = joined(world)
    world.press(leg, "5*")
    world.run()
    world.pass_time(10.0)
    world.press(leg, "0")
    world.run()
    assert world.contact(caller).state is ContactState.TALKING, "too slow for a code"
    world.press(leg, "*0")
    world.run()
    assert world.closed(caller).ended_by == "agent"
    world.press(leg, "8*141")
    world.run()
    assert prompts(world, leg)[-1] == "not-ready"
    hear_out(world)
    assert (world.agent("14").reason, leg in world.legs) == ("break", True)
    world.press(leg, "*13")
    world.run()
    assert world.agent("14").presence is Presence.READY
    assert not world.floor.scene.is_free(world.agent("14")), "while he is told"
    hear_out(world)
    world.press(leg, "*9")
    world.run()
    assert prompts(world, leg)[-1] == "unknown-code"
    hear_out(world)
    world.press(leg, "*12")
    world.run()
    assert leg in world.legs, "he is told first"
    hear_out(world)
    assert leg not in world.legs
    assert world.agent("14").presence is Presence.LOGGED_OUT


def test_a_log_out_by_somebody_else_ends_the_leg() -> None:
    world, leg = standing()
    world.ask(seen.AgentLogoutRequested, agent="14")
    world.run()
    assert leg not in world.legs
    check(world)


def test_logging_in_another_way() -> None:
    world, leg = standing()
    world.login("14", "1004")
    world.run()
    assert leg not in world.legs
    assert not world.agent("14").line
    caller = world.call("300")
    world.run()
    assert world.ringing() == {"14": caller}
    world.answer(world.leg_to("14"))
    world.run()
    reply = world.ask(seen.AgentLoginRequested, agent="14", phone="1004", connected=True)
    assert reply is not None
    assert reply.code == "in-contact"
    check(world)


@pytest.mark.parametrize("when", ["idle", "offered", "talking", "over"])
@pytest.mark.parametrize("lost", ["engine", "connection"])
def test_a_standing_leg_is_found_again(when: str, lost: str) -> None:
    world, leg = standing()
    caller = "" if when == "idle" else world.call("300")
    world.run()
    if when in ("talking", "over"):
        hear_out(world)
    if when == "over":
        world.crash_next = lost == "engine"
        world.hang_up(caller)
        world.run()
    if lost == "engine":
        world.restart_engine()
    world.survey()
    world.run()
    check(world)
    assert leg in world.legs
    if when in ("offered", "talking"):
        assert world.contact(caller).state is ContactState.TALKING
        assert leg in world.bridges[world.contact(caller).bridge]
        world.hang_up(caller)
        world.run()
    assert world.floor.scene.is_free(world.agent("14"))
    assert not world.bridges
    joined(world)


@pytest.mark.parametrize("how", ["asterisk", "fallback"])
def test_a_standing_leg_that_is_gone_leaves_its_agent_on_hook(how: str) -> None:
    world, leg = standing()
    if how == "asterisk":
        world.restart_asterisk()
    else:  # no engine ran, and the fallback queue needed the phone
        world.lose()
        world.hang_up(leg)
        world.restart_engine()
    world.survey()
    world.run()
    check(world)
    assert world.agent("14").presence is Presence.READY
    caller = world.call("300")
    world.run()
    assert world.ringing() == {"14": caller}


def test_with_all_state_lost_a_conversation_goes_on_and_an_idle_leg_ends() -> None:
    world, talking_leg = standing()
    caller = joined(world)
    phone = Phone(world, "1003")
    phone.dial("*1013", "3333#")
    phone.listen()
    world.restart_engine(empty=True)
    world.survey()
    world.run()
    check(world)
    assert phone.leg not in world.legs
    assert world.agent("13").presence is Presence.LOGGED_OUT
    contact = world.contact(caller)
    assert (contact.state, contact.agent, contact.agent_leg) == (ContactState.TALKING, "14", talking_leg)
    world.hang_up(caller)
    world.run()
    assert world.agent("14").line == talking_leg
    joined(world)


# Transfers: the leg stays, whatever becomes of the caller.


@pytest.mark.parametrize("ends", ["*0", "*6*0", "*4*0", "*5*0"])
def test_an_always_connected_agent_asks_another_and_hands_the_caller_over(ends: str) -> None:
    world, leg = standing()
    world.login("11", "1001")
    caller = joined(world)
    world.press(leg, "*311#")
    world.run()
    other = world.leg_to("11")
    world.answer(other)
    world.run()
    check(world)
    world.press(leg, ends)
    world.run()
    check(world)
    assert leg in world.legs, "the standing leg stays"
    assert world.floor.scene.is_free(world.agent("14"))
    assert all(leg not in members for members in world.bridges.values())
    if ends == "*6*0":  # given up, then ended
        assert caller not in world.legs
        return
    assert {caller, other} in world.bridges.values()
    world.hang_up(other)
    world.run()
    assert world.closed(caller).agent == "11"


@pytest.mark.parametrize("keys", ["*270#", "*211#", "*213000#"])
def test_an_always_connected_agent_transfers(keys: str) -> None:
    world, leg = standing()
    world.login("11", "1001")
    caller = joined(world)
    world.press(leg, f"*1{keys}")
    world.run()
    check(world)
    assert leg in world.legs
    assert caller in world.legs
    assert world.floor.scene.is_free(world.agent("14"))


def test_a_caller_is_transferred_to_an_always_connected_agent_who_cannot_be_asked_first() -> None:
    world, leg = standing()
    world.login("13", "1003")
    caller = world.call("200")
    world.run()
    world.answer(world.leg_to("13"))
    world.run()
    from_leg = world.leg_to("13")
    world.press(from_leg, "*314#")
    world.run()
    assert prompts(world, from_leg)[-1] == "transfer-busy"
    world.press(from_leg, "*214#")
    world.run()
    hear_out(world)
    assert {caller, leg} in world.bridges.values()


def test_a_standing_leg_that_hangs_up_in_a_consultation_hands_the_caller_over() -> None:
    world, leg = standing()
    world.login("11", "1001")
    caller = joined(world)
    world.press(leg, "*311#")
    world.run()
    world.answer(world.leg_to("11"))
    world.run()
    world.hang_up(leg)
    world.run()
    check(world)
    assert {caller, world.leg_to("11")} in world.bridges.values()
    assert world.agent("14").presence is Presence.LOGGED_OUT


@pytest.mark.parametrize("keys", ["*", "*2", "*211"])
def test_what_was_half_keyed_for_one_caller_is_not_done_to_the_next(keys: str) -> None:
    world, leg = standing()
    world.login("11", "1001")
    first = joined(world)
    world.press(leg, keys)
    world.run()
    world.hang_up(first)
    world.run()
    check(world)
    second = joined(world)
    world.press(leg, "1")
    world.run()
    world.pass_time(10.0)
    check(world)
    contact = world.contact(second)
    assert (contact.state, contact.agent, contact.talk) == (ContactState.TALKING, "14", Talk.TOGETHER)
    assert world.legs[second].digits == "1"


def test_a_talk_that_is_taken_over_is_left_by_the_standing_leg() -> None:
    world, leg = standing(World(people=[replace(a, leads=("all",), supervisor=True) for a in plans.AGENTS]))
    world.login("11", "1001")
    caller = joined(world)
    taker = world.dial("1001", "*8814")
    world.run()
    check(world)
    assert world.bridges[world.contact(caller).bridge] == {caller, taker}
    assert leg in world.legs
    joined(world)
