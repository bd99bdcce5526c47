"""Two raw sides become one stored file, exactly once, whatever is killed or missing on the way."""

from __future__ import annotations

import array
import asyncio
import csv
import itertools
import math
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest
import redis

from callcenter.floor.contacts import ContactState, Recording
from callcenter.floor.events import RecordingSpaceSeen
from callcenter.floor.records import Record, RecordingEnded
from callcenter.history import connect, migrate
from callcenter.paths import RunDirectory, recording_sides
from callcenter.recordings import disk, files, jobs, store
from callcenter.recordings.archivist import Archivist
from callcenter.recordings.model import Folders, RecordingName, RecordingRefused
from callcenter.site import load
from callcenter.state import Owner, encode, record_id
from callcenter.work import WorkQueue

from ..servers import RedisServer, eventually
from . import redis_floor
from .floors import NOON, closed, contact
from .shell import Shell
from .test_history import drain_now, put

ZONE = ZoneInfo("Asia/Shanghai")
ROOT = Path(__file__).parents[2]
NAME = f"c1~r{int(NOON)}"
PLACE = f"2026-11-18/sales/{NAME}.wav"
CALLER_HZ, AGENT_HZ = 400, 1000


def ended(name: str = NAME, at: float = NOON, queue: str = "sales", fault: str = "") -> RecordingEnded:
    pauses = ((1.0, 2.5),)
    who = name.partition("~")[0]
    return RecordingEnded(at + 60, who, name, queue, "1001", at, pauses, "announced", "rule", fault)


def tone(hz: int, seconds: float) -> bytes:
    samples = (int(8000 * math.sin(2 * math.pi * hz * n / 8000)) for n in range(int(8000 * seconds)))
    return array.array("h", samples).tobytes()


def crossings(samples: array.array[int]) -> int:
    """Of zero, upwards: a tone of 400 Hz has 400 a second."""
    return sum(a < 0 <= b for a, b in itertools.pairwise(samples))


@dataclass(frozen=True, slots=True)
class Room:
    """A machine's folders, its index and its command line."""

    shell: Shell
    redis_url: str
    database_url: str

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.shell.directory / ".run")

    @property
    def site_path(self) -> Path:
        return self.shell.directory / "callcenter.toml"

    @property
    def folders(self) -> Folders:
        return Folders.of(load(self.site_path), self.run)

    def write(self, name: str = NAME, seconds: float = 2.0, age: float = 3600, sides: str = "ca") -> None:
        """The files that Asterisk leaves, `age` seconds old."""
        self.folders.raw.mkdir(parents=True, exist_ok=True)
        for letter, hz, file in zip("ca", (CALLER_HZ, AGENT_HZ), recording_sides(name), strict=True):
            if letter in sides:
                path = self.folders.raw / file
                path.write_bytes(tone(hz, seconds))
                os.utime(path, (time.time() - age,) * 2)

    def raw(self) -> list[str]:
        return sorted(path.name for path in self.folders.raw.iterdir())

    def remember(self, *records: Record) -> None:
        with redis.Redis.from_url(self.redis_url) as client:
            put(client, [(record_id(1, n), encode(each)) for n, each in enumerate(records, 1)])
        drain_now(self.redis_url, self.database_url)

    def join(self, name: str = NAME, now: float | None = None) -> str:
        with connect(self.database_url) as connection:
            return jobs.join_one(connection, "main", self.folders, ZONE, name, lambda: now or time.time())

    def row(self, name: str = NAME) -> Any:
        with connect(self.database_url) as connection:
            return store.find(connection, "main", name)

    def channels(self) -> tuple[array.array[int], array.array[int]]:
        with wave.open(str(self.folders.stored / PLACE), "rb") as audio:
            assert (audio.getnchannels(), audio.getframerate(), audio.getsampwidth()) == (2, 8000, 2)
            both = array.array("h", audio.readframes(audio.getnframes()))
        return both[::2], both[1::2]


@pytest.fixture
def room(tmp_path: Path, redis_url: str, database_url: str) -> Room:
    migrate(database_url)
    return Room(Shell.at(tmp_path, redis_url, database_url), redis_url, database_url)


# One recording.


def test_the_caller_is_left_and_the_agent_right(room: Room) -> None:
    room.write()
    room.remember(ended(), closed("c1"))
    assert room.join() == "stored"
    left, right = room.channels()
    assert abs(crossings(left) - 2 * CALLER_HZ) < 5
    assert abs(crossings(right) - 2 * AGENT_HZ) < 5
    row = room.row()
    file = room.folders.stored / PLACE
    assert (row.state, row.path, row.seconds, row.fault) == ("stored", PLACE, 2.0, "")
    assert (row.bytes, row.sha256) == (file.stat().st_size, files.digest(file))
    assert (row.queue, row.agent, row.consent, row.pauses) == ("sales", "1001", "announced", ((1.0, 2.5),))
    assert (row.ani, row.dnis) == ("13800138000", "4001")
    assert file.stat().st_mode & 0o777 == 0o600
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in (file.parent, file.parent.parent))
    assert room.raw() == []


def test_joined_again_it_stays_as_it_is(room: Room) -> None:
    room.write()
    room.remember(ended())
    assert room.join() == "stored"
    first = room.row()
    room.write()  # as if the job had been killed before it removed them
    assert room.join() == "stored"
    assert room.row() == first
    assert room.raw() == []
    room.write()
    (room.folders.stored / PLACE).write_bytes(b"spoiled")
    assert room.join() == "stored"
    assert files.digest(room.folders.stored / PLACE) == first.sha256, "made again from the raw files"


def test_a_side_that_is_missing_is_silence_and_told(room: Room) -> None:
    room.write(sides="c")
    room.remember(ended())
    assert room.join() == "stored"
    left, right = room.channels()
    assert crossings(left) > 700
    assert not any(right)
    assert room.row().fault == "the agent's side is missing"


def test_a_shorter_side_ends_in_silence(room: Room) -> None:
    room.write(seconds=2.0, sides="c")
    room.write(seconds=1.0, sides="a")
    room.remember(ended())
    assert room.join() == "stored"
    left, right = room.channels()
    assert len(left) == len(right) == 16000
    assert not any(right[8001:])


def test_nothing_on_the_disk(room: Room) -> None:
    room.remember(ended(), ended("c2~r1", fault="Asterisk did not begin: failed"))
    assert room.join(now=NOON + 61) == "early", "Asterisk may still be writing it"
    assert room.join() == room.join() == "missing"
    assert room.row().fault == "its files are not there"
    assert room.join("c2~r1") == "missing"
    assert room.row("c2~r1").fault == "Asterisk did not begin: failed"
    room.write()  # they come late
    assert room.join() == "stored"


def test_empty_files_are_nothing(room: Room) -> None:
    room.write(seconds=0.0)
    room.remember(ended())
    assert room.join() == "missing"
    assert room.raw() == []


def test_a_file_that_is_being_written_is_left_alone(room: Room) -> None:
    room.write(age=1)
    room.remember(ended())
    assert room.join() == "early"
    assert len(room.raw()) == 2


@pytest.mark.parametrize("name", ["", "../x~r1", "a/b~r1", ".x~r1", "x~r", "x", "x~r1;rm", "x~r1\n"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(RecordingRefused):
        RecordingName.read(name)


def test_a_path_that_leads_elsewhere(room: Room) -> None:
    for path in ("../../etc/passwd", "/etc/passwd", ""):
        with pytest.raises(RecordingRefused):
            room.folders.file(path)
    assert (
        room.folders.place(RecordingName.read("x~r1"), "../..", datetime.now(UTC), ZONE).split("/")[1]
        == "other"
    )


# Killed.

_SLOW_SOX = """#!/bin/sh
touch {started}
while [ -e {hold} ]; do sleep 0.05; done
exec {sox} "$@"
"""


@contextmanager
def slow_sox(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """sox that begins only when the file `hold` is removed; `started` tells that it was called."""
    import shutil

    started, hold = folder / "started", folder / "hold"
    hold.touch()
    program = folder / "bin" / "sox"
    program.parent.mkdir()
    program.write_text(_SLOW_SOX.format(started=started, hold=hold, sox=shutil.which("sox")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    yield started, hold
    hold.unlink(missing_ok=True)


def worker(room: Room) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "callcenter.worker", "--site", str(room.site_path)]
    started = subprocess.Popen([*command, "--run", str(room.run.root)], cwd=ROOT, start_new_session=True)
    eventually(lambda: (room.run.heartbeat / "worker").exists(), "its heart beats", 20)
    return started


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def test_killed_in_the_middle_it_is_done_by_the_next(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.write()
    room.remember(ended())
    with slow_sox(tmp_path, monkeypatch) as (started, hold):
        first = worker(room)
        Archivist(room.site_path, room.run).look()
        eventually(started.exists, "sox is called", 20)
        for each in (psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)):
            each.kill()  # the worker, its horse and sox
        first.wait(10)
        hold.unlink()
    assert room.row().state == "ended"
    assert len(room.raw()) == 2
    eventually(lambda: room.join() == "stored", "the dead job's lock is gone and the next one joins")


@pytest.mark.long
def test_a_job_whose_worker_was_killed_comes_again(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rq keeps the name of a dead worker's job for a while; then the next look sends it again."""
    room.write()
    room.remember(ended())
    archivist = Archivist(room.site_path, room.run)
    with slow_sox(tmp_path, monkeypatch) as (started, _):
        first = worker(room)
        archivist.look()
        eventually(started.exists, "sox is called", 20)
        for each in (psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)):
            each.kill()
        first.wait(10)
    (room.run.heartbeat / "worker").unlink()
    second = worker(room)
    try:
        for _ in range(60):
            archivist.look()
            if room.row().state == "stored":
                return
            time.sleep(5.0)
        raise AssertionError("not within five minutes")
    finally:
        end(second)


def test_killed_between_the_file_and_the_index(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.write()
    room.remember(ended())

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "set_stored", die)
    with pytest.raises(KeyboardInterrupt):
        room.join()
    monkeypatch.undo()
    assert (room.folders.stored / PLACE).exists()
    assert room.row().state == "ended"
    assert room.join() == "stored"
    assert room.raw() == []


def test_the_worker_does_what_the_archivist_sends(room: Room) -> None:
    room.write()
    room.remember(ended())
    process = worker(room)
    try:
        Archivist(room.site_path, room.run).look()
        eventually(lambda: room.row().state == "stored", "it is joined", 20)
        with redis.Redis.from_url(room.redis_url) as client:
            eventually(lambda: not list(client.scan_iter("rq:job:*")), "the jobs are forgotten")
    finally:
        end(process)
    lines = (room.run.log / "worker.jsonl").read_text()
    assert "recording stored" in lines
    assert "13800138000" not in lines


def test_the_worker_waits_for_redis_and_does_no_strange_job(
    tmp_path: Path, own_redis: RedisServer, database_url: str
) -> None:
    migrate(database_url)
    room = Room(Shell.at(tmp_path, own_redis.url, database_url), own_redis.url, database_url)
    room.write()
    room.remember(ended())
    process = worker(room)
    try:
        own_redis.stop()
        beat = room.run.heartbeat / "worker"
        eventually(lambda: "Redis is away" in (room.run.log / "worker.jsonl").read_text(), "it says so", 20)
        then = beat.stat().st_mtime
        eventually(lambda: beat.stat().st_mtime > then + 1, "its heart goes on beating")
        Archivist(room.site_path, room.run).look()  # raises nothing
        own_redis.start()
        with WorkQueue(own_redis.url, "main") as queue:
            queue.put("os.mkdir", str(tmp_path / "strange"), name="strange")
        Archivist(room.site_path, room.run).look()
        eventually(lambda: room.row().state == "stored", "it is joined", 30)
        assert not (tmp_path / "strange").exists()
        assert process.poll() is None
    finally:
        end(process)


def test_a_job_is_queued_once_under_its_name(room: Room) -> None:
    with WorkQueue(room.redis_url, "main") as queue:
        assert queue.put(jobs.JOIN, "a", "b", "c", name="join c")
        assert not queue.put(jobs.JOIN, "a", "b", "c", name="join c")


# Found.


def queued(room: Room) -> list[list[str]]:
    """What the archivist has sent to be joined."""
    from rq import Queue
    from rq.serializers import JSONSerializer

    with redis.Redis.from_url(room.redis_url, protocol=2) as client:
        found = Queue("work-main", connection=client, serializer=JSONSerializer).jobs
        return [list(job.args) for job in found if job.func_name == jobs.JOIN]


def test_files_that_no_floor_told_of_are_entered(room: Room) -> None:
    """Redis and the engine lost everything; the call's own record is there."""
    room.write()
    room.remember(closed("c1"))
    Archivist(room.site_path, room.run).look()
    assert [arguments[-1] for arguments in queued(room)] == [NAME]
    row = room.row()
    assert (row.state, row.queue, row.agent, row.fault) == ("ended", "sales", "1001", "found on the disk")
    assert row.began_at.timestamp() == NOON
    assert room.join() == "stored"
    room.remember(closed("c1"), ended())  # the record comes after all
    row = room.row()
    assert (row.state, row.consent, row.pauses, row.path) == ("stored", "announced", ((1.0, 2.5),), PLACE)


def test_what_is_still_recorded_is_left_alone(room: Room) -> None:
    talking = replace(
        contact("c1"), state=ContactState.TALKING, recording=Recording(NAME, "1001", NOON, "rule")
    )
    with redis.Redis.from_url(room.redis_url) as client:
        client.hset("{floor:main}:contacts", "c1", encode(talking))
    room.write()  # a file of which nothing was written out for an hour
    Archivist(room.site_path, room.run).look()
    assert room.row() is None
    assert queued(room) == []


def test_strange_files_are_left_alone(room: Room) -> None:
    room.folders.raw.mkdir(parents=True)
    for name in ("x.sln", "notes.txt", "a b~r1-caller.sln", "-caller.sln"):
        (room.folders.raw / name).touch()
    Archivist(room.site_path, room.run).look()
    assert len(room.raw()) == 4


# Kept for a time, on a disk with room.


def test_what_is_older_than_its_queue_keeps_it_is_removed(room: Room) -> None:
    text = room.site_path.read_text()
    text = text.replace('name = "repair"', 'name = "repair"\nrecord_keep_days = 0')
    room.site_path.write_text(text + "\n[recording]\nkeep_days = 30\n")
    old, fresh = time.time() - 31 * 86400, time.time() - 29 * 86400
    names = {f"{who}~r{int(at)}": at for who, at in (("a", old), ("b", fresh), ("c", old))}
    for name in names:
        room.write(name)
    room.remember(*(ended(n, at, "repair" if n.startswith("c") else "sales") for n, at in names.items()))
    for name in names:
        assert room.join(name) == "stored"
    assert jobs.retire(str(room.site_path), str(room.run.root)) == 1
    assert jobs.retire(str(room.site_path), str(room.run.root)) == 0
    assert [room.row(name).state for name in names] == ["removed", "stored", "stored"]
    assert len(list(room.folders.stored.rglob("*.wav"))) == 2
    assert len(list(room.folders.stored.iterdir())) == 2, "empty folders go"


def test_too_little_room_is_told_by_status(room: Room) -> None:
    folders = room.folders
    free = disk.room(folders, 0).free_mb
    assert disk.room(folders, free // 2).enough_again
    assert not disk.room(folders, free * 2).enough
    edge = disk.Room(folders.raw, 105, 100)
    assert edge.enough
    assert not edge.enough_again, "no to and fro at the edge"
    room.site_path.write_text(room.site_path.read_text() + "\n[recording]\nmin_free_mb = 100000000\n")
    said = room.shell("status")
    assert said.code == 1
    assert "recording is stopped" in said.err
    assert "min_free_mb is 100000000" in said.err


def test_the_floor_is_told_of_too_little_room(room: Room) -> None:
    room.site_path.write_text(room.site_path.read_text() + "\n[recording]\nmin_free_mb = 100000000\n")

    async def run() -> list[object]:
        async with redis_floor.store(room.redis_url) as floor:
            await floor.acquire(Owner.here())
            await asyncio.to_thread(Archivist(room.site_path, room.run).look)
            return [posted.event for posted in await floor.read_inbox("", block_ms=1000)]

    (event,) = asyncio.run(run())
    assert isinstance(event, RecordingSpaceSeen)
    assert not event.enough


# The command line.


@pytest.fixture
def stored(room: Room) -> Room:
    room.write()
    room.remember(ended(), closed("c1"), ended("c2~r1", NOON - 86400, "repair"))
    assert room.join() == "stored"
    return room


def test_list_and_show(stored: Room) -> None:
    assert [each["recording"] for each in stored.shell("recordings", "list", "--json").json] == [
        NAME,
        "c2~r1",
    ]
    for words, found in (
        (("--day", "2026-11-18"), 1),
        (("--queue", "repair"), 1),
        (("--agent", "1001"), 2),
        (("--number", "13800138000"), 1),
        (("--number", "4001"), 1),
        (("--call", "c1"), 1),
        (("--agent", "9"), 0),
    ):
        said = stored.shell("recordings", "list", *words, "--json")
        assert len(said.json) == found, words
    assert "0:02" in stored.shell("recordings", "list").out
    shown = stored.shell("recordings", "show", NAME, "--verify", "--json").json
    assert (shown["recording"]["state"], shown["whole"], shown["uses"]) == ("stored", True, [])
    (stored.folders.stored / PLACE).write_bytes(b"x")
    said = stored.shell("recordings", "show", NAME, "--verify")
    assert said.code == 1
    assert "not as it was stored" in said.err


def test_who_listens_is_noted(stored: Room) -> None:
    command = [
        sys.executable,
        "-m",
        "callcenter.cli",
        "--site",
        str(stored.site_path),
        "recordings",
        "play",
        NAME,
    ]
    heard = subprocess.run(command, cwd=ROOT, capture_output=True, env={**os.environ, "SUDO_USER": "wang"})
    assert heard.stdout == (stored.folders.stored / PLACE).read_bytes(), heard.stderr
    (use,) = stored.shell("recordings", "show", NAME, "--json").json["uses"]
    assert (use["who"], use["what"]) == ("wang", "played")


def test_export(stored: Room, tmp_path: Path) -> None:
    said = stored.shell("recordings", "export", str(tmp_path / "out"), "--queue", "sales")
    assert said.code == 0, said.err
    with (tmp_path / "out/index.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["file"], row["call"], row["pauses"]) == (f"{NAME}.wav", "c1", "1.0-2.5")
    assert (tmp_path / "out" / row["file"]).stat().st_mode & 0o777 == 0o600
    assert stored.shell("recordings", "show", NAME, "--json").json["uses"][0]["what"] == "exported"
    assert "already" in stored.shell("recordings", "export", str(tmp_path / "out")).err


def test_remove(stored: Room) -> None:
    said = stored.shell("recordings", "remove", "--before", "2026-11-19", "--yes")
    assert said.out == "1 recordings are removed\n"
    assert not list(stored.folders.stored.rglob("*"))
    assert stored.row().state == "removed"
    stored.write()
    assert stored.join() == "removed", "raw files that were left go too"
    assert stored.raw() == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("play", "nothing"), "is no recording"),
        (("play", "c9~r1"), "there is no recording c9~r1"),
        (("play", "c2~r1"), "it is not joined yet"),
        (("remove",), "give recordings, or --before DATE"),
        (("remove", "--before", "friday"), "expected a date like"),
        (("list", "--day", "someday"), "expected today, yesterday or a date"),
        (("export", "/tmp/nothing-there", "--queue", "none"), "no stored recording is among them"),
    ],
)
def test_what_cannot_be(stored: Room, words: tuple[str, ...], text: str) -> None:
    said = stored.shell("recordings", *words)
    assert said.code != 0
    assert text in said.err
    assert "Traceback" not in said.err


def test_an_end_that_is_told_again_changes_nothing(stored: Room) -> None:
    before = stored.row()
    stored.remember(replace(ended(), agent="9999"), closed("c1"))
    assert stored.row() == before
