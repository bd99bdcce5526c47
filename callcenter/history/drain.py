"""The drain: records from the stream into tables, each exactly once.

A batch and its entry in `records_seen` are one transaction; only then is the stream cut off. Killed before
the commit, the batch comes again; killed between the two, it comes again and every row is there already
(ON CONFLICT DO NOTHING on the record's name). While PostgreSQL or Redis is away it waits and tries again;
nothing is held that is not in the stream. Two drains at once do each other no harm.

The stream is given to it (`callcenter.state.RecordStream`): this room does not know Redis.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import psycopg
import structlog
from psycopg.types.multirange import Int8Multirange
from psycopg.types.range import Int8Range

from callcenter.floor.records import Record
from callcenter.history.database import StandingConnection
from callcenter.history.rows import INSERT, INSERT_OTHER, row

BATCH = 500
GATHER_SECONDS = 0.2  # a small pause makes larger batches: a fifth of the cost at 80 calls a second
RETRY_SECONDS = 0.5
RETELL_SECONDS = 30.0  # a Redis that lost its data learns again what PostgreSQL has
EPOCHS_TOLD = 1000

log = structlog.get_logger()


class Drained(Protocol):
    """One record on its way; `record` is None when nobody could read it, `fault` says why."""

    @property
    def position(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def record(self) -> Record | None: ...
    @property
    def fault(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class Source(Protocol):
    """Where records come from. Its methods raise an OSError when it is away."""

    @property
    def floor(self) -> str: ...
    async def read(self, at_most: int, block_ms: int) -> Sequence[Drained]: ...
    async def forget(self, position: str) -> None: ...
    async def tell_drained(self, drained: Mapping[int, int]) -> None: ...


class Drain:
    """`await Drain(stream, url).run()` until cancelled."""

    def __init__(self, source: Source, url: str) -> None:
        self._source = source
        self._database = StandingConnection(url, "callcenter-drain")
        self._told_at = float("-inf")
        self._away = ""  # what is away at present, for one log line instead of many

    async def run(self) -> None:
        """Drain for ever."""
        try:
            while True:
                if not await self.step():
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            await self._database.drop()

    async def step(self) -> bool:
        """One batch, or a second's wait for one. False when something is away: try again later."""
        try:
            connection = await self._database.get()
            await self._tell_all(connection)
            batch = await self._source.read(BATCH, 1000)
            if batch:
                drained = await self._write(connection, batch)
                await self._source.forget(batch[-1].position)
                await self._source.tell_drained(drained)
        except psycopg.Error as error:
            await self._database.drop()
            self._note_away("PostgreSQL", error)
            return False
        except OSError as error:
            self._told_at = float("-inf")
            self._note_away("Redis", error)
            return False
        if self._away:
            log.info("draining again", was_away=self._away)
            self._away = ""
        if batch and len(batch) < BATCH:
            await asyncio.sleep(GATHER_SECONDS)
        return True

    async def _write(self, connection: psycopg.AsyncConnection, batch: Sequence[Drained]) -> dict[int, int]:
        try:
            return await self._write_together(connection, batch)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            log.warning("a record is refused by PostgreSQL, taking them one by one", error=str(error))
        told: dict[int, int] = {}
        for each in batch:
            try:
                told |= await self._write_together(connection, [each])
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                told |= await self._write_together(connection, [each], fault=str(error))
        return told

    async def _write_together(
        self, connection: psycopg.AsyncConnection, batch: Sequence[Drained], fault: str = ""
    ) -> dict[int, int]:
        """One transaction; up to which sequence each epoch is complete now."""
        floor = self._source.floor
        statements: defaultdict[Any, list[tuple[Any, ...]]] = defaultdict(list)
        sequences: defaultdict[int, list[int]] = defaultdict(list)
        for each in batch:
            name = (floor, each.epoch, each.sequence)
            statement, values = _statement(each, fault)
            statements[statement].append((*name, *values))
            sequences[each.epoch].append(each.sequence)
        async with connection.transaction(), connection.cursor() as cursor:
            for statement, many in statements.items():
                await cursor.executemany(statement, many)
            told = {}
            for epoch, numbers in sorted(sequences.items()):
                await cursor.execute(
                    """INSERT INTO records_seen AS old (floor, epoch, seen) VALUES (%s, %s, %s)
                    ON CONFLICT (floor, epoch) DO UPDATE SET seen = old.seen + EXCLUDED.seen
                    RETURNING (SELECT upper(part) - 1 FROM unnest(seen) AS part WHERE lower(part) = 1)""",
                    (floor, epoch, _ranges(numbers)),
                )
                found = await cursor.fetchone()
                told[epoch] = found[0] or 0 if found else 0
        return told

    async def _tell_all(self, connection: psycopg.AsyncConnection) -> None:
        if time.monotonic() - self._told_at < RETELL_SECONDS:
            return
        async with connection.transaction():
            answer = await connection.execute(
                """SELECT epoch, (SELECT upper(part) - 1 FROM unnest(seen) AS part WHERE lower(part) = 1)
                FROM records_seen WHERE floor = %s ORDER BY epoch DESC LIMIT %s""",
                (self._source.floor, EPOCHS_TOLD),
            )
            complete = {epoch: upto for epoch, upto in await answer.fetchall() if upto}
        await self._source.tell_drained(complete)
        self._told_at = time.monotonic()

    def _note_away(self, what: str, error: Exception) -> None:
        if self._away != what:
            log.warning("records wait in the stream", away=what, error=str(error).strip())
            self._away = what


def _statement(each: Drained, fault: str) -> tuple[Any, tuple[Any, ...]]:
    if each.record is not None and not fault:
        try:
            return INSERT[type(each.record)], row(each.record)
        except (KeyError, ValueError) as error:
            fault = str(error)
    return INSERT_OTHER, (fault or each.fault, each.body)


def _ranges(numbers: list[int]) -> Int8Multirange:
    """The numbers as ranges [first, last]; PostgreSQL joins those that touch."""
    numbers = sorted(numbers)
    parts: list[Int8Range] = []
    first = last = numbers[0]
    for number in numbers[1:]:
        if number > last + 1:
            parts.append(Int8Range(first, last + 1))
            first = number
        last = number
    parts.append(Int8Range(first, last + 1))
    return Int8Multirange(parts)
