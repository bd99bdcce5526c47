"""Fixtures for every test: private servers, started once per session and removed at its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from .servers import PostgresServer, RedisServer, short_directory

S = TypeVar("S", RedisServer, PostgresServer)

_database_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for the session: use your own key prefix, or `redis_url`, which empties it first."""
    with _running(RedisServer(short_directory("cc-redis-"))) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the session: use `database_url`, a database of the test's own."""
    with _running(PostgresServer(short_directory("cc-pg-"))) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of the session's Redis, emptied."""
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a new, empty database, dropped afterwards."""
    name = f"test_{next(_database_numbers)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, to stop, kill, freeze and wipe."""
    with _running(RedisServer(short_directory("cc-redis-"))) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to stop, kill and freeze (starts in about two seconds)."""
    with _running(PostgresServer(short_directory("cc-pg-"))) as server:
        yield server


@contextmanager
def _running(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.remove()
