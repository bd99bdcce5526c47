"""Numbered SQL files, each applied once and in order, under an advisory lock, each in its own transaction."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import psycopg

from callcenter.history.database import connect

MIGRATIONS = Path(__file__).with_name("migrations")

_LOCK = 0x63616C6C  # "call": one migration at a time in this database
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class MigrationRefused(Exception):
    """A migration cannot be applied: which, and why."""


def migrate(url: str, directory: Path = MIGRATIONS) -> list[str]:
    """Bring the database up to date; the names of the files applied now. Raises DatabaseAway,
    MigrationRefused (nothing of the refused file is kept)."""
    files = _files(directory)
    done: list[str] = []
    with connect(url, "callcenter-migrate") as connection:
        connection.autocommit = True
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))  # released with the connection
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (number integer PRIMARY KEY, name text NOT NULL, "
            "digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = {
            row[0]: (row[1], row[2])
            for row in connection.execute("SELECT number, name, digest FROM migrations")
        }
        newer = sorted(set(applied) - set(files))
        if newer:
            raise MigrationRefused(
                f"the database is newer than this program (it has {applied[newer[-1]][0]}): "
                "upgrade the program"
            )
        for number, path in files.items():
            body = path.read_bytes()
            digest = hashlib.sha256(body).hexdigest()
            if number in applied:
                if applied[number][1] != digest:
                    raise MigrationRefused(f"{path.name} was changed after it was applied: restore it")
                continue
            _apply(connection, number, path.name, body, digest)
            done.append(path.name)
    return done


def _apply(connection: psycopg.Connection, number: int, name: str, body: bytes, digest: str) -> None:
    try:
        with connection.transaction():
            connection.execute(body)
            connection.execute(
                "INSERT INTO migrations (number, name, digest) VALUES (%s, %s, %s)", (number, name, digest)
            )
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise MigrationRefused(f"{name}: {error}") from error


def _files(directory: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for path in sorted(directory.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None or int(match[1]) in found:
            raise MigrationRefused(f"{path.name}: expected a name like 0001_records.sql, each number once")
        found[int(match[1])] = path
    return found
