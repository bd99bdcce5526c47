"""Presence is chosen, activity is observed; what agents, managers and lists of people may change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Activity, Presence, Refusal
from callcenter.floor.events import AgentDefinition
from callcenter.floor.records import AgentState
from tests.floor import plans
from tests.floor.world import World


def talking(wrapup_seconds: int = 0) -> tuple[World, str]:
    world = World(plans.plan(replace(plans.GOLD, wrapup_seconds=wrapup_seconds)))
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    return world, caller


def refusal(reply: do.Reply | None) -> str:
    assert reply is not None
    assert not reply.ok
    assert "agent" in reply.text
    return reply.code


def test_log_in_seats_the_agent_ready() -> None:
    world = World()
    reply = world.login("11", "1001")
    assert reply == do.Reply("r", True, "agent 11 is logged in")
    agent = world.agent("11")
    assert (agent.presence, agent.phone) == (Presence.READY, "1001")
    assert world.members["1001"] == do.SetFallbackMember("1001", "11", ("sales", "help"), True, False)


def test_a_site_may_want_agents_not_ready_after_log_in() -> None:
    world = World(plans.plan(login_ready=False))
    world.login("11", "1001")
    assert (world.agent("11").presence, world.agent("11").reason) == (Presence.NOT_READY, "login")
    assert world.members["1001"].paused


def test_refusals() -> None:
    world = World()
    assert refusal(world.login("99", "1001")) == Refusal.UNKNOWN_AGENT
    assert refusal(world.login("11", "9999")) == Refusal.UNKNOWN_PHONE
    assert refusal(world.ask(seen.AgentLogoutRequested, agent="11")) == Refusal.NOT_LOGGED_IN
    assert refusal(world.ask(seen.AgentReadyRequested, agent="11")) == Refusal.NOT_LOGGED_IN
    assert refusal(world.ask(seen.AgentReadyRequested, agent="99")) == Refusal.UNKNOWN_AGENT
    assert refusal(world.ask(seen.WrapupEndRequested, agent="11")) == Refusal.NOT_LOGGED_IN
    world.login("11", "1001")
    assert refusal(world.ask(seen.WrapupEndRequested, agent="11")) == Refusal.NO_WRAPUP
    not_ready = world.ask(seen.AgentNotReadyRequested, agent="11", reason="nap")
    assert refusal(not_ready) == Refusal.UNKNOWN_REASON
    assert world.agent("11").presence is Presence.READY


def test_not_ready_during_a_call_begins_after_it() -> None:
    world, caller = talking()
    world.ask(seen.AgentNotReadyRequested, agent="14", reason="lunch")
    assert world.agent("14").activity is Activity.TALKING
    world.hang_up(caller)
    world.call("300")
    world.run()
    assert (world.agent("14").presence, world.agent("14").reason) == (Presence.NOT_READY, "lunch")
    assert not world.ringing()
    assert world.members["1004"].paused


def test_log_out_during_a_call_waits_for_its_end() -> None:
    world, caller = talking(wrapup_seconds=30)
    reply = world.ask(seen.AgentLogoutRequested, agent="14")
    assert reply is not None
    assert reply.text == "agent 14 is logged out as soon as the contact is over"
    assert world.agent("14").presence is Presence.READY
    world.hang_up(caller)
    world.run()
    assert world.agent("14").presence is Presence.LOGGED_OUT
    assert not world.agent("14").phone
    assert not world.saved.timers, "no wrap-up is left"
    assert not world.members["1004"].present


def test_logging_in_again_takes_the_wish_to_log_out_back_even_after_a_crash() -> None:
    world, caller = talking()
    world.ask(seen.AgentLogoutRequested, agent="14")
    world.login("14", "1004")
    world.restart_engine()
    world.survey()
    world.hang_up(caller)
    world.run()
    assert world.agent("14").presence is Presence.READY


def test_hot_desking() -> None:
    world = World()
    world.login("11", "1001")
    world.login("12", "1001")
    assert world.agent("11").presence is Presence.LOGGED_OUT
    assert world.agent("12").phone == "1001"
    world.login("12", "1002")
    assert world.agent("12").phone == "1002"
    assert world.floor.scene.seats == {"1002": "12"}
    assert not world.members["1001"].present
    assert world.members["1002"].present


def test_nobody_takes_the_seat_of_one_who_talks() -> None:
    world, _ = talking()
    assert refusal(world.login("11", "1004")) == Refusal.PHONE_IN_USE
    assert refusal(world.login("14", "1001")) == Refusal.AGENT_ELSEWHERE
    assert world.agent("14").phone == "1004"


def test_ready_ends_wrapup() -> None:
    world, caller = talking(wrapup_seconds=600)
    world.hang_up(caller)
    world.run()
    assert world.agent("14").activity is Activity.WRAPUP
    world.ask(seen.AgentReadyRequested, agent="14")
    assert world.floor.scene.is_free(world.agent("14"))


def test_an_agent_removed_from_the_list_finishes_the_call_and_is_gone() -> None:
    world, caller = talking()
    world.publish(a for a in plans.AGENTS if a.number != "14")
    assert world.agent("14").activity is Activity.TALKING
    world.restart_engine()
    world.survey()
    world.hang_up(caller)
    world.run()
    assert "14" not in world.floor.scene.agents
    assert not world.floor.scene.seats
    assert not world.floor.scene.queues["gold"].free
    assert world.closed(caller).agent == "14"
    assert refusal(world.login("14", "1004")) == Refusal.UNKNOWN_AGENT


def test_an_agent_moved_to_another_queue_takes_its_callers() -> None:
    world = World()
    world.login("14", "1004")
    caller = world.call("200")
    world.run()
    assert not world.ringing()
    world.publish([AgentDefinition("14", "Di", ("help",), pin_hash="4444")])
    world.run()
    assert world.ringing() == {"14": caller}
    told = [(m.queues, m.present) for m in world.commands(do.SetFallbackMember)]
    assert told[-2:] == [(("gold",), False), (("help",), True)]


def test_a_phone_in_a_call_that_is_not_ours_is_not_rung() -> None:
    world = World()
    world.login("14", "1004")
    world.receive(seen.PhonesSeen(world.now, frozenset({"1004"})))
    assert world.agent("14").activity is Activity.ELSEWHERE
    caller = world.call("300")
    world.run()
    assert not world.ringing()
    world.receive(seen.PhonesSeen(world.now, frozenset()))
    assert world.ringing() == {"14": caller}


def test_a_phone_taken_while_it_is_offered_counts_once_the_offer_is_over() -> None:
    world = World()
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    world.receive(seen.PhonesSeen(world.now, frozenset({"1004"})))
    world.hang_up(caller)
    world.call("300")
    world.run()
    assert world.agent("14").activity is Activity.ELSEWHERE
    assert not world.ringing()


def test_every_state_is_recorded_with_its_beginning_and_end() -> None:
    world = World()
    start = world.now
    world.pass_time(5.0)
    world.login("14", "1004")
    world.pass_time(10.0)
    world.ask(seen.AgentNotReadyRequested, agent="14", reason="break")
    world.pass_time(20.0)
    world.ask(seen.AgentLogoutRequested, agent="14")
    mine = [r for r in world.records if isinstance(r, AgentState) and r.agent == "14"]
    assert [(r.presence, r.reason, r.since - start, r.at - start) for r in mine] == [
        ("logged_out", "", 0.0, 5.0),
        ("ready", "", 5.0, 15.0),
        ("not_ready", "break", 15.0, 35.0),
    ]


@pytest.mark.parametrize("request_type", [seen.AgentReadyRequested, seen.AgentLogoutRequested])
def test_a_request_without_an_asker_gets_no_reply(request_type: type[seen.Request]) -> None:
    world = World()
    world.receive(request_type(at=world.now, request="", by="x", agent="11"))  # type: ignore[call-arg]
    assert not world.replies
