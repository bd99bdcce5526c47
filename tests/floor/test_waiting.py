"""Rules that send waiting callers on, what they hear, keys that lead out, what is said before the join."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import ContactState
from callcenter.floor.figures import AnswerPace
from callcenter.floor.plan import Announce, Message, Overflow, OverflowWhen, Target
from callcenter.floor.records import Outcome, QueueMoved
from tests.floor import plans
from tests.floor.world import World

WHEN = OverflowWhen


def gold(*rules: Overflow, **changes: object) -> World:
    """A world whose queue gold (number 300, agent 14) has these rules; help (200, agent 13) is beside it."""
    return World(plans.plan(replace(plans.GOLD, overflow=rules, **changes)))  # type: ignore[arg-type]


def moves(world: World) -> list[tuple[str, str, str, float]]:
    return [
        (r.queue, r.to_queue, r.cause, r.wait_seconds) for r in world.records if isinstance(r, QueueMoved)
    ]


def hear_out(world: World) -> None:
    for playback in list(world.playing):
        world.finish_playback(playback)
    world.run()


def heard(world: World, leg: str) -> list[tuple[str, ...]]:
    return [play.prompts for play in world.commands(do.PlayPrompts) if play.leg == leg]


# Rules.


def test_who_waited_long_goes_to_another_queue_and_keeps_his_place_there() -> None:
    world = gold(Overflow(when=WHEN.WAIT, seconds=30, to_queue="help"))
    early = world.call("300")
    world.pass_time(10.0)
    late = world.call("200")
    world.pass_time(20.0)
    assert moves(world) == [("gold", "help", "wait", 30.0)]
    assert [entry[-1] for entry in world.floor.scene.queues["help"].waiting] == [early, late]
    assert world.legs[early].queue == "help", "the leg tells where he is, for a floor rebuilt from Asterisk"
    world.pass_time(5.0)
    world.login("13", "1003")
    world.run()
    assert world.ringing() == {"13": early}
    world.answer(world.leg_to("13"))
    world.run()
    world.hang_up(early)
    world.run()
    closed = world.closed(early)
    assert (closed.first_queue, closed.queue, closed.outcome) == ("gold", "help", Outcome.ANSWERED)
    assert closed.wait_seconds == pytest.approx(35.0), "the time waited goes on"


def test_an_agent_of_the_other_queue_is_offered_the_caller_in_the_same_instant() -> None:
    world = gold(Overflow(when=WHEN.WAIT, seconds=30, to_queue="help", prompts=("other-team",)))
    world.login("11", "1001")  # serves sales and help
    caller = world.call("300")
    world.pass_time(30.0)
    assert world.ringing() == {"11": caller}
    assert not heard(world, caller), "there is no time for a message"


def test_he_hears_why_while_he_waits_there() -> None:
    world = gold(Overflow(when=WHEN.WAIT, seconds=30, to_queue="help", prompts=("other-team",)))
    caller = world.call("300")
    world.pass_time(30.0)
    assert heard(world, caller) == [("other-team",)]
    hear_out(world)
    assert world.legs[caller].music


def test_the_seconds_of_the_next_queue_count_from_joining_it() -> None:
    world = World(
        plans.plan(
            replace(plans.GOLD, overflow=(Overflow(when=WHEN.WAIT, seconds=30, to_queue="help"),)),
            replace(plans.HELP, overflow=(Overflow(when=WHEN.WAIT, seconds=20, prompts=("max-wait",)),)),
        )
    )
    caller = world.call("300")
    world.pass_time(49.9)
    assert world.contact(caller).state is ContactState.WAITING
    world.pass_time(0.1)
    assert world.contact(caller).leaving_as == Outcome.MAX_WAIT


def test_a_full_queue_passes_the_next_caller_on_at_once_and_greets_him_there() -> None:
    world = gold(Overflow(when=WHEN.LENGTH, count=1, to_queue="sales"))
    world.call("300")
    second = world.call("300")
    world.run()
    assert world.contact(second).state is ContactState.GREETING
    hear_out(world)
    assert world.contact(second).queue == "sales"
    assert moves(world) == [("gold", "sales", "length", 0.0)]


@pytest.mark.parametrize("when", [WHEN.NOBODY_STAFFED, WHEN.NOBODY_READY])
def test_with_nobody_there_callers_are_sent_on_as_they_come(when: OverflowWhen) -> None:
    world = gold(Overflow(when=when, to_number="5551234"))
    caller = world.call("300")
    world.run()
    assert world.commands(do.SendOutside) == [do.SendOutside(caller, "5551234")]
    assert world.closed(caller).outcome is Outcome.OVERFLOWED
    world.login("14", "1004")
    second = world.call("300")
    world.run()
    assert world.ringing() == {"14": second}


def test_those_who_wait_are_sent_on_when_the_last_agent_leaves() -> None:
    world = gold(Overflow(when=WHEN.NOBODY_STAFFED, prompts=("nobody-there",)))
    world.login("14", "1004")
    world.login("13", "1003")
    talking = [world.call("300"), world.call("300")]
    world.run()
    for agent in ("13", "14"):
        world.answer(world.leg_to(agent))
    world.run()
    waits = world.call("300")
    world.run()
    world.ask(seen.AgentLogoutRequested, agent="14")  # as soon as his call is over
    world.hang_up(talking[0])
    world.hang_up(talking[1])
    world.run()
    world.hang_up(world.leg_to("13"), 19)  # does not answer: not ready, but there
    world.run()
    assert world.contact(waits).state is ContactState.WAITING
    world.ask(seen.AgentLogoutRequested, agent="13")
    assert world.contact(waits).leaving_as == Outcome.UNSTAFFED


def test_nobody_ready_waits_for_as_long_as_it_says() -> None:
    world = gold(Overflow(when=WHEN.NOBODY_READY, seconds=40, to_queue="help"))
    world.login("14", "1004")
    world.ask(seen.AgentNotReadyRequested, agent="14", reason="break")
    first = world.call("300")
    world.pass_time(39.9)
    assert world.contact(first).queue == "gold"
    world.pass_time(0.1)
    assert world.contact(first).queue == "help"


def test_wrapup_is_readiness() -> None:
    world = gold(Overflow(when=WHEN.NOBODY_READY, to_queue="help"), wrapup_seconds=30)
    world.login("14", "1004")
    first = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    world.hang_up(first)
    world.run()
    second = world.call("300")
    world.run()
    assert world.agent("14").activity is Activity.WRAPUP
    assert world.contact(second).queue == "gold"


def test_an_agent_taken_out_of_the_queue_is_gone_from_it() -> None:
    world = gold(Overflow(when=WHEN.NOBODY_STAFFED, to_queue="help"))
    world.login("14", "1004")
    world.ask(seen.AgentNotReadyRequested, agent="14", reason="break")
    caller = world.call("300")
    world.run()
    assert world.contact(caller).queue == "gold"
    world.publish([replace(a, queues=("sales",)) if a.number == "14" else a for a in plans.AGENTS])
    assert world.contact(caller).queue == "help"


def test_expected_wait_is_looked_at_on_joining_and_while_waiting() -> None:
    world = gold(Overflow(when=WHEN.EXPECTED_WAIT, seconds=100, to_queue="help"))
    first = world.call("300")
    world.run()
    assert world.contact(first).queue == "gold", "nobody can tell yet"
    queue = world.floor.scene.queues["gold"]
    queue.pace = AnswerPace(answers=10.0, answer_seconds=600.0, last_at=world.now)
    second = world.call("300")
    world.run()
    assert world.contact(second).queue == "help", "two of 60 s"
    assert world.contact(first).queue == "gold", "one of 60 s"
    world.pass_time(10.0)
    assert world.contact(first).queue == "gold"
    world.pass_time(900.0)
    assert world.contact(first).queue == "help", "nobody answers"


def test_the_first_rule_that_applies_counts() -> None:
    world = gold(
        Overflow(when=WHEN.NOBODY_STAFFED, seconds=30, to_number="5551111"),
        Overflow(when=WHEN.WAIT, seconds=30, to_number="5552222"),
    )
    caller = world.call("300")
    world.pass_time(30.0)
    assert world.commands(do.SendOutside) == [do.SendOutside(caller, "5551111")]


def test_nobody_goes_round_whatever_the_plans_say() -> None:
    world = World(
        plans.plan(
            replace(plans.GOLD, overflow=(Overflow(when=WHEN.NOBODY_STAFFED, to_queue="help"),)),
            replace(
                plans.HELP,
                overflow=(
                    Overflow(when=WHEN.NOBODY_STAFFED, to_queue="gold"),
                    Overflow(when=WHEN.NOBODY_STAFFED, seconds=60, prompts=("max-wait",)),
                ),
            ),
        )
    )
    caller = world.call("300")
    world.run()
    assert world.contact(caller).queue == "help"
    world.pass_time(60.0)
    assert world.contact(caller).state is ContactState.LEAVING


def test_a_new_plans_rules_hold_for_those_who_wait() -> None:
    world = World()
    caller = world.call("300")
    world.pass_time(20.0)
    rule = Overflow(when=WHEN.WAIT, seconds=30, to_queue="help")
    world.apply(plans.plan(replace(plans.GOLD, overflow=(rule,))))
    world.pass_time(9.9)
    assert world.contact(caller).queue == "gold"
    world.pass_time(0.1)
    assert world.contact(caller).queue == "help"


def test_a_timer_set_anew_does_not_fire_by_its_old_deadline() -> None:
    """Of timers that are due together, the first may have set the second anew."""
    world = gold(Overflow(when=WHEN.WAIT, seconds=30, to_queue="help"))
    caller = world.call("300")
    world.pass_time(10.0)
    world.receive(seen.TimerFired(world.now, f"wait:{caller}"))
    assert f"wait:{caller}" in world.floor.scene.timers
    assert world.contact(caller).queue == "gold"
    world.pass_time(20.0)
    assert world.contact(caller).queue == "help"


def test_a_restart_forgets_no_rule_and_no_queue() -> None:
    world = gold(Overflow(when=WHEN.WAIT, seconds=30, to_queue="help"))
    caller = world.call("300")
    world.pass_time(31.0)
    world.restart_engine()
    world.survey()
    world.run()
    assert world.contact(caller).queue == "help"
    world.restart_engine(empty=True)
    world.survey()
    world.run()
    assert world.contact(caller).queue == "help", "his leg says so"


# What he hears.


def announcing(**changes: object) -> World:
    return gold(announce=Announce(position=True, first_after=15, every=45), **changes)


def test_the_place_is_told_and_music_goes_on_after_it() -> None:
    world = announcing()
    first, second = world.call("300"), world.call("300")
    world.pass_time(14.9)
    assert not world.playing
    world.pass_time(0.1)
    assert heard(world, first) == [("position-before", "num-1", "position-after")]
    assert heard(world, second) == [("position-before", "num-2", "position-after")]
    del world.done[:]
    world.pass_time(4.0)
    hear_out(world)
    assert {music.leg for music in world.commands(do.StartMusic)} == {first, second}
    world.hang_up(first)
    world.pass_time(41.0)
    assert heard(world, second) == [("position-before", "num-1", "position-after")]


def test_the_expected_wait_is_told_when_it_is_known() -> None:
    world = gold(announce=Announce(expected_wait=True, first_after=10, every=20))
    caller = world.call("300")
    world.pass_time(29.0)
    assert not heard(world, caller)
    world.floor.scene.queues["gold"].pace = AnswerPace(answers=10.0, answer_seconds=1200.0)
    world.pass_time(1.0)
    assert heard(world, caller) == [("wait-about", "num-2", "minutes")]


def test_messages_come_in_their_own_time_and_together_if_they_must() -> None:
    world = announcing(messages=(Message(("please-wait",), 30), Message(("greeting",), 60)))
    caller = world.call("300")
    told: list[tuple[float, tuple[str, ...]]] = []
    begun = world.now
    for _ in range(65):
        before = len(heard(world, caller))
        world.pass_time(1.0)
        told += [(world.now - begun, prompts) for prompts in heard(world, caller)[before:]]
        hear_out(world)
    place = ("position-before", "num-1", "position-after")
    assert told == [(15.0, place), (30.0, ("please-wait",)), (60.0, (*place, "please-wait", "greeting"))]


def test_a_ringing_caller_is_answered_for_an_announcement() -> None:
    world = World(plans.plan(replace(plans.HELP, messages=(Message(("please-wait",), 10),))))
    caller = world.call("200")
    world.pass_time(10.0)
    assert world.legs[caller].up
    hear_out(world)
    assert [music.music for music in world.commands(do.StartMusic)] == ["default"]
    assert f"answer:{caller}" not in world.saved.timers


def test_an_announcement_holds_no_offer_up_and_stops_when_the_agent_answers() -> None:
    world = announcing()
    caller = world.call("300")
    world.pass_time(15.0)
    assert world.playing
    world.login("14", "1004")
    world.run()
    assert world.ringing() == {"14": caller}
    world.answer(world.leg_to("14"))
    world.run()
    assert not world.playing
    assert world.contact(caller).state is ContactState.TALKING


def test_a_prompt_that_cannot_be_played_brings_the_music_back() -> None:
    world = announcing()
    world.fail_next(do.PlayPrompts, seen.Failure.FAILED)
    caller = world.call("300")
    world.pass_time(15.0)
    assert world.contact(caller).music
    assert f"announce:{caller}" in world.saved.timers


def test_nothing_is_announced_while_a_phone_rings_and_again_after_it() -> None:
    world = announcing()
    caller = world.call("300")
    world.pass_time(10.0)
    world.login("14", "1004")
    world.pass_time(15.0)
    assert not heard(world, caller)
    world.hang_up(world.leg_to("14"), 19)
    world.pass_time(10.0)
    assert len(heard(world, caller)) == 1


@pytest.mark.parametrize("empty", [False, True])
def test_after_a_restart_in_an_announcement_there_is_music(empty: bool) -> None:
    world = announcing()
    caller = world.call("300")
    world.pass_time(15.0)
    world.restart_engine(empty=empty)
    world.survey()
    world.run()
    assert world.contact(caller).music
    assert not world.contact(caller).playback
    assert f"announce:{caller}" in world.saved.timers


def test_a_plain_queue_costs_what_it_did() -> None:
    world = World()
    world.login("14", "1004")
    del world.done[:]
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    assert [type(command).__name__ for command in world.done] == [
        *("RingAgent", "StartTimer", "StopTimer", "AnswerLeg", "ConnectLegs")
    ]
    assert not [key for key in world.saved.meta if key.startswith("pace:")]
    world.hang_up(caller)
    world.run()


# Keys.


EXITS = {
    "1": Target(to_queue="help", prompts=("other-team",)),
    "2": Target(to_number="5551234"),
    "3": Target(prompts=("goodbye",)),
    "4": Target(to_queue="gold"),
}


def test_a_key_leads_to_another_queue() -> None:
    world = gold(exits=EXITS)
    caller = world.call("300")
    world.pass_time(5.0)
    world.press(caller, "9")
    world.press(caller, "4")
    world.run()
    assert world.contact(caller).queue == "gold", "these keys mean nothing"
    world.press(caller, "1")
    world.run()
    assert world.contact(caller).queue == "help"
    assert moves(world) == [("gold", "help", "key 1", 5.0)]
    assert heard(world, caller) == [("other-team",)]


def test_a_key_leads_outside() -> None:
    world = gold(exits=EXITS)
    caller = world.call("300")
    world.pass_time(5.0)
    world.press(caller, "2")
    world.run()
    assert world.commands(do.SendOutside) == [do.SendOutside(caller, "5551234")]
    assert world.closed(caller).outcome is Outcome.EXITED


def test_a_key_ends_the_call_with_a_message() -> None:
    world = gold(exits=EXITS)
    caller = world.call("300")
    world.pass_time(5.0)
    world.press(caller, "3")
    world.run()
    assert heard(world, caller) == [("goodbye",)]
    hear_out(world)
    assert world.closed(caller).outcome is Outcome.EXITED
    assert not world.legs


def test_a_key_during_an_announcement_cuts_it_short() -> None:
    world = announcing(exits=EXITS)
    caller = world.call("300")
    world.pass_time(15.0)
    world.press(caller, "1")
    world.run()
    assert list(world.playing) == [world.contact(caller).playback]
    assert heard(world, caller)[-1] == ("other-team",)


def test_a_key_while_a_phone_rings_takes_the_offer_back_without_blame() -> None:
    world = gold(exits=EXITS)
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    world.press(caller, "1")
    world.run()
    assert world.contact(caller).queue == "help"
    assert not world.ringing()
    agent = world.agent("14")
    assert (agent.presence, agent.activity) == (Presence.READY, Activity.IDLE)


def test_keys_of_a_caller_who_talks_mean_nothing_here() -> None:
    world = gold(exits=EXITS)
    world.login("14", "1004")
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.press(caller, "1")
    world.run()
    assert world.contact(caller).state is ContactState.TALKING
    assert not world.oddities


# Before the join.


def rung(**changes: object) -> tuple[World, str, str]:
    """A caller of gold who waited 65 s, and agent 14 who has just answered: world, caller, agent's leg."""
    world = gold(**changes)
    caller = world.call("300")
    world.pass_time(65.0)
    world.login("14", "1004")
    world.run()
    leg = world.leg_to("14")
    world.answer(leg)
    world.run()
    return world, caller, leg


WAITED = ("waited", "num-1", "minute", "num-5", "seconds")


def test_the_agent_hears_the_queue_and_the_wait_while_the_caller_hears_music() -> None:
    world, caller, leg = rung(whisper=True, title_prompts=("queue-gold",))
    assert heard(world, leg) == [("queue-gold", *WAITED)]
    assert world.legs[caller].music
    assert world.contact(caller).state is ContactState.CONNECTING
    assert world.agent("14").activity is Activity.OFFERED
    assert not world.bridges
    hear_out(world)
    assert world.contact(caller).state is ContactState.TALKING
    assert list(world.bridges.values()) == [{caller, leg}]
    assert not world.legs[caller].music
    assert not world.saved.timers


def test_a_whisper_is_in_the_agents_language() -> None:
    world = gold(whisper=True)
    caller = world.call("300")
    world.login("14", "1006")
    world.run()
    world.answer(world.leg_to("14"))
    world.run()
    assert world.commands(do.PlayPrompts)[-1].language == "zh"
    assert world.contact(caller).language == "en"


def test_the_caller_hears_who_will_serve_him_and_the_agent_hears_it_too() -> None:
    world, caller, leg = rung(tell_agent_number=True)
    told = ("agent-before", "digit-1", "digit-4", "agent-after")
    assert heard(world, caller) == heard(world, leg) == [told]
    assert not world.legs[caller].music
    world.finish_playback(world.contact(caller).playback)
    world.run()
    assert world.contact(caller).state is ContactState.CONNECTING, "the agent still hears it"
    hear_out(world)
    assert world.contact(caller).state is ContactState.TALKING


def test_both_hear_their_own() -> None:
    world, caller, leg = rung(tell_agent_number=True, whisper=True)
    assert heard(world, caller) == [("agent-before", "digit-1", "digit-4", "agent-after")]
    assert heard(world, leg) == [WAITED]


def test_an_agent_who_hangs_up_in_the_whisper_leaves_the_caller_his_place() -> None:
    world, caller, leg = rung(whisper=True)
    later = world.call("300")
    world.run()
    world.hang_up(leg)
    world.run()
    assert world.contact(caller).state is ContactState.WAITING
    assert [entry[-1] for entry in world.floor.scene.queues["gold"].waiting] == [caller, later]
    assert world.legs[caller].music
    assert (world.agent("14").presence, world.agent("14").reason) == (Presence.NOT_READY, "rejected")
    world.login("13", "1003")
    world.run()
    assert world.ringing() == {"13": caller}


def test_a_caller_who_hangs_up_in_the_whisper_has_given_up() -> None:
    world, caller, leg = rung(whisper=True)
    world.hang_up(caller)
    world.run()
    assert world.closed(caller).outcome is Outcome.ABANDONED
    assert leg not in world.legs
    assert world.floor.scene.is_free(world.agent("14"))
    assert not world.saved.timers


def test_a_whisper_that_cannot_be_played_joins_them_all_the_same() -> None:
    world = gold(whisper=True)
    world.login("14", "1004")
    world.fail_next(do.PlayPrompts, seen.Failure.REFUSED)
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("14"))
    world.pass_time(1.0)
    assert world.contact(caller).state is ContactState.TALKING


def test_a_whisper_without_an_end_is_ended() -> None:
    world, caller, _ = rung(whisper=True)
    world.pass_time(20.0)
    assert world.contact(caller).state is ContactState.TALKING
    assert not world.playing


def test_a_restart_in_the_whisper_joins_them() -> None:
    world, caller, leg = rung(whisper=True)
    world.restart_engine()
    world.survey()
    world.run()
    assert world.contact(caller).state is ContactState.TALKING
    assert list(world.bridges.values()) == [{caller, leg}]


def test_the_pace_survives_a_restart() -> None:
    world, _, _ = rung()
    assert world.floor.scene.queues["gold"].pace.answers == 1.0
    world.restart_engine()
    assert world.floor.scene.queues["gold"].pace.answers == 1.0
