"""Room on the disks that recordings go to. With too little of it none is made, so that calls go on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from callcenter.recordings.model import Folders

AGAIN = 1.1  # recording begins again with a tenth more than the least: no to and fro at the edge
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Room:
    """The fuller of the two disks."""

    folder: Path
    free_mb: int
    least_mb: int

    @property
    def enough(self) -> bool:
        return self.free_mb >= self.least_mb

    @property
    def enough_again(self) -> bool:
        return self.free_mb >= self.least_mb * AGAIN

    @property
    def warning(self) -> str:
        return (
            f"recording is stopped: {self.free_mb} MB free at {self.folder}, [recording] min_free_mb is "
            f"{self.least_mb}: remove files there, or `callcenter recordings remove --before DATE`"
        )


def room(folders: Folders, least_mb: int) -> Room:
    """Raises OSError."""
    free = [
        (shutil.disk_usage(each).free // _MB, each) for each in map(_existing, (folders.raw, folders.stored))
    ]
    free_mb, folder = min(free)
    return Room(folder, free_mb, least_mb)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.exists())
