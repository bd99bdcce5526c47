"""Who takes whom: each strategy against a plain one, and agents of several queues."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.events import AgentDefinition
from callcenter.floor.plan import PhonePlan, QueuePlan, Strategy
from tests.floor import plans
from tests.floor.world import World

coin = st.booleans()
NUMBERS = ("11", "12", "13", "14", "15")


@dataclass
class Plain:
    """An agent as the reference sees him: three figures, written down when something happens."""

    idle_since: float = 0.0
    offered_at: float = 0.0
    calls: int = 0
    free: bool = False

    def rank(self, strategy: Strategy, number: str) -> tuple[float, float, str]:
        if strategy is Strategy.LONGEST_IDLE:
            return (self.idle_since, 0.0, number)
        if strategy is Strategy.ROUND_ROBIN:
            return (self.offered_at, self.idle_since, number)
        return (self.calls, self.idle_since, number)


def one_queue(strategy: Strategy) -> World:
    people = [AgentDefinition(n, n, ("gold",)) for n in NUMBERS]
    phones = {f"10{n}": PhonePlan(f"10{n}", "en") for n in NUMBERS}
    return World(plans.plan(QueuePlan("gold", "Gold", strategy=strategy), phones=phones), people)


@pytest.mark.parametrize("strategy", Strategy)
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
    talking: list[tuple[str, str]] = []
    for _ in range(data.draw(st.integers(1, 15))):
        world.pass_time(data.draw(st.sampled_from([0.5, 3.0])))
        if data.draw(coin) and talking:
            number, caller = talking.pop(0)
            world.hang_up(caller)
            world.run()
            plain[number].idle_since, plain[number].free = world.now, True
        free = [n for n in NUMBERS if plain[n].free]
        if not free:
            continue
        due = min(free, key=lambda n: plain[n].rank(strategy, n))
        caller = world.call("300")
        world.run()
        assert world.ringing() == {due: caller}
        plain[due].offered_at, plain[due].free = world.now, False
        if data.draw(coin):
            world.answer(world.leg_to(due))
            world.run()
            plain[due].calls += 1
            talking.append((due, caller))
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
