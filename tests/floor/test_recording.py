"""Which conversations are recorded, from when to when, and where they are silent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.events import Failure, RecordingWish
from callcenter.floor.plan import QueuePlan
from callcenter.floor.recording import is_drawn
from callcenter.floor.records import RecordingEnded
from tests.floor import plans
from tests.floor.invariants import check
from tests.floor.world import World

ALWAYS = replace(plans.GOLD, record_percent=100)
ASKED = replace(plans.GOLD, record_on_demand=True)


def talking(queue: QueuePlan, **plan: object) -> tuple[World, str]:
    """A caller of the queue and agent 13, talking."""
    world = World(plans.plan(queue, **plan))
    world.login("13", "1003")
    caller = world.call("300")
    world.run()
    while world.playing:
        world.finish_playback(next(iter(world.playing)))
        world.run()
    world.answer(world.leg_to("13"))
    world.run()
    return world, caller


def ended(world: World) -> list[RecordingEnded]:
    return [record for record in world.records if isinstance(record, RecordingEnded)]


def ask(world: World, contact: str, wish: RecordingWish) -> do.Reply:
    reply = world.ask(seen.RecordingRequested, contact=contact, wish=wish)
    world.run()
    check(world)
    assert reply is not None
    return reply


def key(world: World, digits: str) -> None:
    world.press(world.leg_to("13"), digits)
    world.run()
    check(world)


def test_a_queue_that_records_all() -> None:
    world, caller = talking(ALWAYS)
    name = world.legs[caller].recording
    assert name.startswith(f"{caller}~r")
    world.pass_time(30)
    world.hang_up(caller)
    world.run()
    assert world.steps(caller)[-2:] == ["recording", "answered"]
    (record,) = ended(world)
    assert (record.recording, record.contact, record.queue, record.agent) == (name, caller, "gold", "13")
    assert (record.at - record.began_at, record.pauses, record.asked_by, record.fault) == (30, (), "rule", "")
    assert not world.commands(do.StopRecording), "the leg's end is enough"


def test_a_queue_that_records_nothing_asks_nothing_of_asterisk() -> None:
    world, caller = talking(plans.GOLD)
    assert not ask(world, caller, RecordingWish.ON).ok
    key(world, "*7*9")
    world.hang_up(caller)
    world.run()
    assert not world.commands(do.StartRecording) + world.commands(do.StopRecording)
    assert not ended(world)


def test_a_percentage_is_drawn_evenly_and_again_the_same() -> None:
    names = [f"main-{1_763_712_345 + n // 3}.{n}" for n in range(20_000)]
    for percent in (0, 1, 20, 50, 100):
        share = sum(is_drawn(percent, name) for name in names) / len(names) * 100
        assert share == pytest.approx(percent, abs=0 if percent in (0, 100) else 1)
    assert all(is_drawn(50, name) for name in names if is_drawn(20, name))


def test_an_agent_records_on_demand_and_pauses_for_card_data() -> None:
    world, caller = talking(ASKED)
    assert world.legs[caller].recording == ""
    key(world, "*7")
    assert world.legs[caller].recording
    world.pass_time(10)
    key(world, "*9")
    assert world.legs[caller].silent
    world.pass_time(20)
    key(world, "*9")
    assert not world.legs[caller].silent
    world.pass_time(5)
    key(world, "*7")
    assert not world.legs[caller].recording
    (record,) = ended(world)
    assert (record.pauses, record.asked_by) == (((10.0, 30.0),), "agent 13")
    assert [s for s in world.steps(caller) if s.startswith("recording")] == [
        *("recording", "recording paused", "recording resumed", "recording stopped"),
    ]
    heard = [command.prompts[0] for command in world.commands(do.PlayPrompts)]
    assert heard == ["recording-on", "recording-paused", "recording-resumed", "recording-off"]
    world.run()
    key(world, "*7")
    assert world.legs[caller].recording not in ("", record.recording), "a name of its own"


def test_an_agent_may_not_end_what_the_rule_records() -> None:
    world, caller = talking(ALWAYS)
    key(world, "*7")
    assert world.legs[caller].recording
    assert world.commands(do.PlayPrompts)[-1].prompts == ("recording-refused",)
    assert world.commands(do.PlayPrompts)[-1].leg == world.contact(caller).agent_leg
    assert ask(world, caller, RecordingWish.OFF).ok, "the command line may"


def test_a_pause_lasts_until_the_end() -> None:
    world, caller = talking(ALWAYS)
    world.pass_time(4)
    assert (
        ask(world, caller, RecordingWish.PAUSE).text == f"call {caller} is not recorded until it is resumed"
    )
    world.pass_time(6)
    world.hang_up(caller)
    world.run()
    assert ended(world)[0].pauses == ((4.0, 10.0),)


def test_wishes_that_cannot_be() -> None:
    world, caller = talking(ASKED)
    assert ask(world, "nobody", RecordingWish.ON).code == "unknown-contact"
    assert ask(world, caller, RecordingWish.PAUSE).code == "not-recorded"
    assert ask(world, caller, RecordingWish.OFF).ok, "it is so already"
    waiting = world.call("300")
    world.run()
    assert ask(world, waiting, RecordingWish.ON).code == "not-talking"
    world.ask(seen.RecordingSpaceSeen, enough=False)
    assert ask(world, caller, RecordingWish.ON).code == "no-space"


def test_the_announcement_follows_the_greeting_of_those_who_may_be_recorded() -> None:
    said = {"recording_announcement": ("recorded-line",)}
    world, caller = talking(replace(ALWAYS, greeting=("greeting",)), **said)
    assert world.commands(do.PlayPrompts)[0].prompts == ("greeting", "recorded-line")
    world.hang_up(caller)
    world.run()
    assert ended(world)[0].consent == "announced"
    other, _ = talking(replace(plans.GOLD, greeting=("greeting",)), **said)
    assert other.commands(do.PlayPrompts)[0].prompts == ("greeting",)


def test_a_beep_for_both_as_it_begins() -> None:
    world, caller = talking(ALWAYS, recording_beep=True)
    beeps = [(command.leg, command.prompts) for command in world.commands(do.PlayPrompts)]
    assert beeps == [(caller, ("beep",)), (world.contact(caller).agent_leg, ("beep",))]
    quiet, _ = talking(replace(ALWAYS, record_percent=0), recording_beep=True)
    assert not quiet.commands(do.PlayPrompts)


def test_a_caller_who_did_not_hear_it_did_not_consent() -> None:
    world = World(plans.plan(ALWAYS, recording_announcement=("recorded-line",)))
    world.login("13", "1003")
    caller = world.call("300", answered=True)  # comes back from the fallback queue
    world.run()
    world.answer(world.leg_to("13"))
    world.run()
    world.hang_up(caller)
    world.run()
    assert ended(world)[0].consent == "not announced"


def test_a_full_disk_stops_recordings_and_no_call() -> None:
    world, caller = talking(ALWAYS)
    world.ask(seen.RecordingSpaceSeen, enough=False)
    world.run()
    assert (world.legs[caller].recording, world.saved.meta["recording_space"]) == ("", "0")
    assert "recording stopped" in world.steps(caller)
    world.hang_up(caller)
    world.run()
    world.restart_engine()
    world.survey()
    second = world.call("300")
    world.run()
    world.answer(world.leg_to("13"))
    world.run()
    assert not world.legs[second].recording
    assert "not recorded" in world.steps(second)


@pytest.mark.parametrize("failure", [Failure.FAILED, Failure.AWAY, Failure.TIMED_OUT])
def test_asterisk_refuses_to_record(failure: Failure) -> None:
    world = World(plans.plan(ALWAYS))
    world.login("13", "1003")
    caller = world.call("300")
    world.fail_next(do.StartRecording, failure)
    world.run()
    world.answer(world.leg_to("13"))
    world.run()
    check(world)
    assert world.steps(caller)[-1] == "not recorded"
    assert ended(world)[0].fault == f"Asterisk did not begin: {failure.value}"
    world.hang_up(caller)
    world.run()
    assert world.outcomes() == {"answered": 1}


def test_a_recording_goes_on_through_a_restart() -> None:
    world, caller = talking(ALWAYS)
    ask(world, caller, RecordingWish.PAUSE)
    name = world.legs[caller].recording
    world.restart_engine()
    world.survey()
    world.run()
    check(world)
    assert (world.legs[caller].recording, world.legs[caller].silent) == (name, True)
    world.hang_up(caller)
    world.run()
    assert [record.recording for record in ended(world)] == [name]


def test_a_crash_before_asterisk_was_told_of_a_pause() -> None:
    world, caller = talking(ALWAYS)
    world.crash_next = True
    world.ask(seen.RecordingRequested, contact=caller, wish=RecordingWish.PAUSE)
    assert not world.legs[caller].silent
    world.survey()
    world.run()
    check(world)
    assert world.legs[caller].silent


def test_a_crash_before_asterisk_was_told_begins_it_anew() -> None:
    world = World(plans.plan(ALWAYS))
    world.login("13", "1003")
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("13"))
    world.crash_next = True
    world.run()
    assert not world.legs[caller].recording
    world.survey()
    world.run()
    check(world)
    assert world.legs[caller].recording
    world.hang_up(caller)
    world.run()
    assert [record.fault == "" for record in ended(world)] == [False, True]


def test_what_is_begun_anew_is_as_silent_as_it_was() -> None:
    world = World(plans.plan(ALWAYS))
    world.login("13", "1003")
    caller = world.call("300")
    world.run()
    world.answer(world.leg_to("13"))
    world.crash_next = True
    world.run()
    world.reconnect()
    ask(world, caller, RecordingWish.PAUSE)
    world.survey()
    world.run()
    check(world)
    assert (bool(world.legs[caller].recording), world.legs[caller].silent) == (True, True)


def test_a_floor_without_memory_records_under_a_new_name() -> None:
    world, caller = talking(ALWAYS)
    name = world.legs[caller].recording
    world.pass_time(5)
    world.restart_engine(empty=True)
    world.survey()
    world.run()
    check(world)
    assert world.legs[caller].recording not in ("", name)


def test_whoever_is_taken_out_of_our_hands_is_no_longer_recorded() -> None:
    world, caller = talking(ALWAYS)
    world.receive(seen.LegLeft(world.now, caller))
    assert not world.legs[caller].recording
    assert len(ended(world)) == 1
