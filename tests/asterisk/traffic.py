"""Random callers and agents who hang up whenever they like; each caller knows how his call must be accounted.

What the network side saw decides: a caller who was joined to an agent was `answered`; one who hung up before
was abandoned. Where the hang-up and the answer may have crossed, both are true.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from random import Random

from callcenter.demo.network import Answer, Ignore, NetworkCall, NetworkFault, NetworkPhone, Refuse
from callcenter.floor.agents import Presence
from callcenter.floor.events import AgentReadyRequested
from callcenter.state.client import FloorSilent
from callcenter.state.errors import StateAway
from tests.asterisk.harness import World

Told = dict[str, str | tuple[str, ...]]

CROSSING_SECONDS = 1.5  # an answer so close to the caller's hang-up may have come first or second
ABANDONED = ("abandoned", "short_abandoned")
PATIENCE = ((0.0, 0.1), (0.1, 1.0), (1.0, 3.0))  # seconds, when the caller hangs up of his own accord


async def random_traffic(
    world: World,
    random: Random,
    calls: int,
    prefix: str,
    at_once: int,
    phones: Sequence[str] = ("1001", "1002", "1003"),
    within: float = 60.0,
) -> Told:
    """Play `calls` callers, `at_once` at a time; caller -> the outcomes that would be true."""
    told: Told = {}
    places = asyncio.Semaphore(at_once)
    agents = [asyncio.create_task(_moods(world.network.phone(name), random)) for name in phones]
    agents.append(asyncio.create_task(_return_agents(world)))

    async def one(number: int) -> None:
        async with places:
            ani = f"{prefix}{number:04}"
            told[ani] = await _caller(world, random, ani, phones, within)

    try:
        await asyncio.gather(*(one(number) for number in range(calls)))
    finally:
        for task in agents:
            task.cancel()
        await asyncio.gather(*agents, return_exceptions=True)
    return told


async def _caller(
    world: World, random: Random, ani: str, phones: Sequence[str], within: float
) -> tuple[str, ...]:
    call = await world.network.call(random.choice(("4000", "4001")), ani=ani)
    if random.random() < 0.5:  # patient: waits to be served, then talks for a moment
        until = time.monotonic() + within
        while time.monotonic() < until and not await call.over(0.0) and not _talked(world, ani, phones):
            await call.over(0.05)
        await call.over(random.uniform(0.0, 1.0))
    else:
        await call.over(random.uniform(*random.choice(PATIENCE)))
    gone = time.time()
    await call.hang_up()
    await call.ended()
    await asyncio.sleep(CROSSING_SECONDS)  # what crossed with the hang-up is over
    answers = [far.answered_at for far in _fars(world, ani, phones) if far.answered_at]
    if not answers:
        return ABANDONED
    if call.hung_up_here and min(answers) > gone - CROSSING_SECONDS:
        return ("answered", *ABANDONED)
    return ("answered",)


def _fars(world: World, ani: str, phones: Sequence[str]) -> list[NetworkCall]:
    return [far for name in phones for far in world.network.phone(name).rung if far.ani == ani]


def _talked(world: World, ani: str, phones: Sequence[str]) -> bool:
    return any(far.answered_at for far in _fars(world, ani, phones))


async def _moods(phone: NetworkPhone, random: Random) -> None:
    """What the phone does next changes all the time; now and then the agent hangs up."""
    while True:
        phone.policy = random.choices(
            (Answer(random.uniform(0.0, 0.4), hum=False), Ignore(), Refuse(17)), (12, 1, 1)
        )[0]
        await asyncio.sleep(random.uniform(0.2, 1.5))
        if phone.current is not None and random.random() < 0.3:
            with contextlib.suppress(NetworkFault, AttributeError):
                await phone.hang_up()


async def _return_agents(world: World) -> None:
    """Who was set aside comes back."""
    while True:
        with contextlib.suppress(StateAway, FloorSilent):
            for agent in await asyncio.to_thread(world.floor.agents):
                if agent.presence is Presence.NOT_READY:
                    await asyncio.to_thread(world.floor.ask, AgentReadyRequested, agent=agent.number)
        await asyncio.sleep(0.5)
