"""A process that hangs must end: each asyncio process of ours proves twice a second that its loop turns.

Two watchers, because no one of them sees everything:

* `faulthandler.dump_traceback_later(..., exit=True)`, re-armed from the loop: a loop blocked by our own code
  prints every thread's traceback into the process's log and exits, however busy the interpreter is.
* the age of the file `.run/heartbeat/NAME`: the keeper (callcenter/keeper.py) kills a process that is
  stopped from outside (SIGSTOP), whose own watchdog is stopped with it. Under systemd its own watchdog does
  that part: each beat is told to NOTIFY_SOCKET, where there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import socket
from pathlib import Path

from .paths import RunDirectory

EVERY_SECONDS = 0.5
HANG_SECONDS = 2.5  # also the keeper's limit: callcenter/keeper.py may not import this module


class Heartbeat:
    """`beating = asyncio.create_task(Heartbeat(run, "engine-a").beat())` beside the process's own work."""

    def __init__(self, run: RunDirectory, name: str, hang_seconds: float = HANG_SECONDS) -> None:
        self._file: Path = run.heartbeat / name
        self._hang_seconds = hang_seconds

    async def beat(self) -> None:
        """Beat until cancelled; then disarm, so that an orderly end may take its time."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            while True:
                self.touch()
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            self.end()

    def end(self) -> None:
        """No beat follows."""
        faulthandler.cancel_dump_traceback_later()
        # Without the file the keeper does not watch: an ending process is not a hanging one.
        self._file.unlink(missing_ok=True)

    def touch(self) -> None:
        """One beat, for work that is known to hold the loop for a while."""
        faulthandler.dump_traceback_later(self._hang_seconds, exit=True)
        try:
            os.utime(self._file)
        except FileNotFoundError:
            self._file.touch(mode=0o600)
        _tell_systemd(b"READY=1\nWATCHDOG=1")


def _tell_systemd(text: bytes) -> None:
    """The datagram of sd_notify(3); nothing when systemd did not start us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, contextlib.suppress(OSError):
            notify.setblocking(False)
            notify.sendto(text, "\0" + address[1:] if address.startswith("@") else address)
