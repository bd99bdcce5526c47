"""The expected wait: against days of the real floor, and by hand."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.floor.figures import AnswerPace, expected_wait
from tests.floor.day import Day, Simulation, Told

LARGE = Day()
SMALL = replace(
    LARGE, agents=5, at_lunch=1, calls_an_hour=tuple(rate * 36 // 100 for rate in LARGE.calls_an_hour)
)
PATIENT = replace(
    LARGE, patience_seconds=1500.0, calls_an_hour=tuple(rate * 9 // 10 for rate in LARGE.calls_an_hour)
)


def accuracy(told: list[Told]) -> tuple[float, float]:
    """Bias (of the true mean), and mean absolute error against that of app_queue's rule.

    That rule (app_queue.c, say_position and recalc_holdtime): `holdtime` is an exponential average of past
    waits, a quarter of it the last one; a caller is told |holdtime - what he has waited|, wherever he stands.
    """
    truth = mean(each.truth for each in told)
    bias = mean((each.ours or 0.0) - each.truth for each in told) / truth
    error = mean(abs((each.ours or 0.0) - each.truth) for each in told)
    return bias, error / mean(abs(each.app_queue - each.truth) for each in told)


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("day", [LARGE, SMALL, PATIENT], ids=["large", "small", "patient"])
def test_a_day(day: Day, seed: int) -> None:
    """Callers who waited over 30 s: told on joining, and at each announcement."""
    simulation = Simulation(day, seed).run()
    assert not simulation.floor.scene.contacts
    long = [each for each in simulation.told if each.whole > 30.0]
    told = [each for each in long if each.ours is not None]
    assert len(told) > 500
    assert len(told) >= 0.98 * len(long), "nobody could say"
    for when in (told, [each for each in told if each.waited == 0.0]):
        bias, error = accuracy(when)
        assert abs(bias) <= 0.10
        assert error <= 0.8


def test_nobody_can_tell_before_some_were_answered() -> None:
    pace = AnswerPace()
    assert expected_wait(pace, 0, 100.0, 0.0) is None
    pace.answered(100.0, 80.0, 4.0)
    assert expected_wait(pace, 0, 100.0, 0.0) is None
    pace.answered(120.0, 90.0, 4.0)
    assert expected_wait(pace, 0, 120.0, 0.0) == pytest.approx(4.0 + 20.0, abs=0.1)
    assert expected_wait(pace, 4, 120.0, 0.0) == pytest.approx(4.0 + 5 * 20.0, abs=0.5)


def test_it_moves_between_answers() -> None:
    pace = AnswerPace(answers=10.0, answer_seconds=200.0, ring_seconds=4.0, last_at=1000.0)
    waits = [expected_wait(pace, 2, 1000.0 + quiet, 900.0) or 0.0 for quiet in (0, 10, 20, 100, 600)]
    assert waits[0] > waits[1] > waits[2], "the next answer comes nearer"
    assert waits[2] < waits[3] < waits[4], "nobody answers any more"
    assert expected_wait(pace, 2, 5000.0, 5000.0) == waits[0], (
        "a quiet hour with nobody waiting tells nothing"
    )


def test_callers_who_give_up_make_room() -> None:
    patient = AnswerPace(answers=10.0, answer_seconds=200.0)
    hasty = replace(patient, gave_up=5.0, waited_seconds=500.0)
    assert (expected_wait(hasty, 9, 0.0, 0.0) or 0) < 0.7 * (expected_wait(patient, 9, 0.0, 0.0) or 0)


numbers = st.floats(0.0, 1e9)
paces = st.builds(AnswerPace, *[numbers] * 6)


@given(paces, st.integers(0, 2000), numbers, numbers)
def test_it_is_no_nonsense(pace: AnswerPace, ahead: int, now: float, since: float) -> None:
    wait = expected_wait(pace, ahead, now, since)
    assert wait is None or wait >= 0.0
    further = expected_wait(pace, ahead + 1, now, since)
    assert wait is None or (further is not None and further >= wait)


@given(paces)
def test_a_saved_pace_comes_back(pace: AnswerPace) -> None:
    back = AnswerPace.read(pace.text())
    assert back.answers == pytest.approx(pace.answers, abs=0.001)
    assert back.last_at == pytest.approx(pace.last_at, abs=0.001)


@pytest.mark.parametrize("text", ["", "1 2", "a b c d e f", "nan 1 1 1 1 1", "1 1 1 1 1 -1", "inf 1 1 1 1 1"])
def test_nonsense_is_a_pace_that_knows_nothing(text: str) -> None:
    assert AnswerPace.read(text) == AnswerPace()
