"""All free agents ring, the first answer wins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.floor import commands as do
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import ContactState
from callcenter.floor.events import AgentDefinition, Failure
from callcenter.floor.plan import Strategy
from callcenter.floor.skills import Skill
from tests.floor import plans
from tests.floor.invariants import check, is_empty
from tests.floor.world import World

NUMBERS = ("11", "12", "13")
QUEUE = replace(plans.GOLD, strategy=Strategy.RING_ALL, ring_seconds=20, retry_after_seconds=5)


@pytest.fixture
def world() -> World:
    world = World(plans.plan(QUEUE), [AgentDefinition(n, n, ("gold",)) for n in NUMBERS])
    for number, phone in zip(NUMBERS, plans.PHONES, strict=False):
        world.login(number, phone)
        world.pass_time(1.0)
    return world


def ring(world: World) -> str:
    caller = world.call("300")
    world.run()
    assert world.ringing() == dict.fromkeys(NUMBERS, caller)
    check(world)
    return caller


@pytest.mark.parametrize("winner", NUMBERS)
def test_the_first_answer_wins_and_the_others_stop(world: World, winner: str) -> None:
    caller = ring(world)
    world.answer(world.leg_to(winner))
    world.run()
    check(world)
    assert world.ringing() == {}
    assert (world.contact(caller).state, world.contact(caller).agent) == (ContactState.TALKING, winner)
    assert world.agent(winner).activity is Activity.TALKING
    for number in NUMBERS:
        assert (world.agent(number).presence, world.agent(number).missed_in_row) == (Presence.READY, 0)
    second = world.call("300")
    world.run()
    assert world.ringing() == {n: second for n in NUMBERS if n != winner}, "the losers are free at once"
    world.hang_up(caller)
    world.hang_up(second)
    world.run()
    assert world.closed(caller).agent == winner
    is_empty(world)


def test_two_answer_at_the_same_moment(world: World) -> None:
    caller = ring(world)
    world.answer(world.leg_to("12"))
    world.answer(world.leg_to("13"))
    world.run()
    check(world)
    assert world.contact(caller).agent == "12"
    assert [leg.agent for leg in world.agent_legs()] == ["12"]
    assert world.agent("13").activity is Activity.IDLE


def test_the_caller_gives_up(world: World) -> None:
    caller = ring(world)
    world.hang_up(caller)
    world.run()
    assert world.ringing() == {}
    assert all(world.agent(n).presence is Presence.READY for n in NUMBERS)
    is_empty(world)


def test_a_busy_phone_is_that_agents_own_miss(world: World) -> None:
    caller = ring(world)
    for number in ("11", "13"):
        world.hang_up(world.leg_to(number), 17)
        world.run()
        check(world)
        assert (world.agent(number).presence, world.agent(number).reason) == (Presence.NOT_READY, "busy")
    assert world.ringing() == {"12": caller}
    world.hang_up(world.leg_to("12"), 21)
    world.run()
    assert world.contact(caller).state is ContactState.WAITING


@pytest.mark.parametrize("who", ["our timer", "their phones"])
def test_when_nobody_answers_nobody_is_to_blame_and_all_ring_again(world: World, who: str) -> None:
    caller = ring(world)
    if who == "our timer":
        world.pass_time(20.0)
    else:
        for number in NUMBERS:
            world.hang_up(world.leg_to(number), 19)
            world.run()
    check(world)
    assert world.ringing() == {}
    assert all(world.agent(n).presence is Presence.READY for n in NUMBERS)
    world.pass_time(4.9)
    assert world.ringing() == {}
    world.pass_time(0.1)
    assert world.ringing() == dict.fromkeys(NUMBERS, caller)


def test_a_phone_that_cannot_be_rung_keeps_nobody_else_from_it(world: World) -> None:
    world.fail_next(do.RingAgent, Failure.FAILED)
    caller = world.call("300")
    world.run()
    check(world)
    assert world.ringing() == {"12": caller, "13": caller}
    assert world.agent("11").reason == "unreachable"


@pytest.mark.parametrize("answered", ["", "11", "13"])
@pytest.mark.parametrize("empty", [False, True])
def test_an_engine_that_dies_while_all_ring(world: World, answered: str, empty: bool) -> None:
    caller = ring(world)
    if answered:
        world.legs[world.leg_to(answered)].up = world.legs[world.leg_to(answered)].in_app = True
    world.restart_engine(empty=empty)
    world.survey()
    world.run()
    check(world)
    if empty:
        assert world.contact(caller).state in (ContactState.WAITING, ContactState.OFFERED)
        return
    contact = world.contact(caller)
    if answered:
        assert (contact.state, contact.agent) == (ContactState.TALKING, answered)
    else:
        assert contact.state is ContactState.OFFERED
        assert world.ringing() == {contact.agent: caller}
    assert all(world.agent(n).presence is Presence.READY for n in NUMBERS)


def test_whoever_becomes_free_rings_along(world: World) -> None:
    first = ring(world)
    world.answer(world.leg_to("11"))
    world.run()
    second = world.call("300")
    world.run()
    assert world.ringing() == {"12": second, "13": second}
    world.pass_time(5.0)
    world.hang_up(first)
    world.run()
    assert world.ringing() == dict.fromkeys(NUMBERS, second)
    check(world)
    world.pass_time(15.0)
    assert world.ringing() == {}, "the caller's ringing began with the others'"


def test_only_those_with_the_skills_ring() -> None:
    queue = replace(QUEUE, skills=Skill("chinese"))
    people = [AgentDefinition(n, n, ("gold",), skills={"chinese": 1} if n != "12" else {}) for n in NUMBERS]
    world = World(plans.plan(queue), people)
    for number, phone in zip(NUMBERS, plans.PHONES, strict=False):
        world.login(number, phone)
    caller = world.call("300")
    world.run()
    assert world.ringing() == {"11": caller, "13": caller}
