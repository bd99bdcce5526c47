"""What is measured: a system that takes calls for SERVICE on its SIP port and hands them to the agents.

Agent N is reached at `sip:N@HOST:PHONE_PORT`; callers come from HOST:CALLER_PORT.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from pathlib import Path
from typing import Protocol

import psutil

from tests.servers import server_account

HOST = "127.0.0.1"
CALLER_PORT = 26_090
PHONE_PORT = 26_080
SERVICE = "4008001000"
FIRST_AGENT = 1001


class BenchFault(Exception):
    """The benchmark cannot go on: one line, what and what to do."""


class System(Protocol):
    """One side of the comparison, up and idle between the runs."""

    name: str
    sip_port: int

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def pids(self) -> dict[str, list[int]]:
        """The processes whose CPU counts, by the name of the part."""
        ...


def agent_numbers(count: int) -> list[str]:
    return [str(FIRST_AGENT + index) for index in range(count)]


def account() -> pwd.struct_passwd | None:
    """Whom the systems run under: nothing that is measured runs as root."""
    return server_account()


def popen(argv: list[str], log: Path, cwd: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a process of a system under its account, its words going to `log`."""
    user = account()
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env={**os.environ, "HOME": str(cwd), **environment},
            start_new_session=True,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )


def give(folder: Path) -> None:
    """Hand a folder to the systems' account."""
    if (user := account()) is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)


def family(pid: int) -> list[int]:
    """A process and its children."""
    with contextlib.suppress(psutil.Error):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return [pid]
