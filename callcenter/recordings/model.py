"""What a recording is, and where its files are. Names come from outside (disk, Redis, people): checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from callcenter.paths import RunDirectory, recording_sides
from callcenter.site import Site

# CONTACT~rNUMBER, see floor.recording; the number is the second in which it began.
_NAME = re.compile(r"([A-Za-z0-9_.-]{1,100})~r([0-9]{1,12})")
_QUEUE = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class RecordingRefused(Exception):
    """What was asked of a recording cannot be; the text says why, on one line."""


@dataclass(frozen=True, slots=True)
class RecordingName:
    text: str
    contact: str
    number: int  # seconds since the epoch

    @classmethod
    def read(cls, text: str) -> RecordingName:
        """Raises RecordingRefused for what is no name of ours."""
        match = _NAME.fullmatch(text)
        if match is None or text.startswith("."):
            raise RecordingRefused(f"{text!r:.80} is no recording: `callcenter recordings list` shows them")
        return cls(text, match[1], int(match[2]))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of the index. `state`: ended, stored, missing or removed."""

    recording: str
    contact: str
    queue: str
    agent: str
    began_at: datetime
    ended_at: datetime
    pauses: tuple[tuple[float, float], ...]
    consent: str
    asked_by: str
    fault: str
    state: str
    path: str
    seconds: float | None
    bytes: int | None
    sha256: str
    ani: str = ""
    dnis: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """Somebody listened to a recording, took a copy or removed it."""

    at: datetime
    who: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Folders:
    """`raw`: what Asterisk writes, two files each. `stored`: DATE/QUEUE/RECORDING.wav."""

    raw: Path
    stored: Path

    @classmethod
    def of(cls, site: Site, run: RunDirectory) -> Folders:
        return cls(
            run.raw_recordings, Path(site.recording.folder) if site.recording.folder else run.recordings
        )

    def sides(self, name: RecordingName) -> tuple[Path, Path]:
        """The caller's side and the agent's."""
        caller, agent = recording_sides(name.text)
        return self.raw / caller, self.raw / agent

    def place(self, name: RecordingName, queue: str, began_at: datetime, zone: tzinfo) -> str:
        """Where it belongs, below `stored`."""
        folder = queue if _QUEUE.fullmatch(queue) else "other"
        return f"{began_at.astimezone(zone).date()}/{folder}/{name.text}.wav"

    def file(self, path: str) -> Path:
        """The stored file of an index row's `path`. Raises RecordingRefused for one that leads elsewhere."""
        found = (self.stored / path).resolve()
        if not path or not found.is_relative_to(self.stored.resolve()):
            raise RecordingRefused(f"{path!r:.120} is no place below {self.stored}")
        return found

    def raw_names(self) -> Iterator[tuple[RecordingName, float]]:
        """Every recording with a raw file, and when one of its files was last written to."""
        newest: dict[RecordingName, float] = {}
        for path in self.raw.glob("*.sln") if self.raw.is_dir() else ():
            text, _, _ = path.name.rpartition("-")
            try:
                name = RecordingName.read(text)
                written = path.stat().st_mtime
            except (RecordingRefused, OSError):
                continue  # not ours, or joined at this moment
            newest[name] = max(written, newest.get(name, 0.0))
        yield from newest.items()
