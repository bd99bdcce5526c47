"""Callers and the agents who may take them: skills, widening rings, order, one agent first, missed offers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Presence
from callcenter.floor.events import AgentDefinition
from callcenter.floor.plan import QueuePlan, Ring, ServicePlan, Strategy
from callcenter.floor.skills import (
    ANYBODY,
    AllOf,
    AnyOf,
    Expression,
    Skill,
    Without,
    both,
    in_words,
    lacking,
    meets,
    names_in,
    preference,
)
from callcenter.floor.sticky import Regulars
from tests.floor import plans
from tests.floor.invariants import check
from tests.floor.world import World

CHINESE = Skill("chinese", 3)
levels = st.dictionaries(st.sampled_from(["chinese", "loans", "cards"]), st.integers(1, 10))
leaves = st.builds(Skill, st.sampled_from(["chinese", "loans", "cards"]), st.integers(1, 10))
expressions: st.SearchStrategy[Expression] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Without, inner),
    ),
    max_leaves=6,
)


def centre(people: dict[str, dict[str, int]], *queues: QueuePlan, **services: Any) -> World:
    """All agents in both `gold` (300) and `help` (200), logged in in this order; service changes by name."""
    definitions = [AgentDefinition(n, n, ("gold", "help"), skills=skills) for n, skills in people.items()]
    named = {s.name: replace(s, **services.get(s.name, {})) for s in plans.SERVICES}
    world = World(plans.plan(*queues, services=named), definitions)
    for number, phone in zip(people, plans.PHONES, strict=False):
        world.login(number, phone)
        world.pass_time(1.0)
    return world


def call(world: World, dnis: str = "300", ani: str = "138") -> str:
    caller = world.call(dnis, ani)
    world.run()
    return caller


def finish(world: World, caller: str) -> None:
    world.hang_up(caller)
    world.run()
    world.pass_time(30.0)


# Expressions.


@given(expressions, levels)
def test_an_expression_is_met_as_python_says(expression: Expression, skills: dict[str, int]) -> None:
    words = in_words(expression)
    for name in ("chinese", "loans", "cards"):
        words = words.replace(name, f"has_{name}")
    known = {f"has_{name}": skills.get(name, 0) for name in ("chinese", "loans", "cards")}
    assert meets(expression, skills) == bool(eval(words, {}, known))


@given(expressions, expressions, levels)
def test_both_asks_for_both_and_what_is_lacking_is_not_met(
    one: Expression, other: Expression, skills: dict[str, int]
) -> None:
    together = both(one, other)
    assert meets(together, skills) == (meets(one, skills) and meets(other, skills))
    assert names_in(together) == names_in(one) | names_in(other)
    assert bool(lacking(together, skills)) != meets(together, skills)
    assert not any(meets(part, skills) for part in lacking(together, skills))


@given(st.permutations(["chinese", "loans", "cards"]), levels, levels)
def test_preference_goes_by_the_first_skill_then_the_next(
    names: list[str], one: dict[str, int], other: dict[str, int]
) -> None:
    plain = [[-skills.get(name, 0) for name in names] for skills in (one, other)]
    ranks = [preference(tuple(names), skills) for skills in (one, other)]
    assert (ranks[0] < ranks[1]) == (plain[0] < plain[1])


# Who may take a call.


def test_only_those_with_the_skills_are_rung() -> None:
    world = centre({"11": {"chinese": 2}, "12": {"chinese": 3}}, replace(plans.GOLD, skills=CHINESE))
    first, second = call(world), call(world)
    assert world.ringing() == {"12": first}
    assert world.contact(second).state == "waiting"
    check(world)
    world.publish([replace(each, skills={"chinese": 9}) for each in world.people])
    assert world.ringing() == {"12": first, "11": second}


def test_a_number_may_ask_for_more_than_its_queue() -> None:
    """Two numbers of one queue: the later caller is served where the first cannot be."""
    world = centre(
        {"11": {"chinese": 5}}, replace(plans.GOLD, skills=CHINESE), always={"skills": Skill("loans", 2)}
    )
    asks_more, plain = call(world, "400"), call(world, "300")
    assert world.ringing() == {"11": plain}
    world.publish([AgentDefinition("11", "11", ("gold",), skills={"chinese": 5, "loans": 2})])
    world.hang_up(plain)
    world.run()
    assert world.ringing() == {"11": asks_more}


def test_the_highest_level_is_preferred_then_the_strategy_decides() -> None:
    people = {"11": {"chinese": 4}, "12": {"chinese": 7}, "13": {"chinese": 7}, "14": {}}
    queue = replace(plans.GOLD, strategy=Strategy.LONGEST_IDLE, prefer=("chinese",))
    world = centre(people, queue)
    for _ in people:
        call(world)
    assert [ring.agent for ring in world.commands(do.RingAgent)] == ["12", "13", "11", "14"]


def test_the_ring_widens_and_the_place_stays() -> None:
    rings = (Ring(30, Skill("chinese")), Ring(60, ANYBODY))
    world = centre({"11": {}}, replace(plans.GOLD, skills=CHINESE, rings=rings))
    first = call(world)
    world.pass_time(29.0)
    world.publish(
        [
            AgentDefinition("11", "11", ("gold",)),
            AgentDefinition("12", "12", ("gold",), skills={"chinese": 1}),
        ]
    )
    world.login("12", "1002")
    assert world.ringing() == {}
    world.pass_time(1.0)
    assert world.ringing() == {"12": first}
    assert "ring widened" in world.steps(first)
    second = call(world)
    world.pass_time(2.0)
    world.hang_up(world.leg_to("12"), 17)  # busy: not ready, the caller is back
    world.run()
    world.pass_time(27.0)
    assert world.ringing() == {}
    world.pass_time(1.0)
    assert world.ringing() == {"11": first}, f"{second} came later"


def test_rings_go_on_after_a_restart_and_under_a_new_plan() -> None:
    rings = (Ring(30, Skill("chinese")), Ring(60, ANYBODY))
    queue = replace(plans.GOLD, skills=CHINESE, rings=rings)
    world = centre({"11": {}}, queue)
    caller = call(world)
    world.pass_time(40.0)
    world.restart_engine()
    world.survey()
    world.run()
    assert world.contact(caller).widened == 1
    world.apply(
        replace(world.plan, queues={**world.plan.queues, "gold": replace(queue, rings=(Ring(45, ANYBODY),))})
    )
    assert world.ringing() == {}
    world.pass_time(5.0)
    assert world.ringing() == {"11": caller}


# The order of callers.


def test_a_head_start_counts_as_an_earlier_arrival() -> None:
    world = centre({}, always={"head_start_seconds": 10})
    long_waiting = call(world, "300")
    world.pass_time(11.0)
    late = call(world, "300")
    world.pass_time(5.0)
    ahead = call(world, "400")
    assert world.floor.scene.queues["gold"].waiting_ids() == [long_waiting, ahead, late]


def test_a_head_start_survives_the_loss_of_redis() -> None:
    world = centre({}, always={"head_start_seconds": 10})
    caller = call(world, "400")
    world.contact(caller).head_start = 40.0  # given by somebody while he waits
    world.legs[caller].head_start = 40.0
    world.restart_engine(empty=True)
    world.survey()
    assert world.contact(caller).head_start == 40.0


def test_the_weight_of_a_queue_counts_for_agents_of_several() -> None:
    world = centre({"11": {}}, replace(plans.GOLD, weight_seconds=10), replace(plans.HELP))
    world.ask(seen.AgentNotReadyRequested, agent="11", reason="break")
    first = call(world, "200")
    world.pass_time(9.0)
    heavier = call(world, "300")
    world.ask(seen.AgentReadyRequested, agent="11")
    assert world.ringing() == {"11": heavier}
    world.hang_up(heavier)
    world.run()
    assert world.ringing() == {"11": first}


STARTS = {"100": 0, "200": 7, "300": 30}
MIXED = plans.plan(
    QueuePlan("gold", "Gold", ring_seconds=3600),
    QueuePlan("help", "Help", ring_seconds=3600, weight_seconds=5),
    services={
        number: ServicePlan(number, (number,), queue, "en", head_start_seconds=start)
        for (number, start), queue in zip(STARTS.items(), ("gold", "gold", "help"), strict=True)
    },
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(STARTS)), st.integers(0, 20), st.booleans()), max_size=40))
def test_nobody_is_overtaken_by_one_who_came_later_than_the_largest_head_start(
    arrivals: list[tuple[str, int, bool]],
) -> None:
    """The bound of `routing`: largest head start and weight, 35 s here."""
    world = World(MIXED, [AgentDefinition("11", "11", ("gold", "help"))])
    world.login("11", "1001")
    came: dict[str, float] = {}

    def serve() -> None:
        for caller in world.ringing().values():
            world.answer(world.leg_to("11"))
            world.run()
            world.hang_up(caller)
            world.run()

    for number, seconds, freed in arrivals:
        world.pass_time(float(seconds))
        came[call(world, number)] = world.now
        if freed:
            serve()
    while world.ringing():
        serve()
    rung = [ring.contact for ring in world.commands(do.RingAgent)]
    assert sorted(rung) == sorted(came), "everybody is served, once"
    for index, first in enumerate(rung):
        for later in rung[index + 1 :]:
            assert came[first] < came[later] + 35.0, f"{first} overtook {later}"


# One agent first.


STICKY = replace(plans.GOLD, sticky_seconds=20)


def talk(world: World, caller: str) -> str:
    [(agent, rung_for)] = world.ringing().items()
    assert rung_for == caller
    world.answer(world.leg_to(agent))
    world.run()
    return agent


def test_a_caller_comes_back_to_his_agent() -> None:
    world = centre({"11": {}, "12": {}, "13": {}}, STICKY)
    first = call(world, ani="138")
    his = talk(world, first)
    finish(world, first)
    other = call(world, ani="139")
    assert talk(world, other) != his
    finish(world, other)
    for restarted in (False, True):
        if restarted:
            world.restart_engine()
            world.survey()
            world.run()
        again = call(world, ani="138")
        assert talk(world, again) == his
        finish(world, again)


def test_he_waits_for_his_agent_and_then_takes_anybody() -> None:
    world = centre({"11": {}, "12": {}}, STICKY, always={"agent": "11"})
    busy = call(world, "400")
    assert talk(world, busy) == "11"
    waits = call(world, "400")
    assert world.ringing() == {}
    assert world.contact(waits).held_for == "11"
    check(world)
    anybody = call(world, "300")
    assert world.ringing() == {"12": anybody}, "the others go on"
    world.hang_up(anybody)
    world.run()
    world.pass_time(19.9)
    assert world.ringing() == {}
    world.pass_time(0.1)
    assert world.ringing() == {"12": waits}


def test_his_agent_is_rung_as_soon_as_he_is_free() -> None:
    world = centre({"11": {}, "12": {}}, STICKY, always={"agent": "11"})
    busy = call(world, "400")
    talk(world, busy)
    waits = call(world, "400")
    world.hang_up(busy)
    world.run()
    assert world.ringing() == {"11": waits}
    world.hang_up(world.leg_to("11"), 17)
    world.run()
    assert world.ringing() == {"12": waits}, "he did not take it: anybody may"


@pytest.mark.parametrize(
    "why", ["logged out", "not ready", "of another queue", "without the skill", "unknown"]
)
def test_nobody_waits_for_an_agent_who_cannot_come(why: str) -> None:
    queue = replace(STICKY, skills=Skill("chinese"))
    world = centre({"11": {"chinese": 1}, "12": {"chinese": 1}}, queue, always={"agent": "11"})
    match why:
        case "logged out":
            world.ask(seen.AgentLogoutRequested, agent="11")
        case "not ready":
            world.ask(seen.AgentNotReadyRequested, agent="11", reason="break")
        case "of another queue":
            world.publish([replace(world.people[0], queues=("help",)), *world.people[1:]])
        case "without the skill":
            world.publish([replace(world.people[0], skills={}), *world.people[1:]])
        case _:
            world.publish(world.people[1:])
    caller = call(world, "400")
    assert world.ringing() == {"12": caller}


@pytest.mark.parametrize("how", ["logs out", "takes a break", "leaves the queue", "is removed"])
def test_nobody_goes_on_waiting_for_an_agent_who_goes(how: str) -> None:
    world = centre({"11": {}, "12": {}}, STICKY, always={"agent": "11"})
    talks = call(world, "200")
    world.answer(world.leg_to("11"))
    world.run()
    waits = call(world, "400")
    assert (world.ringing(), world.contact(waits).held_for) == ({}, "11")
    match how:
        case "logs out":
            world.ask(seen.AgentLogoutRequested, agent="11")
            world.hang_up(talks)
        case "takes a break":
            world.ask(seen.AgentNotReadyRequested, agent="11", reason="break")
        case "leaves the queue":
            world.publish([replace(world.people[0], queues=("help",)), *world.people[1:]])
        case _:
            world.publish(world.people[1:])
            world.hang_up(talks)
    world.run()
    assert world.ringing() == {"12": waits}
    check(world)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(11, 13)), max_size=40))
def test_regulars_are_bounded_and_come_back_from_what_was_saved(calls: list[tuple[int, int]]) -> None:
    regulars, meta = Regulars(5), {"people_version": "7"}
    last: dict[str, str] = {}
    for ani, agent in calls:
        name, text = regulars.remember(f"13{ani}", str(agent))
        meta[name] = text
        last.pop(f"13{ani}", None)
        last[f"13{ani}"] = str(agent)
        again = Regulars(5)
        again.restore(meta)
        plain = list(last.items())[-5:]
        assert [*regulars.callers().items()] == plain
        assert set(again.callers().items()) <= set(plain)
        assert again.agent_of(f"13{ani}") == str(agent)
    assert len(meta) <= 6


# Missed offers.


def miss(world: World, agent: str) -> None:
    world.hang_up(world.leg_to(agent), 17)
    world.run()


def test_so_many_misses_in_a_row_set_an_agent_not_ready() -> None:
    world = centre({"11": {}}, replace(plans.GOLD, misses=2, retry_after_seconds=7))
    caller = call(world)
    miss(world, "11")
    assert world.agent("11").presence is Presence.READY
    assert world.ringing() == {}
    world.pass_time(6.9)
    assert world.ringing() == {}
    world.pass_time(0.1)
    assert world.ringing() == {"11": caller}
    miss(world, "11")
    assert (world.agent("11").presence, world.agent("11").reason) == (Presence.NOT_READY, "busy")


def test_an_answer_begins_the_count_anew() -> None:
    world = centre({"11": {}}, replace(plans.GOLD, misses=2))
    for _ in range(3):
        caller = call(world)
        miss(world, "11")
        world.pass_time(5.0)
        talk(world, caller)
        finish(world, caller)
    assert world.agent("11").presence is Presence.READY


def test_misses_0_never_sets_anybody_not_ready() -> None:
    world = centre({"11": {}}, replace(plans.GOLD, misses=0))
    call(world)
    for _ in range(5):
        miss(world, "11")
        world.pass_time(5.0)
    assert world.agent("11").presence is Presence.READY
    miss(world, "11")
    world.ask(seen.AgentReadyRequested, agent="11")
    assert world.ringing(), "an agent who says he is ready is not left alone any longer"


def test_whoever_is_left_alone_does_not_keep_others_from_the_call() -> None:
    world = centre({"11": {}, "12": {}}, replace(plans.GOLD, misses=0))
    caller = call(world)
    missed = next(iter(world.ringing()))
    miss(world, missed)
    [(other, rung_for)] = world.ringing().items()
    assert (other != missed, rung_for) == (True, caller)
    check(world)
