"""Every Redis key of one floor. The braces are a hash tag: a floor lies in one slot of a cluster.

{floor:NAME}:lease     string, TTL LEASE_SECONDS: "EPOCH-TOKEN" of the engine that owns the floor
{floor:NAME}:owner     hash: epoch, token, host, pid, started, turn (of the last owner, kept for ever)
{floor:NAME}:contacts  hash: contact id -> encoded Contact
{floor:NAME}:agents    hash: agent number -> encoded Agent
{floor:NAME}:queues    hash: queue name -> what the engine wants to keep of a queue
{floor:NAME}:phones    hash: agent number -> dial string of his phone
{floor:NAME}:timers    zset: timer id, scored by its deadline (seconds since the epoch)
{floor:NAME}:meta      hash: inbox (position taken), people_version, and what the engine adds
{floor:NAME}:inbox     stream: requests to the floor (body, patience in seconds), trimmed when taken
{floor:NAME}:records   stream: "EPOCH-SEQUENCE" -> body, a turn's records an entry; trimmed when drained
{floor:NAME}:drained   hash: epoch -> highest sequence up to which PostgreSQL lacks nothing
{floor:NAME}:reply:ID  list of one reply, TTL REPLY_SECONDS
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LEASE_SECONDS = 2.0
REPLY_SECONDS = 30.0

_FLOOR = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class FloorKeys:
    """The keys of the floor `floor`. Raises ValueError for a name that could not be a key."""

    floor: str
    lease: str = field(init=False)
    owner: str = field(init=False)
    contacts: str = field(init=False)
    agents: str = field(init=False)
    queues: str = field(init=False)
    phones: str = field(init=False)
    timers: str = field(init=False)
    meta: str = field(init=False)
    inbox: str = field(init=False)
    records: str = field(init=False)
    drained: str = field(init=False)

    def __post_init__(self) -> None:
        if not _FLOOR.fullmatch(self.floor):
            raise ValueError(f"floor name {self.floor!r}: expected letters, digits, _ and - (at most 64)")
        for name in self.__slots__:
            if name != "floor":
                object.__setattr__(self, name, f"{{floor:{self.floor}}}:{name}")

    def reply(self, request: str) -> str:
        return f"{{floor:{self.floor}}}:reply:{request}"
