"""Who holds a network port: asked before Asterisk starts, so that a taken port is one clear line."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil


class PortTaken(Exception):
    """One line for each taken port: which, and who holds it."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a process of ours will listen on."""

    number: int
    kind: str  # "tcp" or "udp"
    use: str  # what we need it for, as the site file calls it


def require_free(ports: Iterable[Port]) -> None:
    """PortTaken, naming every port that somebody listens on, at any address, and its holder."""
    wanted = list(ports)
    held = {
        (kind, connection.laddr.port): connection.pid
        for kind in ("tcp", "udp")
        for connection in psutil.net_connections(kind)
        if connection.laddr and (kind == "udp" or connection.status == psutil.CONN_LISTEN)
    }
    lines = [
        f"{port.kind} port {port.number} ({port.use}) is taken by {_holder(held[port.kind, port.number])}"
        for port in wanted
        if (port.kind, port.number) in held
    ]
    if lines:
        raise PortTaken("; ".join(lines) + ": stop it, or choose another port in the site file")


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def _holder(pid: int | None) -> str:
    if pid is None:
        return "a process of another user (as root, `ss -lpn` names it)"
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"
