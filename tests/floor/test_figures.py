"""The formulas of the reports, by hand-made days."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.floor.figures import figures
from callcenter.floor.records import ContactClosed, Outcome


def ended(outcome: Outcome, wait: float = 0.0, talk: float = 0.0, queue: str = "sales") -> ContactClosed:
    connected = 1000.0 + wait if talk else 0.0
    return ContactClosed(
        at=1000.0 + wait + talk,
        contact="c",
        ani="138",
        dnis="4001",
        service="sales",
        queue=queue,
        language="zh",
        outcome=outcome,
        agent="",
        arrived_at=1000.0,
        queued_at=1000.0,
        connected_at=connected,
        wait_seconds=wait,
        talk_seconds=talk,
        offers=0,
        ended_by="caller",
    )


def test_a_day() -> None:
    day = [
        ended(Outcome.ANSWERED, 10, 100),
        ended(Outcome.ANSWERED, 20, 200),  # in time: the threshold itself is
        ended(Outcome.ANSWERED, 30, 60),
        ended(Outcome.ABANDONED, 90),
        ended(Outcome.SHORT_ABANDONED, 3),
        ended(Outcome.FULL),
        ended(Outcome.MAX_WAIT, 60),
        ended(Outcome.OVERFLOWED, 61),
        ended(Outcome.LOST, 5),
        ended(Outcome.LEFT, 6),
        ended(Outcome.CLOSED),
        ended(Outcome.UNKNOWN_NUMBER, queue=""),
    ]
    found = figures(day, 20, wrapup_seconds=30)
    assert (found.offered, found.answered, found.answered_in_time) == (10, 3, 2)
    assert (found.abandoned, found.short_abandoned, found.turned_away, found.broken_off) == (1, 1, 3, 2)
    assert found.service_level == pytest.approx(2 / 9)
    assert found.abandon_rate == pytest.approx(1 / 9)
    assert found.asa_seconds == pytest.approx(20)
    assert found.aht_seconds == pytest.approx((360 + 30) / 3)
    assert found.longest_wait_seconds == 90
    assert found.service_level_formula == "answered within 20 s / (offered - short abandoned)"


def test_no_calls_is_not_bad_service() -> None:
    found = figures([], 20)
    assert found.offered == 0
    assert found.service_level is None
    assert found.asa_seconds is None
    assert found.aht_seconds is None
    assert figures([ended(Outcome.SHORT_ABANDONED, 1)], 20).service_level is None


def test_a_talk_that_we_cut_off_was_answered() -> None:
    found = figures([ended(Outcome.LOST, 4, 50)], 20)
    assert (found.answered, found.broken_off, found.service_level) == (1, 0, 1.0)


@given(
    st.lists(
        st.builds(ended, st.sampled_from(Outcome), st.floats(0, 4000), st.just(0.0) | st.floats(0.1, 900))
    )
)
def test_every_offered_contact_is_counted_once(day: list[ContactClosed]) -> None:
    found = figures(day, 20)
    parts = (found.answered, found.abandoned, found.short_abandoned, found.turned_away, found.broken_off)
    assert sum(parts) == found.offered
    assert found.answered_in_time <= found.answered
    for ratio in (found.service_level, found.abandon_rate):
        assert ratio is None or 0 <= ratio <= 1
