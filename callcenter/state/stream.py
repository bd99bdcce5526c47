"""RecordStream: the reading end of a floor's records, for whoever carries them on to PostgreSQL.

All that is in the stream still has to be carried: it is always read from its beginning, and cut off
when PostgreSQL has it. So there is no position to lose, and a Redis that comes back older only repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from callcenter.floor.records import Record
from callcenter.state.codec import UnreadableState, decode_as
from callcenter.state.errors import StateAway
from callcenter.state.keys import FloorKeys

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Streamed:
    """One record as it lies in the stream. `record` is None if we cannot read it: `fault` says why."""

    position: str
    epoch: int
    sequence: int
    record: Record | None
    fault: str
    body: bytes


class RecordStream:
    def __init__(self, url: str, floor: str) -> None:
        self.floor = floor
        self._keys = FloorKeys(floor)
        self._redis = redis.asyncio.Redis.from_url(
            url, protocol=2, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS
        )

    async def read(self, at_most: int, block_ms: int) -> list[Streamed]:
        """The oldest records, waiting up to `block_ms` (at most 1000) for one. Raises StateAway."""
        block = max(1, min(block_ms, 1000))
        try:
            answer: Any = await self._redis.xread({self._keys.records: "0-0"}, count=at_most, block=block)
        except (RedisError, OSError) as error:
            raise StateAway(f"Redis is away: {error}") from error
        if not answer:
            return []
        return [
            _record(position.decode(), name, body)
            for position, fields in answer[0][1]
            for name, body in fields.items()
        ]

    async def forget(self, position: str) -> None:
        """Cut the stream off up to and including `position`: PostgreSQL has it. Raises StateAway."""
        milliseconds, _, number = position.partition("-")
        after = f"{milliseconds}-{int(number) + 1}"
        try:
            await self._redis.execute_command("XTRIM", self._keys.records, "MINID", after)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise StateAway(f"Redis is away: {error}") from error

    async def tell_drained(self, drained: Mapping[int, int]) -> None:
        """Tell the engine, by epoch, up to which sequence PostgreSQL lacks nothing. Raises StateAway."""
        if not drained:
            return
        flat = [part for pair in drained.items() for part in pair]
        try:
            await self._redis.execute_command("HSET", self._keys.drained, *flat)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise StateAway(f"Redis is away: {error}") from error

    async def close(self) -> None:
        await self._redis.aclose()


def _record(where: str, name: bytes, body: bytes) -> Streamed:
    epoch, _, sequence = name.decode(errors="replace").partition("-")
    if not (epoch.isdecimal() and sequence.isdecimal()):
        # not ours, yet not to be lost: it keeps its place in the stream as its name
        milliseconds, _, number = where.partition("-")
        return Streamed(where, -int(milliseconds), int(number), None, "it has no record id", body)
    try:
        record: Record = decode_as(Record, body)
        return Streamed(where, int(epoch), int(sequence), record, "", body)
    except UnreadableState as error:
        return Streamed(where, int(epoch), int(sequence), None, str(error), body)
