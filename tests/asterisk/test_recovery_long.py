"""What the centre withstands, for minutes: load, long absences, random deaths. Run by `make test-long`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from random import Random

import psycopg
import pytest

from callcenter.demo.network import CallState, NetworkCall
from callcenter.floor.contacts import ContactState
from callcenter.floor.events import AgentLoginRequested
from tests.asterisk.harness import SITE, Centre, World
from tests.asterisk.recovery import (
    accounted,
    drained,
    epoch,
    mend_all,
    seat,
    start_up_seconds,
    sturdy_centre,
    timed,
    wait_dead,
    waiting,
)
from tests.asterisk.test_recovery import postgresql_away
from tests.asterisk.traffic import Told, random_traffic
from tests.servers import PostgresServer, RedisServer, eventually

pytestmark = [pytest.mark.asterisk, pytest.mark.long]

LOAD = int(os.environ.get("CALLCENTER_TEST_LOAD", "200"))  # so many wait, and as many talk
DEATHS = int(os.environ.get("CALLCENTER_TEST_DEATHS", "100"))
SEED = int(os.environ.get("CALLCENTER_TEST_SEED", "1"))


@pytest.fixture(scope="module")
def module_centre() -> Iterator[Centre]:
    yield from sturdy_centre()


@pytest.fixture
def centre(module_centre: Centre) -> Iterator[Centre]:
    yield module_centre
    mend_all(module_centre)


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_postgresql_is_away_for_a_minute(centre: Centre, how: str) -> None:
    postgresql_away(centre, how, f"1372{len(how)}00", seconds=60.0)


def test_three_hundred_hang_ups(centre: Centre) -> None:
    async def script(world: World) -> None:
        await seat(world, p1001="2001", p1002="2002", p1003="2003")
        told = await random_traffic(world, Random(SEED), calls=300, prefix="1373000", at_once=8)
        await accounted(world, told, within=60)

    centre.play(script)


def test_processes_die_at_random(centre: Centre) -> None:
    """Engines, back office, Redis, PostgreSQL killed or frozen again and again under random traffic."""
    random = Random(SEED)
    print(f"\n    seed {SEED}", end="")
    centre.processes["engine-b"].start()
    deaths: dict[str, int] = {}

    async def script(world: World) -> None:
        await seat(world, p1001="2001", p1002="2002", p1003="2003")
        told: Told = {}
        over = asyncio.Event()

        async def traffic() -> None:
            number = 0
            while not over.is_set():
                told.update(
                    await random_traffic(world, random, calls=12, prefix=f"1374{number:03}", at_once=6)
                )
                number += 1

        playing = asyncio.create_task(traffic())
        try:
            for _ in range(DEATHS):
                victim = random.choice(
                    ("engine-a", "engine-b", "engine-a", "backoffice", "redis", "postgres")
                )
                how = random.choice(("kill", "freeze"))
                deaths[f"{how} {victim}"] = deaths.get(f"{how} {victim}", 0) + 1
                await asyncio.to_thread(_die_and_return, centre, victim, how, random.uniform(0.0, 3.0))
                await world.sees(lambda: epoch(world) != 0, "an engine owns the floor", 20)
                await asyncio.sleep(random.uniform(0.0, 2.0))
                assert not playing.done(), playing.result()
        finally:
            over.set()
            await playing
        print(f"\n    {sum(deaths.values())} deaths, {len(told)} callers: {deaths}", end="")
        # Who came while no engine was there may have been served by the fallback queue: no contact of ours.
        rows = await asyncio.to_thread(
            world.centre.rows, "SELECT ani, outcome FROM contacts WHERE ani LIKE '1374%%'"
        )
        assert len(rows) > len(told) / 2
        odd = [row for row in rows if row["outcome"] not in ("answered", "abandoned", "short_abandoned")]
        assert not odd, f"nobody was cut off, and yet: {odd}"
        await drained(world, 60)  # no gap, and nobody accounted for twice

    centre.play(script)


def _die_and_return(centre: Centre, victim: str, how: str, seconds: float) -> None:
    """Kill a process and start it again, or freeze it for so many seconds first."""
    stores: dict[str, RedisServer | PostgresServer] = {"redis": centre.redis, "postgres": centre.postgres}
    if (server := stores.get(victim)) is not None:
        if how == "freeze":
            server.freeze()
            time.sleep(seconds)
            server.thaw()
        else:
            server.kill()
            time.sleep(seconds)
            server.start()
        return
    process = centre.processes[victim]
    if process.runs:
        if how == "freeze":
            process.freeze()
            time.sleep(seconds)
        process.kill()  # the keeper does so with one that does not beat
    process.start(wait=False)


# Agents' phones are at fixed addresses on the public network, which picks up at once for any number.
CROWD_SITE = (
    SITE
    + """
[[numbers]]
number = "4010"
queue = "crowd"

[[queues]]
name = "crowd"
answer_after_seconds = 120

[[phones]]
range = "3001-LAST"
contact = "sip:{{number}}@127.0.0.1:{network_sip}"
password = false
"""
).replace("LAST", str(3000 + LOAD))


@pytest.fixture(scope="module")
def crowded_centre() -> Iterator[Centre]:
    yield from sturdy_centre(site_text=CROWD_SITE, audio=((45_000, 49_999), (50_000, 54_999)))


@pytest.mark.parametrize("how", ["restart", "stand-by", "frozen"])
def test_the_engine_dies_under_a_crowd(crowded_centre: Centre, how: str) -> None:
    """200 wait and 200 talk: nobody is cut off, nobody loses the place."""
    centre = crowded_centre
    limit = {"restart": max(2.0, 1.0 + 1.5 * start_up_seconds()), "stand-by": 2.0, "frozen": 4.0}[how]
    d = "137" + {"restart": "5", "stand-by": "6", "frozen": "7"}[how]
    first, second = centre.processes["engine-a"], centre.processes["engine-b"]
    _seat_crowd(centre)
    if how != "restart":
        second.start()

    async def script(world: World) -> None:
        picked_up = world.network.strangers

        async def arrive(first: int, last: int) -> list[NetworkCall]:
            calls = []
            for number in range(first, last):
                calls.append(await world.network.call("4010", ani=f"{d}{number:05}"))
                await asyncio.sleep(0.03)  # some 30 calls a second: two cores are shared by both sides
            return calls

        def states() -> tuple[int, int]:
            contacts = world.contacts()
            return (
                sum(c.state is ContactState.TALKING for c in contacts),
                sum(c.state is ContactState.WAITING for c in contacts),
            )

        talking = await arrive(0, LOAD)
        await world.sees(lambda: states() == (LOAD, 0), f"{LOAD} talk", 60)
        queued = await arrive(LOAD, 2 * LOAD)
        await world.sees(lambda: states() == (LOAD, LOAD), f"{LOAD} wait", 60)
        order = waiting(world)
        rung, before = len(picked_up), epoch(world)

        begun = time.monotonic()
        if how == "frozen":
            first.freeze()
        else:
            first.kill()
        if how == "restart":
            first.start(wait=False)
        await talking[0].hang_up()

        async def offered() -> None:
            while len(picked_up) == rung:  # noqa: ASYNC110 - the network keeps a list
                await asyncio.sleep(0.005)

        async with asyncio.timeout(20):
            await timed(f"{how}, {LOAD} wait, {LOAD} talk: to the next offer", limit, begun, offered())
        assert epoch(world) > before
        await world.sees(lambda: states() == (LOAD, LOAD - 1), "all are there", 5)
        assert waiting(world) == order[1:]
        cut_off = [c for c in (*talking[1:], *queued) if c.state is CallState.ENDED]
        cut_off += [c for c in picked_up[-LOAD:] if c.state is CallState.ENDED and c.ani != talking[0].ani]
        assert not cut_off, f"{len(cut_off)} were cut off: {cut_off[:5]}"
        if how == "frozen":
            first.thaw()
            await asyncio.to_thread(wait_dead, centre, "engine-a", 5.0)
        for each in reversed(queued[1:]):
            await each.hang_up()
        for each in (*talking[1:], queued[0]):
            await each.hang_up()
        gone = dict.fromkeys((c.ani for c in queued[1:]), ("abandoned", "short_abandoned"))
        await accounted(
            world, {**dict.fromkeys((c.ani for c in (*talking, queued[0])), "answered"), **gone}, 60
        )

    try:
        centre.play(script)
    finally:
        mend_all(centre)


def _seat_crowd(centre: Centre) -> None:
    """An agent at each phone, ready."""
    with psycopg.connect(centre.database_url) as connection:
        connection.execute(
            """INSERT INTO agents (number, name, pin_hash)
            SELECT phone, 'Agent ' || phone, (SELECT pin_hash FROM agents WHERE number = '2001')
            FROM (SELECT (3000 + n)::text AS phone FROM generate_series(1, %s) AS n) AS phones
            ON CONFLICT DO NOTHING""",
            (LOAD,),
        )
        connection.execute(
            """INSERT INTO agent_queues SELECT (3000 + n)::text, 'crowd', 0 FROM generate_series(1, %s) AS n
            ON CONFLICT DO NOTHING""",
            (LOAD,),
        )
    numbers = [str(3001 + index) for index in range(LOAD)]
    with centre.floor() as client:
        eventually(lambda: len(client.agents()) >= LOAD, "the floor knows the crowd", 15)
        for number in numbers:
            assert client.ask(AgentLoginRequested, agent=number, phone=number).ok
