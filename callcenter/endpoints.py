"""Where Redis and PostgreSQL of a site are: the URLs of its file, else the private ones under `.run/`."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from .paths import RunDirectory

DATABASE = "callcenter"  # name of the private database and of its user
_LONGEST_SOCKET_PATH = 107  # bytes: sockaddr_un has 108, with a closing zero
_LONGEST_NAME = ".s.PGSQL.5432.lock"


class _Place(Protocol):
    @property
    def url(self) -> str: ...


class SiteUrls(Protocol):
    """What is read of a Site: empty URLs mean private instances."""

    @property
    def redis(self) -> _Place: ...

    @property
    def postgres(self) -> _Place: ...


class SocketDirectoryRefused(Exception):
    """The short directory for sockets belongs to somebody else; the text says which and what to do."""


def redis_url(site: SiteUrls, run: RunDirectory) -> str:
    """The URL of the site's Redis."""
    return site.redis.url or f"unix://{socket_directory(run.redis) / 'redis.sock'}"


def database_url(site: SiteUrls, run: RunDirectory) -> str:
    """The URL of the site's PostgreSQL."""
    host = quote(str(socket_directory(run.postgres)), safe="/")
    return site.postgres.url or f"postgresql://{DATABASE}@/{DATABASE}?host={host}"


def socket_directory(directory: Path) -> Path:
    """Where a server keeps its unix socket: its own directory, else a short private one standing for it.

    A unix socket's path has at most 107 bytes, and a checkout may lie deep. The short directory is the same
    for every process of this user and this path, mode 0700, and refused when somebody else made it.
    """
    if len(os.fsencode(directory / _LONGEST_NAME)) <= _LONGEST_SOCKET_PATH:
        return directory
    owner = directory.parent.stat().st_uid if directory.parent.exists() else os.geteuid()
    # Not TMPDIR nor XDG_RUNTIME_DIR: they differ between a login, sudo and a system service.
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    short = Path(tempfile.gettempdir() if not Path("/tmp").is_dir() else "/tmp", f"callcenter-{owner}-{name}")  # noqa: S108 - checked below
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), owner) or found.st_mode & 0o077:
        raise SocketDirectoryRefused(
            f"{short} is not this user's private directory: remove it, or use --run DIR"
        )
    return short
