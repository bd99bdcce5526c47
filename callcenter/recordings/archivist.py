"""The back office's part: sends what has ended to be joined, finds stray files, watches the disk.

PostgreSQL is the truth about what is to be done, the queue of jobs only carries it: a Redis that lost its
data, or jobs that died with their worker, cost no more than the time until the next look. Looks are repeated
and may fail; nothing is held in memory that matters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from callcenter.endpoints import database_url, redis_url
from callcenter.floor.events import RecordingSpaceSeen
from callcenter.history import DatabaseAway
from callcenter.history.database import connect
from callcenter.paths import RunDirectory
from callcenter.recordings import disk, jobs, store
from callcenter.recordings.model import Folders
from callcenter.site import Site, site_in_force
from callcenter.state import FloorClient, StateAway
from callcenter.work import WorkQueue

LOOK_SECONDS = 5.0
SWEEP_SECONDS = 60.0
RETIRE_SECONDS = 3600.0
ABANDONED_SECONDS = 60.0  # a file not written to for so long is complete, whoever should have told of it

log = structlog.get_logger()


class Archivist:
    """`await Archivist(site_path, run).run()` until cancelled; what is away is waited out."""

    def __init__(self, site_path: Path, run: RunDirectory, clock: Callable[[], float] = time.time) -> None:
        self._site_path = site_path
        self._run = run
        self._clock = clock
        self._swept = self._retired = float("-inf")
        self._away = False

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """One look. Never raises: what is away or faulty is told once, and tried again."""
        try:
            self._look()
        except (DatabaseAway, StateAway, OSError) as error:
            if not self._away:
                log.warning("recordings must wait", error=str(error))
            self._away = True
        except Exception:
            log.exception("a mistake in the archivist")
        else:
            self._away = False

    def _look(self) -> None:
        site = site_in_force(self._site_path, self._run)
        now = self._clock()
        names: set[str] = set()
        sweeping = now - self._swept >= SWEEP_SECONDS
        if sweeping:
            self._swept = now
            self._watch_disk(site)
            names |= self._sweep(site, now)
        with connect(database_url(site, self._run), "callcenter-recordings") as connection:
            before = datetime.fromtimestamp(now - jobs.SETTLED_SECONDS, UTC)
            names.update(store.to_join(connection, site.floor.name, before))
        retiring = now - self._retired >= RETIRE_SECONDS
        if not names and not retiring:
            return
        place = (str(self._site_path), str(self._run.root))
        with WorkQueue(redis_url(site, self._run), site.floor.name) as queue:
            for name in sorted(names):
                queue.put(jobs.JOIN, *place, name, name=f"join {name}")
            if retiring:
                queue.put(jobs.RETIRE, *place, name="retire recordings")
                self._retired = now

    def _sweep(self, site: Site, now: float) -> set[str]:
        """Recordings with raw files that nobody writes to. Those that no floor told of are entered."""
        folders = Folders.of(site, self._run)
        settled = {n: at for n, at in folders.raw_names() if now - at >= ABANDONED_SECONDS}
        if not settled:
            return set()
        with FloorClient(redis_url(site, self._run), site.floor.name) as floor:
            running = {each.recording.id for each in floor.contacts() if each.recording is not None}
        settled = {name: at for name, at in settled.items() if name.text not in running}
        with connect(database_url(site, self._run), "callcenter-recordings") as connection:
            known = store.known(connection, site.floor.name, [name.text for name in settled])
            for name, written_at in settled.items():
                if name.text not in known:
                    began = datetime.fromtimestamp(min(name.number, written_at), UTC)
                    ended = datetime.fromtimestamp(written_at, UTC)
                    store.enter_found(connection, site.floor.name, name, began, ended, "found on the disk")
                    log.warning("a recording was found on the disk", recording=name.text)
        return {name.text for name in settled}

    def _watch_disk(self, site: Site) -> None:
        room = disk.room(Folders.of(site, self._run), site.recording.min_free_mb)
        with FloorClient(redis_url(site, self._run), site.floor.name, by="backoffice") as floor:
            recording = floor.meta().get("recording_space") != "0"
            enough = room.enough if recording else room.enough_again
            engine = floor.engine()
            if enough == recording or engine is None or not engine.alive:
                return
            floor.post(RecordingSpaceSeen(self._clock(), "", "backoffice", enough))
        if enough:
            log.info("recording goes on: there is room again", folder=str(room.folder), free_mb=room.free_mb)
        else:
            log.error(room.warning, folder=str(room.folder), free_mb=room.free_mb)
