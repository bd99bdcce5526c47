"""Lists, time lines and figures, from real records."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import redis

from callcenter.days import DayRefused, site_day
from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.contacts import ContactState
from callcenter.floor.figures import AnswerPace, expected_wait
from callcenter.floor.records import (
    AgentState,
    ContactStep,
    DispositionGiven,
    Outcome,
    QueueMoved,
    Record,
    TalkClosed,
)
from callcenter.history import migrate
from callcenter.reports.live import queues_now
from callcenter.state import FloorStore, Owner, Turn, encode, record_id

from ..servers import PostgresServer
from .floors import NOON, agent, closed, contact
from .shell import Shell
from .test_history import drain_now, put
from .test_people import engine

pytestmark = pytest.mark.usefixtures("patient")

ZONE = ZoneInfo("Asia/Shanghai")
DAY = "2026-11-18"  # of NOON, in Shanghai
MIDNIGHT = datetime(2026, 11, 18, tzinfo=ZONE).timestamp()


def remember(redis_url: str, database_url: str, records: list[Record]) -> None:
    with redis.Redis.from_url(redis_url) as client:
        put(client, [(record_id(1, n), encode(each)) for n, each in enumerate(records, 1)])
    drain_now(redis_url, database_url)


@pytest.fixture
def shell(tmp_path: Path, redis_url: str, database_url: str) -> Shell:
    migrate(database_url)
    return Shell.at(tmp_path, redis_url, database_url)


def test_the_figures_of_a_day(shell: Shell, redis_url: str, database_url: str) -> None:
    remember(
        redis_url,
        database_url,
        [
            closed("a", wait=4, talk=100),
            closed("b", wait=10, talk=50),
            closed("c", wait=11, talk=30),
            closed("d", Outcome.ABANDONED, wait=70),
            closed("e", Outcome.SHORT_ABANDONED, wait=2),
            closed("f", Outcome.CLOSED),
            closed("first of the day", Outcome.ABANDONED, at=MIDNIGHT, wait=30),
            closed("the day before", at=MIDNIGHT - 0.001),
            closed("the day after", at=MIDNIGHT + 86400),
            closed("g", queue="repair", wait=1, talk=10),
            AgentState(NOON + 130, "1001", "ready", "", "wrapup", "8001", "a", "sales", NOON + 104),
            AgentState(NOON + 200, "1001", "ready", "", "talking", "8001", "a", "sales", NOON + 4),
        ],
    )
    said = shell("report", "queue", "--day", DAY, "--json")
    assert said.code == 0, said.err
    sales = said.json["queues"]["sales"]
    assert (sales["offered"], sales["answered"], sales["abandoned"], sales["short_abandoned"]) == (6, 3, 2, 1)
    assert sales["service_level"] == pytest.approx(2 / 5)
    assert sales["service_level_formula"] == "answered within 10 s / (offered - short abandoned)"
    assert sales["asa_seconds"] == pytest.approx(25 / 3)
    assert sales["aht_seconds"] == pytest.approx((180 + 26) / 3)
    assert sales["longest_wait_seconds"] == 70
    assert said.json["queues"]["repair"]["answered"] == 1
    table = shell("report", "queue", "--day", DAY, "--queue", "sales").out
    assert "40.0%" in table
    assert "service level = answered within 10 s / (offered - short abandoned)" in table
    assert "repair" not in table


def test_calls_of_a_day(shell: Shell, redis_url: str, database_url: str) -> None:
    remember(
        redis_url,
        database_url,
        [closed("a"), closed("b", Outcome.ABANDONED, at=NOON + 5), closed("c", queue="repair", at=NOON - 5)],
    )
    said = shell("calls", "list", "--day", DAY, "--json")
    assert [each["contact"] for each in said.json] == ["b", "a", "c"]
    assert [
        each["contact"] for each in shell("calls", "list", "--day", DAY, "--queue", "sales", "--json").json
    ] == [
        "b",
        "a",
    ]
    table = shell("calls", "list", "--day", DAY, "--limit", "2").out
    assert "19:06:45" in table, "local time of the site"
    assert "only the last 2 are shown" in table
    assert "13800138000" in table
    assert shell("calls", "list", "--day", "2026-11-17", "--json").json == []


def test_the_time_line_of_a_call(shell: Shell, redis_url: str, database_url: str) -> None:
    happened = [
        ContactStep(NOON, "a", "arrived", "sales", detail="138 -> 4001"),
        ContactStep(NOON + 1.5, "a", "queued", "sales"),
        ContactStep(NOON + 5, "a", "connected", "sales", "1001"),
        ContactStep(NOON + 65, "a", "answered", "sales", "1001", "ended by caller"),
    ]
    remember(redis_url, database_url, [*happened, closed("a"), ContactStep(NOON, "b", "arrived")])
    said = shell("calls", "show", "a", "--json")
    assert [each["step"] for each in said.json["steps"]] == ["arrived", "queued", "connected", "answered"]
    assert said.json["contact"]["outcome"] == "answered"
    text = shell("calls", "show", "a").out
    assert "13800138000 -> 4001  answered: waited 0:05, talked 1:00 with 1001, ended by caller" in text
    assert "+1.5 s" in text
    missing = shell("calls", "show", "nobody")
    assert (missing.code, missing.out) == (1, "")
    assert "there is no call nobody" in missing.err


def test_what_is_live(shell: Shell, redis_url: str, database_url: str) -> None:
    now = time.time()

    async def run() -> None:
        floor = FloorStore(redis_url, "main")
        assert await floor.acquire(Owner.here())
        talking = Agent("1001", "Li", ("sales",), presence=Presence.READY, activity=Activity.TALKING)
        waiting = contact("w", at=now - 42)
        await floor.commit(Turn(contacts={"w": encode(waiting)}, agents={"1001": encode(talking)}))
        await floor.close()

    asyncio.run(run())
    remember(redis_url, database_url, [closed("a", at=now - 60)])
    sales, repair = shell("queues", "show", "--json").json
    assert (sales["waiting"], sales["talking"], sales["free"], sales["today"]["answered"]) == (1, 1, 0, 1)
    assert sales["longest_wait_seconds"] == pytest.approx(42, abs=10)
    assert repair["waiting"] == 0
    assert "sales" in shell("queues", "show").out
    assert [each["id"] for each in shell("calls", "list", "--live", "--json").json] == ["w"]
    assert "waiting" in shell("calls", "list", "--live").out
    assert "still here: waiting" in shell("calls", "show", "w").out


def test_what_came_of_the_calls(shell: Shell, redis_url: str, database_url: str) -> None:
    def given(contact: str, disposition: str, at: float = NOON + 70, by: str = "phone 8001") -> Record:
        return DispositionGiven(at, contact, "sales", "1001", disposition, by)

    remember(
        redis_url,
        database_url,
        [
            *[closed(name) for name in ("a", "b", "c", "d")],
            closed("e", Outcome.ABANDONED),
            closed("f", queue="repair"),
            given("a", "sold"),
            given("b", "sold"),
            given("b", "call back", at=NOON + 80),
            given("c", "", by="limit"),
            closed("the day before", at=MIDNIGHT - 1),
            given("the day before", "sold"),
        ],
    )
    said = shell("report", "dispositions", "--day", DAY, "--json")
    assert said.code == 0, said.err
    found = {(each["queue"], each["disposition"]): each["calls"] for each in said.json["dispositions"]}
    assert found == {
        ("repair", "none given"): 1,
        ("sales", "none given"): 2,
        ("sales", "call back"): 1,
        ("sales", "sold"): 1,
    }
    assert "50.0%" in shell("report", "dispositions", "--day", DAY, "--queue", "sales").out
    wrong = shell("report", "dispositions", "--queue", "nothing")
    assert (wrong.code, len(wrong.err.splitlines())) == (1, 1)


def test_a_call_that_is_over_is_disposed(shell: Shell, redis_url: str, database_url: str) -> None:
    remember(redis_url, database_url, [closed("a"), closed("b", Outcome.ABANDONED)])
    with engine(redis_url) as running:
        said = shell("calls", "dispose", "a", "sold")
        assert (said.code, said.out) == (0, "call a has the disposition sold\n"), said.err
        [asked] = running.taken
    assert (asked.contact, asked.queue, asked.agent, asked.disposition) == ("a", "sales", "1001", "sold")
    for words, why in (
        (("a", "lost"), "queue sales has no disposition 'lost': it has sold, call back"),
        (("b", "sold"), "call b was answered by nobody"),
        (("x", "sold"), "there is no call x"),
    ):
        said = shell("calls", "dispose", *words)
        assert said.code == 1
        assert why in said.err
        assert len(said.err.splitlines()) == 1


def test_queues_are_shown_without_postgresql_and_say_so(
    tmp_path: Path, redis_url: str, own_postgres: PostgresServer
) -> None:
    shell = Shell.at(tmp_path, redis_url, own_postgres.url)
    own_postgres.stop()
    said = shell("queues", "show")
    assert said.code == 0
    assert "today's figures are not shown" in said.err
    assert "no engine runs" in said.err
    said = shell("report", "queue")
    assert said.code == 1
    assert "PostgreSQL does not answer" in said.err
    assert len(said.err.splitlines()) == 1


def test_agents_are_counted_by_what_they_do() -> None:
    def at(presence: Presence, activity: Activity) -> Agent:
        return Agent("1", "Li", ("sales",), presence=presence, activity=activity)

    agents = [
        at(Presence.READY, Activity.IDLE),
        at(Presence.READY, Activity.OFFERED),
        at(Presence.READY, Activity.TALKING),
        at(Presence.NOT_READY, Activity.TALKING),  # goes on a break after this call
        at(Presence.NOT_READY, Activity.IDLE),
        at(Presence.READY, Activity.WRAPUP),
        at(Presence.READY, Activity.ELSEWHERE),
        at(Presence.LOGGED_OUT, Activity.IDLE),
    ]
    leaving = contact("l")
    leaving.state = ContactState.LEAVING
    [now] = queues_now(["sales"], [contact("w", at=NOON - 9), contact("v"), leaving], agents, NOON)
    assert (now.waiting, now.longest_wait_seconds) == (2, 9)
    assert (now.free, now.ringing, now.talking, now.not_ready, now.wrapup, now.elsewhere) == (
        1,
        1,
        2,
        1,
        1,
        1,
    )


def test_a_call_that_moved_counts_in_both_queues(shell: Shell, redis_url: str, database_url: str) -> None:
    remember(
        redis_url,
        database_url,
        [
            closed("a", queue="sales", wait=4),
            QueueMoved(NOON + 30, "b", "sales", "help", "wait", NOON, 30.0),
            replace(closed("b", queue="help", wait=34), first_queue="sales"),
            QueueMoved(MIDNIGHT + 86400, "c", "sales", "help", "wait", MIDNIGHT + 86400, 30.0),
        ],
    )
    queues = shell("report", "queue", "--day", DAY, "--json").json["queues"]
    sales, other = queues["sales"], queues["help"]
    assert (sales["offered"], sales["answered"], sales["moved_on"]) == (2, 1, 1)
    assert sales["longest_wait_seconds"] == 30
    assert (other["offered"], other["answered"], other["moved_on"]) == (1, 1, 0)
    assert other["asa_seconds"] == 34, "the wait goes on"
    assert "moved on" in shell("report", "queue", "--day", DAY).out
    assert "sales -> help" in shell("calls", "list", "--day", DAY).out


def test_the_expected_wait_is_the_floors(shell: Shell) -> None:
    pace = AnswerPace(answers=6.0, answer_seconds=120.0, ring_seconds=3.0, last_at=NOON - 10)
    meta = {"pace:sales": pace.text()}
    waiting = [contact("w", at=NOON - 9), contact("v")]
    [now] = queues_now(["sales"], waiting, [], NOON, meta)
    assert now.expected_wait_seconds == pytest.approx(expected_wait(pace, 2, NOON, 0.0), abs=0.01)
    [idle] = queues_now(["sales"], [], [agent()], NOON, meta)
    assert idle.expected_wait_seconds == 0.0
    [unknown] = queues_now(["sales"], waiting, [], NOON)
    assert unknown.expected_wait_seconds is None


def test_days_of_the_site() -> None:
    def now(zone: object) -> datetime:
        return datetime(2026, 3, 8, 12, tzinfo=ZoneInfo("America/New_York"))

    new_york = ZoneInfo("America/New_York")
    today = site_day("today", new_york, now)
    assert today.day == date(2026, 3, 8)
    assert today.end.timestamp() - today.start.timestamp() == timedelta(hours=23).total_seconds()
    assert site_day("yesterday", new_york, now).day == date(2026, 3, 7)
    for text in ("8.3.2026", "2026-02-30", "tomorrow", "9999-12-31"):
        with pytest.raises(DayRefused, match="expected today, yesterday or a date like 2026-03-08"):
            site_day(text, new_york, now)


def test_a_day_that_is_none_is_one_line(shell: Shell) -> None:
    said = shell("calls", "list", "--day", "someday")
    assert (said.code, len(said.err.splitlines())) == (1, 1)


def test_the_check_from_the_shell(shell: Shell, redis_url: str, database_url: str) -> None:
    said = shell("history", "check")
    assert said.code == 0
    assert "whole" in said.out
    with redis.Redis.from_url(redis_url) as client:
        put(client, [(record_id(1, 2), encode(closed("a")))])
    drain_now(redis_url, database_url)
    said = shell("history", "check")
    assert said.code == 1
    assert "NOT WHOLE" in said.out
    assert shell("history", "check", "--json").json["gaps"][0]["first"] == 1
    assert shell("history", "migrate").out == "the database is up to date\n"


def test_each_agent_has_his_own_time(shell: Shell, redis_url: str, database_url: str) -> None:
    """A plain call counts by its closing record, a transferred one by its parts, never twice."""

    def part(agent: str, role: str, since: float, talk: float, hold: float = 0.0) -> TalkClosed:
        return TalkClosed(since + talk, "moved", "sales", agent, role, since, talk, hold, "handed over")

    remember(
        redis_url,
        database_url,
        [
            closed("plain", wait=4, talk=100),
            part("1001", "served", NOON + 5, 30, 20),
            part("1002", "consulted", NOON + 15, 20),
            part("1002", "served", NOON + 35, 60),
            closed("moved", wait=5, talk=90),
            closed("gone", Outcome.ABANDONED, wait=70),
            AgentState(NOON + 50, "1001", "ready", "", "wrapup", "8001", "moved", "sales", NOON + 35),
        ],
    )
    agents = shell("report", "agent", "--day", DAY, "--json").json["agents"]
    assert agents["1001"] == {
        "calls": 2, "talk_seconds": 130.0, "hold_seconds": 20.0, "wrapup_seconds": 15.0,
        "consulted": 0, "consulted_seconds": 0.0, "aht_seconds": 72.5,
    }  # fmt: skip
    assert agents["1002"] == {
        "calls": 1, "talk_seconds": 60.0, "hold_seconds": 0.0, "wrapup_seconds": 0.0,
        "consulted": 1, "consulted_seconds": 20.0, "aht_seconds": 60.0,
    }  # fmt: skip
    assert "72.5 s" in shell("report", "agent", "--day", DAY).out
