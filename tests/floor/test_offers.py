"""A caller and an agent: the offer, what can become of it, and what both are left with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import ContactState
from callcenter.floor.events import Failure
from callcenter.floor.records import Outcome
from tests.floor import plans
from tests.floor.asterisk import Leg
from tests.floor.world import World


def with_agent(number: str = "14", phone: str = "1004") -> World:
    world = World()
    world.login(number, phone)
    return world


def talking() -> tuple[World, str]:
    world = with_agent()
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    return world, caller


def test_a_caller_is_offered_at_once_to_a_free_agent() -> None:
    world = with_agent()
    caller = world.call("300", ani="13912345678")
    world.run()
    (ring,) = world.commands(do.RingAgent)
    assert (ring.agent, ring.phone, ring.contact, ring.ani) == ("14", "1004", caller, "13912345678")
    assert not world.commands(do.AnswerLeg), "he rings while the agent's phone does"
    assert world.agent("14").activity is Activity.OFFERED


def test_both_are_joined_when_the_agent_answers_and_the_wait_is_counted() -> None:
    world = with_agent()
    caller = world.call("300")
    world.pass_time(7.0)
    world.answer(world.leg_to("14"))
    world.run()
    assert world.bridges == {world.contact(caller).bridge: {caller, world.leg_to("14")}}
    assert world.legs[caller].up
    world.pass_time(60.0)
    world.hang_up(caller)
    world.run()
    closed = world.closed(caller)
    assert (closed.outcome, closed.agent, closed.ended_by) == (Outcome.ANSWERED, "14", "caller")
    assert (closed.wait_seconds, closed.talk_seconds, closed.offers) == (7.0, 60.0, 1)
    assert world.steps(caller) == ["arrived", "queued", "offered", "connected", "answered"]
    assert not world.legs
    assert not world.bridges


def test_the_agent_hangs_up_and_is_free_at_once() -> None:
    world, caller = talking()
    world.hang_up(world.leg_to("14"))
    world.run()
    assert world.closed(caller).ended_by == "agent"
    assert world.floor.scene.is_free(world.agent("14"))
    assert not world.legs


@pytest.mark.parametrize(
    ("cause", "reason"),
    [(19, "no-answer"), (17, "busy"), (21, "rejected"), (20, "unreachable"), (38, "unreachable")],
)
def test_an_agent_who_does_not_take_it_is_not_ready_and_the_caller_keeps_the_place(
    cause: int, reason: str
) -> None:
    world = with_agent()
    first = world.call("300")
    world.pass_time(1.0)
    second = world.call("300")
    world.run()
    world.hang_up(world.leg_to("14"), cause)
    world.run()
    agent = world.agent("14")
    assert (agent.presence, agent.reason, agent.activity) == (Presence.NOT_READY, reason, Activity.IDLE)
    assert [c for _, c in world.floor.scene.queues["gold"].waiting] == [first, second]
    world.login("13", "1003")
    world.run()
    assert world.ringing() == {"13": first}


def test_the_ring_limit_withdraws_the_offer() -> None:
    world = with_agent()
    caller = world.call("300")
    world.pass_time(20.0)
    assert world.agent("14").reason == "no-answer"
    assert world.contact(caller).state is ContactState.WAITING
    assert not world.agent_legs()


def test_a_phone_that_cannot_be_rung() -> None:
    world = with_agent()
    world.fail_next(do.RingAgent, Failure.REFUSED)
    caller = world.call("300")
    world.run()
    assert world.agent("14").reason == "unreachable"
    assert world.contact(caller).state is ContactState.WAITING


def test_a_leg_answered_after_its_offer_was_given_up_is_hung_up() -> None:
    world = with_agent()
    caller = world.call("300")
    world.run()
    leg = world.leg_to("14")
    world.receive(seen.LegHungUp(world.now, caller))
    world.legs[leg] = Leg(
        leg, f"PJSIP/1004-{leg}", phone="1004", agent="14", up=True
    )  # answered in the same instant
    world.receive(seen.LegAnswered(world.now, leg))
    assert leg not in world.legs
    assert world.closed(caller).outcome is Outcome.SHORT_ABANDONED


def test_a_caller_who_hangs_up_while_the_phone_rings_frees_the_agent_without_blame() -> None:
    world = with_agent()
    caller = world.call("300")
    world.pass_time(6.0)
    world.hang_up(caller)
    world.run()
    assert world.closed(caller).outcome is Outcome.ABANDONED
    assert world.agent("14").presence is Presence.READY
    assert world.floor.scene.is_free(world.agent("14"))


def test_an_agent_whose_phone_is_still_being_hung_up_is_not_offered() -> None:
    world = with_agent()
    first = world.call("300")
    world.run()
    second = world.call("300")
    world.hang_up(first)
    while world.pending and not isinstance(world.pending[0], seen.LegHungUp):
        world.deliver()
    world.deliver()  # the caller is gone; the phone's own end is still to be told
    assert world.agent("14").leg
    assert second not in world.ringing().values()
    world.run()
    assert world.ringing() == {"14": second}


def test_legs_that_cannot_be_joined_put_the_caller_back() -> None:
    world = with_agent()
    world.fail_next(do.ConnectLegs, Failure.FAILED)
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    assert world.steps(caller)[-2:] == ["could not be joined", "offered"]
    assert world.ringing() == {"14": caller}
    world.answer(world.leg_to("14"))
    world.run()
    assert world.bridges == {world.contact(caller).bridge: {caller, world.leg_to("14")}}


def test_a_caller_gone_unseen_is_noticed_by_the_next_command() -> None:
    world = World()
    caller = world.call("300")
    del world.legs[caller]  # and Asterisk never said so
    world.run()
    assert world.closed(caller).outcome is Outcome.SHORT_ABANDONED
    assert not world.floor.scene.contacts


def test_two_callers_and_one_agent_at_the_same_instant() -> None:
    world = with_agent()
    first, second = world.call("300"), world.call("300")
    world.run()
    assert world.ringing() == {"14": first}
    assert world.contact(second).state is ContactState.WAITING


def test_everything_twice_changes_nothing_more() -> None:
    world = with_agent()
    for _ in range(2):
        world.pass_time(1.0)
        caller = world.call("300")
        deliver_twice(world)
        world.answer(world.leg_to("14"))
        deliver_twice(world)
        world.hang_up(caller)
        deliver_twice(world)
        assert world.closed(caller).outcome is Outcome.ANSWERED
    assert world.agent("14").calls_taken == 2
    assert world.oddities == []
    assert not world.legs


def deliver_twice(world: World) -> None:
    while world.pending:
        event = world.pending[0]
        world.deliver()
        if not isinstance(event, seen.CallArrived) or event.contact in world.legs:
            world.receive(event)


def test_a_caller_sent_away_by_an_operator_is_recorded_and_the_agent_freed() -> None:
    world, caller = talking()
    world.legs[caller].in_app = False
    world.receive(seen.LegLeft(world.now, caller))
    world.run()
    assert world.closed(caller).outcome is Outcome.LEFT
    assert world.floor.scene.is_free(world.agent("14"))
    assert list(world.legs) == [caller], "his leg is the operator's now"


def test_wrapup_ends_by_itself() -> None:
    world = World(plans.plan(replace(plans.GOLD, wrapup_seconds=10)))
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    world.hang_up(caller)
    waiting = world.call("300")
    world.pass_time(9.9)
    assert world.agent("14").activity is Activity.WRAPUP
    assert not world.ringing()
    world.pass_time(0.1)
    assert world.ringing() == {"14": waiting}


def test_wrapup_is_ended_by_the_agent() -> None:
    world = World(plans.plan(replace(plans.GOLD, wrapup_seconds=600)))
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    world.hang_up(caller)
    world.run()
    reply = world.ask(seen.WrapupEndRequested, agent="14")
    assert reply is not None
    assert reply.ok
    assert world.floor.scene.is_free(world.agent("14"))
    assert not world.saved.timers
