"""Publishing: the floor learns the complete list of agents whenever it has another version of it.

Versions are compared for being different, not for being newer: a database restored from a backup is
published too. A floor whose Redis lost everything has no version, and is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import psycopg
import structlog
from psycopg.rows import dict_row

from callcenter.floor.events import PeoplePublished
from callcenter.history.database import Connection, StandingConnection, rows
from callcenter.people.model import Person
from callcenter.people.store import PEOPLE, VERSION, definition, people, person_of
from callcenter.state import FloorClient, StateAway

EVERY_SECONDS = 1.0
AGAIN_SECONDS = 10.0  # a version that was posted and not taken is posted again after so long

log = structlog.get_logger()


def publish(connection: Connection, floor: FloorClient) -> None:
    """Post the list as it is in this connection's transaction-so-far; commit first. Raises StateAway."""
    version = rows(connection, VERSION)[0]["version"]  # read first: at worst the list is newer than it says
    floor.post(_published(version, people(connection)))


class Publisher:
    """`await Publisher(url, floor).run()` until cancelled; PostgreSQL or Redis away is waited out."""

    def __init__(self, url: str, floor: FloorClient) -> None:
        self._floor = floor
        self._database = StandingConnection(url, "callcenter-people")
        self._posted = -1
        self._posted_at = 0.0
        self._away = False

    async def run(self) -> None:
        try:
            while True:
                await self._try()
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            await self._database.drop()

    async def check(self) -> bool:
        """Compare, and post when they differ. Raises psycopg.Error, StateAway."""
        connection = await self._database.get()
        version = await _one_version(connection)
        known = await asyncio.to_thread(self._floor.meta_of, "people_version")
        if known == str(version):
            return False
        if version == self._posted and time.monotonic() - self._posted_at < AGAIN_SECONDS:
            return False  # on its way
        engine = await asyncio.to_thread(self._floor.engine)
        if engine is None or not engine.alive:
            return False  # an inbox that nobody reads must not fill up
        async with connection.cursor(row_factory=dict_row) as cursor:
            everybody = [person_of(row) for row in await (await cursor.execute(PEOPLE)).fetchall()]
        await asyncio.to_thread(self._floor.post, _published(version, everybody))
        self._posted, self._posted_at = version, time.monotonic()
        log.info("people published", version=version, agents=len(everybody))
        return True

    async def _try(self) -> None:
        try:
            await self.check()
        except (psycopg.Error, StateAway) as error:
            await self._database.drop()
            if not self._away:
                log.warning("people cannot be published", error=str(error).strip())
            self._away = True
        else:
            self._away = False


async def _one_version(connection: psycopg.AsyncConnection) -> int:
    row = await (await connection.execute(VERSION)).fetchone()
    return int(row[0]) if row else 0


def _published(version: int, everybody: Sequence[Person]) -> PeoplePublished:
    return PeoplePublished(time.time(), version, tuple(definition(person) for person in everybody))
