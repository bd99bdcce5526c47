"""The back office's standing process: carries records to PostgreSQL, and people to the floor.

It may be killed at any instant and started again; PostgreSQL and Redis may be away. No call waits for it.

    python -m callcenter.backoffice --site callcenter.toml --run .run
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click
import structlog

from callcenter.endpoints import database_url, redis_url
from callcenter.heartbeats import Heartbeat
from callcenter.history import DatabaseAway, Drain, migrate
from callcenter.logs import start_logging
from callcenter.paths import RunDirectory
from callcenter.people.jobs import Publisher
from callcenter.recordings.archivist import Archivist
from callcenter.site import site_in_force
from callcenter.state import FloorClient, RecordStream

NAME = "backoffice"
RETRY_SECONDS = 1.0

log = structlog.get_logger()


async def keep(redis: str, database: str, floor: str) -> None:
    """Drain and publish for one floor, until cancelled."""
    await _migrated(database)
    stream = RecordStream(redis, floor)
    with FloorClient(redis, floor, by=NAME) as client:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(Drain(stream, database).run())
                group.create_task(Publisher(database, client).run())
        finally:
            await stream.close()


async def _keep_all(site_path: Path, run: RunDirectory) -> None:
    site = site_in_force(site_path, run)
    async with asyncio.TaskGroup() as group:
        group.create_task(keep(redis_url(site, run), database_url(site, run), site.floor.name))
        group.create_task(Archivist(site_path, run).run())


async def _migrated(database: str) -> None:
    """`callcenter up` has migrated already; on a machine of its own this process may be the first."""
    while True:
        try:
            for name in await asyncio.to_thread(migrate, database):
                log.info("migration applied", name=name)
            return
        except DatabaseAway as error:
            log.warning("waiting for PostgreSQL", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)


async def _main(site_path: Path, run: RunDirectory) -> None:
    beating = asyncio.create_task(Heartbeat(run, NAME).beat())
    working = asyncio.create_task(_keep_all(site_path, run))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, working.cancel)
    try:
        await working
    except asyncio.CancelledError:
        log.info("back office ended", why="asked to stop")
    finally:
        beating.cancel()
        await asyncio.wait([beating])


@click.command()
@click.option("--site", "site_path", type=click.Path(path_type=Path), required=True)
@click.option("--run", "run_path", type=click.Path(path_type=Path), required=True)
def main(site_path: Path, run_path: Path) -> None:
    """Run the back office in the foreground (`callcenter up` does it for you)."""
    run = RunDirectory(run_path)
    start_logging(run, NAME)
    asyncio.run(_main(site_path, run))


if __name__ == "__main__":
    main()
