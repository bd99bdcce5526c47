"""After a lost connection, a crash at any point or an empty Redis: Asterisk is the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import ContactState
from callcenter.floor.events import Failure
from callcenter.floor.plan import QueuePlan
from callcenter.floor.records import Outcome
from tests.floor import plans
from tests.floor.invariants import check
from tests.floor.world import World


def busy_floor() -> tuple[World, str, list[str]]:
    """One caller talks with 14, three wait for gold."""
    world = World()
    world.login("14", "1004")
    talker = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    waiting = []
    for _ in range(3):
        world.pass_time(1.0)
        waiting.append(world.call("300"))
    world.run()
    return world, talker, waiting


def gold(world: World) -> list[str]:
    return [contact for _, contact in world.floor.scene.queues["gold"].waiting]


@pytest.mark.parametrize("empty", [False, True], ids=["from Redis", "from Asterisk alone"])
def test_a_restart_cuts_nobody_off_and_keeps_every_place(empty: bool) -> None:
    world, talker, waiting = busy_floor()
    legs = set(world.legs)
    world.restart_engine(empty=empty)
    world.survey()
    world.run()
    assert set(world.legs) == legs
    assert gold(world) == waiting
    assert world.contact(talker).state is ContactState.TALKING
    assert world.agent("14").activity is Activity.TALKING
    assert world.agent("14").phone == "1004"
    assert len(world.bridges) == 1
    world.hang_up(talker)
    world.run()
    assert world.closed(talker).outcome is Outcome.ANSWERED
    assert world.ringing() == {"14": waiting[0]}


def test_nothing_is_offered_before_the_survey() -> None:
    world, _, _ = busy_floor()
    world.restart_engine()
    world.login("13", "1003")
    assert not world.ringing()
    world.survey()
    world.run()
    assert list(world.ringing()) == ["13"]


def test_calls_of_the_gap_are_taken_in() -> None:
    world = World()
    world.lose()
    caller = world.call("300")
    world.run()
    assert not world.floor.scene.contacts
    world.survey()
    world.run()
    assert gold(world) == [caller]


def test_who_hung_up_in_the_gap_is_abandoned() -> None:
    world, talker, waiting = busy_floor()
    world.lose()
    world.hang_up(waiting[0])
    world.hang_up(talker)
    world.pass_time(6.0)
    world.survey()
    world.run()
    assert world.closed(waiting[0]).outcome is Outcome.ABANDONED
    assert world.closed(talker).outcome is Outcome.ANSWERED
    assert world.ringing() == {"14": waiting[1]}


def test_an_agent_who_hung_up_in_the_gap_is_free() -> None:
    world, talker, waiting = busy_floor()
    world.lose()
    world.hang_up(world.leg_to("14"))
    world.survey()
    world.run()
    assert talker not in world.legs
    assert world.ringing() == {"14": waiting[0]}


def test_an_answer_of_the_gap_is_connected() -> None:
    world = World()
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    world.lose()
    world.answer(world.leg_to("14"))
    world.survey()
    world.run()
    assert world.bridges == {world.contact(caller).bridge: {caller, world.leg_to("14")}}


def test_asterisk_restarted_closes_everything_truly() -> None:
    world, talker, waiting = busy_floor()
    world.pass_time(30.0)
    world.restart_asterisk()
    world.survey()
    world.run()
    assert not world.floor.scene.contacts
    assert world.closed(talker).outcome is Outcome.ANSWERED
    assert world.closed(talker).ended_by == "switch"
    assert {world.closed(c).outcome for c in waiting} == {Outcome.LOST}
    assert world.floor.scene.is_free(world.agent("14"))
    check(world)


CRASHES: dict[str, Callable[[World, dict[str, str]], object]] = {
    "at the arrival": lambda w, _: w.call("300"),
    "at the offer": lambda w, _: w.login("13", "1003"),
    "at the answer": lambda w, legs: w.answer(legs["13"]),
    "at the hang-up of the caller": lambda w, legs: w.hang_up(legs["caller"]),
    "at the hang-up of the agent": lambda w, legs: w.hang_up(legs["13"]),
    "at the end of the ringing": lambda w, legs: w.hang_up(legs["13"], 19),
}


@pytest.mark.parametrize("step", CRASHES)
def test_a_crash_between_saving_and_acting(step: str) -> None:
    world = World()
    legs: dict[str, str] = {}
    for name, act in CRASHES.items():
        world.crash_next = name == step
        made = act(world, legs)
        if isinstance(made, str):
            legs["caller"] = made
        world.run()
        if name == step:
            world.crash_next = False
            world.survey()
            world.run()
        check(world)
        legs.update({leg.agent: leg.id for leg in world.agent_legs()})
    for leg in list(world.legs):
        world.hang_up(leg)
    world.pass_time(60.0)
    assert not world.legs
    assert not world.floor.scene.contacts
    world.closed(legs["caller"])


def test_the_fallbacks_callers_come_back_in_the_order_they_came() -> None:
    world = World()
    world.login("14", "1004")
    world.ask(seen.AgentNotReadyRequested, agent="14", reason="break")
    world.login("13", "1003")
    world.lose()
    first = world.call_fallback("300")
    world.pass_time(1.0)
    second = world.call_fallback("300")
    world.legs = dict(reversed(world.legs.items()))  # Asterisk lists channels in no order
    world.survey()
    assert [t.leg for t in world.commands(do.TakeFromFallback)] == [first, second]
    assert world.members["1003"].paused, "before they are fetched"
    world.run()
    assert world.ringing() == {"13": first}
    assert not world.commands(do.PlayPrompts), "they were greeted before"
    world.pass_time(5.0)
    assert not world.members["1003"].paused
    assert world.members["1004"].paused


def test_a_fetch_that_fails_does_not_stop_the_floor() -> None:
    world = World()
    world.lose()
    world.call_fallback("300")
    world.fail_next(do.TakeFromFallback, Failure.AWAY)
    world.survey()
    world.run()
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    assert world.ringing() == {"14": caller}


def test_an_agent_who_talks_through_the_fallback_is_busy() -> None:
    world = World()
    world.login("14", "1004")
    world.lose()
    dialled = world.dial("1004", "5551234")
    world.legs[dialled].in_app, world.legs[dialled].application = False, "Dial"
    world.survey()
    world.call("300")
    world.run()
    assert world.agent("14").activity is Activity.ELSEWHERE
    assert not world.ringing()


def test_free_agents_are_picked_by_the_strategy_after_a_restart_too() -> None:
    world = World(people=[seen.AgentDefinition(n, n, ("gold",)) for n in ("11", "12", "13")])
    world.apply(plans.plan(QueuePlan("gold", "Gold")))
    for number, phone in (("13", "1003"), ("11", "1001"), ("12", "1002")):
        world.pass_time(1.0)
        world.login(number, phone)
    world.lose()
    caller = world.call("300")
    world.survey()
    world.run()
    assert world.ringing() == {"13": caller}, "13 is idle longest"


def test_a_site_without_the_queue_of_a_saved_caller() -> None:
    world = World()
    caller = world.call("200")
    world.run()
    plan = plans.plan()
    world.plan = replace(
        plan,
        queues={n: q for n, q in plan.queues.items() if n != "help"},
        services={n: s for n, s in plan.services.items() if n != "help"},
    )
    world.restart_engine()
    world.survey()
    world.run()
    world.login("13", "1003")
    world.run()
    assert world.ringing() == {"13": caller}


def test_a_bridge_of_nobody_is_destroyed() -> None:
    world = World()
    world.bridges["c9~b1"] = set()
    world.survey()
    world.run()
    assert not world.bridges


def test_offers_after_a_rebuild_never_take_the_number_of_an_old_one() -> None:
    world = World()
    world.login("13", "1003")
    caller = world.call("300")
    world.run()
    old = world.leg_to("13")
    world.restart_engine(empty=True)
    world.login("13", "1003")
    world.survey()
    world.run()
    assert world.ringing() == {"13": caller}
    assert world.leg_to("13") != old


def test_wrapup_goes_on_over_a_restart() -> None:
    world = World(plans.plan(replace(plans.GOLD, wrapup_seconds=30)))
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    world.hang_up(caller)
    world.pass_time(10.0)
    world.restart_engine()
    world.survey()
    world.pass_time(19.9)
    assert world.agent("14").activity is Activity.WRAPUP
    world.pass_time(0.1)
    assert world.agent("14").activity is Activity.IDLE
    assert world.agent("14").presence is Presence.READY


@pytest.mark.parametrize("when", ["waiting", "offered"])
def test_a_snapshot_from_before_the_conversation_cuts_nobody_off(when: str) -> None:
    world = World()
    caller = world.call("300")
    waiting = world.call("300")
    world.run()
    if when == "waiting":
        world.redis_leaves()
    world.login("14", "1004")
    world.run()
    if when == "offered":
        world.redis_leaves()
    world.answer(world.leg_to("14"))
    world.run()
    pair = dict(world.bridges)
    world.restart_outdated()
    world.survey()
    world.run()
    assert world.bridges == pair
    assert world.contact(caller).state is ContactState.TALKING
    assert gold(world) == [waiting]
    check(world)


def test_a_feature_code_call_of_before_the_crash_is_hung_up() -> None:
    world = World()
    leg = world.dial("1001", "*11")
    world.run()
    world.restart_engine()
    world.survey()
    world.run()
    assert leg not in world.legs
    check(world)
