"""What the tests of recovery share: a centre whose stores may be killed too, and short ways into a call."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from typing import Any

from callcenter.demo.network import Answer, NetworkCall, NetworkFault
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import ContactState
from callcenter.floor.events import AgentLoginRequested
from callcenter.history import connect
from callcenter.history.check import check
from callcenter.state.errors import StateAway
from tests.asterisk.centre_process import CHECKOUT
from tests.asterisk.harness import Centre, World
from tests.servers import PostgresServer, RedisServer, eventually, short_directory

HUM_HZ = 1400  # what callers hum; phones have tones of their own


def sturdy_centre(**options: Any) -> Iterator[Centre]:
    """A started centre with Redis and PostgreSQL of its own, removed in the end."""
    redis, postgres = RedisServer(short_directory("cc-redis-")), PostgresServer(short_directory("cc-pg-"))
    centre = Centre(redis, postgres, **options)
    try:
        redis.start()
        postgres.start()
        centre.start()
        yield centre
    finally:
        centre.stop()
        postgres.remove()
        redis.remove()


def mend_all(centre: Centre) -> None:
    """Bring back all that a test has killed or frozen, the stores first."""
    for server in (centre.redis, centre.postgres):
        if server.process is None:
            server.start()
        else:
            server.thaw()
    centre.mend()


async def seat(world: World, **seats: str) -> None:
    """Log agents in, ready: `seat(world, p1001="2001")`. Their phones answer at once."""
    for phone, agent in seats.items():
        world.network.phone(phone[1:]).policy = Answer(0.0)
        reply = await asyncio.to_thread(world.floor.ask, AgentLoginRequested, agent=agent, phone=phone[1:])
        assert reply.ok, reply.text


async def talk(world: World, phone: str, ani: str) -> tuple[NetworkCall, NetworkCall]:
    """A caller and the agent at `phone`, talking; both ends."""
    rung = len(world.network.phone(phone).rung)
    call = await world.network.call("4001", ani=ani)
    far = await world.network.phone(phone).rings(after=rung)
    await far.answered()
    await call.answered()
    await call.hum(HUM_HZ)
    await world.sees(
        lambda: ani in [c.ani for c in world.contacts() if c.state is ContactState.TALKING], f"{ani} talks"
    )
    return call, far


async def wait_in_queue(world: World, *anis: str, number: str = "4001") -> list[NetworkCall]:
    """Callers who wait, arrived in this order."""
    calls = []
    for ani in anis:
        calls.append(await world.network.call(number, ani=ani))
        await world.sees(lambda ani=ani: ani in waiting(world), f"{ani} waits")  # type: ignore[misc]
    return calls


def waiting(world: World) -> list[str]:
    """Who waits, by arrival."""
    return [c.ani for c in world.contacts() if c.state in (ContactState.WAITING, ContactState.OFFERED)]


async def hear_each_other(world: World, phone: str, call: NetworkCall, far: NetworkCall) -> None:
    heard = await asyncio.gather(call.hears(world.network.phone(phone).tone_hz, 10), far.hears(HUM_HZ, 10))
    assert all(heard), f"caller hears agent, agent hears caller: {heard} ({call!r}, {far!r})"


async def answered_in_order(world: World, phone: str, calls: list[NetworkCall], rung: int) -> None:
    """The phone is rung by these callers, in this order, from its incoming call number `rung` on."""
    for index, call in enumerate(calls):
        try:
            far = await world.network.phone(phone).rings(after=rung + index)
        except NetworkFault as fault:
            agents = [(a.number, a.presence, a.activity, a.leg) for a in world.floor.agents()]
            raise AssertionError(
                f"{fault}: {agents}, waiting {waiting(world)}\n{world.centre.story()}"
            ) from None
        assert far.ani == call.ani, f"{far.ani} came before {call.ani}"
        await call.answered()
        await far.answered()
        assert await call.hears(world.network.phone(phone).tone_hz, 10), f"{call!r} does not hear the agent"
        await call.hang_up()
        await far.ended()


async def timed(what: str, limit: float, begun: float, job: Awaitable[Any]) -> Any:
    """Wait for `job`; print the seconds since `begun` (monotonic) and fail when there were too many."""
    result = await job
    took = time.monotonic() - begun
    print(f"\n    {what}: {took:.2f} s (allowed {limit:g})", end="")
    assert took <= limit, f"{what} took {took:.2f} s, {limit:g} allowed"
    return result


async def accounted(world: World, outcomes: dict[str, str | tuple[str, ...]], within: float = 20.0) -> None:
    """Each caller has exactly one record in PostgreSQL, with this outcome (or one of these), no gaps."""

    def found() -> dict[str, list[str]]:
        rows = world.centre.rows("SELECT ani, outcome FROM contacts WHERE ani = ANY(%s)", list(outcomes))
        by_ani: dict[str, list[str]] = {ani: [] for ani in outcomes}
        for row in rows:
            by_ani[row["ani"]].append(row["outcome"])
        return by_ani

    with suppress(AssertionError):
        await world.sees(lambda: all(found().values()), "records", within)
    await drained(world, within)
    wrong = {
        ani: (have, outcomes[ani])
        for ani, have in found().items()
        if len(have) != 1 or have[0] not in (w if isinstance(w := outcomes[ani], tuple) else (w,))
    }
    assert not wrong, f"recorded and expected outcomes: {wrong}\n{world.centre.story()}"


async def drained(world: World, within: float = 20.0) -> None:
    """All records are in PostgreSQL and none is missing."""

    def complete() -> bool:
        with suppress(StateAway):
            return bool(world.floor._call("XLEN", world.floor.keys.records) == 0)
        return False

    await world.sees(complete, "the stream of records is empty", within)
    until = time.monotonic() + within
    while True:
        with connect(world.centre.database_url) as connection:
            verdict = check(connection)
        if not verdict.gaps or time.monotonic() > until:  # what Redis lost is on its way again
            break
        await asyncio.sleep(0.1)
    assert verdict.whole, f"records: {verdict}"


async def agents_are(world: World, presence: Presence, activity: Activity, *numbers: str) -> None:
    await world.sees(
        lambda: all(
            (world.agent(n).presence, world.agent(n).activity) == (presence, activity) for n in numbers
        ),
        f"agents {', '.join(numbers)} are {presence}, {activity}",
    )


def epoch(world: World) -> int:
    """The present owner's epoch; 0 while nobody owns the floor."""
    with suppress(StateAway):
        engine = world.floor.engine()
        return engine.epoch if engine is not None and engine.alive else 0
    return 0


def start_up_seconds() -> float:
    """How long the interpreter takes at this moment to read the engine's code: a busy machine is slow."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import callcenter.engine"], check=True, cwd=CHECKOUT)
    return time.monotonic() - begun


def wait_dead(centre: Centre, name: str, within: float) -> None:
    """Until that process has ended by itself."""
    process = centre.processes[name]
    eventually(lambda: not process.runs, f"{name} ends", within)
