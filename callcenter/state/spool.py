"""Records on disk while Redis is away, so that not even a killed engine loses them.

One file per engine's time of ownership, FLOOR-EPOCH.jsonl, mode 0600 (callers' numbers are in it): a line
is `["EPOCH-SEQUENCE", ["Class", {fields}]]`. Each append is one unbuffered write, so it survives the
process; fdatasync follows within a second, off the loop, so a power cut loses a second at most. A file
is deleted only when PostgreSQL has all of it: `give_back` may be repeated at will.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from callcenter.floor.records import ContactClosed
from callcenter.state.codec import UnreadableState, fields_of
from callcenter.state.store import FloorStore

SYNC_SECONDS = 1.0

_TAIL_BYTES = 64 * 1024
_NAME = re.compile(rb'^\["[0-9]+-([0-9]+)",', re.MULTILINE)
_LINE = msgspec.json.Decoder(tuple[str, tuple[str, dict[str, Any]]])


@dataclass(slots=True)
class Spool:
    """The spool of one floor in `directory`. Its disk failing raises OSError: go on, memory has them too."""

    directory: Path
    floor: str
    _descriptor: int = field(default=-1, init=False)
    _epoch: int = field(default=0, init=False)
    _synced_at: float = field(default=0.0, init=False)
    _syncing: ThreadPoolExecutor | None = field(default=None, init=False)

    def append(self, epoch: int, records: Sequence[tuple[str, bytes]]) -> None:
        """Write records (record_id, body) of this engine's `epoch`."""
        lines = []
        for name, body in records:
            try:
                lines.append(msgspec.json.encode((name, fields_of(body))) + b"\n")
            except UnreadableState as error:  # a mistake of ours; the others must still be written
                raise ValueError(f"record {name} is no record: {error}") from None
        if lines:
            descriptor = self._open(epoch)
            _write_all(descriptor, b"".join(lines))
            self._sync_now_and_then(descriptor)

    async def give_back(self, store: FloorStore) -> list[str]:
        """Put all spooled records that PostgreSQL may lack into the stream; unreadable lines are returned.

        At every start, and when Redis is back. Raises StateAway.
        """
        odd: list[str] = []
        for path, epoch in self._files():
            records, unreadable = await asyncio.to_thread(_read, path)
            odd += unreadable
            done = await store.drained(epoch)
            await store.readd([each for each in records if _sequence(each[0]) > done])
        return odd

    def closed(self) -> frozenset[str]:
        """The contacts whose end is in the spool: what was saved of them before that is out of date."""
        ended = set()
        for path, _ in self._files():
            for line in path.read_bytes().splitlines():
                with contextlib.suppress(msgspec.MsgspecError):  # `give_back` tells of it
                    kind, fields = _LINE.decode(line)[1]
                    if kind == ContactClosed.__name__:
                        ended.add(fields.get("contact", ""))
        return frozenset(ended)

    async def tidy(self, store: FloorStore) -> None:
        """Delete files whose records PostgreSQL has, every now and then. Raises StateAway.

        Records lie in a file in their order and `drained` counts from the first without a gap, so the end
        of the file tells; also of a line nobody can read, which came again from memory if it is drained.
        """
        for path, epoch in self._files():
            last = _last_sequence(path)
            if 0 < last <= await store.drained(epoch):
                if epoch == self._epoch:
                    self.close()
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; the next append opens one."""
        if self._syncing is not None:
            self._syncing.shutdown(wait=False)
            self._syncing = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self, epoch: int) -> int:
        if self._descriptor >= 0 and epoch == self._epoch:
            return self._descriptor
        self.close()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / f"{self.floor}-{epoch}.jsonl"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._epoch = epoch
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            _write_all(self._descriptor, b"\n")  # the disk was full in the middle of a line
        return self._descriptor

    def _sync_now_and_then(self, descriptor: int) -> None:
        now = time.monotonic()
        if now - self._synced_at >= SYNC_SECONDS:
            self._synced_at = now
            if self._syncing is None:
                self._syncing = ThreadPoolExecutor(1, "spool")
            # after a pause, so that it covers what is appended meanwhile
            self._syncing.submit(_sync_later, os.dup(descriptor))

    def _files(self) -> list[tuple[Path, int]]:
        found = []
        for path in sorted(self.directory.glob(f"{self.floor}-*.jsonl")):
            epoch = path.stem.removeprefix(f"{self.floor}-")
            if epoch.isdecimal():  # "main-2-17" belongs to the floor "main-2"
                found.append((path, int(epoch)))
        return found


def _sync_later(descriptor: int) -> None:
    time.sleep(SYNC_SECONDS / 2)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _sequence(name: str) -> int:
    return int(name.rpartition("-")[2])


def _last_sequence(path: Path) -> int:
    """The highest sequence near the end of a file; 0 for a file without a readable line there."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        found = [int(match) for match in _NAME.findall(file.read())]
    return max(found, default=0)


def _read(path: Path) -> tuple[list[tuple[str, bytes]], list[str]]:
    """The records of a file, and a line about each that cannot be read (half written at a power cut)."""
    records: list[tuple[str, bytes]] = []
    unreadable: list[str] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line:
            continue
        try:
            name, envelope = _LINE.decode(line)
            _sequence(name)
            records.append((name, msgspec.msgpack.encode(envelope)))
        except (msgspec.MsgspecError, ValueError) as error:
            unreadable.append(f"{path.name} line {number}: {error}")
    return records, unreadable
