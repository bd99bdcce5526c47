"""Private Redis and PostgreSQL for tests: on unix sockets, in a short temporary directory, not as root.

PostgreSQL refuses to run as uid 0. When pytest is run as root by hand, servers run under an account
(CALLCENTER_TEST_ACCOUNT, else `callcenter`, else `cctest`, else `nobody`); else as whoever runs the tests.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_POSTGRES_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def server_account() -> pwd.struct_passwd | None:
    """The account servers must run under, None when the present user will do."""
    if os.geteuid() != 0:
        return None
    for name in (os.environ.get("CALLCENTER_TEST_ACCOUNT", "callcenter"), "cctest", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("tests run as root need an account to drop to: set CALLCENTER_TEST_ACCOUNT")


def short_directory(prefix: str = "cc-") -> Path:
    """A new directory for servers: short (a socket's path has at most 107 bytes), owned by their account."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    account = server_account()
    if account is not None:
        os.chown(directory, account.pw_uid, account.pw_gid)
    return directory


def eventually(check: Callable[[], T], what: str, seconds: float = 10.0, every: float = 0.02) -> T:
    """The first true answer of `check`; fails naming `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(every)


@dataclass
class Server:
    """A child process under the servers' account that a test may kill, freeze and start again."""

    directory: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        assert self.process is not None, "not started"
        return self.process.pid

    def kill(self) -> None:
        """As a power cut would: SIGKILL to the server, its children follow."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP the server and its present children."""
        for pid in (self.pid, *_children(self.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        for pid in (self.pid, *_children(self.pid)):
            with contextlib.suppress(ProcessLookupError):  # a backend that ended meanwhile
                os.kill(pid, signal.SIGCONT)

    def remove(self) -> None:
        """Stop for good and delete all data."""
        if self.process is not None:
            self.thaw()
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _launch(self, command: str) -> None:
        account = server_account()
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command.split(),  # none of our paths holds a space
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )

    def _end(self, sig: signal.Signals) -> None:
        if self.process is not None:
            children = _children(self.pid)
            self.process.send_signal(sig)
            self.process.wait(timeout=20)
            self.process = None
            eventually(lambda: not any(map(_alive, children)), "the server's children end")

    def _wait(self, ready: Callable[[], bool]) -> None:
        def up_or_dead() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError((self.directory / "server.log").read_text()[-2000:])
            return ready()

        eventually(up_or_dead, f"{type(self).__name__} starts", seconds=30)


@dataclass
class RedisServer(Server):
    """Redis with `appendonly yes` on a unix socket; `start` after `stop` finds its data again."""

    @property
    def socket(self) -> Path:
        return self.directory / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        self._launch(
            f"redis-server --port 0 --unixsocket {self.socket} --unixsocketperm 777 --dir {self.directory} "
            "--appendonly yes --appendfsync everysec --daemonize no"
        )
        self._wait(self._answers)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def wipe(self) -> None:
        """Delete all data of a stopped server."""
        shutil.rmtree(self.directory / "appendonlydir", ignore_errors=True)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


@dataclass
class PostgresServer(Server):
    """PostgreSQL on a unix socket, trusting local users; user and database are called `callcenter`."""

    @property
    def url(self) -> str:
        return self.url_of("callcenter")

    def url_of(self, database: str) -> str:
        return f"postgresql://callcenter@/{database}?host={self.directory}"

    def create_database(self, name: str) -> str:
        """A new empty database; its URL."""
        self.run_sql(f'CREATE DATABASE "{name}"')
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        self.run_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def run_sql(self, statement: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        data = self.directory / "data"
        if not data.exists():
            self._launch(
                f"{_postgres('initdb')} -D {data} -U callcenter -A trust -E UTF8 --locale C.UTF-8 --no-sync"
            )
            assert self.process is not None
            assert self.process.wait(timeout=60) == 0, (self.directory / "server.log").read_text()
        self._launch(
            f"{_postgres('postgres')} -D {data} -k {self.directory} -c listen_addresses= "
            "-c max_connections=50 -c shared_buffers=16MB"
        )
        self._wait(self._answers)
        if not (self.directory / "created").exists():
            self.run_sql("CREATE DATABASE callcenter")
            (self.directory / "created").touch()

    def stop(self) -> None:
        """The fast stop: connections are cut, data is whole."""
        self._end(signal.SIGINT)

    def _answers(self) -> bool:
        import psycopg

        try:
            with psycopg.connect(self.url_of("postgres"), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


def _postgres(program: str) -> str:
    for directory in _POSTGRES_BINARIES:
        if (directory / program).exists():
            return str(directory / program)
    found = shutil.which(program)
    assert found, f"{program} is not installed: `make test` installs it"
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
