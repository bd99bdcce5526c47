"""Connections to Redis, one command at a time, that never give an answer to the wrong question.

After a time-out, a cancellation or any error of the connection it is closed, so that a late answer
dies with it. `SaveLine` is for saving a turn: nothing may be done before that, so it simply waits, some
0.1 ms; a future, a timer and three passes of the loop cost more than the save. All else goes by `RedisLine`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis
from redis import asyncio as redis_asyncio
from redis.asyncio.connection import AbstractConnection
from redis.connection import ConnectionInterface as BlockingConnection
from redis.connection import ConnectionPool
from redis.exceptions import NoScriptError, RedisError, ResponseError

from callcenter.state.errors import StateAway

CONNECT_SECONDS = 0.5


class RedisLine:
    """`call` sends one command; it connects when it must. Any trouble is StateAway."""

    def __init__(self, url: str) -> None:
        # No time-out of redis-py's own: its read_response answers None on one. Ours closes the connection.
        self._pool = redis_asyncio.ConnectionPool.from_url(url, protocol=2, socket_timeout=None)
        self._connection: AbstractConnection | None = None
        self._turn = asyncio.Lock()
        self._scripts: dict[str, str] = {}

    async def call(self, *command: bytes | str | int | float, seconds: float) -> Any:
        """The answer (bytes, int, list, None). Raises StateAway, also when Redis refuses the command."""
        async with self._turn:
            return await self._call(command, seconds)

    async def run(self, script: str, keys: tuple[str, ...], *arguments: Any, seconds: float) -> Any:
        """Run a Lua script by its digest, loading it when Redis does not know it."""
        async with self._turn:
            digest = self._scripts.get(script)
            if digest is not None:
                try:
                    return await self._call((b"EVALSHA", digest, len(keys), *keys, *arguments), seconds)
                except NoScriptError:
                    pass
            loaded: bytes = await self._call((b"SCRIPT", b"LOAD", script), seconds)
            digest = self._scripts[script] = loaded.decode()
            return await self._call((b"EVALSHA", digest, len(keys), *keys, *arguments), seconds)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _call(self, command: tuple[Any, ...], seconds: float) -> Any:
        try:
            connection = self._connection or await self._connect()
            await connection.send_packed_command([hiredis.pack_command(command)], check_health=False)
            async with asyncio.timeout(seconds):
                return await connection.read_response()
        except NoScriptError:
            raise
        except ResponseError as error:  # it answered: full disk, no memory, read-only, …
            raise StateAway(f"Redis refused: {error}") from error
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            raise _away(error) from error
        except BaseException:  # cancelled in the middle: the answer may still come
            await self.close()
            raise

    async def _connect(self) -> AbstractConnection:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        return connection


class SaveLine:
    """Runs one script, waiting for Redis without letting the loop go on. Any trouble is StateAway."""

    def __init__(self, url: str, script: str, seconds: float) -> None:
        self._pool = ConnectionPool.from_url(
            url, protocol=2, socket_timeout=seconds, socket_connect_timeout=CONNECT_SECONDS
        )
        self._script = script
        self._digest = b""
        self._connection: BlockingConnection | None = None

    def open(self) -> None:
        """Connect and load the script: the first `run` then takes no longer than the others. May take long:
        call it in a thread. Raises StateAway."""
        if self._connection is None:
            connection: BlockingConnection = self._pool.make_connection()
            try:
                connection.connect()  # type: ignore[no-untyped-call]
                self._connection = connection
                self._digest = self._ask((b"SCRIPT", b"LOAD", self._script))
            except RedisError as error:
                raise _away(error) from error

    def run(self, keys: tuple[str, ...], *arguments: Any) -> Any:
        """The script's answer. Raises StateAway, also when Redis refuses it."""
        self.open()
        command = (b"EVALSHA", self._digest, len(keys), *keys, *arguments)
        try:
            return self._ask(command)
        except NoScriptError:
            self._ask((b"SCRIPT", b"LOAD", self._script))
            return self._ask(command)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()  # type: ignore[no-untyped-call]

    def _ask(self, command: tuple[Any, ...]) -> Any:
        assert self._connection is not None
        try:
            self._connection.send_packed_command([hiredis.pack_command(command)], check_health=False)  # type: ignore[no-untyped-call]
            return self._connection.read_response()
        except NoScriptError:
            raise
        except ResponseError as error:
            raise StateAway(f"Redis refused: {error}") from error
        except (RedisError, OSError) as error:
            self.close()
            raise _away(error) from error
        except BaseException:
            self.close()
            raise


def _away(error: BaseException) -> StateAway:
    return StateAway(f"Redis is away: {str(error) or type(error).__name__}")
