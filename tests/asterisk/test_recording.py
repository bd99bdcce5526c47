"""Real calls, recorded: the right tone on the right channel, and silence where it must be."""

from __future__ import annotations

import array
import asyncio
import itertools
import os
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callcenter.demo.network import Answer, NetworkCall
from callcenter.floor.contacts import Contact
from callcenter.floor.events import RecordingRequested, RecordingWish
from callcenter.recordings import disk
from callcenter.recordings.model import Folders
from tests.asterisk.harness import SITE, Centre, World
from tests.servers import PostgresServer, RedisServer

pytestmark = pytest.mark.asterisk

_MORE = """
[[numbers]]
number = "4010"
queue = "recorded"

[[numbers]]
number = "4011"
queue = "asked"

[[numbers]]
number = "4012"
queue = "never"
service = "unrecorded"

[recording]
announce = ["recorded-line"]
beep = true

[[queues]]
name = "recorded"
ring_seconds = 5
record = "all"

[[queues]]
name = "asked"
ring_seconds = 5
record = "on_demand"

[[queues]]
name = "never"
ring_seconds = 5
record = 0

[[phones]]
"""
CALLER_HZ = 1400


@pytest.fixture(scope="module")
def recorder(redis_server: RedisServer, postgres_server: PostgresServer) -> Iterator[Centre]:
    """A centre that records, with its worker."""
    centre = Centre(redis_server, postgres_server, SITE.replace("[[phones]]\n", _MORE, 1))
    try:
        centre.start()
        with_queues = "recorded,asked,never"
        centre.add_agent("2009", with_queues)
        centre.processes["worker"].start()
        yield centre
    finally:
        centre.stop()


class Talk:
    """A caller and agent 2009 on phone 1001, both humming."""

    def __init__(self, world: World, call: NetworkCall, far: NetworkCall, agent_hz: int, id: str) -> None:
        self.world, self.call, self.far, self.agent_hz, self.id = world, call, far, agent_hz, id

    def contact(self) -> Contact:
        return next(each for each in self.world.contacts() if each.id == self.id)

    async def is_recorded(self) -> None:
        def started() -> bool:
            running = self.contact().recording
            return running is not None and running.started

        await self.world.sees(started, "it is recorded")

    async def over(self) -> None:
        await self.call.hang_up()
        await self.call.ended()
        await self.far.ended()


async def talk(world: World, number: str, ani: str) -> Talk:
    phone = world.network.phone("1001")
    phone.policy = Answer(0.0)
    before = len(phone.rung)
    await world.sees(lambda: world.agent("2009"), "the agent is known")
    await world.log_in("2009", "1001")
    call = await world.network.call(number, ani=ani)
    far = await phone.rings(within=20, after=before)
    await far.answered()
    await call.answered()
    await call.hum(CALLER_HZ)
    assert await call.hears(phone.tone_hz)
    assert await far.hears(CALLER_HZ)
    contact = next(each for each in world.contacts() if each.ani == ani)
    return Talk(world, call, far, phone.tone_hz, contact.id)


async def stored(world: World, contact: str, count: int = 1) -> list[dict[str, Any]]:
    """The rows of a contact's recordings when all are stored."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        query = "SELECT * FROM recordings WHERE contact = %s ORDER BY began_at"
        found[:] = world.centre.rows(query, contact)
        return len(found) == count and all(row["state"] == "stored" for row in found)

    await world.sees(there, f"{count} recordings are stored: {found}", 60)
    return found


def sides(centre: Centre, row: dict[str, Any]) -> tuple[array.array[int], array.array[int]]:
    with wave.open(str(_folders(centre).file(row["path"])), "rb") as audio:
        both = array.array("h", audio.readframes(audio.getnframes()))
    return both[::2], both[1::2]


def hz(samples: array.array[int], part: int = 4000) -> float:
    """The tone of the loudest half second (`part` samples); 0.0 for silence."""
    parts = [samples[at : at + part] for at in range(0, len(samples) - part + 1, 400)]
    loudest = max(parts, key=lambda part: sum(map(abs, part)), default=array.array("h"))
    if not loudest or max(map(abs, loudest)) < 300:
        return 0.0
    return 8000 / part * sum(a < 0 <= b for a, b in itertools.pairwise(loudest))


def silent_seconds(samples: array.array[int]) -> float:
    """The longest time without any sound."""
    longest = now = 0
    for at in range(0, len(samples), 80):
        quiet = max(map(abs, samples[at : at + 80]), default=0) < 50
        now = now + 80 if quiet else 0
        longest = max(longest, now)
    return longest / 8000


def _folders(centre: Centre) -> Folders:
    return Folders.of(centre.site, centre.run)


def test_each_tone_is_on_its_channel(recorder: Centre) -> None:
    async def script(world: World) -> None:
        spoken = await talk(world, "4010", "13800009801")
        await spoken.is_recorded()
        await asyncio.sleep(2.5)  # something to record
        await spoken.over()
        (row,) = await stored(world, spoken.id)
        left, right = sides(recorder, row)
        later = len(left) // 2  # at the begin there is the beep
        assert abs(hz(left[later:]) - CALLER_HZ) < 30, (hz(left), hz(right))
        assert abs(hz(right[later:]) - spoken.agent_hz) < 30, (hz(left), hz(right))
        tenths = [hz(right[at : at + 800], 800) for at in range(0, later - 800, 400)]
        assert any(tone > spoken.agent_hz + 100 for tone in tenths), "no beep"
        assert (row["queue"], row["agent"], row["consent"], row["fault"]) == (
            *("recorded", "2009", "announced", ""),
        )
        assert row["seconds"] == pytest.approx((row["ended_at"] - row["began_at"]).total_seconds(), abs=0.5)
        assert list(_folders(recorder).raw.glob("*.sln")) == []

    recorder.play(script)


def test_the_caller_hears_that_he_is_recorded(recorder: Centre) -> None:
    async def script(world: World) -> None:
        call = await world.network.call("4010", ani="13800009802")
        await call.answered()
        assert await call.hears_sound()
        await call.hang_up()
        await call.ended()

    recorder.play(script)


def test_a_pause_is_silence_on_both_channels(recorder: Centre) -> None:
    async def script(world: World) -> None:
        spoken = await talk(world, "4010", "13800009803")
        await spoken.is_recorded()
        await asyncio.sleep(1.0)
        said = await asyncio.to_thread(recorder.callcenter, "calls", "record", spoken.id, "pause")
        assert said.returncode == 0, said.stderr
        await asyncio.sleep(2.0)
        assert await spoken.call.hears(spoken.agent_hz), "they go on hearing one another"
        await spoken.far.send_digits("*9")
        await world.sees(lambda: not spoken.contact().recording.paused_at, "it goes on")  # type: ignore[union-attr]
        await asyncio.sleep(1.0)
        await spoken.over()
        (row,) = await stored(world, spoken.id)
        ((begin, end),) = row["pauses"]
        left, right = sides(recorder, row)
        assert silent_seconds(left) == pytest.approx(end - begin, abs=0.6)
        assert silent_seconds(right) > end - begin - 0.6  # … and while the agent's phone sends the code
        assert hz(left)
        assert hz(right)
        steps = recorder.rows("SELECT step FROM contact_steps WHERE contact = %s ORDER BY at", spoken.id)
        assert [s["step"] for s in steps if "rec" in s["step"]] == [
            *("recording", "recording paused", "recording resumed"),
        ]

    recorder.play(script)


def test_on_demand_by_the_agents_code(recorder: Centre) -> None:
    async def script(world: World) -> None:
        spoken = await talk(world, "4011", "13800009804")
        assert spoken.contact().recording is None
        await spoken.far.send_digits("*7")
        await spoken.is_recorded()
        assert not await spoken.call.hears_digits("*", within=0.5), "the caller hears no code"
        await asyncio.sleep(1.5)
        await spoken.far.send_digits("*7")
        await world.sees(lambda: spoken.contact().recording is None, "it is over")
        said = await asyncio.to_thread(
            world.floor.ask, RecordingRequested, contact=spoken.id, wish=RecordingWish.ON
        )
        assert said.ok, said.text
        await spoken.is_recorded()
        await asyncio.sleep(0.5)
        await spoken.over()
        first, second = await stored(world, spoken.id, 2)
        assert (first["asked_by"], second["asked_by"]) == ("agent 2009", "test")
        assert hz(sides(recorder, first)[0]) == pytest.approx(CALLER_HZ, abs=30)

    recorder.play(script)


def test_nothing_is_recorded_where_the_site_says_so(recorder: Centre) -> None:
    async def script(world: World) -> None:
        spoken = await talk(world, "4012", "13800009805")
        said = await asyncio.to_thread(recorder.callcenter, "calls", "record", spoken.id, "on")
        assert said.returncode == 1
        assert "its queue is not recorded" in said.stderr
        await spoken.over()
        await world.record("13800009805")
        assert not recorder.rows("SELECT * FROM recordings WHERE contact = %s", spoken.id)

    recorder.play(script)


def test_it_goes_on_while_the_engine_is_killed(recorder: Centre) -> None:
    async def script(world: World) -> None:
        spoken = await talk(world, "4010", "13800009806")
        await spoken.is_recorded()
        await asyncio.sleep(0.5)
        recorder.processes["engine-a"].kill()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(recorder.processes["engine-a"].start)
        await asyncio.to_thread(recorder.wait_engine)
        await spoken.over()
        (row,) = await stored(world, spoken.id)
        assert row["fault"] == ""
        assert silent_seconds(sides(recorder, row)[0]) < 0.3, "no gap"

    recorder.play(script)


def test_what_was_written_before_asterisk_was_killed_is_joined(recorder: Centre) -> None:
    async def script(world: World) -> None:
        spoken = await talk(world, "4010", "13800009807")
        await spoken.is_recorded()
        await asyncio.sleep(5.0)  # Asterisk writes every two seconds
        recorder.processes["asterisk"].kill()
        await asyncio.to_thread(recorder.processes["asterisk"].start)
        await asyncio.to_thread(recorder.wait_engine)
        await spoken.call.hang_up()
        (row,) = await stored(world, spoken.id)
        assert row["seconds"] > 2.0
        assert hz(sides(recorder, row)[0]) == pytest.approx(CALLER_HZ, abs=30)
        await world.network.registered(within=30)

    recorder.play(script, clean=False)
    recorder.mend()


def test_files_are_for_the_centres_account_alone(recorder: Centre) -> None:
    folders = _folders(recorder)
    modes = {path.stat().st_mode & 0o077 for path in (folders.stored, *folders.stored.rglob("*"))}
    assert modes == {0}
    assert disk.room(folders, 1).enough
    assert os.access(Path(folders.raw), os.R_OK)
