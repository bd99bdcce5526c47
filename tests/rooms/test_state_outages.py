"""Redis frozen, killed, emptied and refusing: late answers undo nothing, a snapshot puts all right."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest
import redis

from callcenter.floor.events import PeoplePublished
from callcenter.state import (
    FloorClient,
    Owner,
    Saved,
    StateAway,
    StateEmptied,
    Turn,
    encode,
)

from ..servers import RedisServer
from .floors import NOON, contact, numbered_steps
from .redis_floor import elsewhere, store, stream, until


def test_a_frozen_redis_is_away_in_50_ms_and_a_late_commit_undoes_nothing(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            epoch = await owner.acquire(Owner.here())
            assert epoch
            await owner.commit(Turn(contacts={"c1": encode(contact())}))
            own_redis.freeze()
            began = time.monotonic()
            with pytest.raises(StateAway):
                await owner.commit(Turn(contacts={"c1": None, "late": encode(contact("late"))}))
            assert time.monotonic() - began < 0.2
            began = time.monotonic()
            with pytest.raises(StateAway, match="a snapshot must be written first"):
                await owner.commit(Turn())
            assert time.monotonic() - began < 0.02, "it must not wait again"
            with pytest.raises(StateAway):
                await asyncio.wait_for(owner.write_snapshot(Saved(contacts={"x": contact("x")})), 7)
            own_redis.thaw()
            now = Saved(contacts={"c9": contact("c9")}, meta={"a": "b"})

            async def written() -> bool:
                try:
                    await owner.write_snapshot(now)
                except StateAway:
                    return False
                return True

            await until(written, "the snapshot is written")
            for _ in range(20):  # whatever Redis still carries out of the past must change nothing
                assert await owner.load() == now
            await owner.commit(Turn(meta={"a": "c"}))
            assert (await owner.load()).meta == {"a": "c"}

    asyncio.run(run())


def test_a_time_out_never_leaves_its_answer_to_the_next_question(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            await owner.acquire(Owner.here())
            await owner._line.call("SET", "a", "answer of a", seconds=1)
            await owner._line.call("SET", "b", "answer of b", seconds=1)
            own_redis.freeze()
            with pytest.raises(StateAway):
                await owner._line.call("GET", "a", seconds=0.05)
            waiting = asyncio.create_task(owner._line.call("GET", "a", seconds=5))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            own_redis.thaw()
            for _ in range(10):
                assert await owner._line.call("GET", "b", seconds=1) == b"answer of b"

    asyncio.run(run())


def test_redis_back_without_its_data_gets_a_snapshot(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            epoch = await owner.acquire(Owner.here())
            assert epoch
            await owner.commit(Turn(contacts={"c1": encode(contact())}, inbox="99999999999999-3"))
            own_redis.kill()
            with pytest.raises(StateAway):
                await owner.commit(Turn())
            own_redis.wipe()
            own_redis.start()
            with pytest.raises(StateAway):  # its connection was cut
                await owner.renew(epoch)
            with pytest.raises(StateEmptied):
                await owner.renew(epoch)
            await owner.write_snapshot(Saved(contacts={"c1": contact()}, inbox="99999999999999-3"))
            await owner.renew(epoch)
            await owner.commit(Turn(records=numbered_steps(epoch, 1, 1)))
            assert list((await owner.load()).contacts) == ["c1"]
            # an inbox made anew must not hide its requests behind the old position
            with FloorClient(own_redis.url, "main") as client:
                await asyncio.to_thread(client.post, PeoplePublished(NOON, 1, ()))
            assert len(await owner.read_inbox("99999999999999-3", 500)) == 1

        async with store(own_redis.url) as heir:
            later = await heir.acquire(replace(Owner.here(), token="other"))
            assert later is None, "the snapshot holds the lease again"

    asyncio.run(run())


def test_epochs_rise_over_a_redis_that_lost_all(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as before:
            first = await before.acquire(elsewhere())
        own_redis.stop()
        own_redis.wipe()
        own_redis.start()
        async with store(own_redis.url) as after:
            second = await after.acquire(elsewhere())
        assert first is not None
        assert second is not None
        assert second > first

    asyncio.run(run())


def test_redis_restarted_with_its_data_goes_on(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            epoch = await owner.acquire(Owner.here())
            assert epoch
            await owner.commit(Turn(contacts={"c1": encode(contact())}, records=numbered_steps(epoch, 1, 2)))
            own_redis.stop()
            with pytest.raises(StateAway):
                await owner.renew(epoch)
            own_redis.start()
            with pytest.raises(StateAway):  # the old connection is cut: whatever was lost, write it all
                await owner.commit(Turn())
            await owner.write_snapshot(Saved(contacts={"c2": contact("c2")}))
            await owner.readd(numbered_steps(epoch, 1, 3))
            assert list((await owner.load()).contacts) == ["c2"]
        assert set(stream(own_redis.url)) == {f"{epoch}-{n}".encode() for n in (1, 2, 3)}

    asyncio.run(run())


def test_a_redis_that_refuses_is_away(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            await owner.acquire(Owner.here())
            with redis.Redis.from_url(own_redis.url) as client:
                client.config_set("maxmemory", "1")
                with pytest.raises(StateAway, match=r"Redis refused: .*memory"):
                    await owner.commit(Turn(contacts={"c1": encode(contact())}))
                client.config_set("maxmemory", "0")
            await owner.write_snapshot(Saved())
            await owner.commit(Turn())

    asyncio.run(run())
