"""Who holds a network port: asked before Asterisk starts, so that a taken port is one clear line.

Standard library only: root alone sees whose sockets are whose, so set-up, before it drops to the account,
asks for it and hands the answer down in CALLCENTER_LISTENERS.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SEEN_BY_ROOT = "CALLCENTER_LISTENERS"
_TCP_LISTENS = "0A"


class PortTaken(Exception):
    """One line: each port that is taken, and who holds it."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a process of ours will listen on."""

    number: int
    kind: str  # "tcp" or "udp"
    use: str  # what we need it for, as the site file calls it


def require_free(ports: Iterable[Port]) -> None:
    """PortTaken, naming every port that somebody listens on, at any address, and its holder."""
    held = {(kind, number): (uid, inode) for kind, number, uid, inode in _listening()}
    taken = [port for port in ports if (port.kind, port.number) in held]
    if not taken:
        return
    pids = _pids({held[port.kind, port.number][1] for port in taken})
    lines = []
    for port in taken:
        uid, inode = held[port.kind, port.number]
        holder = _name(pids[inode]) if inode in pids else _seen_by_root(inode) or _of_account(uid)
        lines.append(f"{port.kind} port {port.number} ({port.use}) is taken by {holder}")
    raise PortTaken("; ".join(lines) + ": stop it, or choose another port in the site file")


def listeners() -> str:
    """Every holder of a listening socket that we can see, by inode, for CALLCENTER_LISTENERS."""
    pids = _pids({inode for _, _, _, inode in _listening()})
    return json.dumps({inode: _name(pid) for inode, pid in pids.items()})


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def _listening() -> Iterator[tuple[str, int, int, str]]:
    """(kind, port, uid, inode) of every socket that listens, or is bound for UDP: proc(5), /proc/net/tcp."""
    for kind in ("tcp", "udp"):
        for table in (kind, f"{kind}6"):
            with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
                for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                    fields = line.split()
                    if kind == "udp" or fields[3] == _TCP_LISTENS:
                        yield kind, int(fields[1].rsplit(":", 1)[1], 16), int(fields[7]), fields[9]


def _pids(inodes: set[str]) -> dict[str, int]:
    """Which process holds each socket; others' processes are visible to root alone."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, int] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                for descriptor in os.scandir(process / "fd"):
                    with contextlib.suppress(OSError):
                        target = os.readlink(descriptor.path)  # noqa: PTH115 - a thousand of them
                        if target in wanted:
                            found.setdefault(wanted[target], int(process.name))
    return found


def _name(pid: int) -> str:
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return f"pid {pid}"
    if b"--argv0" in words[:-1]:  # started by its loader, as an extracted Asterisk is
        name = words[words.index(b"--argv0") + 1].decode("utf-8", "replace")
    return f"{name} (pid {pid})"


def _seen_by_root(inode: str) -> str | None:
    try:
        seen = json.loads(os.environ.get(SEEN_BY_ROOT, "{}"))
    except ValueError:
        return None
    return seen.get(inode) if isinstance(seen, dict) else None


def _of_account(uid: int) -> str:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return f"a process of {name} (as root, `ss -lpn` names it)"
