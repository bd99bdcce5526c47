"""FloorClient: how the back office and the command line ask a floor for something, and look at it.

A request goes into the floor's inbox and its reply comes back on a key of its own. A request whose
patience has run out is void: a log-in asked for while no engine ran does not happen an hour later.
"""

from __future__ import annotations

import getpass
import secrets
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import redis

from callcenter.floor.agents import Agent
from callcenter.floor.commands import Reply
from callcenter.floor.contacts import Contact
from callcenter.floor.events import Event, Request
from callcenter.state.codec import UnreadableState, decode_as, encode
from callcenter.state.errors import StateAway, StateError
from callcenter.state.keys import FloorKeys

PATIENCE_SECONDS = 5.0
CONNECT_SECONDS = 3.0
INBOX_AT_MOST = 10_000


class FloorSilent(StateError):
    """No reply in time: no engine runs, or it is too busy. The request is void."""


@dataclass(frozen=True, slots=True)
class EngineSeen:
    """The engine that owns the floor, `alive` by its lease."""

    epoch: int
    pid: int
    alive: bool


class FloorClient:
    """One floor, seen from outside. Every method raises StateAway when Redis does not answer."""

    def __init__(self, url: str, floor: str, by: str = "") -> None:
        self.keys = FloorKeys(floor)
        self._by = by or _user()
        self._redis = redis.Redis.from_url(
            url, protocol=2, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS
        )

    def __enter__(self) -> FloorClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._redis.close()

    def ask(self, request: type[Request], patience: float = PATIENCE_SECONDS, **fields: Any) -> Reply:
        """Post a request and wait for its reply: `ask(AgentReadyRequested, agent="1001").text`.

        Raises FloorSilent after `patience` seconds.
        """
        stamped = request(at=time.time(), request=secrets.token_hex(8), by=self._by, **fields)
        self._post(stamped, patience)
        key = self.keys.reply(stamped.request)
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0:
            # pieces shorter than the socket's time-out
            answer = self._call("BLPOP", key, f"{min(left, CONNECT_SECONDS / 2):.3f}")
            if answer is not None:
                reply: Reply = decode_as(Reply, answer[1])
                return reply
        raise FloorSilent(
            f"the floor {self.keys.floor} gave no answer in {patience:g} s: is its engine running? "
            "(`callcenter status`)"
        )

    def post(self, event: Event) -> None:
        """Leave an event in the inbox, for as long as it takes; nobody waits for a reply."""
        self._post(event, 0.0)

    def contacts(self) -> list[Contact]:
        """All who are in the centre now, by arrival."""
        found: list[Contact] = self._all(self.keys.contacts, Contact)
        return sorted(found, key=lambda contact: contact.arrived_at)

    def agents(self) -> list[Agent]:
        """All whom the floor knows, by number."""
        found: list[Agent] = self._all(self.keys.agents, Agent)
        return sorted(found, key=lambda agent: (len(agent.number), agent.number))

    def meta(self) -> dict[str, str]:
        return {name.decode(): text.decode() for name, text in self._hash(self.keys.meta).items()}

    def meta_of(self, name: str) -> str:
        """One entry of it; "" when there is none. There may be thousands of others."""
        return (self._call("HGET", self.keys.meta, name) or b"").decode()

    def engine(self) -> EngineSeen | None:
        """Who owns the floor, or owned it last; None if nobody ever did."""
        epoch, pid = self._call("HMGET", self.keys.owner, "epoch", "pid")
        if epoch is None:
            return None
        lease = self._call("GET", self.keys.lease) or b""
        return EngineSeen(int(epoch), int(pid or 0), lease.startswith(epoch + b"-"))

    def _post(self, event: Event, patience: float) -> None:
        trim = ("MAXLEN", "~", INBOX_AT_MOST)
        body = encode(event)
        self._call("XADD", self.keys.inbox, *trim, "*", "body", body, "patience", f"{patience:g}")

    def _all(self, key: str, kind: type[Any]) -> list[Any]:
        found = []
        for body in self._hash(key).values():
            try:
                found.append(decode_as(kind, body))
            except UnreadableState:
                continue  # written by a newer version: the engine reports it, a list can do without
        return found

    def _hash(self, key: str) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = self._call("HGETALL", key)
        return found

    def _call(self, *command: Any) -> Any:
        try:
            return self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise StateAway("Redis does not answer: is the centre up? (`callcenter status`)") from error
        except redis.RedisError as error:
            raise StateAway(f"Redis refused: {error}") from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
