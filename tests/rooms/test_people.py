"""Agents from the shell and from spreadsheets, and how the floor learns of them."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis

from callcenter.floor.commands import Reply
from callcenter.floor.events import (
    AgentLoginRequested,
    DispositionRequested,
    PeoplePublished,
    Request,
    WrapupExtendRequested,
)
from callcenter.floor.records import AgentState
from callcenter.history import connect, migrate
from callcenter.people import store
from callcenter.people.jobs import Publisher
from callcenter.people.model import Allowed, Person
from callcenter.people.sheet import SheetRefused, read_sheet
from callcenter.pins import verify
from callcenter.site.render import SITE_FILE
from callcenter.state import FloorClient, FloorStore, Owner, Turn, encode, record_id

from ..servers import RedisServer, eventually
from .floors import agent
from .shell import Shell
from .test_history import drain_now, put

pytestmark = pytest.mark.usefixtures("patient")

ZONE = ZoneInfo("Asia/Shanghai")
ALLOWED = Allowed({"sales", "repair"}, ("zh", "en"))


@pytest.fixture
def shell(tmp_path: Path, redis_url: str, database_url: str) -> Shell:
    migrate(database_url)
    return Shell.at(tmp_path, redis_url, database_url)


def test_commands_go_by_the_site_in_force_in_the_middle_of_an_edit(shell: Shell) -> None:
    site_file = shell.directory / "callcenter.toml"
    in_force = shell.directory / ".run" / "asterisk" / "etc"
    in_force.mkdir(parents=True)
    (in_force / SITE_FILE).write_text(site_file.read_text())
    site_file.write_text("half an edi")
    added = shell("agents", "add", "1001", "Anna", "--queue", "sales")
    assert added.code == 0, added.err
    assert "1001" in shell("agents", "list").out
    assert shell("report", "queue").code == 0


class Engine:
    """Takes the inbox as an engine does: agrees to every request but those about agent 6666."""

    def __init__(self, url: str) -> None:
        self.taken: list[Any] = []
        self._url = url
        self._stop = threading.Event()

    async def run(self) -> None:
        floor = FloorStore(self._url, "main")
        epoch = await floor.acquire(Owner.here())
        assert epoch
        position = ""
        while not self._stop.is_set():
            await floor.renew(epoch)
            for posted in await floor.read_inbox(position, 20):
                position = posted.position
                turn = Turn(inbox=position)
                self.taken.append(posted.event)
                if isinstance(posted.event, PeoplePublished):
                    turn.meta["people_version"] = str(posted.event.version)
                    for each in posted.event.agents:
                        known = agent(each.number)
                        known.name = each.name
                        turn.agents[each.number] = encode(known)
                elif isinstance(posted.event, Request):
                    number = getattr(posted.event, "agent", "")
                    reply = Reply(posted.event.request, number != "6666", f"agent {number}: answered")
                    turn.replies.append(reply)
                await floor.commit(turn)
        await floor.close()

    def stop(self) -> None:
        self._stop.set()

    @property
    def published(self) -> list[PeoplePublished]:
        return [event for event in self.taken if isinstance(event, PeoplePublished)]


@contextmanager
def engine(url: str) -> Iterator[Engine]:
    running = Engine(url)
    thread = threading.Thread(target=lambda: asyncio.run(running.run()))
    thread.start()
    try:
        yield running
    finally:
        running.stop()
        thread.join()


def everybody(database_url: str) -> list[Person]:
    with connect(database_url) as connection:
        return store.people(connection)


# One by one.


def test_an_agent_is_added_with_a_pin_shown_once(shell: Shell, database_url: str) -> None:
    said = shell("agents", "add", "1001", "王芳", "--queue", "sales", "--queue", "repair", "--language", "zh")
    assert said.code == 0, said.err
    pin = said.out.split()[-1]
    [person] = everybody(database_url)
    assert (person.number, person.name, person.queues, person.language) == (
        *("1001", "王芳", ("sales", "repair")),
        "zh",
    )
    assert verify(pin, person.pin_hash)
    assert pin not in person.pin_hash
    shown = shell("agents", "show", "1001", "--json")
    assert shown.json["PIN"] == "set"
    assert "scrypt" not in shown.out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("10a1", "Li"), "number '10a1': expected 1 to 12 digits"),
        (("1001", " \t"), "expected 1 to 80 readable characters"),
        (("1001", "Li", "--queue", "sale"), "queue 'sale' is not in the site file: did you mean 'sales'?"),
        (("1001", "Li", "--language", "fr"), "expected one of en, zh"),
        (("1001", "Li", "--pin", "1234"), "PIN: too easy to guess"),
        (("1001", "Li", "--pin", "12"), "PIN: expected 4 to 12 digits"),
    ],
)
def test_what_is_no_agent_is_refused_in_one_line(
    shell: Shell, database_url: str, words: tuple[str, ...], line: str
) -> None:
    said = shell("agents", "add", *words)
    assert said.code == 1
    assert line in said.err
    assert len(said.err.splitlines()) == 1
    assert everybody(database_url) == []


def test_a_number_is_taken_once(shell: Shell) -> None:
    assert shell("agents", "add", "1001", "Li").code == 0
    said = shell("agents", "add", "1001", "Wang")
    assert (said.code, said.out) == (1, "")
    assert "agent 1001 exists already" in said.err


def test_pin_set_by_hand_and_agent_removed(shell: Shell, database_url: str) -> None:
    shell("agents", "add", "1001", "Li", "--pin", "739154")
    assert verify("739154", everybody(database_url)[0].pin_hash)
    said = shell("agents", "set-pin", "1001", "--pin", "-", typed="482615\n")
    assert said.code == 0, said.err
    assert "482615" not in said.out
    assert verify("482615", everybody(database_url)[0].pin_hash)
    assert shell("agents", "remove", "1001").code == 0
    assert everybody(database_url) == []
    for words in (("remove", "1001"), ("set-pin", "1001"), ("show", "1001")):
        said = shell("agents", *words)
        assert said.code == 1
        assert "there is no agent 1001" in said.err


# The floor is asked.


def test_log_in_and_the_rest_go_to_the_floor(shell: Shell, redis_url: str) -> None:
    with engine(redis_url) as running:
        for words in (
            ("login", "1001", "8001"),
            ("not-ready", "1001", "--reason", "lunch"),
            ("ready", "1001"),
            ("end-wrapup", "1001"),
            ("extend-wrapup", "1001", "--seconds", "90"),
            ("dispose", "1001", "sold"),
            ("login", "1001", "8001", "--connected"),
        ):
            said = shell("agents", *words)
            assert said.code == 0, said.err
            assert said.out == "agent 1001: answered\n"
        refused = shell("agents", "logout", "6666")
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == "callcenter: agent 6666: answered\n"
        as_json = shell("agents", "logout", "6666", "--json")
        assert as_json.code == 1
        assert as_json.json["ok"] is False
        first = running.taken[0]
        assert isinstance(first, AgentLoginRequested)
        assert (first.agent, first.phone, first.connected) == ("1001", "8001", False)
        assert [e.seconds for e in running.taken if isinstance(e, WrapupExtendRequested)] == [90]
        assert [e.disposition for e in running.taken if isinstance(e, DispositionRequested)] == ["sold"]
        assert running.taken[6].connected


def test_a_reason_that_is_none_names_those_there_are(shell: Shell) -> None:
    said = shell("agents", "not-ready", "1001", "--reason", "nap")
    assert said.code == 1
    assert "expected one of break, lunch" in said.err


def test_a_disposition_that_is_none_names_those_there_are(shell: Shell) -> None:
    said = shell("agents", "dispose", "1001", "lost")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "callcenter: disposition 'lost' is not in the site file: expected one of call back, sold\n"
    )
    assert shell("agents", "extend-wrapup", "1001", "--seconds", "0").code == 2


def test_an_agents_day(shell: Shell, redis_url: str, database_url: str) -> None:
    now = time.time()
    shell("agents", "add", "1001", "Li", "--queue", "sales")

    async def run() -> None:
        floor = FloorStore(redis_url, "main")
        assert await floor.acquire(Owner.here())
        li = agent("1001")
        li.calls_taken, li.missed_calls, li.since, li.line = 3, 2, now - 10, "1.2"
        await floor.commit(Turn(agents={"1001": encode(li)}))
        await floor.close()

    asyncio.run(run())
    midnight = datetime.combine(datetime.now(ZONE).date(), datetime.min.time(), ZONE).timestamp()
    states = [
        AgentState(midnight + 5, "1001", "ready", "", "talking", "8001", "c0", "sales", midnight - 100),
        AgentState(midnight - 100, "1001", "ready", "", "idle", "8001", "", "", midnight - 200),
        AgentState(now - 10, "1001", "not_ready", "lunch", "idle", "8001", "", "", now - 40),
    ]
    with redis.Redis.from_url(redis_url) as client:
        put(client, [(record_id(1, n), encode(each)) for n, each in enumerate(states, 1)])
    drain_now(redis_url, database_url)
    [row] = shell("agents", "list", "--json").json
    assert (row["calls"], row["missed"], row["phone"], row["works"]) == (3, 2, "1001", "connected")
    facts = shell("agents", "show", "1001", "--json").json
    assert (facts["missed since log-in"], facts["works"]) == (2, "connected")
    talking, lunch, here = facts["today"]
    assert datetime.fromisoformat(talking["since"]).timestamp() == midnight, "yesterday's part is cut off"
    assert (talking["activity"], talking["contact"]) == ("talking", "c0")
    assert (lunch["reason"], here["until"]) == ("lunch", None)
    text = shell("agents", "show", "1001").out
    assert "not ready (lunch)" in text
    assert "so far" in text


def test_a_change_reaches_the_floor_at_once(shell: Shell, redis_url: str) -> None:
    with engine(redis_url) as running:
        shell("agents", "add", "1001", "Li", "--queue", "sales")
        eventually(lambda: running.published, "the floor is told")
        assert [each.number for each in running.published[-1].agents] == ["1001"]

        def listed() -> bool:
            rows = shell("agents", "list", "--json").json
            return bool(rows and rows[0]["presence"] == "ready")

        eventually(listed, "the list shows him live")


def test_without_redis_people_can_be_changed(
    tmp_path: Path, own_redis: RedisServer, database_url: str
) -> None:
    migrate(database_url)
    shell = Shell.at(tmp_path, own_redis.url, database_url)
    own_redis.stop()
    said = shell("agents", "add", "1001", "Li")
    assert said.code == 0
    assert "the floor learns of it when it is back" in said.err
    said = shell("agents", "list")
    assert said.code == 0
    assert "Li" in said.out


def test_publishing(redis_url: str, database_url: str) -> None:
    migrate(database_url)

    def add(number: str) -> None:
        with connect(database_url) as connection:
            store.add(connection, Person(number, "Li", ("sales",)))

    async def run(running: Engine, floor: FloorClient) -> None:
        publisher = Publisher(database_url, floor)
        try:
            assert await publisher.check(), "a floor that knows nothing is told"
            await asyncio.to_thread(eventually, lambda: floor.meta().get("people_version"), "it is taken")
            assert not await publisher.check(), "nothing changed"
            await asyncio.to_thread(add, "1001")
            assert await publisher.check()
            await asyncio.to_thread(
                eventually, lambda: running.published[-1].agents, "the floor has the new agent"
            )
        finally:
            await publisher._database.drop()

    with engine(redis_url) as running, FloorClient(redis_url, "main") as floor:
        eventually(floor.engine, "the engine has the floor")
        asyncio.run(run(running, floor))
    assert len(running.published) == 2
    assert running.published[0].version < running.published[1].version


def test_a_version_that_nobody_takes_is_not_posted_every_second(redis_url: str, database_url: str) -> None:
    migrate(database_url)

    async def run() -> list[bool]:
        floor = FloorStore(redis_url, "main")
        with FloorClient(redis_url, "main") as client:
            publisher = Publisher(database_url, client)
            try:
                without_engine = await publisher.check()
                await floor.acquire(Owner.here())
                return [without_engine, *[await publisher.check() for _ in range(3)]]
            finally:
                await publisher._database.drop()
                await floor.close()

    assert asyncio.run(run()) == [False, True, False, False]


# Spreadsheets.


def test_a_sheet_is_taken_and_taken_again(shell: Shell, database_url: str, tmp_path: Path) -> None:
    sheet = tmp_path / "staff.csv"
    sheet.write_text(
        "number,name,queues,language,pin\n1001,Anna Li,sales repair,en,739154\n1002,王芳,sales,,\n"
    )
    dry = shell("agents", "import", str(sheet), "--dry-run")
    assert dry.out.startswith("would be added 2")
    assert everybody(database_url) == []
    said = shell("agents", "import", str(sheet), "--json")
    assert said.code == 0, said.err
    assert said.json["added"] == ["1001", "1002"]
    assert list(said.json["pins"]) == ["1002"]
    anna, wang = everybody(database_url)
    assert verify("739154", anna.pin_hash)
    assert verify(said.json["pins"]["1002"], wang.pin_hash)
    again = shell("agents", "import", str(sheet), "--json").json
    assert (again["added"], again["changed"], again["unchanged"], again["pins"]) == ([], [], 2, {})
    sheet.write_text(
        "number,name,queues,language,pin\n1001,Anna Li,repair,en,739154\n1002,王芳,sales,,815926\n"
    )
    assert shell("agents", "import", str(sheet), "--json").json["changed"] == ["1001", "1002"]
    anna, wang = everybody(database_url)
    assert anna.queues == ("repair",)
    assert verify("739154", anna.pin_hash)
    assert verify("815926", wang.pin_hash)


def test_every_refused_row_is_reported_with_line_and_reason(
    shell: Shell, database_url: str, tmp_path: Path
) -> None:
    sheet = tmp_path / "staff.csv"
    sheet.write_text(
        "number,name,queues,pin\n"
        "1001,Good,sales,\n"
        "x,Bad number,sales,\n"
        '1002,"Two\nlines",sales,\n'
        "1003,Bad queue,slaes,\n"
        "1004,Bad PIN,sales,1111\n"
        "\n"
        "1001,Twice,sales,\n"
        "1005,Too,many,739154,columns\n"
        "1006\n"
        "1007,Good too,,\n"
    )
    refused = tmp_path / "refused.csv"
    said = shell("agents", "import", str(sheet), "--refused", str(refused), "--json")
    assert said.code == 1
    assert said.json["added"] == ["1001", "1002", "1007"]
    reasons = {row["line"]: row["reason"] for row in said.json["refused"]}
    assert list(reasons) == [3, 6, 7, 9, 10, 11]
    assert "did you mean 'sales'" in reasons[6]
    assert "in line 2 already" in reasons[9]
    assert "5 columns: expected 4" in reasons[10]
    assert [each.name for each in everybody(database_url)] == ["Good", "Two lines", "Good too"]
    assert refused.stat().st_mode & 0o777 == 0o600
    with refused.open(encoding="utf-8-sig", newline="") as file:
        assert [row["line"] for row in csv.DictReader(file)] == ["3", "6", "7", "9", "10", "11"]
    plain = shell("agents", "import", str(sheet))
    assert f"{sheet} line 3: number 'x'" in plain.out


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_spreadsheets_of_all_kinds(tmp_path: Path, encoding: str, separator: str) -> None:
    lines = [["工号", "姓名", "队列"], ["1001", "王小芳", "sales、repair"]]
    (tmp_path / "a.csv").write_bytes("\r\n".join(separator.join(row) for row in lines).encode(encoding))
    sheet = read_sheet(tmp_path / "a.csv", ALLOWED)
    assert not sheet.refused
    [row] = sheet.taken
    assert (row.person.name, row.person.queues) == ("王小芳", ("sales", "repair"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "missing: number, name, queues"),
        (b"1001,Li,sales\n", "column '1001' is unknown"),
        (b"number,name,queues,name\n", "column 'name' is there twice"),
        (b'number,name,queues\n1001,"Li"x,sales\n', "line 2"),
        (b"number,name,queues\n1001,L\0i,sales\n", "expected a CSV file"),
        (b"\xff\xff\xff", "expected a CSV file"),
    ],
)
def test_a_file_that_is_no_sheet_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SheetRefused, match=reason):
        read_sheet(tmp_path / "a.csv", ALLOWED)


def test_a_missing_file_is_one_line(shell: Shell, tmp_path: Path) -> None:
    said = shell("agents", "import", str(tmp_path / "nowhere.csv"))
    assert said.code == 1
    assert said.err == f"callcenter: {tmp_path / 'nowhere.csv'}: no such file or directory\n"


# The standing process.


def test_the_back_office_migrates_drains_publishes_and_ends_when_asked(
    tmp_path: Path, redis_url: str, database_url: str
) -> None:
    shell = Shell.at(tmp_path, redis_url, database_url)
    command = [sys.executable, "-m", "callcenter.backoffice", "--site", str(tmp_path / "callcenter.toml")]
    process = subprocess.Popen([*command, "--run", str(tmp_path / "run")])
    try:
        with engine(redis_url) as running:
            eventually(lambda: running.published, "people are published", 20)
            assert shell("agents", "add", "1001", "Li").code == 0
            eventually(lambda: running.published[-1].agents, "the new agent too")
        eventually(lambda: (tmp_path / "run/heartbeat/backoffice").exists(), "its heart beats")
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    log = [json.loads(line) for line in (tmp_path / "run/log/backoffice.jsonl").read_text().splitlines()]
    assert {"migration applied", "people published"} <= {line["event"] for line in log}
