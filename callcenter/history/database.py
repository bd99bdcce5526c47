"""One connection to PostgreSQL, for a command or a job. Calls never wait for this database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    except psycopg.errors.UndefinedTable:
        raise DatabaseAway("the database lacks our tables: run `callcenter history migrate`") from None
    except psycopg.OperationalError as error:
        raise DatabaseAway(
            f"PostgreSQL does not answer ({_first_line(error)}): is the centre up? (`callcenter status`)"
        ) from None


def rows(connection: Connection, query: LiteralString, **values: Any) -> list[dict[str, Any]]:
    """All rows of a query with named values, as dicts."""
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
