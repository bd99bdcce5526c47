"""Teams from the shell: who is in them, who leads them, what the floor learns, and what leaders see."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from callcenter.floor.agents import Presence
from callcenter.floor.events import (
    AgentNotReadyRequested,
    CallMoveRequested,
    CallPrioritizeRequested,
    SuperviseRequested,
)
from callcenter.floor.records import Intervention
from callcenter.history import migrate
from callcenter.state import encode, record_id

from .floors import agent, step
from .shell import Shell
from .test_history import drain_now, put
from .test_people import engine, everybody

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def shell(tmp_path: Path, redis_url: str, database_url: str) -> Shell:
    migrate(database_url)
    made = Shell.at(tmp_path, redis_url, database_url)
    for number in ("1001", "1002", "1003"):
        assert made("agents", "add", number, f"Agent {number}").code == 0
    return made


def test_a_team_its_members_and_its_leader(shell: Shell, database_url: str) -> None:
    said = shell("teams", "add", "north", "--title", "北区", "--leader", "1001")
    assert said.code == 0, said.err
    assert shell("teams", "assign", "north", "1002", "1003").out == (
        "team north: agents 1002, 1003 are in it now\n"
    )
    assert shell("teams", "list", "--json").json == [
        {"team": "north", "title": "北区", "leaders": "1001", "members": 2}
    ]
    leader, second, third = everybody(database_url)
    assert (leader.leads, leader.team, leader.supervisor) == (("north",), "", False)
    assert (second.team, third.team) == ("north", "north")
    assert shell("teams", "unassign", "1003").code == 0
    assert shell("teams", "leader", "north", "1001", "--off").code == 0
    assert shell("teams", "supervisor", "1001").code == 0
    leader, second, third = everybody(database_url)
    assert (leader.leads, leader.supervisor, third.team) == ((), True, "")
    assert shell("agents", "show", "1001", "--json").json["leads"] == "everybody"
    assert shell("teams", "remove", "north").code == 0
    assert everybody(database_url)[1].team == "", "its members stay"


def test_the_floor_is_told(shell: Shell, redis_url: str) -> None:
    with engine(redis_url) as running:
        shell("teams", "add", "north", "--leader", "1001")
        shell("teams", "assign", "north", "1002")
        shell("teams", "supervisor", "1003")
        assert len(running.published) >= 3
        told = {each.number: each for each in running.published[-1].agents}
        assert told["1001"].leads == ("north",)
        assert told["1002"].team == "north"
        assert told["1003"].supervisor


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("add", "North"), "team 'North': expected a name of small letters"),
        (("add", "north"), "team north exists already"),
        (("add", "south", "--leader", "9999"), "there is no agent 9999"),
        (("assign", "nort", "1001"), "there is no team 'nort': did you mean 'north'?"),
        (("assign", "north", "9999"), "there is no agent 9999"),
        (("remove", "nort"), "there is no team 'nort'"),
        (("show", "nort"), "there is no team 'nort'"),
        (("supervisor", "9999"), "there is no agent 9999"),
    ],
)
def test_what_is_no_team_is_refused_in_one_line(shell: Shell, words: tuple[str, ...], line: str) -> None:
    shell("teams", "add", "north")
    said = shell("teams", *words)
    assert (said.code, said.out) == (1, "")
    assert line in said.err
    assert len(said.err.splitlines()) == 1
    assert [each["team"] for each in shell("teams", "list", "--json").json] == ["north"], "nothing changed"


def test_a_sheet_may_name_teams(shell: Shell, database_url: str, tmp_path: Path) -> None:
    shell("teams", "add", "north", "--leader", "1001")
    sheet = tmp_path / "staff.csv"
    sheet.write_text("number,name,queues,team\n1001,Agent 1001,,\n1002,Agent 1002,,north\n1004,Four,,south\n")
    said = shell("agents", "import", str(sheet), "--json")
    assert said.code == 1
    assert said.json["changed"] == ["1002"]
    assert said.json["refused"] == [{"line": 4, "reason": "there is no team 'south': did you mean 'north'?"}]
    sheet.write_text("number,name,queues\n1001,Agent 1001,\n1002,Agent 1002,\n")
    assert shell("agents", "import", str(sheet), "--json").json["unchanged"] == 2, "the team stays"
    leader, member, _ = everybody(database_url)
    assert (leader.leads, member.team) == (("north",), "north")


def test_a_leader_sees_long_breaks_and_missed_calls(shell: Shell, redis_url: str, database_url: str) -> None:
    shell("teams", "add", "north", "--leader", "1001")
    shell("teams", "assign", "north", "1002", "1003")
    now = time.time()
    with redis.Redis.from_url(redis_url) as client:
        for number, since in (("1002", now - 901), ("1003", now - 800)):
            resting = agent(number)
            resting.presence, resting.reason, resting.since = Presence.NOT_READY, "lunch", since
            client.hset("{floor:main}:agents", number, encode(resting))
        missed = [replace(step(at=at, text=text), agent="1003") for at, text in (
            (now, "no-answer"), (now, "busy"), (now, "offered"), (now - 90_000, "no-answer"),
        )]  # fmt: skip
        put(client, [(record_id(1, n), encode(each)) for n, each in enumerate(missed, 1)])
    drain_now(redis_url, database_url)
    second, third = shell("teams", "show", "north", "--json").json
    assert (second["agent"], second["mark"], second["missed today"]) == ("1002", "long break", 0)
    assert (third["agent"], third["mark"], third["missed today"]) == ("1003", "", 2)
    assert "led by 1001" in shell("teams", "show", "north").out


def test_what_leaders_did_is_listed(shell: Shell, redis_url: str, database_url: str) -> None:
    now = time.time()
    with redis.Redis.from_url(redis_url) as client:
        done = [
            Intervention(now - 5, "1001", "log out", "1002"),
            Intervention(now, "1001", "move", contact="c1"),
        ]
        put(client, [(record_id(1, n), encode(each)) for n, each in enumerate(done, 1)])
    drain_now(redis_url, database_url)
    listed = shell("teams", "log", "--json").json
    assert [(each["did"], each["agent"], each["call"]) for each in listed] == [
        ("move", "", "c1"),
        ("log out", "1002", ""),
    ]


def test_the_floor_is_asked_in_the_name_of_a_leader(shell: Shell, redis_url: str) -> None:
    with engine(redis_url) as running:
        for words in (
            ("agents", "barge", "1002", "--phone", "8001", "--as", "1001"),
            ("agents", "takeover", "1002", "--phone", "8001"),
            ("agents", "not-ready", "1002", "--reason", "lunch", "--as", "1001"),
            ("calls", "move", "c1", "--queue", "repair", "--as", "1001"),
            ("calls", "prioritize", "c1", "--seconds", "90"),
        ):
            said = shell(*words)
            assert said.code == 0, said.err
        barge, take_over, not_ready, move, prioritize = running.taken[-5:]
        assert isinstance(barge, SuperviseRequested)
        assert (barge.agent, barge.phone, barge.act, barge.leader) == ("1002", "8001", "barge", "1001")
        assert isinstance(take_over, SuperviseRequested)
        assert (take_over.act, take_over.leader) == ("take over", "")
        assert isinstance(not_ready, AgentNotReadyRequested)
        assert not_ready.leader == "1001"
        assert isinstance(move, CallMoveRequested)
        assert (move.contact, move.queue, move.leader) == ("c1", "repair", "1001")
        assert isinstance(prioritize, CallPrioritizeRequested)
        assert prioritize.head_start == 90.0
    for seconds in ("-1", "nan", "1e9"):
        assert shell("calls", "prioritize", "c1", "--seconds", seconds).code == 2
