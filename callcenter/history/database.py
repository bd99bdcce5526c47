"""Connections to PostgreSQL, for a command or a job. Calls never wait for this database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, LiteralString

import psycopg
from psycopg.rows import TupleRow

CONNECT_SECONDS = 5

Connection = psycopg.Connection[TupleRow]

# A peer that is gone without a word (a machine switched off) is noticed within half a minute.
KEEPALIVES: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


class DatabaseAway(Exception):
    """PostgreSQL does not answer, or lacks our tables; the text is one line for people."""


@contextmanager
def connect(url: str, name: str = "callcenter") -> Iterator[Connection]:
    """A connection whose block is one transaction: committed at its end, rolled back on an exception.

    Raises DatabaseAway.
    """
    try:
        with psycopg.connect(url, application_name=name, **KEEPALIVES) as connection:
            yield connection
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise DatabaseAway("the database lacks our tables: run `callcenter history migrate`") from None
    except psycopg.OperationalError as error:
        raise DatabaseAway(
            f"PostgreSQL does not answer ({_first_line(error)}): is the centre up? (`callcenter status`)"
        ) from None


class StandingConnection:
    """The connection of a job that runs for ever: made when needed, made anew after it broke. Autocommit."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: psycopg.AsyncConnection | None = None

    async def get(self) -> psycopg.AsyncConnection:
        """Raises psycopg.Error while PostgreSQL is away."""
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url, application_name=self._name, autocommit=True, **KEEPALIVES
            )
        return self._connection

    async def drop(self) -> None:
        """Let go of it, broken or not."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()


def rows(connection: Connection, query: LiteralString, **values: Any) -> list[dict[str, Any]]:
    """All rows of a query with named values, as dicts."""
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
