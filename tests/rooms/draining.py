"""A drain as a process of its own, to be killed: python -m tests.rooms.draining REDIS_URL DATABASE_URL."""

from __future__ import annotations

import asyncio
import sys

from callcenter.history import Drain
from callcenter.state import RecordStream


async def drain(redis_url: str, database_url: str) -> None:
    stream = RecordStream(redis_url, "main")
    print("draining", flush=True)
    await Drain(stream, database_url).run()


if __name__ == "__main__":
    asyncio.run(drain(sys.argv[1], sys.argv[2]))
