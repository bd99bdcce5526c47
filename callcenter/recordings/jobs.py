"""The worker's jobs: join one recording, remove those whose time is over.

Both may be killed at any instant and run again: the raw files go only after the index says `stored`, a file
that is removed goes before the index says so. Whatever was cut short is found by the archivist's next look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from callcenter.endpoints import database_url
from callcenter.history.database import Connection, connect
from callcenter.paths import RunDirectory
from callcenter.recordings import files, store
from callcenter.recordings.model import Folders, Recorded, RecordingName, RecordingRefused
from callcenter.site import Site, site_in_force

JOIN = "callcenter.recordings.jobs.join"
RETIRE = "callcenter.recordings.jobs.retire"

SETTLED_SECONDS = 5.0  # since the last write: Asterisk holds up to two seconds in its buffer
MISSING_SECONDS = 60.0  # files that are not there so long after the end do not come

log = structlog.get_logger()


def join(site_path: str, run_path: str, recording: str) -> str:
    """Join the two sides of a recording and enter it; what became of it, in one word."""
    site, run = _place(site_path, run_path)
    with connect(database_url(site, run), "callcenter-recordings") as connection:
        return join_one(
            connection, site.floor.name, Folders.of(site, run), ZoneInfo(site.site.zone), recording
        )


def retire(site_path: str, run_path: str) -> int:
    """Remove what is older than its queue keeps it (`keep_days`, `record_keep_days`); how many."""
    site, run = _place(site_path, run_path)
    removed = 0
    with connect(database_url(site, run), "callcenter-recordings") as connection:
        connection.autocommit = True
        for recording in expired(connection, site, datetime.now(UTC)):
            if remove_one(connection, site.floor.name, Folders.of(site, run), recording, "retention"):
                removed += 1
    if removed:
        log.info("recordings removed", why="kept long enough", count=removed)
    return removed


def join_one(
    connection: Connection,
    floor: str,
    folders: Folders,
    zone: ZoneInfo,
    recording: str,
    clock: Callable[[], float] = time.time,
) -> str:
    """`join` on an open connection, in its transaction."""
    name = RecordingName.read(recording)
    row = store.take(connection, floor, recording)
    if row is None:
        return "taken"  # by another job, or not entered yet
    sides = folders.sides(name)
    written = max((path.stat().st_mtime for path in sides if path.exists()), default=0.0)
    if written and clock() - written < SETTLED_SECONDS:
        return "early"
    if row.state == "removed" or (row.state == "stored" and _is_whole(folders, row)):
        files.remove(sides)
        return row.state
    if not written:
        return _without_files(connection, floor, row, clock())
    path = folders.place(name, row.queue, row.began_at, zone)
    joined = files.join(sides, folders.file(path))
    if joined is None:
        files.remove(sides)
        return _without_files(connection, floor, row, clock(), "its files are empty")
    store.set_stored(connection, floor, recording, path, joined)
    connection.commit()  # from here on the index has it, so the raw files may go
    files.remove(sides)
    if joined.fault:
        log.warning("a recording is not whole", recording=recording, fault=joined.fault)
    log.info("recording stored", recording=recording, seconds=round(joined.seconds, 1), bytes=joined.bytes)
    return "stored"


def expired(connection: Connection, site: Site, now: datetime) -> list[str]:
    """Recordings that are older than their queue keeps them, oldest first."""
    days = {
        queue.name: queue.record_keep_days if queue.record_keep_days is not None else site.recording.keep_days
        for queue in site.queues
    }
    return [
        recording
        for recording, queue, began_at in store.kept_since(connection, site.floor.name)
        if (keep := days.get(queue, site.recording.keep_days)) and began_at < now - timedelta(days=keep)
    ]


def remove_one(connection: Connection, floor: str, folders: Folders, recording: str, who: str) -> bool:
    """Remove the audio of a recording; its row stays, and who removed it is noted. False: nothing to do."""
    row = store.take(connection, floor, recording)
    if row is None or row.state == "removed":
        return False
    files.remove(folders.sides(RecordingName.read(recording)))
    if row.path:
        file = folders.file(row.path)
        files.remove([file])
        files.remove_empty(file.parent, folders.stored.resolve())
    store.set_removed(connection, floor, recording)
    store.note_use(connection, floor, recording, who, "removed")
    return True


def _without_files(connection: Connection, floor: str, row: Recorded, now: float, why: str = "") -> str:
    """Nothing on the disk. Asterisk may not have begun at all; else something is wrong."""
    if row.state == "missing":
        return "missing"
    if now - row.ended_at.timestamp() < MISSING_SECONDS and not why:
        return "early"
    fault = why or row.fault or "its files are not there"
    store.set_missing(connection, floor, row.recording, fault)
    log.warning("a recording is missing", recording=row.recording, fault=fault)
    return "missing"


def _is_whole(folders: Folders, row: Recorded) -> bool:
    try:
        file = folders.file(row.path)
        return file.stat().st_size == row.bytes and files.digest(file) == row.sha256
    except (RecordingRefused, OSError):
        return False


def _place(site_path: str, run_path: str) -> tuple[Site, RunDirectory]:
    run = RunDirectory(Path(run_path))
    return site_in_force(Path(site_path), run), run
