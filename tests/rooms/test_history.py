"""Records reach PostgreSQL exactly once, whatever is killed, stopped or wiped on the way."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from callcenter.floor.records import (
    AgentState,
    ContactStep,
    DispositionGiven,
    Intervention,
    NightSwitched,
    Outcome,
    QueueMoved,
    TalkClosed,
)
from callcenter.history import DatabaseAway, Drain, MigrationRefused, connect, migrate
from callcenter.history.check import Gap, check
from callcenter.history.migrate import MIGRATIONS
from callcenter.state import FloorStore, Owner, RecordStream, encode, record_id

from ..servers import PostgresServer, RedisServer, eventually
from .floors import NOON, closed, numbered_steps, step

ROOT = Path(__file__).parents[2]
ALL_MIGRATIONS = sorted(path.name for path in MIGRATIONS.glob("*.sql"))


class Feeder:
    """Writes numbered records of epoch 1 into the stream in a thread, until stopped, through any trouble:
    as an engine does, whatever Redis may not have is written again."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        self._stop = threading.Event()
        self.written = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def again(self) -> None:
        """What an engine does when Redis came back without its data: all that is not known as drained."""
        put(self._client, numbered_steps(1, 1, self.written))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                put(self._client, numbered_steps(1, self.written + 1, self.written + 7))
                self.written += 7
            except redis.RedisError:
                pass
            self._stop.wait(0.002)


def put(client: redis.Redis, records: list[tuple[str, bytes]]) -> None:
    pipe = client.pipeline(transaction=True)
    for name, body in records:
        pipe.xadd("{floor:main}:records", {name: body})
    pipe.execute()


def drainer(redis_url: str, database_url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.rooms.draining", redis_url, database_url]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def sequences(database_url: str) -> list[int]:
    with connect(database_url) as connection:
        return [row[0] for row in connection.execute("SELECT sequence FROM contact_steps ORDER BY sequence")]


def all_there(database_url: str, written: int) -> bool:
    try:
        return len(sequences(database_url)) >= written
    except DatabaseAway:
        return False


def drain_now(redis_url: str, database_url: str, floor: str = "main") -> None:
    """Drain what is there, in this process."""

    async def run() -> None:
        stream = RecordStream(redis_url, floor)
        drain = Drain(stream, database_url)
        try:
            while await stream.read(1, 1):
                assert await drain.step()
        finally:
            await drain._database.drop()
            await stream.close()

    asyncio.run(asyncio.wait_for(run(), 20))


def select(database_url: str, query: Any) -> list[tuple[Any, ...]]:
    with connect(database_url) as connection:
        return connection.execute(query).fetchall()


# Migrations.

ALL_MIGRATIONS = sorted(path.name for path in MIGRATIONS.glob("*.sql"))


def test_a_second_migration_changes_nothing(database_url: str) -> None:
    assert migrate(database_url) == ALL_MIGRATIONS
    assert migrate(database_url) == []


def test_many_migrate_at_once(database_url: str) -> None:
    applied: list[str] = []
    threads = [threading.Thread(target=lambda: applied.extend(migrate(database_url))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == ALL_MIGRATIONS


def test_a_migration_that_fails_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (a integer);")
    (tmp_path / "0002_second.sql").write_text("CREATE TABLE second (a integer); SELECT 1 / 0;")
    with pytest.raises(MigrationRefused, match=r"0002_second.sql: division by zero"):
        migrate(database_url, tmp_path)
    assert select(database_url, "SELECT to_regclass('first')::text, to_regclass('second')::text") == [
        ("first", None)
    ]
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (b integer);")
    with pytest.raises(MigrationRefused, match=r"0001_first.sql was changed after it was applied"):
        migrate(database_url, tmp_path)


def test_an_older_program_refuses_a_newer_database(database_url: str, tmp_path: Path) -> None:
    migrate(database_url)
    with pytest.raises(MigrationRefused, match="the database is newer than this program"):
        migrate(database_url, tmp_path)


def test_a_database_without_tables_is_named(database_url: str) -> None:
    with pytest.raises(DatabaseAway, match="callcenter history migrate"), connect(database_url) as connection:
        check(connection)


# The drain.


def test_every_kind_of_record_becomes_a_row(redis_url: str, database_url: str) -> None:
    migrate(database_url)
    state = AgentState(NOON + 9, "1001", "ready", "", "talking", "1001", "c1", "sales", NOON)
    kinds = [
        step(),
        closed(),
        closed("c2", Outcome.ABANDONED),
        state,
        Intervention(NOON, "1002", "barge", "1001", "c1", "sales", "so it was"),
        NightSwitched(NOON, True, "1001"),
        DispositionGiven(NOON + 70, "c1", "sales", "1001", "sold", "phone 8001"),
        QueueMoved(NOON + 30, "c1", "sales", "help", "wait", NOON, 30.0),
        replace(closed("c3", queue="help"), first_queue="sales"),
        TalkClosed(NOON + 60, "c1", "sales", "1001", "served", NOON + 20, 40.0, 15.0, "transferred"),
    ]
    with redis.Redis.from_url(redis_url) as client:
        put(client, [(record_id(5, n), encode(each)) for n, each in enumerate(kinds, 1)])
    drain_now(redis_url, database_url)
    assert select(database_url, "SELECT contact, step, extract(epoch FROM at)::float FROM contact_steps") == [
        ("c1", "queued", NOON)
    ]
    contacts = select(
        database_url,
        "SELECT contact, outcome, connected_at IS NULL, wait_seconds FROM contacts ORDER BY contact",
    )
    assert contacts == [
        ("c1", "answered", False, 5.0),
        ("c2", "abandoned", True, 5.0),
        ("c3", "answered", False, 5.0),
    ]
    named = select(database_url, "SELECT first_queue, queue FROM contacts ORDER BY contact")
    assert named == [("", "sales"), ("", "sales"), ("sales", "help")]
    assert select(database_url, "SELECT contact, queue, to_queue, cause, wait_seconds FROM queue_moves") == [
        ("c1", "sales", "help", "wait", 30.0)
    ]
    assert select(
        database_url,
        "SELECT contact, queue, agent, role, extract(epoch FROM until - since)::float, talk_seconds,"
        " hold_seconds, ended FROM talks",
    ) == [("c1", "sales", "1001", "served", 40.0, 40.0, 15.0, "transferred")]
    assert select(
        database_url, "SELECT agent, activity, extract(epoch FROM until - since)::float FROM agent_states"
    ) == [("1001", "talking", 9.0)]
    assert select(database_url, "SELECT closed, by FROM night_switches") == [(True, "1001")]
    assert select(
        database_url,
        "SELECT contact, queue, agent, disposition, by, extract(epoch FROM at)::float FROM dispositions",
    ) == [("c1", "sales", "1001", "sold", "phone 8001", NOON + 70)]
    assert select(database_url, "SELECT by, act, agent, contact, queue, detail FROM interventions") == [
        ("1002", "barge", "1001", "c1", "sales", "so it was")
    ]
    with redis.Redis.from_url(redis_url) as client:
        assert client.xlen("{floor:main}:records") == 0, "the stream is cut off"
        assert client.hgetall("{floor:main}:drained") == {b"5": b"10"}


def test_the_engine_learns_what_is_drained(redis_url: str, database_url: str) -> None:
    migrate(database_url)

    async def run() -> tuple[int, int]:
        store = FloorStore(redis_url, "main")
        epoch = await store.acquire(Owner.here())
        assert epoch
        await store.readd(numbered_steps(epoch, 1, 1200) + numbered_steps(epoch, 1202, 1203))
        await asyncio.to_thread(drain_now, redis_url, database_url)
        upto_gap = await store.drained(epoch)
        await store.readd(numbered_steps(epoch, 1201, 1201))
        await asyncio.to_thread(drain_now, redis_url, database_url)
        upto_end = await store.drained(epoch)
        await store.close()
        return upto_gap, upto_end

    assert asyncio.run(run()) == (1200, 1203)


def test_a_record_postgresql_will_not_take_stops_nothing(redis_url: str, database_url: str) -> None:
    migrate(database_url)
    odd = [
        (record_id(1, 1), encode(step())),
        (record_id(1, 2), b"\xc1 rubbish"),
        (record_id(1, 3), encode(ContactStep(1e300, "c1", "queued"))),  # no such time
        (record_id(1, 4), encode(ContactStep(NOON, "c\0\n1", "queued"))),  # NUL: kept, cleaned
        (record_id(1, 5), encode(closed("c" * 10, wait=float("inf")))),
        ("hello", b"who are you"),
    ]
    with redis.Redis.from_url(redis_url) as client:
        put(client, odd)
        drain_now(redis_url, database_url)
        assert client.xlen("{floor:main}:records") == 0
        assert client.hget("{floor:main}:drained", "1") == b"5"
    assert select(database_url, "SELECT sequence, contact FROM contact_steps ORDER BY 1") == [
        (1, "c1"),
        (4, "c\ufffd\n1"),
    ]
    assert [row[0] for row in select(database_url, "SELECT sequence FROM records_other WHERE epoch = 1")] == [
        2,
        3,
        5,
    ]
    assert select(database_url, "SELECT convert_from(body, 'UTF8') FROM records_other WHERE epoch < 0") == [
        ("who are you",)
    ]


def test_a_record_given_twice_is_there_once(redis_url: str, database_url: str) -> None:
    migrate(database_url)
    with redis.Redis.from_url(redis_url) as client:
        for _ in range(3):
            put(client, numbered_steps(1, 1, 700))
            drain_now(redis_url, database_url)
    assert sequences(database_url) == list(range(1, 701))


def test_killed_again_and_again_it_takes_each_record_once(redis_url: str, database_url: str) -> None:
    migrate(database_url)
    dice = random.Random(4)
    with Feeder(redis_url) as feeder:
        for _ in range(8):
            process = drainer(redis_url, database_url)
            assert process.stdout is not None
            process.stdout.readline()
            # a random instant within the work, not a wait for anything
            time.sleep(dice.uniform(0.0, 0.3))
            process.kill()
            process.wait()
    drain_now(redis_url, database_url)
    assert feeder.written > 500
    assert sequences(database_url) == list(range(1, feeder.written + 1))
    with connect(database_url) as connection:
        verdict = check(connection)
    assert verdict.whole
    assert verdict.records == feeder.written


def test_two_drains_at_once_do_no_harm(redis_url: str, database_url: str) -> None:
    migrate(database_url)
    processes = [drainer(redis_url, database_url) for _ in range(2)]
    try:
        with Feeder(redis_url) as feeder:
            eventually(lambda: feeder.written > 2000, "records are written")
        eventually(lambda: all_there(database_url, feeder.written), "all is drained", 20)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert sequences(database_url) == list(range(1, feeder.written + 1))


def test_connections_cut_in_the_middle(
    redis_url: str, database_url: str, postgres_server: PostgresServer
) -> None:
    migrate(database_url)
    process = drainer(redis_url, database_url)
    name = database_url.split("/")[3].split("?")[0]
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    try:
        with Feeder(redis_url) as feeder, redis.Redis.from_url(redis_url) as client:
            for _ in range(10):
                time.sleep(0.1)  # cuts spread over the work
                postgres_server.run_sql(cut)
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        eventually(lambda: all_there(database_url, feeder.written), "all is drained", 20)
    finally:
        process.kill()
        process.wait()
    got = sequences(database_url)
    assert got == sorted(set(got))
    assert set(got) >= set(range(1, feeder.written + 1))


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_postgresql_away_for_a_while(redis_url: str, own_postgres: PostgresServer, how: str) -> None:
    migrate(own_postgres.url)
    process = drainer(redis_url, own_postgres.url)
    try:
        with Feeder(redis_url) as feeder:
            eventually(lambda: all_there(own_postgres.url, 20), "it drains")
            if how == "stop":
                own_postgres.stop()
            else:
                own_postgres.freeze()
            before = feeder.written
            eventually(lambda: feeder.written > before + 500, "records go on without PostgreSQL")
            if how == "stop":
                own_postgres.start()
            else:
                own_postgres.thaw()
        eventually(lambda: all_there(own_postgres.url, feeder.written), "all is drained", 20)
    finally:
        process.kill()
        process.wait()
    assert sequences(own_postgres.url) == list(range(1, feeder.written + 1))


@pytest.mark.parametrize("data", ["with its data", "without its data"])
def test_redis_restarted(own_redis: RedisServer, database_url: str, data: str) -> None:
    migrate(database_url)
    process = drainer(own_redis.url, database_url)
    try:
        with Feeder(own_redis.url) as feeder:
            eventually(lambda: all_there(database_url, 20), "it drains")
            own_redis.kill()
            if data == "without its data":
                own_redis.wipe()
            own_redis.start()
            before = feeder.written
            eventually(lambda: feeder.written > before + 200, "records go on")
        feeder.again()
        eventually(lambda: all_there(database_url, feeder.written), "all is drained", 20)
        with redis.Redis.from_url(own_redis.url) as client:

            def told() -> bool:
                return int(client.hget("{floor:main}:drained", "1") or 0) >= feeder.written

            eventually(told, "the engine learns it")
    finally:
        process.kill()
        process.wait()
    got = sequences(database_url)
    assert got == sorted(set(got))
    assert set(got) >= set(range(1, feeder.written + 1))


# The check.


def test_gaps_are_named(redis_url: str, database_url: str) -> None:
    migrate(database_url)
    with redis.Redis.from_url(redis_url) as client:
        put(client, numbered_steps(3, 2, 4) + numbered_steps(3, 8, 9) + numbered_steps(2, 1, 5))
        put(client, [(record_id(2, 6), encode(closed("x"))), (record_id(2, 7), encode(closed("x")))])
    drain_now(redis_url, database_url)
    with connect(database_url) as connection:
        verdict = check(connection)
    assert verdict.gaps == (Gap("main", 3, 1, 1), Gap("main", 3, 5, 7))
    assert verdict.closed_twice == ("x",)
    assert (verdict.epochs, verdict.records, verdict.unread) == (2, 12, 0)
    assert not verdict.whole


def test_postgresql_away_is_one_clear_line(own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    with pytest.raises(DatabaseAway, match="PostgreSQL does not answer"), connect(own_postgres.url):
        pass
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(own_postgres.url)
