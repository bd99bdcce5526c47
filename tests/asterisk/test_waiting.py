"""What a waiting caller hears, how he leaves a queue, what is said before the join: real calls.

The prompts are tones here (recordings of the site's own win), so that one can hear who hears which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from callcenter.demo.network import Answer, NetworkCall
from callcenter.demo.public_asterisk import write_tone
from callcenter.floor.agents import Presence
from callcenter.floor.contacts import ContactState
from tests.asterisk.harness import SITE, Centre, World
from tests.asterisk.recovery import seat
from tests.servers import PostgresServer, RedisServer, eventually

pytestmark = pytest.mark.asterisk

MUSIC_HZ = 600
PROMPTS_HZ = {"num-1": 1200, "num-2": 1300, "title": 1100, "digit-7": 1000, "other-team": 900}
QUEUES = """
[music]
tone = "music"

[[numbers]]
number = "4010"
queue = "told"

[[numbers]]
number = "4011"
queue = "short"

[[numbers]]
number = "4012"
queue = "other"

[[numbers]]
number = "4013"
queue = "whispered"

[[numbers]]
number = "4014"
queue = "named"

[[queues]]
name = "told"
music = "tone"
announce = {{ position = true, first_after = 1, every = 20 }}
exits = {{ 1 = {{ to_queue = "other", prompts = ["other-team"] }}, 2 = {{ to_number = "5551234" }} }}

[[queues]]
name = "short"
music = "tone"
overflow = [{{ when = "wait", seconds = 2, to_queue = "other" }}]

[[queues]]
name = "other"
music = "tone"

[[queues]]
name = "whispered"
music = "tone"
whisper = true
title_prompts = ["title"]

[[queues]]
name = "named"
music = "tone"
tell_agent_number = true
"""


@dataclass
class ToneCentre(Centre):
    """Its prompts and its music are tones."""

    def start(self) -> None:
        for prompt, hz in PROMPTS_HZ.items():
            write_tone(self.directory / "sounds" / "custom" / "en" / f"{prompt}.wav", hz)
        write_tone(self.directory / "music" / "tone.wav", MUSIC_HZ)
        super().start()
        self.add_agent("7777", "told,other,whispered,named")
        self.add_agent("7778", "other,whispered")
        with self.floor() as client:
            eventually(
                lambda: {"7777", "7778"} <= {a.number for a in client.agents()}, "the floor knows them"
            )


@pytest.fixture(scope="module")
def centre(redis_server: RedisServer, postgres_server: PostgresServer) -> Iterator[Centre]:
    site = SITE.replace("[[numbers]]", QUEUES + "\n[[numbers]]", 1)
    centre = ToneCentre(redis_server, postgres_server, site)
    try:
        centre.start()
        yield centre
    finally:
        centre.stop()


async def waiting(world: World, dnis: str, ani: str) -> NetworkCall:
    """A caller who waits."""
    call = await world.network.call(dnis, ani=ani)
    await call.answered()
    await world.sees(
        lambda: [c.state for c in world.contacts() if c.ani == ani] == [ContactState.WAITING], f"{ani} waits"
    )
    return call


def queue_of(world: World, ani: str) -> str:
    return next((contact.queue for contact in world.contacts() if contact.ani == ani), "")


def test_the_place_is_told_and_the_music_goes_on(centre: Centre) -> None:
    async def script(world: World) -> None:
        first = await waiting(world, "4010", "13800000101")
        second = await waiting(world, "4010", "13800000102")
        heard = await asyncio.gather(
            first.hears(PROMPTS_HZ["num-1"], 10), second.hears(PROMPTS_HZ["num-2"], 10)
        )
        assert all(heard)
        assert await first.hears(MUSIC_HZ, 10), "the music does not go on"
        assert await second.hears(MUSIC_HZ, 10)

    centre.play(script)


def test_an_announcement_stops_when_the_agent_answers(centre: Centre) -> None:
    async def script(world: World) -> None:
        call = await waiting(world, "4010", "13800000103")
        assert await call.hears(PROMPTS_HZ["num-1"], 10)
        await seat(world, p1001="7777")
        assert await call.hears(world.network.phone("1001").tone_hz, 10)
        await world.network.phone("1001").hang_up()
        await call.ended()

    centre.play(script)


def test_a_key_leads_to_another_queue(centre: Centre) -> None:
    async def script(world: World) -> None:
        call = await waiting(world, "4010", "13800000104")
        await call.send_digits("9")
        await call.send_digits("1")
        await world.sees(lambda: queue_of(world, call.ani) == "other", "he waits in the other queue")
        assert await call.hears(PROMPTS_HZ["other-team"], 10), "he is not told"
        await seat(world, p1001="7778")
        await world.network.phone("1001").rings()
        await world.sees(lambda: world.contacts()[0].state is ContactState.TALKING, "they talk")
        await call.hang_up()
        record = await world.record(call.ani)
        assert (record["first_queue"], record["queue"], record["outcome"]) == ("told", "other", "answered")
        assert centre.rows(
            "SELECT queue, to_queue, cause FROM queue_moves WHERE contact = %s", record["contact"]
        ) == [{"queue": "told", "to_queue": "other", "cause": "key 1"}]

    centre.play(script)


def test_a_key_leads_outside(centre: Centre) -> None:
    async def script(world: World) -> None:
        call = await waiting(world, "4010", "13800000105")
        await call.send_digits("2")
        await world.sees(
            lambda: [s.number for s in world.network.strangers] == ["5551234"], "it rings outside"
        )
        await call.hang_up()
        assert (await world.record(call.ani))["outcome"] == "exited"

    centre.play(script)


def test_overflow_keeps_the_order_of_arrival(centre: Centre) -> None:
    async def script(world: World) -> None:
        early = await waiting(world, "4011", "13800000106")
        late = await waiting(world, "4012", "13800000107")
        await world.sees(lambda: queue_of(world, early.ani) == "other", "he is moved")
        phone = world.network.phone("1001")
        await seat(world, p1001="7778")
        far = await phone.rings()
        assert far.ani == early.ani
        await early.hang_up()
        await far.ended()
        assert (await phone.rings(after=1)).ani == late.ani
        await late.hang_up()
        record = await world.record(early.ani)
        assert (record["first_queue"], record["queue"]) == ("short", "other")
        assert record["wait_seconds"] > 2

    centre.play(script)


def test_the_whisper_is_heard_by_the_agent_alone(centre: Centre) -> None:
    async def script(world: World) -> None:
        call = await waiting(world, "4013", "13800000108")
        phone = world.network.phone("1001")
        await seat(world, p1001="7777")
        far = await phone.rings()
        agent, caller, music = await asyncio.gather(
            far.hears(PROMPTS_HZ["title"], 10), call.hears(PROMPTS_HZ["title"], 3), call.hears_sound(3)
        )
        assert agent, "the agent hears nothing"
        assert not caller, "the caller hears the whisper"
        assert music
        assert await call.hears(phone.tone_hz, 10), "they are not joined"
        await call.hum(1450)
        assert await far.hears(1450, 10)
        await phone.hang_up()
        await call.ended()
        record = await world.record(call.ani)
        assert (record["outcome"], record["ended_by"]) == ("answered", "agent")

    centre.play(script)


def test_an_agent_who_hangs_up_in_the_whisper_leaves_the_caller_waiting(centre: Centre) -> None:
    async def script(world: World) -> None:
        call = await waiting(world, "4013", "13800000109")
        phone = world.network.phone("1001")
        await seat(world, p1001="7777")
        far = await phone.rings()
        assert await far.hears(PROMPTS_HZ["title"], 10)
        await phone.hang_up()
        await world.sees(lambda: world.agent("7777").presence is Presence.NOT_READY, "set aside")
        assert world.agent("7777").reason == "rejected"
        assert [contact.state for contact in world.contacts()] == [ContactState.WAITING]
        assert await call.hears(MUSIC_HZ, 10)
        await seat(world, p1002="7778")
        assert await call.hears(world.network.phone("1002").tone_hz, 15)
        await call.hang_up()
        assert (await world.record(call.ani))["agent"] == "7778"

    centre.play(script)


def test_an_engine_killed_in_the_whisper_loses_nobody(centre: Centre) -> None:
    async def script(world: World) -> None:
        call = await waiting(world, "4013", "13800000111")
        phone = world.network.phone("1001")
        await seat(world, p1001="7777")
        far = await phone.rings()
        assert await far.hears(PROMPTS_HZ["title"], 10)
        centre.processes["engine-a"].kill()
        await asyncio.to_thread(centre.processes["engine-a"].start)
        assert await call.hears(phone.tone_hz, 20), "they are not joined"
        await phone.hang_up()
        await call.ended()
        record = await world.record(call.ani)
        assert (record["outcome"], record["agent"]) == ("answered", "7777")

    centre.play(script)


def test_the_caller_hears_who_will_serve_him(centre: Centre) -> None:
    async def script(world: World) -> None:
        call = await waiting(world, "4014", "13800000110")
        world.network.phone("1001").policy = Answer(0.0)
        await seat(world, p1001="7777")
        assert await call.hears(PROMPTS_HZ["digit-7"], 10)
        assert await call.hears(world.network.phone("1001").tone_hz, 15)
        await call.hang_up()
        assert (await world.record(call.ani))["outcome"] == "answered"

    centre.play(script)
