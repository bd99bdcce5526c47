"""Records on disk while Redis is away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis

from callcenter.state import (
    Owner,
    Spool,
    StateAway,
    encode,
    record_id,
)

from ..servers import RedisServer
from .floors import numbered_steps, step
from .redis_floor import store, stream

pytestmark = pytest.mark.usefixtures("patient")


def test_spooled_records_come_back_and_the_file_goes_when_they_are_drained(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async def run() -> None:
        spool = Spool(tmp_path / "spool", "main")
        async with store(own_redis.url) as owner:
            epoch = await owner.acquire(Owner.here())
            assert epoch
            own_redis.stop()
            spool.append(epoch, numbered_steps(epoch, 1, 3))
            spool.append(epoch, numbered_steps(epoch, 4, 5))
            [path] = (tmp_path / "spool").iterdir()
            assert path.name == f"main-{epoch}.jsonl"
            assert path.stat().st_mode & 0o777 == 0o600
            with pytest.raises(StateAway):
                await spool.give_back(owner)
            own_redis.start()
            assert await spool.give_back(owner) == []
            assert stream(own_redis.url) == [f"{epoch}-{n}".encode() for n in range(1, 6)]
            await spool.tidy(owner)
            assert path.exists(), "PostgreSQL has nothing yet"
            with redis.Redis.from_url(own_redis.url) as client:
                client.hset(owner.keys.drained, str(epoch), 5)
            await spool.tidy(owner)
            assert not path.exists()
            spool.append(epoch, numbered_steps(epoch, 6, 6))
            await spool.give_back(owner)
            assert len(stream(own_redis.url)) == 6
            await spool.tidy(owner)
            assert path.exists(), "the sixth is not drained yet"
            spool.close()

    asyncio.run(run())


def test_a_half_written_line_costs_only_itself(redis_url: str, tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, "main")
        spool.append(7, numbered_steps(7, 1, 2))
        spool.close()
        path = tmp_path / "main-7.jsonl"
        path.write_bytes(path.read_bytes()[:-20])
        spool.append(7, numbered_steps(7, 3, 3))
        spool.close()
        (tmp_path / "main-2-9.jsonl").write_text("another floor's")
        async with store(redis_url) as owner:
            odd = await spool.give_back(owner)
            assert [line.split(":")[0] for line in odd] == ["main-7.jsonl line 2"]
            assert stream(redis_url) == [b"7-1", b"7-3"]
            await spool.tidy(owner)
            assert path.exists()
            with redis.Redis.from_url(redis_url) as client:
                client.hset(owner.keys.drained, "7", 3)  # the second came from elsewhere
            await spool.tidy(owner)
            assert not path.exists()
            assert (tmp_path / "main-2-9.jsonl").exists()

    asyncio.run(run())


def test_what_is_spooled_reads_back_the_same(redis_url: str, tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, "main")
        body = encode(step(text='two\nlines and a "quote" 你好'))
        spool.append(7, [(record_id(7, 1), body)])
        spool.close()
        async with store(redis_url) as owner:
            await spool.give_back(owner)
        with redis.Redis.from_url(redis_url) as client:
            assert client.xrange("{floor:main}:records")[0][1] == {b"7-1": body}

    asyncio.run(run())
