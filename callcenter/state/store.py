"""FloorStore: the engine's side of Redis. One writer per floor, one round trip per turn.

Rules:
- `commit` is fenced: only the owner of the lease writes. A lease that merely ran out (nobody took it)
  is retaken on the way.
- Any trouble is StateAway. From then on commits are refused here, without asking Redis, until
  `write_snapshot` has put the whole floor there: Redis may have lost the end of its file, or may still
  carry out what we gave up. Turns are numbered, so a write that arrives late never undoes a later one.
- Records may reach the stream twice (a commit that was carried out though no answer came, then `readd`);
  PostgreSQL takes each id once.

Known sharp edges:
- With `appendfsync everysec` a machine that loses power loses a second of state. The engine holds each
  record until `drained` names it, so only a crash of engine and Redis together loses records.
- Epochs are times in milliseconds: a Redis that lost all, on a machine whose clock went back behind the
  last start of an engine, could repeat one.
- While PostgreSQL is away the record stream grows in Redis' memory: some 300 bytes a record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from callcenter.floor.agents import Agent
from callcenter.floor.commands import Reply
from callcenter.floor.contacts import Contact
from callcenter.floor.events import Event
from callcenter.state import scripts
from callcenter.state.codec import UnreadableState, decode_as, encode
from callcenter.state.errors import LeaseLost, StateAway, StateEmptied
from callcenter.state.keys import LEASE_SECONDS, REPLY_SECONDS, FloorKeys
from callcenter.state.line import RedisLine, SaveLine
from callcenter.state.owner import Owner

COMMIT_SECONDS = 0.05  # a save that takes longer counts as Redis away
LOAD_SECONDS = 5.0
HOLDER_SECONDS = 0.2
READD_AT_ONCE = 500

_LEASE_MS = int(LEASE_SECONDS * 1000)
_REPLY_MS = int(REPLY_SECONDS * 1000)


def record_id(epoch: int, sequence: int) -> str:
    """A record's name within its floor; sequences of an epoch run from 1 without gaps."""
    return f"{epoch}-{sequence}"


@dataclass(slots=True)
class Turn:
    """What one turn of the engine's loop changed. Bodies come from `codec.encode`; None deletes."""

    contacts: dict[str, bytes | None] = field(default_factory=dict)
    agents: dict[str, bytes | None] = field(default_factory=dict)
    queues: dict[str, bytes | None] = field(default_factory=dict)
    phones: dict[str, bytes | None] = field(default_factory=dict)
    timers: dict[str, float | None] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    records: list[tuple[str, bytes]] = field(default_factory=list)  # (record_id, body)
    replies: list[Reply] = field(default_factory=list)
    inbox: str = ""  # position of the last request taken in this turn


@dataclass(slots=True)
class Saved:
    """A floor as Redis knows it, or as `write_snapshot` puts it there."""

    contacts: dict[str, Contact] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    queues: dict[str, bytes] = field(default_factory=dict)
    phones: dict[str, bytes] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    inbox: str = ""
    unreadable: list[str] = field(default_factory=list)  # one line each, for the log

    @property
    def empty(self) -> bool:
        return not (self.contacts or self.agents or self.timers or self.meta)


@dataclass(frozen=True, slots=True)
class Posted:
    """One entry of the inbox. `event` is None when it is void: `refused` says why (too late, unreadable)."""

    position: str
    event: Event | None
    refused: str = ""


class FloorStore:
    """The saved state of the floor `floor` in the Redis at `url` (redis://, rediss://, unix://)."""

    def __init__(self, url: str, floor: str) -> None:
        self.keys = FloorKeys(floor)
        self._url = url
        self._line = RedisLine(url)
        self._save_line = SaveLine(url, scripts.COMMIT, COMMIT_SECONDS)
        self._inbox_line = RedisLine(url)  # its own: it blocks
        self._lease_line = RedisLine(url)  # its own: renewing never waits behind a commit
        self._records_line = RedisLine(url)  # its own: a commit never waits behind many records
        self._owner: Owner | None = None
        self._epoch = 0
        self._fence = ""
        self._turn = 0
        self._whole = False
        k = self.keys
        self._commit_keys: tuple[str, ...] = (
            *(k.lease, k.owner, k.contacts, k.agents, k.queues, k.phones),
            *(k.timers, k.meta, k.records, k.inbox),
        )

    # The lease.

    async def acquire(self, owner: Owner) -> int | None:
        """The new epoch, or None while another owner has the floor. A dead one on this host has not.

        Raises StateAway.
        """
        answer = await self._try_acquire(owner, "")
        if answer[0] == 0:
            lease, host, pid, started = (text.decode() for text in answer[1:])
            if Owner(host, int(pid), int(started), "").surely_dead():
                answer = await self._try_acquire(owner, lease)
        if answer[0] == 0:
            return None
        self._owner, self._epoch, self._turn, self._whole = owner, int(answer[0]), 0, True
        self._fence = f"{self._epoch}-{owner.token}"
        return self._epoch

    async def holder(self) -> tuple[bool, Owner | None]:
        """Whether the lease is held, and who owned the floor last (None: nobody ever). Raises StateAway."""
        keys = (self.keys.lease, self.keys.owner)
        held, host, pid, started = await self._lease_line.run(scripts.HOLDER, keys, seconds=HOLDER_SECONDS)
        last = Owner(host.decode(), int(pid), int(started), "") if host else None
        return bool(held), last

    async def renew(self, epoch: int) -> None:
        """Hold the lease for another LEASE_SECONDS. Raises LeaseLost, StateEmptied, StateAway."""
        self._must_own(epoch)
        keys = (self.keys.lease, self.keys.owner)
        _check(
            await self._lease_line.run(scripts.RENEW, keys, self._fence, _LEASE_MS, seconds=LEASE_SECONDS / 5)
        )

    async def release(self, epoch: int) -> None:
        """Let a stand-by take the floor at once. Raises StateAway."""
        self._must_own(epoch)
        await self._lease_line.run(scripts.RELEASE, (self.keys.lease,), self._fence, seconds=0.5)
        self._whole = False

    # The state.

    async def load(self) -> Saved:
        """All that is saved. Entries that cannot be read are left out and named. Raises StateAway."""
        k = self.keys
        keys = (k.contacts, k.agents, k.queues, k.timers, k.meta)
        answer = await self._line.run(scripts.LOAD, keys, seconds=LOAD_SECONDS)
        await asyncio.to_thread(self._save_line.open)
        saved = Saved()
        for name, body in _pairs(answer[0]):
            _read(saved, saved.contacts, Contact, "contact", name, body)
        for name, body in _pairs(answer[1]):
            _read(saved, saved.agents, Agent, "agent", name, body)
        saved.queues = dict(_pairs(answer[2]))
        saved.timers = {name: float(score) for name, score in _pairs(answer[3])}
        saved.meta = {name: body.decode() for name, body in _pairs(answer[4])}
        saved.inbox = saved.meta.pop("inbox", "")
        return saved

    async def commit(self, turn: Turn) -> None:
        """Save one turn, all or nothing; the loop stands still meanwhile, COMMIT_SECONDS at most.

        Raises LeaseLost, StateAway (also StateEmptied).
        After any StateAway every commit raises it until `write_snapshot` has succeeded.
        """
        if not self._whole:
            raise StateAway("the state in Redis is behind: a snapshot must be written first")
        self._turn += 1
        arguments: list[Any] = [self._fence, self._turn, _LEASE_MS, _REPLY_MS, turn.inbox]
        _put_changes(arguments, turn.contacts)
        _put_changes(arguments, turn.agents)
        _put_changes(arguments, turn.queues)
        _put_changes(arguments, turn.phones)
        _put_timers(arguments, turn.timers)
        _put_pairs(arguments, turn.meta)
        arguments.append(2 * len(turn.records))
        for pair in turn.records:
            arguments += pair
        keys = self._commit_keys
        if turn.replies:
            arguments += [encode(reply) for reply in turn.replies]
            keys = (*keys, *(self.keys.reply(reply.request) for reply in turn.replies))
        try:
            _check(self._save_line.run(keys, *arguments))
        except BaseException:
            self._whole = False
            raise

    async def write_snapshot(self, floor: Saved) -> None:
        """Put the whole floor in place of what Redis has, and hold the lease again.

        For when Redis was away. Raises LeaseLost when another has owned the floor since, StateAway.
        """
        owner = self._owner
        if owner is None:
            raise LeaseLost("this engine never owned the floor")
        k = self.keys
        self._turn += 1
        arguments: list[Any] = [
            *(self._fence, self._turn, _LEASE_MS, self._epoch),
            *(owner.token, owner.host, owner.pid, owner.started, floor.inbox),
        ]
        _put_pairs(arguments, {name: encode(contact) for name, contact in floor.contacts.items()})
        _put_pairs(arguments, {name: encode(agent) for name, agent in floor.agents.items()})
        _put_pairs(arguments, floor.queues)
        _put_pairs(arguments, floor.phones)
        arguments.append(2 * len(floor.timers))
        for timer, due in floor.timers.items():
            arguments += (repr(due), timer)
        _put_pairs(arguments, floor.meta)
        keys = (k.lease, k.owner, k.contacts, k.agents, k.queues, k.phones, k.timers, k.meta, k.inbox)
        self._whole = False
        _check(await self._line.run(scripts.SNAPSHOT, keys, *arguments, seconds=LOAD_SECONDS))
        await asyncio.to_thread(self._save_line.open)
        self._whole = True

    # Records on their way to PostgreSQL.

    async def readd(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Put records (record_id, body) into the stream that may lack them; PostgreSQL takes each once.

        Raises StateAway: then any number of them is there, and all may be given again.
        """
        flat = [part for record in records for part in record]
        for start in range(0, len(flat), 2 * READD_AT_ONCE):
            piece = flat[start : start + 2 * READD_AT_ONCE]
            await self._records_line.run(scripts.READD, (self.keys.records,), *piece, seconds=LOAD_SECONDS)

    async def drained(self, epoch: int) -> int:
        """The highest sequence of `epoch` up to which PostgreSQL lacks nothing; 0 for none yet.

        Raises StateAway.
        """
        answer = await self._lease_line.call(b"HGET", self.keys.drained, epoch, seconds=0.5)
        return int(answer or 0)

    # The inbox.

    async def read_inbox(self, after: str, block_ms: int, at_most: int = 100) -> Sequence[Posted]:
        """Requests posted after the position `after` ("" for all), waiting up to `block_ms` for one.

        The caller keeps positions in `Turn.inbox`: what was saved is never read again. Raises StateAway.
        """
        keys = (b"STREAMS", self.keys.inbox, after or "0-0")
        command = (b"XREAD", b"COUNT", at_most, b"BLOCK", max(block_ms, 1), *keys)
        answer = await self._inbox_line.call(*command, seconds=block_ms / 1000 + 1.0)
        return [_posted(position, entry) for position, entry in answer[0][1]] if answer else []

    async def close(self) -> None:
        for line in (self._line, self._inbox_line, self._lease_line, self._records_line):
            await line.close()
        self._save_line.close()

    def _must_own(self, epoch: int) -> None:
        if epoch != self._epoch or self._owner is None:
            raise LeaseLost(f"epoch {epoch} is not this engine's")

    async def _try_acquire(self, owner: Owner, dead: str) -> list[Any]:
        keys = (self.keys.lease, self.keys.owner)
        who = (owner.token, owner.host, owner.pid, owner.started)
        answer: list[Any] = await self._lease_line.run(
            scripts.ACQUIRE, keys, *who, _LEASE_MS, dead, seconds=LOAD_SECONDS
        )
        return answer


def _check(answer: bytes) -> None:
    if answer == b"OK":
        return
    if answer == b"LOST":
        raise LeaseLost("another engine owns this floor now")
    if answer == b"EMPTY":
        raise StateEmptied("Redis came back without this floor's state")
    raise StateAway(f"Redis answered {answer!r}")


def _put_pairs(arguments: list[Any], pairs: dict[str, Any]) -> None:
    arguments.append(2 * len(pairs))
    for pair in pairs.items():
        arguments += pair


def _put_changes(arguments: list[Any], changes: dict[str, bytes | None]) -> None:
    if not changes:
        arguments += (0, 0)
        return
    gone = [name for name, body in changes.items() if body is None]
    arguments.append(2 * (len(changes) - len(gone)))
    for name, body in changes.items():
        if body is not None:
            arguments += (name, body)
    arguments.append(len(gone))
    arguments += gone


def _put_timers(arguments: list[Any], timers: dict[str, float | None]) -> None:
    gone = [timer for timer, due in timers.items() if due is None]
    arguments.append(2 * (len(timers) - len(gone)))
    for timer, due in timers.items():
        if due is not None:
            arguments += (repr(due), timer)
    arguments.append(len(gone))
    arguments += gone


def _pairs(flat: list[bytes]) -> list[tuple[str, bytes]]:
    return [(flat[at].decode(), flat[at + 1]) for at in range(0, len(flat), 2)]


def _read(saved: Saved, into: dict[str, Any], kind: type[Any], what: str, name: str, body: bytes) -> None:
    try:
        into[name] = decode_as(kind, body)
    except UnreadableState as error:
        saved.unreadable.append(f"{what} {name}: {error}")


def _posted(position: bytes, entry: list[bytes]) -> Posted:
    where = position.decode()
    fields = dict(zip(entry[::2], entry[1::2], strict=True))
    patience = float(fields.get(b"patience") or 0)  # seconds from the post; 0 for ever
    if patience and time.time() > int(where.split("-")[0]) / 1000 + patience:
        return Posted(where, None, "nobody waits for its answer any more")
    try:
        return Posted(where, decode_as(Event, fields.get(b"body", b"")))
    except UnreadableState as error:
        return Posted(where, None, str(error))
