"""Two raw sides become one file with two channels: the caller left, the agent right (by sox).

A joined file appears under its name whole or not at all: written beside it, synced, then renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RATE_HZ = 8000
SOX_SECONDS = 600.0  # hours of talk take seconds
_RAW = ("-t", "raw", "-r", str(RATE_HZ), "-e", "signed-integer", "-b", "16", "-c", "1")


class JoinFailed(Exception):
    """sox could not: the text says what it said."""


@dataclass(frozen=True, slots=True)
class Joined:
    seconds: float
    bytes: int
    sha256: str
    fault: str  # "" when both sides were there


def join(sides: tuple[Path, Path], target: Path) -> Joined | None:
    """Join both sides into `target`; a side that is missing is silence. None when there is nothing to join.

    The same raw files give the same bytes, however often. Raises JoinFailed, OSError.
    """
    caller, agent = (side if _size(side) else None for side in sides)
    if caller is None and agent is None:
        return None
    _make_private(target.parent)
    part = target.with_name(f".{target.name}.part")
    _sox(caller, agent, part)
    part.chmod(0o600)
    with part.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with wave.open(str(part), "rb") as audio:
        seconds = audio.getnframes() / audio.getframerate()
    part.replace(target)
    _sync_folder(target.parent)
    missing = [text for side, text in ((caller, "caller"), (agent, "agent")) if side is None]
    fault = f"the {missing[0]}'s side is missing" if missing else ""
    return Joined(seconds, target.stat().st_size, digest, fault)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def remove_empty(folder: Path, below: Path) -> None:
    """Remove a folder that has become empty, and so its parents, up to `below`."""
    while folder != below and folder.is_relative_to(below):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _sox(caller: Path | None, agent: Path | None, target: Path) -> None:
    form = ("-t", "wav", "-e", "signed-integer", "-b", "16")
    if caller is not None and agent is not None:
        words = ["sox", "-V1", "-D", "-M", *_RAW, str(caller), *_RAW, str(agent), *form, str(target)]
    else:
        channels = ("1", "0") if caller is not None else ("0", "1")
        words = ["sox", "-V1", "-D", *_RAW, str(caller or agent), *form, str(target), "remix", *channels]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SOX_SECONDS)
    except FileNotFoundError:
        raise JoinFailed("sox is not installed: `apt-get install sox`") from None
    except subprocess.TimeoutExpired:
        raise JoinFailed(f"sox was not done after {SOX_SECONDS:g} s") from None
    if done.returncode != 0:
        with contextlib.suppress(OSError):
            target.unlink()
        raise JoinFailed(f"sox: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _make_private(folder: Path) -> None:
    """The folder and those above it that do not exist, for this account alone."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
