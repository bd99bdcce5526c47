"""Opening hours, holidays, make-up working days, the change of the clock, and the night switch."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.contacts import ContactState
from callcenter.floor.hours import is_open
from callcenter.floor.plan import HoursPlan, Span
from callcenter.floor.records import NightSwitched, Outcome
from tests.floor import plans
from tests.floor.world import World

BERLIN = ZoneInfo("Europe/Berlin")
DAY = (Span(9 * 60, 12 * 60), Span(13 * 60, 18 * 60))
HOURS = HoursPlan(
    "office",
    BERLIN,
    (DAY, DAY, DAY, DAY, DAY, (), ()),
    holidays=frozenset({date(2026, 5, 1), date(2026, 5, 14)}),
    days={date(2026, 5, 9): (Span(10 * 60, 14 * 60),), date(2026, 5, 14): DAY, date(2026, 5, 15): ()},
)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-05-04 08:59:59", False),
        ("2026-05-04 09:00:00", True),
        ("2026-05-04 12:00:00", False),  # lunch
        ("2026-05-04 13:00:00", True),
        ("2026-05-04 18:00:00", False),
        ("2026-05-02 10:00:00", False),  # a Saturday
        ("2026-05-09 10:00:00", True),  # a Saturday worked to make up for a day off
        ("2026-05-09 14:00:00", False),
        ("2026-05-01 10:00:00", False),  # a holiday
        ("2026-05-14 10:00:00", True),  # a holiday on which this centre works
        ("2026-05-15 10:00:00", False),  # an own day off
        ("2026-03-30 09:00:00", True),  # the Monday after summer time began
        ("2026-10-26 08:59:00", False),  # the Monday after it ended
    ],
)
def test_open(moment: str, expected: bool) -> None:
    assert is_open(HOURS, at(moment)) is expected


def test_hours_follow_the_local_clock_through_the_change() -> None:
    monday_before, monday_after = at("2026-03-23 09:00"), at("2026-03-30 09:00")
    assert monday_after - monday_before == 7 * 86400 - 3600
    assert is_open(HOURS, monday_before)
    assert is_open(HOURS, monday_after)


def test_until_midnight_includes_the_last_minute() -> None:
    late = HoursPlan("late", BERLIN, ((Span(1320, 1440),),) * 7)
    assert is_open(late, at("2026-05-04 23:59:59"))
    assert not is_open(late, at("2026-05-05 00:00:00"))


def test_a_closed_service_says_so() -> None:
    world = World()
    world.now += 9 * 3600  # 19:00
    caller = world.call("300")
    world.run()
    play = world.commands(do.PlayPrompts)[-1]
    assert play.prompts == ("closed",)
    world.finish_playback(play.playback)
    world.run()
    assert world.closed(caller).outcome is Outcome.CLOSED
    assert not world.legs


def test_who_rang_before_closing_time_is_served_though_he_came_in_later() -> None:
    world = World()
    world.now += 8 * 3600
    world.receive(seen.CallArrived(world.now + 1.0, "c", "1", "300", world.now - 1.0))
    assert world.contact("c").state is ContactState.WAITING


def test_the_night_switch_closes_what_obeys_it() -> None:
    world = World()
    reply = world.ask(seen.NightSwitchRequested, closed=True)
    assert reply is not None
    assert reply.text == "the night switch is on"
    closed, always = world.call("300"), world.call("400")
    world.run()
    assert world.contact(closed).state is ContactState.LEAVING
    assert world.contact(always).state is ContactState.WAITING
    assert [(r.closed, r.by) for r in world.records if isinstance(r, NightSwitched)] == [(True, "test")]
    world.restart_engine()
    world.survey()
    world.run()
    assert world.floor.scene.night, "it survives a restart"
    world.ask(seen.NightSwitchRequested, closed=False)
    opened = world.call("300")
    world.run()
    assert world.contact(opened).state is ContactState.WAITING


def test_the_sample_zone() -> None:
    assert is_open(plans.OFFICE, plans.MONDAY_10)
