"""Outages that come twice, or together: what the engine owes to the records then."""

from __future__ import annotations

import asyncio
from pathlib import Path

from callcenter.floor.commands import RingAgent
from callcenter.floor.events import AgentLoginRequested
from callcenter.floor.records import ContactClosed
from callcenter.state import FloorClient
from callcenter.testing import Phone
from tests.rooms.test_engine import ask, closed_records, play, publish, running, until
from tests.servers import RedisServer


async def closed_until(url: str, anis: list[str]) -> list[ContactClosed]:
    """The closed contacts, once these callers are among them."""
    found: list[ContactClosed] = []
    async with asyncio.timeout(5):
        while sorted(record.ani for record in found) != anis:
            found = await closed_records(url)
            await asyncio.sleep(0.02)
    return found


def test_records_survive_a_redis_that_comes_back_empty_twice(own_redis: RedisServer, tmp_path: Path) -> None:
    """The second time the engine's connection for records dates from the first: it must try again."""

    async def script() -> None:
        client = FloorClient(own_redis.url, "test")
        async with running(own_redis.url, tmp_path) as run:
            publish(client)
            await ask(client, AgentLoginRequested, agent="2001", phone="1001")
            run.switch.phones["1001"] = Phone.ANSWERS
            for number in range(2):
                caller = run.switch.call("4000", ani=str(number))
                await until(lambda leg=caller: bool(run.switch.legs[leg].bridge), "served")  # type: ignore[misc]
                run.switch.hang_up(caller)
                await until(lambda: not client.contacts(), "over")
                await asyncio.to_thread(own_redis.kill)
                own_redis.wipe()
                await asyncio.to_thread(own_redis.start)
                await closed_until(own_redis.url, [str(each) for each in range(number + 1)])

    play(script)


def test_who_was_closed_while_redis_was_away_is_not_closed_again(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """Nor is the agent, who talks to the next caller meanwhile, rung or cut off by the next engine."""

    async def script() -> None:
        client = FloorClient(own_redis.url, "test")
        async with running(own_redis.url, tmp_path) as first:
            publish(client)
            await ask(client, AgentLoginRequested, agent="2001", phone="1001")
            first.switch.phones["1001"] = Phone.ANSWERS
            gone = first.switch.call("4000", ani="1")
            waits = first.switch.call("4000", ani="2")  # saved as waiting
            await until(lambda: bool(first.switch.legs[gone].bridge), "the first is served")
            await until(lambda: len(client.contacts()) == 2, "both are saved")
            await asyncio.to_thread(own_redis.kill)
            first.switch.hang_up(gone)
            await until(lambda: bool(first.switch.legs[waits].bridge), "the second is served")
            switch = first.switch
            await first.end()
        await asyncio.to_thread(own_redis.start)
        async with running(own_redis.url, tmp_path, switch) as second:
            await until(lambda: [c.agent for c in client.contacts()] == ["2001"], "as Asterisk has it")
            assert not [c for c in second.switch.sent if isinstance(c, RingAgent)]
            assert second.switch.legs[waits].bridge
            second.switch.hang_up(waits)
            found = await closed_until(own_redis.url, ["1", "2"])
            assert [record.outcome for record in found] == ["answered", "answered"]

    play(script)
