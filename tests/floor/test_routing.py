"""Who takes whom: each strategy against a plain one, and agents of several queues."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import OCCUPANCY_SECONDS
from callcenter.floor.events import AgentDefinition
from callcenter.floor.plan import PhonePlan, QueuePlan, Strategy
from callcenter.floor.routing import BY_CHANCE, drawn, mixed
from tests.floor import plans
from tests.floor.world import World

coin = st.booleans()
NUMBERS = ("11", "12", "13", "14", "15")


@dataclass
class Plain:
    """An agent as the reference sees him: figures written down when something happens."""

    idle_since: float = 0.0
    offered_at: float = 0.0
    calls: int = 0
    free: bool = False
    busy: list[tuple[float, float]] = field(default_factory=list)  # from, to

    def occupancy(self, now: float) -> float:
        """The integral of `routing.least_occupied`, piece by piece."""
        t = OCCUPANCY_SECONDS
        return sum(exp((to - now) / t) - exp((begun - now) / t) for begun, to in self.busy)

    def rank(self, strategy: Strategy, number: str, now: float) -> tuple[float, float, str]:
        if strategy is Strategy.LEAST_OCCUPIED:
            return (self.occupancy(now), self.idle_since, number)
        if strategy is Strategy.TOP_DOWN:
            return (0.0, 0.0, number)
        if strategy is Strategy.LONGEST_IDLE:
            return (self.idle_since, 0.0, number)
        if strategy is Strategy.ROUND_ROBIN:
            return (self.offered_at, self.idle_since, number)
        return (self.calls, self.idle_since, number)


def one_queue(strategy: Strategy) -> World:
    people = [AgentDefinition(n, n, ("gold",)) for n in NUMBERS]
    phones = {f"10{n}": PhonePlan(f"10{n}", "en") for n in NUMBERS}
    return World(plans.plan(QueuePlan("gold", "Gold", strategy=strategy), phones=phones), people)


@pytest.mark.parametrize("strategy", [s for s in Strategy if s not in BY_CHANCE | {Strategy.RING_ALL}])
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_every_pick_is_the_plain_ones(strategy: Strategy, data: st.DataObject) -> None:
    """Single calls one after the other; the rung agent answers or not, talks, and comes back."""
    world = one_queue(strategy)
    plain = {n: Plain() for n in NUMBERS}
    for number in data.draw(st.permutations(NUMBERS)):
        world.pass_time(1.0)
        world.login(number, f"10{number}")
        plain[number].idle_since, plain[number].free = world.now, True
    talking: list[tuple[str, str, float]] = []
    for _ in range(data.draw(st.integers(1, 15))):
        world.pass_time(data.draw(st.sampled_from([0.5, 3.0, 700.0])))
        if data.draw(coin) and talking:
            number, caller, since = talking.pop(0)
            plain[number].busy.append((since, world.now))
            world.hang_up(caller)
            world.run()
            plain[number].idle_since, plain[number].free = world.now, True
        free = [n for n in NUMBERS if plain[n].free]
        if not free:
            continue
        due = min(free, key=lambda n: plain[n].rank(strategy, n, world.now))
        caller = world.call("300")
        world.run()
        assert world.ringing() == {due: caller}
        plain[due].offered_at, plain[due].free = world.now, False
        if data.draw(coin):
            world.answer(world.leg_to(due))
            world.run()
            plain[due].calls += 1
            talking.append((due, caller, world.now))
        else:
            world.hang_up(caller)
            world.run()
            plain[due].free = True


def test_round_robin_passes_on_whether_answered_or_not() -> None:
    world = one_queue(Strategy.ROUND_ROBIN)
    for number in NUMBERS:
        world.login(number, f"10{number}")
    rung = []
    for _ in range(7):
        world.pass_time(1.0)
        caller = world.call("300")
        world.run()
        rung += list(world.ringing())
        world.hang_up(caller)
        world.run()
    assert rung == [*NUMBERS, "11", "12"]


def test_an_agent_of_several_queues_takes_the_caller_who_came_first() -> None:
    world = World()
    later_queue_first = world.call("300")
    world.pass_time(1.0)
    world.call("200")
    world.pass_time(1.0)
    world.call("300")
    world.run()
    world.login("13", "1003")
    world.run()
    assert world.ringing() == {"13": later_queue_first}


def test_callers_are_offered_in_the_order_of_their_arrival_not_of_their_coming() -> None:
    world = World()
    world.call("300")
    world.run()
    world.receive(seen.CallArrived(world.now + 1.0, "early", "1", "300", world.now - 10.0))
    world.login("14", "1004")
    assert world.commands(do.RingAgent)[-1].contact == "early"


# By chance.


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.floats(0, 1, exclude_max=True))
def test_a_draw_falls_on_each_in_proportion_to_his_weight(weights: list[int], draw: float) -> None:
    """Against the plain wheel of fortune: the first at whom the sum of the weights passes the draw."""
    free = sorted((0.0, -float(weight), 0.0, f"{n:02}") for n, weight in enumerate(weights))
    sums = list(accumulate(-key[1] for key in free))
    due = next((n for n, upto in enumerate(sums) if draw * sums[-1] < upto), len(free) - 1)
    assert drawn(free, draw) == free[due][3]


def test_a_draw_stays_among_the_preferred() -> None:
    free = [(-5.0, -1.0, 0.0, "a"), (-5.0, -1.0, 0.0, "b"), (-4.0, -9.0, 0.0, "c")]
    assert {drawn(free, n / 100) for n in range(100)} == {"a", "b"}


def test_the_draws_of_one_event_differ_and_are_uniform() -> None:
    draws = [mixed(0.25, f"c{n}", 0) for n in range(4000)]
    assert all(0.0 <= draw < 1.0 for draw in draws)
    assert max(abs(sum(low <= d < low + 0.1 for d in draws) / 400 - 1) for low in (0.0, 0.3, 0.9)) < 0.2
    assert mixed(0.25, "c1", 0) != mixed(0.25, "c1", 1) != mixed(0.5, "c1", 1)


@pytest.mark.parametrize(("strategy", "shares"), [("random", (1, 1, 1)), ("weighted_random", (1, 3, 6))])
def test_chance_shares_the_calls(strategy: str, shares: tuple[int, ...]) -> None:
    people = [
        AgentDefinition(n, n, ("gold",), weights={"gold": weight})
        for n, weight in zip(NUMBERS, (1, 3, 6), strict=False)
    ]
    phones = {f"10{n}": PhonePlan(f"10{n}", "en") for n in NUMBERS}
    world = World(plans.plan(QueuePlan("gold", "Gold", strategy=Strategy(strategy)), phones=phones), people)
    for each in people:
        world.login(each.number, f"10{each.number}")
    rung: Counter[str] = Counter()
    for _ in range(1500):
        world.pass_time(1.0)
        caller = world.call("300")
        world.run()
        rung.update([*world.ringing()])
        world.hang_up(caller)
        world.run()
    for number, share in zip(NUMBERS, shares, strict=False):
        assert rung[number] / 1500 == pytest.approx(share / sum(shares), abs=0.04)


def test_top_down_begins_with_those_whose_first_queue_it_is() -> None:
    people = [AgentDefinition("9", "A", ("help", "gold")), AgentDefinition("10", "B", ("gold", "help")),
              AgentDefinition("8", "C", ("gold",))]  # fmt: skip
    world = World(plans.plan(QueuePlan("gold", "Gold", strategy=Strategy.TOP_DOWN)), people)
    for each, phone in zip(people, plans.PHONES, strict=False):
        world.login(each.number, phone)
    for _ in people:
        world.call("300")
    world.run()
    assert [ring.agent for ring in world.commands(do.RingAgent)] == ["8", "10", "9"]
