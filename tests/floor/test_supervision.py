"""Leaders at their agents' conversations: who hears whom, who may, and that no conversation suffers."""

from __future__ import annotations

import pytest

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.events import AgentDefinition, Failure
from callcenter.floor.records import AgentState, Intervention, TalkClosed
from tests.floor import plans
from tests.floor.invariants import check
from tests.floor.test_codes import PROMPTS
from tests.floor.world import World

PEOPLE = (
    *(AgentDefinition("11", "Ada", ("help",), team="a"), AgentDefinition("12", "Bo", ("help",), team="b")),
    AgentDefinition("21", "Lea", ("sales",), team="a", leads=("a",)),
    AgentDefinition("22", "Sue", ("sales",), supervisor=True),
)


class Floor:
    """Agent 11 talks at 1001; leader 21 sits at 1003, supervisor 22 at 1004, agent 12 at 1002."""

    def __init__(self) -> None:
        self.world = World(people=PEOPLE)
        for number, phone in (("11", "1001"), ("12", "1002"), ("21", "1003"), ("22", "1004")):
            self.world.login(number, phone)
        self.call = self.world.call("200")
        self.world.run()
        if "11" not in self.world.ringing():  # round robin among those who wait alike
            raise AssertionError(f"11 should have been rung: {self.world.ringing()}")
        self.agent_leg = self.world.leg_to("11")
        self.world.answer(self.agent_leg)
        self.world.run()

    @property
    def talk(self) -> set[str]:
        """Who is in the conversation's bridge."""
        return self.world.bridges[self.world.contact(self.call).bridge]

    def dial(self, phone: str, code: str) -> str:
        leg = self.world.dial(phone, code)
        self.world.run()
        check(self.world)
        return leg

    def press(self, leg: str, keys: str) -> None:
        self.world.press(leg, keys)
        self.world.run()
        check(self.world)

    def beside(self, leg: str) -> set[str]:
        """What the leg is in a bridge with, beside the conversation."""
        bridge = self.world.bridges.get(f"{leg}~beside", set())
        return {self.world.legs[each].taps or each for each in bridge}

    def heard(self, leg: str) -> tuple[str, ...]:
        play = [p for p in self.world.commands(do.PlayPrompts) if p.leg == leg][-1]
        assert all(prompt in PROMPTS for prompt in play.prompts)
        return play.prompts

    def acts(self) -> list[tuple[str, str, str]]:
        return [(r.by, r.act, r.agent) for r in self.world.records if isinstance(r, Intervention)]


@pytest.mark.parametrize(("code", "muted"), [("*8111", True), ("*8211", False)])
def test_to_listen_and_to_whisper_the_agents_leg_is_tapped(code: str, muted: bool) -> None:
    floor = Floor()
    leg = floor.dial("1003", code)
    assert floor.beside(leg) == {leg, floor.agent_leg}
    assert floor.world.legs[leg].muted == muted
    assert floor.talk == {floor.call, floor.agent_leg}
    assert not floor.world.saved.timers, "a leader may listen for long"
    assert floor.world.agent("21").activity is Activity.ELSEWHERE


def test_keys_change_what_the_leader_does_and_all_of_it_is_remembered() -> None:
    floor = Floor()
    leg = floor.dial("1003", "*8111")
    floor.press(leg, "5")
    assert not floor.world.legs[leg].muted
    floor.press(leg, "6")
    assert floor.talk == {floor.call, floor.agent_leg, leg}
    floor.press(leg, "4")
    assert floor.talk == {floor.call, floor.agent_leg}
    assert floor.beside(leg) == {leg, floor.agent_leg}
    assert floor.world.legs[leg].muted
    floor.press(leg, "9")
    floor.world.hang_up(leg)
    floor.world.run()
    assert floor.talk == {floor.call, floor.agent_leg}
    assert set(floor.world.legs) == {floor.call, floor.agent_leg}, "the tap is gone too"
    assert set(floor.world.bridges) == {floor.world.contact(floor.call).bridge}
    assert [act for _, act, _ in floor.acts()] == [
        *("listen", "whisper", "barge", "listen"),
        "supervision over",
    ]
    assert floor.world.steps(floor.call)[-5:] == [
        *("listen", "whisper", "barge", "listen"),
        "supervision over",
    ]
    assert floor.world.floor.scene.is_free(floor.world.agent("21"))


def test_barging_at_once_needs_no_tap() -> None:
    floor = Floor()
    leg = floor.dial("1004", "*8311")
    assert floor.talk == {floor.call, floor.agent_leg, leg}
    assert not floor.world.commands(do.SnoopLeg)
    floor.press(leg, "4")
    assert floor.beside(leg) == {leg, floor.agent_leg}


def test_two_listen_and_one_takes_over() -> None:
    floor = Floor()
    leader, supervisor = floor.dial("1003", "*8111"), floor.dial("1004", "*8111")
    assert floor.beside(leader) == {leader, floor.agent_leg}
    assert floor.beside(supervisor) == {supervisor, floor.agent_leg}
    floor.press(leader, "7")
    assert floor.talk == {floor.call, leader}
    assert supervisor not in floor.world.legs, "it was another agent's conversation"
    assert set(floor.world.legs) == {floor.call, leader}


@pytest.mark.parametrize("ends", ["caller", "agent"])
def test_when_the_conversation_ends_the_leader_is_let_go(ends: str) -> None:
    floor = Floor()
    leg = floor.dial("1003", "*8111")
    floor.world.hang_up(floor.call if ends == "caller" else floor.agent_leg)
    floor.world.run()
    check(floor.world)
    assert leg not in floor.world.legs
    assert not floor.world.legs
    assert not floor.world.bridges
    assert floor.world.closed(floor.call).ended_by == ends


@pytest.mark.parametrize(
    ("phone", "code", "prompt"),
    [
        ("1002", "*8111", "not-allowed"),  # an agent
        ("1001", "*8421", "not-allowed"),
        ("1003", "*8112", "not-allowed"),  # a leader, of another team's agent
        ("1003", "*8121", "not-allowed"),  # of himself
        ("1003", "*8199", "unknown-agent"),
        ("1002", "*8199", "not-allowed"),  # who may nothing learns nothing
        ("1004", "*8112", "not-talking"),
        ("1004", "*81", "unknown-agent"),
        ("1005", "*8111", "not-logged-in"),
    ],
)
def test_who_may_not_is_told_so_and_nothing_changes(phone: str, code: str, prompt: str) -> None:
    floor = Floor()
    before = floor.world.agent("11"), floor.talk.copy(), floor.world.agent("21").presence
    leg = floor.dial(phone, code)
    assert floor.heard(leg) == (prompt,)
    assert (floor.world.agent("11"), floor.talk, floor.world.agent("21").presence) == before
    assert not floor.world.floor.scene.supervisions
    assert not floor.acts()


def test_a_leader_takes_over_and_each_has_his_own_time() -> None:
    floor = Floor()
    floor.world.pass_time(60)
    leg = floor.dial("1003", "*8111")
    floor.world.pass_time(20)
    floor.press(leg, "7")
    assert floor.talk == {floor.call, leg}
    assert not floor.world.legs[leg].muted
    assert floor.agent_leg not in floor.world.legs
    contact, leader = floor.world.contact(floor.call), floor.world.agent("21")
    assert (contact.agent, leader.activity, leader.contact) == ("21", Activity.TALKING, contact.id)
    assert floor.world.agent("11").activity is Activity.IDLE
    floor.world.pass_time(40)
    floor.world.hang_up(leg)
    floor.world.run()
    closed = floor.world.closed(floor.call)
    assert (closed.agent, closed.talk_seconds, closed.ended_by) == ("21", 120.0, "agent")
    talked = {
        r.agent: r.at - r.since
        for r in floor.world.records
        if isinstance(r, AgentState) and r.activity == "talking"
    }
    assert talked == {"11": 80.0, "21": 40.0}


def test_a_conversation_that_was_taken_over_outlives_the_engine_with_and_without_redis() -> None:
    for empty in (False, True):
        floor = Floor()
        leg = floor.dial("1003", "*8811")
        assert floor.talk == {floor.call, leg}
        floor.world.restart_engine(empty=empty)
        floor.world.survey()
        floor.world.run()
        check(floor.world)
        assert floor.talk == {floor.call, leg}
        assert floor.world.contact(floor.call).agent == "21"
        assert floor.world.agent("21").activity is Activity.TALKING


@pytest.mark.parametrize("code", ["*8111", "*8211", "*8311"])
def test_a_restart_ends_the_supervision_and_not_the_conversation(code: str) -> None:
    for empty in (False, True):
        floor = Floor()
        leg = floor.dial("1003", code)
        floor.world.restart_engine(empty=empty)
        floor.world.survey()
        floor.world.run()
        check(floor.world)
        assert leg not in floor.world.legs
        assert set(floor.world.legs) == {floor.call, floor.agent_leg}, (
            "no tap is left, nor taken for a caller"
        )
        assert floor.talk == {floor.call, floor.agent_leg}


@pytest.mark.parametrize(
    ("code", "command"),
    [("*8111", do.SnoopLeg), ("*8111", do.MuteLeg), ("*8111", do.ConnectLegs), ("*8311", do.AddLeg)],
)
@pytest.mark.parametrize("failure", [Failure.FAILED, Failure.NOT_FOUND, Failure.TIMED_OUT])
def test_what_fails_ends_the_supervision_and_not_the_conversation(
    code: str, command: type[do.Command], failure: Failure
) -> None:
    floor = Floor()
    floor.world.fail_next(command, failure)
    floor.dial("1003", code)
    floor.world.pass_time(60)
    check(floor.world)
    assert floor.talk == {floor.call, floor.agent_leg}
    assert not floor.world.floor.scene.supervisions
    assert floor.world.contact(floor.call).agent == "11"


def test_a_caller_keeps_his_place_when_the_taking_over_fails() -> None:
    floor = Floor()
    leg = floor.dial("1003", "*8111")
    floor.world.fail_next(do.AddLeg, Failure.FAILED)
    floor.press(leg, "7")
    floor.world.run()
    check(floor.world)
    assert floor.world.contact(floor.call).state in ("waiting", "offered")


def test_from_the_shell_the_phone_rings_and_is_joined() -> None:
    floor = Floor()
    reply = floor.world.ask(seen.SuperviseRequested, agent="11", phone="1003", act="listen")
    assert reply is not None
    assert (reply.ok, reply.text) == (
        True,
        "agent 11 talks: phone 1003 rings (4 listen, 5 whisper, 6 barge, 7 take over)",
    )
    leg = "watch-r~1003"
    assert floor.world.agent("21").activity is Activity.ELSEWHERE, "his phone rings: he is offered nobody"
    assert not floor.acts()
    floor.world.answer(leg)
    floor.world.run()
    check(floor.world)
    assert floor.beside(leg) == {leg, floor.agent_leg}
    assert floor.acts() == [("test", "listen", "11")]
    floor.press(leg, "7")
    assert floor.world.contact(floor.call).agent == "21"


def test_a_phone_that_is_not_answered_is_no_supervision() -> None:
    floor = Floor()
    floor.world.ask(seen.SuperviseRequested, agent="11", phone="1005", act="whisper")
    floor.world.pass_time(plans.plan().session_seconds + 1)
    check(floor.world)
    assert not floor.world.floor.scene.sessions
    assert not floor.acts()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"agent": "11", "phone": "1099"}, "unknown-phone"),
        ({"agent": "11", "phone": "1001"}, "phone-in-use"),
        ({"agent": "99", "phone": "1005"}, "unknown-agent"),
        ({"agent": "12", "phone": "1005"}, "not-talking"),
        ({"agent": "11", "phone": "1005", "leader": "12"}, "not-allowed"),
        ({"agent": "11", "phone": "1005", "leader": "99"}, "not-allowed"),
        ({"agent": "11", "phone": "1005", "act": "take over"}, "not-logged-in"),
    ],
)
def test_what_cannot_be_asked_from_the_shell(fields: dict[str, str], code: str) -> None:
    floor = Floor()
    reply = floor.world.ask(seen.SuperviseRequested, **{"act": "listen", **fields})
    assert reply is not None
    assert (reply.ok, reply.code) == (False, code)
    check(floor.world)
    assert not floor.world.floor.scene.sessions


def test_a_leader_forces_states_from_his_phone() -> None:
    floor = Floor()
    for code, presence in (("*86", Presence.NOT_READY), ("*85", Presence.READY)):
        leg = floor.dial("1004", f"{code}12")
        assert floor.heard(leg) == ("done",)
        assert floor.world.agent("12").presence is presence
        floor.world.hang_up(leg)
        floor.world.run()
    assert floor.heard(floor.dial("1003", "*8411")) == ("done",)
    assert floor.world.agent("11").logout_when_free, "his contact goes on"
    assert floor.acts() == [("22", "not ready", "12"), ("22", "ready", "12"), ("21", "log out", "11")]


def test_rights_hold_in_the_shell_where_a_leader_is_named() -> None:
    floor = Floor()
    for leader, granted in (("12", False), ("21", False), ("22", True), ("", True)):
        reply = floor.world.ask(seen.AgentNotReadyRequested, agent="12", reason="lunch", leader=leader)
        assert reply is not None
        assert reply.ok is granted, reply
    assert floor.acts() == [("22", "not ready", "12"), ("test", "not ready", "12")]


def waiting(people: tuple[AgentDefinition, ...] = PEOPLE) -> tuple[World, str, str]:
    """Two callers wait in help, the second a minute later."""
    world = World(people=people)
    first = world.call("200")
    world.pass_time(60)
    second = world.call("200")
    world.run()
    return world, first, second


def test_a_head_start_overtakes_and_is_taken_back() -> None:
    world, first, second = waiting()
    queue = world.floor.scene.queues["help"]
    for seconds, order in ((59.0, [first, second]), (61.0, [second, first]), (0.0, [first, second])):
        reply = world.ask(seen.CallPrioritizeRequested, contact=second, head_start=seconds)
        assert reply is not None
        assert reply.ok
        check(world)
        assert [name for _, name in queue.waiting] == order
    world.ask(seen.CallPrioritizeRequested, contact=second, head_start=61.0)
    world.login("11", "1001")
    world.run()
    assert world.ringing() == {"11": second}


@pytest.mark.parametrize("seconds", [-1.0, 86_401.0, float("nan"), float("inf")])
def test_a_head_start_that_is_none(seconds: float) -> None:
    world, _, second = waiting()
    reply = world.ask(seen.CallPrioritizeRequested, contact=second, head_start=seconds)
    assert reply is not None
    assert (reply.ok, reply.text) == (False, "head start: expected 0 to 86400 seconds")
    check(world)
    assert world.contact(second).head_start == 0.0


def test_a_moved_caller_waits_elsewhere_with_the_time_he_waited() -> None:
    world, first, second = waiting()
    world.ask(seen.CallMoveRequested, contact=first, queue="gold")
    check(world)
    contact = world.contact(first)
    assert (contact.queue, contact.queued_at) == ("gold", plans.MONDAY_10)
    assert contact.music, "gold has music"
    world.login("11", "1001")
    world.run()
    assert world.ringing() == {"11": second}
    moved = [r for r in world.records if isinstance(r, Intervention)]
    assert [(r.act, r.contact, r.detail) for r in moved] == [("move", first, "from help to gold")]
    assert "moved" in world.steps(first)


def test_a_caller_whose_agent_rings_is_moved_too() -> None:
    world, first, _ = waiting()
    world.login("11", "1001")
    world.run()
    assert world.ringing() == {"11": first}
    world.ask(seen.CallMoveRequested, contact=first, queue="gold")
    world.run()
    check(world)
    assert world.contact(first).queue == "gold"
    assert first not in world.ringing().values()
    assert world.agent("11").presence is Presence.READY, "he did nothing wrong"


@pytest.mark.parametrize(
    ("leader", "contact", "queue", "text"),
    [
        ("", "c9", "gold", "there is no call c9"),
        ("", "c1", "silver", "queue silver: there is none; the site has sales, help, gold"),
        ("", "c1", "help", "call c1 is in queue help already"),
        ("11", "c1", "gold", "only a leader"),
        ("99", "c1", "gold", "only a leader"),
    ],
)
def test_what_cannot_be_moved(leader: str, contact: str, queue: str, text: str) -> None:
    world, first, second = waiting()
    assert (first, second) == ("c1", "c2")
    reply = world.ask(seen.CallMoveRequested, contact=contact, queue=queue, leader=leader)
    assert reply is not None
    assert not reply.ok
    assert text in reply.text
    assert [name for _, name in world.floor.scene.queues["help"].waiting] == [first, second]


def test_a_leader_moves_those_who_wait_for_his_team() -> None:
    world, first, _ = waiting()
    reply = world.ask(seen.CallMoveRequested, contact=first, queue="gold", leader="21")
    assert reply is not None
    assert reply.ok
    reply = world.ask(seen.CallMoveRequested, contact=first, queue="help", leader="21")
    assert reply is not None
    assert reply.code == "not-allowed", "nobody of his serves gold"


def test_a_talking_caller_is_not_moved() -> None:
    floor = Floor()
    reply = floor.world.ask(seen.CallMoveRequested, contact=floor.call, queue="gold")
    assert reply is not None
    assert reply.text == f"call {floor.call} is talking: only a caller who waits can be moved"


TEAM = (
    *(AgentDefinition("11", "Ada", ("help",), team="a"), AgentDefinition("12", "Bo", ("help",), team="a")),
    *(AgentDefinition("13", "Cy", ("help",), team="b"), AgentDefinition("14", "Di", ("help",), team="a")),
    AgentDefinition("21", "Lea", ("sales",), team="a", leads=("a",)),
)


def team(*, talking: bool = False) -> World:
    """All but agent 14 are logged in, and idle; with `talking` agent 11 is not."""
    world = World(people=TEAM)
    for number, phone in (("11", "1001"), ("12", "1002"), ("13", "1003"), ("21", "1004")):
        world.login(number, phone)
        if talking and number == "11":
            world.call("200")
            world.run()
            world.answer(world.leg_to("11"))
            world.run()
    return world


def test_a_leader_speaks_to_those_of_his_team_who_are_idle() -> None:
    world = team(talking=True)
    speaker = world.dial("1004", "*87")
    world.run()
    assert {leg.phone for leg in world.legs.values() if not leg.up} == {"1002"}
    assert world.agent("12").activity is Activity.ELSEWHERE, "nobody is offered to him meanwhile"
    listener = f"{speaker}~1002"
    world.answer(listener)
    world.run()
    check(world)
    assert world.bridges[f"{speaker}~speech"] == {speaker, listener}
    assert world.legs[listener].muted
    assert not world.legs[speaker].muted
    world.hang_up(speaker)
    world.run()
    check(world)
    assert listener not in world.legs
    assert world.floor.scene.is_free(world.agent("12"))
    spoken = [r for r in world.records if isinstance(r, Intervention)]
    assert [(r.by, r.act, r.detail) for r in spoken] == [("21", "speak", "to a, 1 phones")]


def test_listeners_come_and_go_and_with_the_last_it_is_over() -> None:
    world = team()
    speaker = world.dial("1004", "*87")
    world.run()
    first, second = f"{speaker}~1001", f"{speaker}~1002"
    for leg in (first, second):
        world.answer(leg)
    world.run()
    assert world.bridges[f"{speaker}~speech"] == {speaker, first, second}
    world.hang_up(first)
    world.run()
    check(world)
    assert world.floor.scene.is_free(world.agent("11"))
    assert speaker in world.legs
    world.hang_up(second)
    world.run()
    check(world)
    assert not world.legs
    assert not world.bridges


def test_from_the_shell_the_speakers_phone_rings_first() -> None:
    world = team()
    for team_name, phone, leader, code in (
        ("a", "1005", "11", "not-allowed"),
        ("a", "1099", "", "unknown-phone"),
        ("c", "1005", "", "nobody-free"),
    ):
        reply = world.ask(seen.SpeakRequested, team=team_name, phone=phone, leader=leader)
        assert reply is not None
        assert (reply.ok, reply.code) == (False, code)
        check(world)
    reply = world.ask(seen.SpeakRequested, team="b", phone="1005", leader="")
    assert reply is not None
    assert (reply.ok, reply.text) == (True, "team b: phone 1005 rings")
    assert {leg.phone for leg in world.legs.values()} == {"1005"}
    world.answer("speak-r~1005")
    world.run()
    check(world)
    assert {leg.phone for leg in world.legs.values() if not leg.up} == {"1003"}
    world.pass_time(60)
    check(world)
    assert not world.legs, "nobody wanted to hear it"


def test_who_is_offered_a_caller_before_the_speaker_is_there_is_not_rung_for_him() -> None:
    world = team()
    world.ask(seen.AgentLogoutRequested, agent="11")
    world.ask(seen.SpeakRequested, team="a", phone="1005")
    world.call("200")
    world.call("200")
    world.run()
    assert "12" in world.ringing()
    world.answer("speak-r~1005")
    world.run()
    check(world)
    assert {leg.phone for leg in world.legs.values() if leg.id.startswith("speak")} <= {"1004", "1005"}


def test_an_agent_speaks_to_nobody() -> None:
    world = team()
    leg = world.dial("1001", "*87")
    world.run()
    play = [p for p in world.commands(do.PlayPrompts) if p.leg == leg][-1]
    assert play.prompts == ("not-allowed",)
    assert len(world.legs) == 1


def test_a_restart_ends_a_speech() -> None:
    world = team()
    speaker = world.dial("1004", "*87")
    world.run()
    world.answer(f"{speaker}~1001")
    world.run()
    world.restart_engine()
    world.survey()
    world.run()
    check(world)
    assert not world.legs
    assert not world.bridges


@pytest.mark.parametrize("keys", ["*1", "*312#", "*312#*4", "*312#*5"])
def test_taking_over_brings_a_held_caller_back_and_ends_the_consultation(keys: str) -> None:
    """Each agent's part is his own, whatever stood between."""
    floor = Floor()
    floor.world.pass_time(10)
    floor.press(floor.agent_leg, keys[:5])
    if other := floor.world.contact(floor.call).other_leg:
        floor.world.answer(other)
        floor.world.run()
        floor.press(floor.agent_leg, keys[5:])
    floor.world.pass_time(10)
    leg = floor.dial("1004", "*8811")
    assert floor.talk == {floor.call, leg}
    assert not floor.world.legs[floor.call].music
    assert set(floor.world.legs) == {floor.call, leg}
    floor.world.pass_time(5)
    floor.world.hang_up(floor.call)
    floor.world.run()
    check(floor.world)
    closed = floor.world.closed(floor.call)
    parts = [r for r in floor.world.records if isinstance(r, TalkClosed) and r.role == "served"]
    assert [(r.agent, r.talk_seconds) for r in parts] == [("11", 20.0), ("22", 5.0)]
    assert (closed.agent, closed.talk_seconds) == ("22", 25.0)


def test_a_barge_that_fails_after_the_supervisor_left_leaves_the_two_talking() -> None:
    floor = Floor()
    leg = floor.dial("1003", "*8311")
    floor.world.hang_up(leg)
    floor.world.run()
    command = do.AddLeg(floor.world.contact(floor.call).bridge, leg, absorb=True)
    floor.world.receive(seen.CommandFailed(floor.world.now, command, Failure.FAILED, "late"))
    floor.world.run()
    check(floor.world)
    assert floor.talk == {floor.call, floor.agent_leg}
    assert floor.world.contact(floor.call).agent == "11"
