"""Who owns a floor: one process, named so that another on the same machine can tell whether it lives."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """`host` names one boot and one pid namespace; `started` is the process's start in clock ticks."""

    host: str
    pid: int
    started: int
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def here(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(_host(), pid, _start_ticks(pid) or 0)

    def surely_dead(self) -> bool:
        """True only if it ran on this host and is gone (a zombie is gone; a pid used anew is not it)."""
        if self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # it lives, or its number does
        started = _start_ticks(self.pid)
        return started is not None and started != self.started


def _host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def _start_ticks(pid: int) -> int | None:
    """Start of a process in clock ticks since boot; -1 for a zombie; None if /proc does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name before may hold anything
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])
