"""What a caller hears while waiting, and how the wait can end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.contacts import ContactState
from callcenter.floor.events import Failure
from callcenter.floor.plan import Overflow, OverflowWhen, QueuePlan
from callcenter.floor.records import Outcome
from tests.floor import plans
from tests.floor.asterisk import Leg
from tests.floor.world import World


def world_with(queue: QueuePlan) -> World:
    return World(plans.plan(queue))


def after_30(number: str = "") -> Overflow:
    return Overflow(when=OverflowWhen.WAIT, seconds=30, to_number=number, prompts=("max-wait",))


def full(count: int, prompts: tuple[str, ...] = ("queue-full",)) -> Overflow:
    return Overflow(when=OverflowWhen.LENGTH, count=count, prompts=prompts)


def test_the_greeting_is_played_before_the_caller_can_be_offered() -> None:
    world = World()
    world.login("12", "1002")
    caller = world.call("100")
    world.run()
    (play,) = world.commands(do.PlayPrompts)
    assert (play.leg, play.prompts, play.language) == (caller, ("greeting",), "en")
    assert world.contact(caller).state is ContactState.GREETING
    assert not world.ringing()
    world.finish_playback(play.playback)
    world.run()
    assert world.ringing() == {"12": caller}


def test_a_greeting_that_cannot_be_played_stops_nobody() -> None:
    world = World()
    world.login("12", "1002")
    world.fail_next(do.PlayPrompts, Failure.FAILED)
    caller = world.call("100")
    world.run()
    assert world.ringing() == {"12": caller}


def test_a_caller_waits_with_music() -> None:
    world = World()
    caller = world.call("300")
    world.run()
    assert world.legs[caller].up
    assert world.legs[caller].music
    world.login("14", "1004")
    world.run()
    assert world.legs[caller].music, "still, while the agent's phone rings"
    world.answer(world.leg_to("14"))
    world.run()
    assert not world.legs[caller].music


def test_a_caller_rings_for_answer_after_seconds_and_then_hears_music() -> None:
    world = World()
    caller = world.call("200")
    world.pass_time(19.9)
    assert not world.legs[caller].up
    world.pass_time(0.1)
    assert world.legs[caller].up
    assert [m.music for m in world.commands(do.StartMusic)] == ["default"]


def test_ringing_counts_from_the_arrival_at_the_trunk() -> None:
    world = World()
    world.legs["late"] = Leg("late", "PJSIP/trunk-late", dnis="200", arrived_at=world.now - 15.0)
    world.receive(seen.CallArrived(world.now, "late", "1", "200", world.now - 15.0))
    world.pass_time(4.9)
    assert not world.legs["late"].up
    world.pass_time(0.1)
    assert world.legs["late"].up


@pytest.mark.parametrize(("after", "outcome"), [(4.9, Outcome.SHORT_ABANDONED), (5.0, Outcome.ABANDONED)])
def test_a_caller_gives_up(after: float, outcome: Outcome) -> None:
    world = World()
    caller = world.call("300")
    world.pass_time(after)
    world.hang_up(caller)
    world.run()
    closed = world.closed(caller)
    assert closed.outcome is outcome
    assert closed.wait_seconds == pytest.approx(after)
    assert not world.floor.scene.contacts
    assert not world.saved.timers


def test_the_longest_wait_ends_with_a_message_and_a_hang_up() -> None:
    world = world_with(replace(plans.GOLD, overflow=(after_30(),)))
    caller = world.call("300")
    world.pass_time(30.0)
    play = world.commands(do.PlayPrompts)[-1]
    assert play.prompts == ("max-wait",)
    assert not world.legs[caller].music
    world.finish_playback(play.playback)
    world.run()
    assert world.closed(caller).outcome is Outcome.MAX_WAIT
    assert not world.legs


def test_the_longest_wait_ends_at_the_outside_number() -> None:
    world = world_with(replace(plans.GOLD, overflow=(after_30("5551234"),)))
    caller = world.call("300")
    world.pass_time(30.0)
    world.finish_playback(world.commands(do.PlayPrompts)[-1].playback)
    world.run()
    assert world.commands(do.SendOutside) == [do.SendOutside(caller, "5551234")]
    assert world.closed(caller).outcome is Outcome.OVERFLOWED
    assert not world.floor.scene.contacts


def test_an_outside_number_that_fails_is_a_hang_up() -> None:
    world = world_with(replace(plans.GOLD, overflow=(after_30("5551234"),)))
    world.fail_next(do.SendOutside, Failure.REFUSED)
    caller = world.call("300")
    world.pass_time(30.0)
    world.finish_playback(world.commands(do.PlayPrompts)[-1].playback)
    world.run()
    assert caller not in world.legs
    assert not world.floor.scene.contacts


def test_a_wait_that_ends_while_a_phone_rings_is_over_when_nobody_answers() -> None:
    world = world_with(replace(plans.GOLD, overflow=(after_30(),)))
    caller = world.call("300")
    world.pass_time(25.0)
    world.login("14", "1004")
    world.pass_time(10.0)
    assert world.ringing() == {"14": caller}, "an offer under way is not taken back"
    world.hang_up(world.leg_to("14"), 19)
    world.run()
    assert world.contact(caller).state is ContactState.LEAVING


def test_a_full_queue_turns_the_next_caller_away() -> None:
    world = world_with(replace(plans.GOLD, overflow=(full(2),)))
    world.call("300")
    world.call("300")
    third = world.call("300")
    world.run()
    assert world.commands(do.PlayPrompts)[-1].prompts == ("queue-full",)
    world.finish_playback(world.commands(do.PlayPrompts)[-1].playback)
    world.run()
    assert world.closed(third).outcome is Outcome.FULL
    assert len(world.floor.scene.queues["gold"].waiting) == 2


def test_without_a_message_the_network_is_told_busy() -> None:
    world = world_with(replace(plans.GOLD, overflow=(full(1, ()),)))
    world.call("300")
    second = world.call("300")
    world.run()
    assert do.HangUp(second, 17) in world.done


def test_who_comes_back_from_the_fallback_queue_is_never_one_too_many() -> None:
    world = world_with(replace(plans.GOLD, overflow=(full(1),)))
    world.call("300")
    back = world.call("300", answered=True)
    world.run()
    assert world.contact(back).state is ContactState.WAITING


def test_an_unknown_number_is_told_so() -> None:
    world = World()
    caller = world.call("999")
    world.run()
    play = world.commands(do.PlayPrompts)[-1]
    assert play.prompts == ("unknown-number",)
    world.finish_playback(play.playback)
    world.run()
    assert world.closed(caller).outcome is Outcome.UNKNOWN_NUMBER


def test_a_new_plan_reaches_those_who_wait() -> None:
    world = World()
    first = world.call("300")
    world.pass_time(1.0)
    second = world.call("300")
    world.run()
    world.apply(plans.plan(replace(plans.GOLD, wrapup_seconds=99)))
    assert [c for _, c in world.floor.scene.queues["gold"].waiting] == [first, second]
    world.login("14", "1004")
    world.run()
    assert world.ringing() == {"14": first}


def test_a_queue_taken_out_of_the_site_serves_its_last_callers() -> None:
    world = World()
    caller = world.call("200")
    world.run()
    trimmed = plans.plan()
    queues = {n: q for n, q in trimmed.queues.items() if n != "help"}
    services = {n: s for n, s in trimmed.services.items() if n != "help"}
    smaller = replace(trimmed, queues=queues, services=services)
    world.apply(smaller)
    assert world.contact(caller).state is ContactState.WAITING
    newcomer = world.call("200")
    world.login("13", "1003")
    world.run()
    assert world.ringing() == {"13": caller}
    assert world.contact(newcomer).leaving_as == Outcome.UNKNOWN_NUMBER
    world.hang_up(caller)
    world.run()
    world.apply(smaller)
    assert "help" not in world.floor.scene.queues
