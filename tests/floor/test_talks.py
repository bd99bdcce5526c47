"""During a talk: hold, transfer, consultation, conference; what they hear, and whose time is whose."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Activity
from callcenter.floor.contacts import ContactState, Talk
from callcenter.floor.events import Failure
from callcenter.floor.records import Outcome, TalkClosed
from callcenter.floor.talks import ROWS
from tests.floor import plans
from tests.floor.invariants import check
from tests.floor.test_states import talks_travelled
from tests.floor.walk import TALKING, shortest, talking_steps, walk
from tests.floor.world import World

PROMPTS = tomllib.loads((Path(__file__).parents[2] / "sounds" / "prompts.toml").read_text(encoding="utf-8"))[
    "prompts"
]
QUICK = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
numbers = st.integers(0, 63)


class Talking:
    """14 talks with a caller of the queue gold; 11 is free in sales and help, 13 in help and gold."""

    def __init__(self) -> None:
        self.world = World(plans.plan(replace(plans.GOLD, wrapup_seconds=10)))
        self.world.login("14", "1004")
        self.caller = self.world.call("300")
        self.world.pass_time(5.0)
        self.world.answer(self.world.leg_to("14"))
        self.world.run()
        self.leg = self.world.leg_to("14")
        self.world.login("11", "1001")
        self.world.login("13", "1003")

    def talk(self) -> Talk:
        return self.world.contact(self.caller).talk

    def key(self, keys: str) -> None:
        self.world.press(self.leg, keys)
        self.world.run()
        check(self.world)

    def answers(self, agent: str) -> None:
        self.world.answer(self.world.leg_to(agent))
        self.world.run()
        check(self.world)

    def hang_up(self, leg: str) -> None:
        self.world.hang_up(leg)
        self.world.run()
        check(self.world)

    def told(self) -> str:
        """The last that the agent heard."""
        prompts = [p.prompts[-1] for p in self.world.commands(do.PlayPrompts) if p.leg == self.leg]
        assert prompts[-1] in PROMPTS, f"{prompts[-1]} is not recorded"
        return prompts[-1]

    def together(self, *legs: str) -> bool:
        return set(legs) in self.world.bridges.values()

    def parts(self) -> list[tuple[str, str, float, float, str]]:
        return [
            (r.agent, r.role, r.talk_seconds, r.hold_seconds, r.ended)
            for r in self.world.records
            if isinstance(r, TalkClosed)
        ]


def test_on_hold_the_caller_hears_music_and_the_agent_nothing() -> None:
    t = Talking()
    t.key("*1")
    assert t.talk() is Talk.HELD
    assert t.together(t.leg)
    assert t.world.legs[t.caller].music
    assert t.world.agent("14").activity is Activity.HOLDING
    t.world.pass_time(20.0)
    t.key("*1")
    assert t.together(t.leg, t.caller)
    assert not t.world.legs[t.caller].music
    assert t.world.agent("14").activity is Activity.TALKING
    t.world.pass_time(10.0)
    t.hang_up(t.caller)
    assert t.world.closed(t.caller).talk_seconds == 30.0
    assert t.parts() == [("14", "served", 30.0, 20.0, "caller")]


def test_a_plain_call_has_no_record_of_parts() -> None:
    t = Talking()
    t.world.pass_time(10.0)
    t.hang_up(t.caller)
    assert t.parts() == []
    assert t.world.closed(t.caller).talk_seconds == 10.0
    assert t.world.closed(t.caller).agent == "14"


@pytest.mark.parametrize(
    ("keys", "heard"),
    [("5", "5"), ("12#", "12#"), ("*8", "*8"), ("*", "*"), ("4*", "4*"), ("*1*1*8", "*8")],
)
def test_what_is_no_code_goes_on_to_the_caller(keys: str, heard: str) -> None:
    t = Talking()
    t.key(keys)
    t.world.pass_time(3.0)
    assert t.world.legs[t.caller].digits == heard
    assert t.talk() is Talk.TOGETHER
    assert not t.world.saved.timers


def test_digits_are_in_no_log() -> None:
    t = Talking()
    t.key("4111")
    assert "4" not in repr(t.world.commands(do.SendDigits)[0]).partition("digits")[2]
    t.key("*2411")
    assert "411" not in repr(t.world.floor.scene.keyings)


def test_a_blind_transfer_to_a_queue() -> None:
    t = Talking()
    t.world.pass_time(10.0)
    t.key("*270#")
    assert t.leg not in t.world.legs
    contact = t.world.contact(t.caller)
    assert (contact.state, contact.queue) == (ContactState.OFFERED, "help")
    assert t.world.agent("14").activity is Activity.WRAPUP
    t.world.pass_time(4.0)
    rung = next(iter(t.world.ringing()))
    t.answers(rung)
    t.world.pass_time(30.0)
    t.hang_up(t.caller)
    closed = t.world.closed(t.caller)
    assert (closed.queue, closed.wait_seconds, closed.talk_seconds) == ("gold", 5.0, 40.0)
    assert (closed.agent, closed.outcome) == (rung, Outcome.ANSWERED)
    assert [(p[0], p[2]) for p in t.parts()] == [("14", 10.0), (rung, 30.0)]


def test_a_transferred_caller_who_gives_up_was_answered() -> None:
    t = Talking()
    for number in ("11", "13"):
        t.world.ask(seen.AgentLogoutRequested, agent=number)
    t.key("*270#")
    t.world.pass_time(60.0)
    t.hang_up(t.caller)
    closed = t.world.closed(t.caller)
    assert closed.queue == "gold"
    assert closed.connected_at
    assert closed.outcome is Outcome.ABANDONED
    assert closed.wait_seconds == 5.0


@pytest.mark.parametrize("number", ["11", "1001"])
def test_a_blind_transfer_to_an_agent_or_his_phone(number: str) -> None:
    t = Talking()
    t.key(f"*2{number}#")
    assert t.world.ringing() == {"11": t.caller}
    t.answers("11")
    assert t.together(t.caller, t.world.leg_to("11"))


def test_an_agent_who_does_not_take_a_transferred_caller_leaves_him_in_the_queue() -> None:
    t = Talking()
    t.key("*211#")
    t.world.ask(seen.AgentNotReadyRequested, agent="13", reason="break")
    t.world.pass_time(25.0)
    assert t.world.agent("11").reason == "no-answer"
    assert t.world.contact(t.caller).state in (ContactState.WAITING, ContactState.OFFERED)
    assert t.world.legs[t.caller].music


def test_a_blind_transfer_outside_goes_by_the_trunk() -> None:
    t = Talking()
    t.world.pass_time(10.0)
    t.key("*213000#")
    assert [c.number for c in t.world.commands(do.SendOutside)] == ["13000"]
    closed = t.world.closed(t.caller)
    assert (closed.outcome, closed.talk_seconds, closed.agent) == (Outcome.ANSWERED, 10.0, "14")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("99", "transfer-not-allowed"),
        ("5551234", "transfer-not-allowed"),
        ("1", "unknown-code"),
        ("14", "transfer-busy"),
        ("12", "transfer-busy"),
        ("1005", "transfer-busy"),
    ],
)
@pytest.mark.parametrize("code", ["*2", "*3"])
def test_a_transfer_to_nowhere_is_refused_and_changes_nothing(code: str, number: str, told: str) -> None:
    t = Talking()
    t.key(f"{code}{number}#")
    assert t.told() == told
    assert t.talk() is Talk.TOGETHER
    assert t.together(t.leg, t.caller)
    t.key("*1")
    t.key(f"{code}{number}#")
    assert t.talk() is Talk.HELD


def test_a_code_that_makes_no_sense_now_is_refused() -> None:
    t = Talking()
    for code in ("*4", "*5", "*6"):
        t.key(code)
        assert t.told() == "not-possible-now"


def consulting(number: str = "11") -> Talking:
    t = Talking()
    t.world.pass_time(10.0)
    t.key(f"*3{number}#")
    t.answers(number)
    assert t.talk() is Talk.CONSULTING
    return t


def test_a_consultation_completed_by_hanging_up() -> None:
    t = consulting()
    other = t.world.leg_to("11")
    assert t.together(t.leg, other)
    assert t.world.legs[t.caller].music
    t.world.pass_time(20.0)
    t.hang_up(t.leg)
    assert t.together(t.caller, other)
    assert t.world.agent("11").activity is Activity.TALKING
    assert t.world.agent("14").activity is Activity.WRAPUP
    t.world.pass_time(40.0)
    t.hang_up(other)
    closed = t.world.closed(t.caller)
    assert (closed.agent, closed.talk_seconds, closed.queue) == ("11", 70.0, "gold")
    assert t.parts() == [
        ("14", "served", 30.0, 20.0, "handed over"),
        ("11", "consulted", 20.0, 0.0, "handed over"),
        ("11", "served", 40.0, 0.0, "agent"),
    ]


def test_the_agent_who_was_given_a_caller_has_all_codes() -> None:
    t = consulting()
    t.hang_up(t.leg)
    t.leg = t.world.leg_to("11")
    t.key("*1")
    assert t.talk() is Talk.HELD
    t.key("*213#")
    t.answers("13")
    assert t.together(t.caller, t.world.leg_to("13"))


def test_swap_and_join_and_give_up() -> None:
    t = consulting()
    other = t.world.leg_to("11")
    t.key("*4")
    assert t.together(t.leg, t.caller)
    assert t.world.legs[other].music
    t.key("*4")
    assert t.together(t.leg, other)
    t.key("*5")
    assert t.together(t.leg, t.caller, other)
    assert t.world.agent("14").activity is Activity.TALKING
    t.key("*6")
    assert t.together(t.leg, t.caller)
    assert other not in t.world.legs
    assert t.world.floor.scene.is_free(t.world.agent("11"))
    assert [p[:2] for p in t.parts()] == [("11", "consulted")]


def test_digits_go_to_whom_the_agent_talks_with() -> None:
    t = consulting()
    t.key("12")
    assert t.world.legs[t.world.leg_to("11")].digits == "12"
    assert t.world.legs[t.caller].digits == ""


def test_nobody_there_leaves_the_caller_on_hold() -> None:
    t = Talking()
    t.key("*311#")
    assert t.talk() is Talk.RINGING
    t.world.pass_time(25.0)
    assert t.told() == "transfer-failed"
    assert t.talk() is Talk.HELD
    assert not t.world.ringing()
    assert t.world.agent("11").reason == "no-answer"
    t.key("*6")
    assert t.together(t.leg, t.caller)


def test_hanging_up_while_it_rings_lets_it_ring_for_the_caller() -> None:
    t = Talking()
    t.key("*311#")
    t.hang_up(t.leg)
    assert t.world.ringing() == {"11": t.caller}
    assert t.world.legs[t.caller].music
    t.answers("11")
    assert t.together(t.caller, t.world.leg_to("11"))


def test_a_queue_is_consulted_by_its_free_agent() -> None:
    t = Talking()
    t.key("*380#")
    assert t.world.ringing() == {"13": t.caller}


def test_an_outside_number_is_consulted_and_given_the_caller() -> None:
    t = Talking()
    t.key("*313000#")
    other = t.world.commands(do.RingOutside)[-1].leg
    t.world.answer(other)
    t.world.run()
    assert t.together(t.leg, other)
    t.world.pass_time(10.0)
    t.hang_up(t.leg)
    assert t.together(t.caller, other)
    assert t.world.contact(t.caller).state is ContactState.OUTSIDE
    assert t.world.agent("14").activity is Activity.WRAPUP
    t.world.pass_time(100.0)
    t.hang_up(other)
    assert t.caller not in t.world.legs
    closed = t.world.closed(t.caller)
    assert (closed.talk_seconds, closed.agent, closed.ended_by) == (10.0, "14", "outside")


def test_the_caller_hangs_up_during_a_consultation() -> None:
    t = consulting()
    t.hang_up(t.caller)
    assert not t.world.legs
    assert not t.world.bridges
    assert t.world.closed(t.caller).ended_by == "caller"


def test_the_hold_key_of_the_phone() -> None:
    t = Talking()
    t.world.receive(seen.PhoneHeld(t.world.now, t.leg))
    assert t.talk() is Talk.HELD
    t.world.receive(seen.PhoneHeld(t.world.now, t.leg))
    t.world.receive(seen.PhoneUnheld(t.world.now, t.leg))
    assert t.talk() is Talk.TOGETHER
    assert t.together(t.leg, t.caller)


@pytest.mark.parametrize("order", ["number first", "number last"])
def test_the_transfer_key_of_the_phone(order: str) -> None:
    t = Talking()
    t.world.receive(seen.LegReplaced(t.world.now, t.leg))
    if order == "number first":
        t.world.receive(seen.PhoneTransferred(t.world.now, t.leg, "70"))
    t.hang_up(t.leg)
    assert t.caller in t.world.legs
    if order == "number last":
        t.world.receive(seen.PhoneTransferred(t.world.now, t.leg, "70"))
    t.world.run()
    assert t.world.contact(t.caller).queue == "help"
    check(t.world)


@pytest.mark.parametrize("number", ["99", ""])
def test_a_transfer_key_that_leads_nowhere_keeps_the_caller(number: str) -> None:
    t = Talking()
    t.world.receive(seen.LegReplaced(t.world.now, t.leg))
    t.hang_up(t.leg)
    if number:
        t.world.receive(seen.PhoneTransferred(t.world.now, t.leg, number))
    t.world.pass_time(6.0)
    contact = t.world.contact(t.caller)
    assert contact.queue == "gold"
    assert contact.state in (ContactState.WAITING, ContactState.OFFERED)


def second_line(answered: bool = True) -> tuple[Talking, str]:
    """14 holds his caller by the phone's key and calls 11 on the second line."""
    t = Talking()
    t.world.pass_time(10.0)
    t.world.receive(seen.PhoneHeld(t.world.now, t.leg))
    line = t.world.dial("1004", "11")
    t.world.run()
    check(t.world)
    if answered:
        t.answers("11")
        assert t.together(line, t.world.leg_to("11"))
    t.world.pass_time(5.0)
    return t, line


@pytest.mark.parametrize("how", ["transfer key", "hangs up"])
@pytest.mark.parametrize("answered", [True, False], ids=["answered", "ringing"])
def test_the_phones_own_attended_transfer(how: str, answered: bool) -> None:
    t, line = second_line(answered)
    other = t.world.leg_to("11")
    if how == "transfer key":
        for leg in (t.leg, line):
            t.world.receive(seen.LegReplaced(t.world.now, leg))
    else:
        t.hang_up(t.leg)
    t.world.run()
    check(t.world)
    assert line not in t.world.legs
    assert t.leg not in t.world.legs
    if not answered:
        assert t.world.ringing() == {"11": t.caller}
        t.answers("11")
    assert t.together(t.caller, other)
    assert not t.world.legs[t.caller].music
    t.world.pass_time(20.0)
    t.hang_up(t.caller)
    assert [(p[0], p[1], p[2]) for p in t.parts() if p[1] == "served"] == [
        ("14", "served", 15.0),
        ("11", "served", 20.0),
    ]


@pytest.mark.parametrize("who", ["line", "other"])
def test_a_second_line_that_ends_leaves_the_caller_on_hold(who: str) -> None:
    t, line = second_line()
    t.hang_up(line if who == "line" else t.world.leg_to("11"))
    assert t.talk() is Talk.HELD
    assert set(t.world.legs) == {t.caller, t.leg}
    t.world.receive(seen.PhoneUnheld(t.world.now, t.leg))
    assert t.together(t.caller, t.leg)


def test_a_code_on_the_second_line_is_a_code() -> None:
    t = Talking()
    t.world.dial("1004", "*141")
    t.world.run()
    assert t.world.agent("14").reason == "break"
    assert t.talk() is Talk.TOGETHER


@pytest.mark.parametrize("empty", [False, True], ids=["from Redis", "from Asterisk alone"])
def test_a_restart_with_a_second_line(empty: bool) -> None:
    t, line = second_line()
    t.world.restart_engine(empty=empty)
    t.world.survey()
    t.world.run()
    check(t.world)
    assert {t.caller, t.leg, t.world.leg_to("11")} <= set(t.world.legs)
    if not empty:
        assert t.together(line, t.world.leg_to("11"))
    t.hang_up(t.leg)
    assert t.together(t.caller, t.world.leg_to("11"))


def test_a_leg_that_cannot_be_put_back_goes_to_the_queue() -> None:
    t = Talking()
    t.key("*1")
    t.world.fail_next(do.AddLeg, Failure.FAILED)
    t.key("*1")
    assert t.world.contact(t.caller).state in (ContactState.WAITING, ContactState.OFFERED)


# After a crash.

STANDS = {
    "held": "*1",
    "ringing": "*311#",
    "consulting": "*311#A",
    "swapped": "*311#A*4",
    "conference": "*311#A*5",
}


@pytest.mark.parametrize("empty", [False, True], ids=["from Redis", "from Asterisk alone"])
@pytest.mark.parametrize("stand", STANDS)
def test_a_restart_cuts_nobody_off(stand: str, empty: bool) -> None:
    t = Talking()
    for piece in STANDS[stand].split("A"):
        if piece:
            t.key(piece)
        if piece == "*311#" and "A" in STANDS[stand]:
            t.answers("11")
    legs, bridges = set(t.world.legs), {frozenset(b) for b in t.world.bridges.values()}
    t.world.restart_engine(empty=empty)
    t.world.survey()
    t.world.run()
    check(t.world)
    assert set(t.world.legs) == legs
    assert {frozenset(b) for b in t.world.bridges.values()} == bridges
    assert t.talk() == stand
    contact = t.world.contact(t.caller)
    assert (contact.agent, contact.other_agent) == ("14", "" if stand == "held" else "11")
    t.key("*6")
    assert t.together(t.leg, t.caller)


@pytest.mark.parametrize("empty", [False, True], ids=["from Redis", "from Asterisk alone"])
def test_a_restart_keeps_a_caller_with_the_number_he_was_given_to(empty: bool) -> None:
    t = Talking()
    t.key("*313000#")
    other = t.world.commands(do.RingOutside)[-1].leg
    t.world.answer(other)
    t.world.run()
    t.hang_up(t.leg)
    t.world.restart_engine(empty=empty)
    t.world.survey()
    t.world.run()
    check(t.world)
    assert t.together(t.caller, other)
    t.hang_up(other)
    assert t.caller not in t.world.legs


@pytest.mark.parametrize(
    "keys", ["*1", "*270#", "*211#", "*213000#", "*311#", "*311#A*4", "*311#A*5", "*311#A*6"]
)
def test_a_crash_between_saving_and_acting(keys: str) -> None:
    """The last key is decided and saved; what it leads to is done after the restart."""
    t = Talking()
    first, _, last = keys.rpartition("A")
    if first:
        t.key(first)
        t.answers("11")
    t.key(last[:-1])
    t.world.crash_next = t.world.disturbed = True
    t.key(last[-1])
    t.world.survey()
    t.world.run()
    t.world.disturbed = False
    check(t.world)
    assert t.caller in t.world.legs
    if keys == "*213000#":
        assert t.world.legs[t.caller].application == "Dial"
    for leg in list(t.world.legs):
        t.world.hang_up(leg)
    t.world.pass_time(60.0)
    assert not t.world.legs
    t.world.closed(t.caller)


# Anything in any order.


def test_every_row_is_taken_and_leads_where_it_says() -> None:
    rows = talks_travelled()
    for key, row in ROWS.items():
        assert rows[key], f"no walk came by {key}: can it happen?"
        assert rows[key] <= {*row.leads_to, key[0]}, f"{key} led to {rows[key] - set(row.leads_to)}"


def test_random_talks() -> None:
    for calm in (True, False):
        for seed in range(700):
            steps = talking_steps(seed, calm=calm)
            try:
                world = walk(steps, calm=calm, talking=True)
                assert not calm or world.oddities == []
            except Exception as error:
                few = shortest(steps, calm=calm, talking=True)
                pytest.fail(f"seed {seed}: {error!r}; walk({few}, calm={calm}, talking=True)")


@QUICK
@given(
    st.lists(
        st.tuples(st.sampled_from([*TALKING, "time", "caller hangs up"]), st.integers(0, 63)), max_size=12
    )
)
def test_no_sequence_of_codes_and_hang_ups_leaves_anybody_alone(steps: list[tuple[str, int]]) -> None:
    world = walk(steps, calm=True, talking=True)
    assert world.oddities == []


@pytest.mark.long
def test_random_talks_for_long() -> None:
    for seed in range(100_000, 160_000):
        walk(talking_steps(seed), talking=True)
        if seed % 4 == 0:
            assert walk(talking_steps(seed, calm=True), calm=True, talking=True).oddities == []
