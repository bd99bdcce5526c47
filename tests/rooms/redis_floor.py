"""A floor's Redis as the tests of the state see it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import redis

from callcenter.state import (
    FloorStore,
    Owner,
)


@contextlib.asynccontextmanager
async def store(url: str, floor: str = "main") -> AsyncIterator[FloorStore]:
    opened = FloorStore(url, floor)
    try:
        yield opened
    finally:
        await opened.close()


def elsewhere() -> Owner:
    """An engine on another machine: nobody here can say whether it lives."""
    return Owner("another machine", 4711, 1)


async def until(check: Callable[[], Awaitable[Any]], what: str, seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := await check()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.02)
    return answer


def stream(url: str, floor: str = "main") -> list[bytes]:
    with redis.Redis.from_url(url) as client:
        return [name for _, entry in client.xrange(f"{{floor:{floor}}}:records") for name in entry]
