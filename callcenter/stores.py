"""The private Redis and PostgreSQL under `.run/`, on unix sockets only; the supervisor runs them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import psycopg

from .endpoints import DATABASE, socket_directory
from .paths import RunDirectory
from .supervisor import SupervisorError

_REDIS_CONF = """\
# Written by `callcenter up`. No TCP port: whoever may enter this directory may use it.
port 0
unixsocket "{socket}"
unixsocketperm 700
dir "{directory}"
appendonly yes
appendfsync everysec
save ""
daemonize no
supervised no
loglevel notice
logfile "{log}"
"""


def redis_command(run: RunDirectory) -> tuple[str, ...]:
    """What starts the private Redis."""
    return (_program("redis-server"), str(run.redis / "redis.conf"))


def prepare_redis(run: RunDirectory) -> None:
    """Write the private Redis's configuration."""
    run.redis.mkdir(mode=0o700, parents=True, exist_ok=True)
    conf = run.redis / "redis.conf"
    text = _REDIS_CONF.format(
        socket=socket_directory(run.redis) / "redis.sock", directory=run.redis, log=run.log / "redis.log"
    )
    conf.touch(0o600)
    conf.write_text(text, encoding="utf-8")


def prepare_postgres(run: RunDirectory) -> None:
    """Create the private PostgreSQL's cluster when there is none (about a second)."""
    run.postgres.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = run.postgres / "data"
    if not data.exists():
        new = run.postgres / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        # Peers of the socket are trusted: its directory is ours alone (0700).
        words = ["-D", str(new), "-U", DATABASE, "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8"]
        made = subprocess.run([_postgres("initdb"), *words], capture_output=True, text=True)
        if made.returncode != 0:
            raise SupervisorError(f"initdb failed: {(made.stderr or made.stdout).strip().splitlines()[-1]}")
        single = [_postgres("postgres"), "--single", "-D", str(new), "postgres"]
        statement = f"CREATE DATABASE {DATABASE}\n"
        subprocess.run(single, input=statement, text=True, capture_output=True, check=True)
        new.rename(data)


def postgres_command(run: RunDirectory) -> tuple[str, ...]:
    """What starts the private PostgreSQL, by the version that made its cluster."""
    data = run.postgres / "data"
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_directory(run.postgres)),
        "unix_socket_permissions": "0700",
        "max_connections": "60",
        "logging_collector": "on",
        "log_destination": "jsonlog",
        "log_directory": str(run.log),
        "log_filename": "postgres",  # jsonlog adds .json
        "log_file_mode": "0600",
        "log_rotation_age": "0",
        "log_rotation_size": "0",
    }
    words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return (_postgres("postgres", data), "-D", str(data), *words)


def redis_answers(run: RunDirectory) -> bool:
    """Whether the private Redis is up and has its data loaded."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(socket_directory(run.redis) / "redis.sock"))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def postgres_answers(run: RunDirectory) -> bool:
    """Whether the private PostgreSQL takes connections."""
    host = str(socket_directory(run.postgres))
    try:
        with psycopg.connect(host=host, user=DATABASE, dbname=DATABASE, connect_timeout=2):
            return True
    except psycopg.Error:
        return False


def _postgres(program: str, data: Path | None = None) -> str:
    """A program of PostgreSQL: of the version that made `data`, else the newest, else what PATH has."""
    directories = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, reverse=True)
    made_by = (data / "PG_VERSION").read_text().strip() if data and data.exists() else ""
    for directory in directories:
        if (directory / program).exists() and made_by in ("", directory.parent.name):
            return str(directory / program)
    found = _program(program)
    if made_by:
        answer = subprocess.run([found, "-V"], capture_output=True, text=True).stdout.strip()
        if f") {made_by}" not in answer:
            raise SupervisorError(
                f"{data} was made by PostgreSQL {made_by}, and only {answer} is installed: install "
                f"postgresql-{made_by}, or move that directory away"
            )
    return found


def _major(directory: Path) -> int:
    return int(directory.parent.name) if directory.parent.name.isdigit() else 0


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise SupervisorError(f"{name} is not installed: run `make demo` once, or install it by apt-get")
    return found
