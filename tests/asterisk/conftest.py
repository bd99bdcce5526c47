"""`centre`: a running centre beside its public network, whole and quiet at the start of each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.asterisk.harness import Centre
from tests.servers import PostgresServer, RedisServer


@pytest.fixture(scope="session")
def session_centre(redis_server: RedisServer, postgres_server: PostgresServer) -> Iterator[Centre]:
    centre = Centre(redis_server, postgres_server)
    try:
        centre.start()
        yield centre
    finally:
        centre.stop()


@pytest.fixture
def centre(session_centre: Centre) -> Iterator[Centre]:
    """The session's centre. What a test kills or freezes is brought back after it."""
    yield session_centre
    session_centre.mend()
