"""After any sequence of events, whatever is lost, late, repeated or failing, the floor is right.

Each example is a list of steps; `walk` checks every invariant after every step (invariants.py) and, when
all have gone home, that nothing is left.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.floor.records import ContactClosed, ContactStep
from tests.floor.walk import ALL, MOST, ORDINARY, TROUBLE, random_steps, shortest, walk
from tests.floor.world import World

QUICK = settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
LONG = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))

numbers = st.integers(0, 15)


def steps_of(names: list[str], longest: int) -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(st.tuples(st.sampled_from(names), numbers), max_size=longest)


anything = steps_of([*ALL, *MOST, *MOST, "deliver all"], 60)
calm = steps_of([*ORDINARY, *MOST], 60)
trouble_at_the_end = st.builds(
    lambda before, bad, after: [*before, *bad, *after],
    steps_of([*ORDINARY, *MOST, "deliver all", "deliver all"], 25),
    steps_of(list(TROUBLE), 5),
    steps_of([*ALL, "survey", "deliver all"], 15),
)


@QUICK
@given(anything)
def test_anything(steps: list[tuple[str, int]]) -> None:
    walk(steps)


@QUICK
@given(trouble_at_the_end)
def test_trouble(steps: list[tuple[str, int]]) -> None:
    walk(steps)


def take(seed: int, *, calm: bool = False) -> World:
    """One random walk; a failing one is told as the few steps that matter."""
    steps = random_steps(seed, calm=calm)
    try:
        return walk(steps, calm=calm)
    except Exception as error:
        pytest.fail(f"seed {seed}: {error!r}; walk({shortest(steps, calm=calm)}, calm={calm})")


def nothing_odd(world: World) -> None:
    assert world.oddities == []
    arrived = [r for r in world.records if isinstance(r, ContactStep) and r.step == "arrived"]
    closed = [r for r in world.records if isinstance(r, ContactClosed)]
    assert sorted(r.contact for r in arrived) == sorted(r.contact for r in closed)
    assert sum(world.outcomes().values()) == len(arrived)


@QUICK
@given(calm)
def test_undisturbed_there_is_nothing_odd(steps: list[tuple[str, int]]) -> None:
    nothing_odd(walk(steps, calm=True))


def test_random_walks() -> None:
    for seed in range(2000):
        take(seed)


def test_random_calm_walks() -> None:
    for seed in range(800):
        nothing_odd(take(seed, calm=True))


@pytest.mark.long
def test_random_walks_for_long() -> None:
    for seed in range(100_000, 200_000):
        take(seed)
        if seed % 4 == 0:
            nothing_odd(take(seed, calm=True))


@pytest.mark.long
@LONG
@given(st.one_of(anything, trouble_at_the_end))
def test_anything_for_long(steps: list[tuple[str, int]]) -> None:
    walk(steps)
