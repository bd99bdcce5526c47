"""Feature codes: what a phone dials, what it hears, and what it changes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import REFUSALS, Activity, Presence
from callcenter.floor.events import Failure
from tests.floor import plans
from tests.floor.world import World

PROMPTS = tomllib.loads((Path(__file__).parents[2] / "sounds" / "prompts.toml").read_text(encoding="utf-8"))[
    "prompts"
]


class Phone:
    """Somebody at a phone who dials, keys and listens."""

    def __init__(self, world: World, phone: str = "1001") -> None:
        self.world, self.phone, self.leg = world, phone, ""

    def dial(self, number: str, keys: str = "") -> tuple[str, ...]:
        self.leg = self.world.dial(self.phone, number)
        self.world.run()
        return self.key(keys)

    def key(self, keys: str) -> tuple[str, ...]:
        self.world.press(self.leg, keys)
        self.world.run()
        return self.hears()

    def hears(self) -> tuple[str, ...]:
        play = [p for p in self.world.commands(do.PlayPrompts) if p.leg == self.leg][-1]
        assert all(prompt in PROMPTS for prompt in play.prompts), f"{play.prompts} is not recorded"
        return play.prompts

    def listen(self) -> None:
        for playback in [p for p, leg in self.world.playing.items() if leg == self.leg]:
            self.world.finish_playback(playback)
        self.world.run()


def logged_in(number: str = "11", phone: str = "1001") -> Phone:
    world = World()
    world.login(number, phone)
    return Phone(world, phone)


def test_log_in_asks_for_number_and_pin_and_ends_the_call_after_the_answer() -> None:
    phone = Phone(World())
    assert phone.dial("*11") == ("enter-agent-number",)
    assert phone.key("11#") == ("enter-pin",)
    assert phone.key("1111#") == ("logged-in",)
    agent = phone.world.agent("11")
    assert agent.presence is Presence.READY
    assert agent.activity is Activity.ELSEWHERE, "until he has hung up"
    phone.listen()
    assert phone.leg not in phone.world.legs
    assert phone.world.floor.scene.is_free(agent)
    assert not phone.world.saved.timers
    assert not phone.world.floor.scene.sessions


def test_the_number_may_follow_the_code() -> None:
    phone = Phone(World())
    assert phone.dial("*1111") == ("enter-pin",)
    assert phone.key("1111#") == ("logged-in",)


def test_a_key_cuts_the_prompt_short_and_star_begins_again() -> None:
    phone = Phone(World())
    phone.dial("*1111")
    phone.key("9")
    assert not phone.world.playing
    assert phone.key("9*1111#") == ("logged-in",)


def test_the_phones_language_is_spoken() -> None:
    phone = Phone(World(), "1006")
    phone.dial("*13")
    assert phone.world.commands(do.PlayPrompts)[-1].language == "zh"


def test_three_wrong_pins_are_told_counted_and_lock() -> None:
    phone = Phone(World())
    phone.dial("*1111")
    assert phone.key("1#") == ("wrong-pin", "enter-pin")
    assert phone.key("2#") == ("wrong-pin", "enter-pin")
    assert phone.key("3#") == ("wrong-pin", "login-locked")
    phone.listen()
    assert phone.world.agent("11").pin_failures == 3
    assert phone.dial("*1111", "1111#") == ("login-locked",), "even with the right one"
    phone.listen()
    phone.world.pass_time(60.0)
    assert phone.dial("*1111", "1111#") == ("logged-in",)
    assert phone.world.agent("11").pin_failures == 0


def test_each_further_wrong_pin_locks_for_twice_as_long_and_a_restart_forgets_nothing() -> None:
    phone = Phone(World())
    for wait in (0.0, 0.0, 60.0, 120.0, 240.0):
        phone.dial("*1111", "9#")
        phone.world.hang_up(phone.leg)
        phone.world.run()
        locked = max(0.0, phone.world.agent("11").locked_until - phone.world.now)
        assert locked == wait
        phone.world.restart_engine()
        phone.world.survey()
        phone.world.pass_time(wait)


def test_the_right_pin_at_ones_own_phone_clears_the_count() -> None:
    phone = logged_in()
    phone.dial("*1111", "9#")
    phone.key("9#")
    phone.key("1111#")
    assert phone.world.agent("11").pin_failures == 0


def test_an_unknown_number_sounds_like_a_wrong_pin() -> None:
    phone = Phone(World())
    phone.dial("*11")
    assert phone.key("77#") == ("enter-pin",)
    assert phone.key("1#") == ("wrong-pin", "enter-pin")
    assert phone.key("1#") == ("wrong-pin", "enter-pin")
    assert phone.key("1#") == ("wrong-pin", "login-locked")


def test_a_pin_is_in_no_text() -> None:
    world = World()
    phone = Phone(world)
    phone.dial("*1111", "4711")
    shown = repr([*world.done, *world.told, *world.floor.scene.sessions.values()])
    phone.key("#")
    assert "4711" not in shown + repr(world.done)


@pytest.mark.parametrize(
    ("code", "prompts", "presence", "reason"),
    [
        ("*12", "logged-out", Presence.LOGGED_OUT, ""),
        ("*13", "ready", Presence.READY, ""),
        ("*141", "not-ready", Presence.NOT_READY, "break"),
        ("*142", "not-ready", Presence.NOT_READY, "lunch"),
        ("*149", "unknown-reason", Presence.READY, ""),
        ("*15", "no-wrapup", Presence.READY, ""),
        ("777", "unknown-code", Presence.READY, ""),
    ],
)
def test_codes(code: str, prompts: str, presence: Presence, reason: str) -> None:
    phone = logged_in()
    assert phone.dial(code)[0] == prompts
    agent = phone.world.agent("11")
    assert (agent.presence, agent.reason) == (presence, reason)


@pytest.mark.parametrize("code", ["*12", "*13", "*14", "*141", "*15"])
def test_codes_of_nobody(code: str) -> None:
    assert Phone(World()).dial(code) == ("not-logged-in",)


def test_a_reason_is_asked_for_three_times() -> None:
    phone = logged_in()
    assert phone.dial("*14") == ("enter-reason",)
    assert phone.key("9") == ("unknown-reason", "enter-reason")
    assert phone.key("8") == ("unknown-reason", "enter-reason")
    assert phone.key("7") == ("unknown-reason",)
    phone.listen()
    assert phone.dial("*14", "2") == ("not-ready",)
    assert phone.world.agent("11").reason == "lunch"


def test_wrapup_is_ended_by_code() -> None:
    phone = logged_in("12", "1002")
    world = phone.world
    caller = world.call("100")
    world.run()
    world.finish_playback(next(iter(world.playing)))
    world.run()
    world.answer(world.leg_to("12"))
    world.run()
    world.hang_up(caller)
    world.run()
    assert world.agent("12").activity is Activity.WRAPUP
    assert phone.dial("*15") == ("wrapup-ended",)
    phone.listen()
    assert world.floor.scene.is_free(world.agent("12"))


def test_the_night_switch_by_phone() -> None:
    phone = Phone(World())
    assert phone.dial("*18") == ("night-on",)
    assert phone.world.floor.scene.night
    assert phone.dial("*19") == ("night-off",)
    assert not phone.world.floor.scene.night


def test_a_phone_left_off_the_hook_is_hung_up() -> None:
    phone = Phone(World())
    phone.dial("*11")
    phone.world.pass_time(29.9)
    phone.key("1")
    phone.world.pass_time(29.9)
    assert phone.leg in phone.world.legs
    phone.world.pass_time(0.1)
    assert phone.leg not in phone.world.legs
    assert not phone.world.floor.scene.sessions


def test_nobody_is_offered_while_he_dials_a_code() -> None:
    phone = logged_in("14", "1004")
    world = phone.world
    phone.dial("*14")
    caller = world.call("300")
    world.run()
    assert not world.ringing()
    world.hang_up(phone.leg)
    world.run()
    assert world.ringing() == {"14": caller}


def test_hanging_up_at_any_moment_leaves_nothing() -> None:
    for keys in ("", "1", "11#", "11#1", "11#1111#"):
        phone = Phone(World())
        phone.dial("*11", keys) if keys else phone.dial("*11")
        phone.world.hang_up(phone.leg)
        phone.world.receive(seen.LegHungUp(phone.world.now, phone.leg))
        phone.world.run()
        scene = phone.world.floor.scene
        assert not scene.sessions
        assert not scene.playbacks
        assert not scene.timers


def test_an_answer_that_comes_after_the_hang_up_seats_nobody() -> None:
    world = World()
    leg = world.dial("1001", "*1111")
    world.run()
    world.hang_up(leg)
    world.run()
    world.receive(seen.PinChecked(world.now, leg, "11", True))
    assert world.agent("11").presence is Presence.LOGGED_OUT


def test_every_refusal_can_be_spoken() -> None:
    assert {r.value for r in REFUSALS} - set(PROMPTS) - {"unknown-reason"} == set()


def test_a_login_moves_the_agent_to_the_phone_he_dials_from() -> None:
    phone = logged_in("11", "1002")
    other = Phone(phone.world, plans.PHONES[2])
    other.dial("*1111", "1111#")
    other.listen()
    assert phone.world.agent("11").phone == plans.PHONES[2]


def test_a_hang_up_that_fails_is_tried_again() -> None:
    phone = Phone(World())
    phone.dial("*11")
    phone.world.fail_next(do.HangUp, Failure.TIMED_OUT)
    phone.world.pass_time(30.0)
    assert phone.leg in phone.world.legs
    phone.world.pass_time(30.0)
    assert phone.leg not in phone.world.legs
    assert not phone.world.saved.timers
