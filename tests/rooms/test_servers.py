"""The test servers themselves: data survives a stop and a kill, nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import psycopg
import redis

from ..servers import PostgresServer, RedisServer


def test_redis_keeps_its_data_over_a_stop(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("kept", "1")
    own_redis.stop()
    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.get("kept") == b"1"
    own_redis.stop()
    own_redis.wipe()
    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.get("kept") is None


def test_postgres_keeps_its_data_over_a_kill(own_postgres: PostgresServer) -> None:
    own_postgres.run_sql("CREATE TABLE kept (n int)", "callcenter")
    own_postgres.kill()
    own_postgres.start()
    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_removed_servers_leave_nothing() -> None:
    from ..servers import short_directory

    server = RedisServer(short_directory())
    server.start()
    pid = server.pid
    server.remove()
    assert not Path(f"/proc/{pid}").exists()
    assert not server.directory.exists()


def test_each_database_is_empty(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)
