"""Wrap-up: timed, extended, until ended; dispositions optional and required."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.plan import UNTIL_ENDED, DispositionRule
from callcenter.floor.records import ContactStep, DispositionGiven
from tests.floor import plans
from tests.floor.invariants import check
from tests.floor.test_codes import Phone
from tests.floor.world import World

RESULTS = {"1": "sold", "2": "call back", "31": "rude", "32": "kind"}
REQUIRED: dict[str, Any] = {
    "disposition": DispositionRule.REQUIRED,
    "dispositions": RESULTS,
    "disposition_limit_seconds": 100,
}


def wrapping_up(**changes: Any) -> tuple[World, str]:
    """Agent 14 has just had a call of the gold queue."""
    world = World(plans.plan(replace(plans.GOLD, **changes)))
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    world.hang_up(caller)
    world.run()
    return world, caller


def given_in(world: World) -> list[tuple[str, str, str]]:
    return [
        (r.contact, r.disposition, r.by.split()[0]) for r in world.records if isinstance(r, DispositionGiven)
    ]


def asked(world: World, request: type[seen.Request], **fields: Any) -> do.Reply:
    reply = world.ask(request, agent="14", **fields)
    assert reply is not None
    check(world)
    return reply


def test_a_wrapup_is_extended_by_code_and_by_request() -> None:
    world, _ = wrapping_up(wrapup_seconds=10, wrapup_extend_seconds=30)
    world.pass_time(5.0)
    phone = Phone(world, "1004")
    assert phone.dial("*16") == ("wrapup-extended",)
    phone.listen()
    world.pass_time(34.9)
    assert asked(world, seen.WrapupExtendRequested, seconds=7).ok
    world.pass_time(7.0)
    assert world.agent("14").activity is Activity.WRAPUP
    world.pass_time(0.2)
    assert world.agent("14").activity is Activity.IDLE
    assert asked(world, seen.WrapupExtendRequested, seconds=7).code == "no-wrapup"


def test_a_wrapup_until_ended_lasts_through_a_restart_and_has_nothing_to_extend() -> None:
    world, _ = wrapping_up(wrapup_seconds=UNTIL_ENDED)
    world.pass_time(5_000.0)
    world.restart_engine()
    world.survey()
    assert world.agent("14").activity is Activity.WRAPUP
    assert asked(world, seen.WrapupExtendRequested, seconds=7).code == "wrapup-unlimited"
    assert asked(world, seen.WrapupEndRequested).ok
    assert world.floor.scene.is_free(world.agent("14"))


def test_an_optional_disposition_by_code() -> None:
    world, caller = wrapping_up(wrapup_seconds=10, dispositions=RESULTS)
    phone = Phone(world, "1004")
    assert phone.dial("*17") == ("enter-disposition",)
    assert phone.key("9") == ("unknown-disposition", "enter-disposition")
    assert phone.key("32") == ("disposed",)
    phone.listen()
    assert given_in(world) == [(caller, "kind", "phone")]
    assert ("disposed", "kind") in [(r.step, r.detail) for r in world.records if isinstance(r, ContactStep)]
    assert world.agent("14").activity is Activity.WRAPUP, "the time that he has is his"
    world.pass_time(10.0)
    assert world.agent("14").activity is Activity.IDLE
    assert phone.dial("*171") == ("no-disposition",)


def test_a_required_disposition_comes_first() -> None:
    world, caller = wrapping_up(wrapup_seconds=10, **REQUIRED)
    world.pass_time(20.0)
    phone = Phone(world, "1004")
    for code in ("*13", "*15"):
        assert phone.dial(code) == ("disposition-first",)
        phone.listen()
    assert phone.dial("*141") == ("not-ready", "disposition-first"), "reminded"
    phone.listen()
    for request in (seen.AgentReadyRequested, seen.WrapupEndRequested):
        assert asked(world, request).code == "disposition-first"
    assert world.agent("14").activity is Activity.WRAPUP
    world.restart_engine()
    world.survey()
    assert phone.dial("*1731") == ("disposed",)
    phone.listen()
    assert world.agent("14").activity is Activity.IDLE, "only that was waited for"
    world.pass_time(200.0)
    assert given_in(world) == [(caller, "rude", "phone")]


def test_a_required_disposition_makes_a_wrapup_where_there_is_none() -> None:
    world, caller = wrapping_up(wrapup_seconds=0, **REQUIRED)
    assert world.agent("14").activity is Activity.WRAPUP
    waiting = world.call("300")
    world.run()
    assert not world.ringing()
    assert asked(world, seen.DispositionRequested, disposition="sold").ok
    world.run()
    assert world.ringing() == {"14": waiting}
    assert given_in(world) == [(caller, "sold", "test")]


def test_nobody_is_stuck_for_ever() -> None:
    world, caller = wrapping_up(wrapup_seconds=10, **REQUIRED)
    world.pass_time(99.9)
    assert world.agent("14").activity is Activity.WRAPUP
    world.pass_time(0.2)
    assert world.floor.scene.is_free(world.agent("14"))
    assert given_in(world) == [(caller, "", "limit")]


def test_the_limit_ends_the_debt_and_not_the_time() -> None:
    world, caller = wrapping_up(wrapup_seconds=150, **REQUIRED)
    world.pass_time(100.0)
    assert world.agent("14").activity is Activity.WRAPUP
    assert given_in(world) == [(caller, "", "limit")]
    assert asked(world, seen.DispositionRequested, disposition="sold").ok, "late, and it counts"
    assert world.agent("14").activity is Activity.WRAPUP
    world.pass_time(50.0)
    assert world.agent("14").activity is Activity.IDLE


def test_who_leaves_gave_none() -> None:
    world, caller = wrapping_up(wrapup_seconds=10, **REQUIRED)
    world.ask(seen.AgentLogoutRequested, agent="14")
    assert world.agent("14").presence is Presence.LOGGED_OUT
    assert given_in(world) == [(caller, "", "leave")]
    check(world)


def test_a_disposition_given_in_the_call_is_enough() -> None:
    world = World(plans.plan(replace(plans.GOLD, **REQUIRED)))
    world.login("14", "1004")
    first, second = world.call("300"), world.call("300")
    world.run()
    assert asked(world, seen.DispositionRequested, disposition="sold").code == "no-disposition", "it rings"
    world.answer(world.leg_to("14"))
    world.run()
    assert asked(world, seen.DispositionRequested, disposition="sold").ok
    assert asked(world, seen.DispositionRequested, disposition="nonsense").code == "unknown-disposition"
    world.hang_up(first)
    world.run()
    assert world.ringing() == {"14": second}
    world.answer(world.leg_to("14"))
    world.run()
    world.hang_up(second)
    world.run()
    assert world.agent("14").owes_disposition, "what was said of the first is not of the second"


def test_a_disposition_of_a_call_that_is_over() -> None:
    world, caller = wrapping_up(wrapup_seconds=0, dispositions=RESULTS)
    late = {"contact": caller, "queue": "gold"}
    assert asked(world, seen.DispositionRequested, disposition="sold", **late).ok
    assert asked(world, seen.DispositionRequested, disposition="lost", **late).code == "unknown-disposition"
    assert given_in(world) == [(caller, "sold", "test")]


def test_a_queue_without_dispositions_takes_none() -> None:
    world, _ = wrapping_up(wrapup_seconds=10, dispositions=RESULTS, disposition=DispositionRule.NONE)
    assert asked(world, seen.DispositionRequested, disposition="sold").code == "unknown-disposition"
    assert Phone(world, "1004").dial("*17") == ("unknown-disposition",)


def test_missed_calls_are_counted_since_log_in() -> None:
    world = World()
    world.login("14", "1004")
    for _ in range(2):
        caller = world.call("300")
        world.pass_time(21.0)
        world.hang_up(caller)
        world.run()
        world.ask(seen.AgentReadyRequested, agent="14")
    assert world.agent("14").missed_calls == 2
    world.hang_up(world.call("300"))
    world.run()
    assert world.agent("14").missed_calls == 2, "who gives up is no miss of his"
    world.ask(seen.AgentLogoutRequested, agent="14")
    world.login("14", "1004")
    assert world.agent("14").missed_calls == 0


WISHES = st.lists(
    st.sampled_from(["ready", "end", "not ready", "extend", "wrong", "time", "crash", "dial"]), max_size=25
)


@pytest.mark.parametrize("seconds", [0, 10, UNTIL_ENDED])
@given(wishes=WISHES)
def test_no_wish_ends_a_wrapup_that_owes_and_the_limit_always_does(seconds: int, wishes: list[str]) -> None:
    world, caller = wrapping_up(wrapup_seconds=seconds, **REQUIRED)
    for wish in wishes:
        match wish:
            case "ready":
                world.ask(seen.AgentReadyRequested, agent="14")
            case "end":
                world.ask(seen.WrapupEndRequested, agent="14")
            case "not ready":
                world.ask(seen.AgentNotReadyRequested, agent="14", reason="break")
            case "extend":
                world.ask(seen.WrapupExtendRequested, agent="14", seconds=2)
            case "wrong":
                world.ask(seen.DispositionRequested, agent="14", disposition="nonsense")
            case "time":
                world.pass_time(3.0)
            case "crash":
                world.restart_engine()
                world.survey()
            case "dial":
                Phone(world, "1004").dial("*15")
                for leg in list(world.legs):
                    world.hang_up(leg)
                world.run()
        check(world)
        assert world.agent("14").activity is Activity.WRAPUP
    world.pass_time(200.0)
    assert given_in(world) == [(caller, "", "limit")]
    assert world.agent("14").activity is (Activity.WRAPUP if seconds == UNTIL_ENDED else Activity.IDLE)
