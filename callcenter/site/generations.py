"""The configurations on disk: `etc.N`, and `etc`, a link to the one in force. Switching is one rename."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from callcenter.site.layout import Layout

_KEPT = 5  # old configurations to go back to


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """One at a time: two `apply` at once would mix their files."""
    layout.home.mkdir(parents=True, exist_ok=True)
    with (layout.home / "apply.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def in_force(layout: Layout) -> int | None:
    """The number of the configuration in force; None before the first."""
    try:
        return int(layout.etc.readlink().name.removeprefix("etc."))
    except (OSError, ValueError):
        return None


def numbers(layout: Layout) -> list[int]:
    """The configurations on disk, oldest first."""
    found = (re.fullmatch(r"etc\.(\d+)", path.name) for path in layout.home.glob("etc.*"))
    return sorted(int(match.group(1)) for match in found if match)


def folder(layout: Layout, number: int) -> Path:
    return layout.home / f"etc.{number}"


def write(layout: Layout, files: Mapping[str, str]) -> int:
    """Write a new configuration, not yet in force, and return its number. Files are private: 0600."""
    number = max(numbers(layout), default=0) + 1
    fresh = layout.home / f"etc.new.{os.getpid()}"
    shutil.rmtree(fresh, ignore_errors=True)
    write_files(fresh, files)
    fresh.rename(folder(layout, number))
    return number


def write_files(target: Path, files: Mapping[str, str]) -> None:
    """Write `files` under the new folder `target`, for this account alone."""
    target.mkdir(mode=0o700, parents=True)
    for name, text in files.items():
        path = target / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)


def read_files(layout: Layout, number: int) -> dict[str, str]:
    """The files of a configuration, by their path under it."""
    base = folder(layout, number)
    return {
        str(path.relative_to(base)): path.read_text("utf-8", errors="replace")
        for path in sorted(base.rglob("*"))
        if path.is_file()
    }


def put_in_force(layout: Layout, number: int) -> None:
    """Point `etc` at configuration `number`, in one step."""
    fresh = layout.home / ".etc.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder(layout, number).name)
    fresh.replace(layout.etc)


def remember_previous(layout: Layout, number: int | None) -> None:
    """Note which configuration `rollback` goes back to."""
    fresh = layout.home / ".previous.new"
    fresh.write_text("" if number is None else str(number))
    fresh.replace(layout.home / "previous")


def previous(layout: Layout) -> int | None:
    """The configuration that was in force before this one; None when there is none."""
    try:
        number = int((layout.home / "previous").read_text())
    except (OSError, ValueError):
        return None
    return number if folder(layout, number).is_dir() else None


def drop(layout: Layout, number: int) -> None:
    shutil.rmtree(folder(layout, number), ignore_errors=True)


def prune(layout: Layout) -> None:
    """Keep the newest few, and always the one in force and the one before it."""
    keep = {in_force(layout), previous(layout), *numbers(layout)[-_KEPT:]}
    for number in numbers(layout):
        if number not in keep:
            drop(layout, number)
