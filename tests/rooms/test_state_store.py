"""The saved state on a real Redis: the lease, the fence, snapshots, late answers, the inbox, the spool."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from callcenter.floor.commands import Reply
from callcenter.floor.events import AgentReadyRequested, PeoplePublished
from callcenter.state import (
    FloorClient,
    FloorSilent,
    FloorStore,
    LeaseLost,
    Owner,
    Saved,
    Spool,
    StateAway,
    StateEmptied,
    Turn,
    encode,
    record_id,
)
from callcenter.state.keys import LEASE_SECONDS

from ..servers import RedisServer
from .floors import NOON, agent, contact, numbered_steps, step


@contextlib.asynccontextmanager
async def store(url: str, floor: str = "main") -> AsyncIterator[FloorStore]:
    opened = FloorStore(url, floor)
    try:
        yield opened
    finally:
        await opened.close()


def elsewhere() -> Owner:
    """An engine on another machine: nobody here can say whether it lives."""
    return Owner("another machine", 4711, 1)


async def until(check: Callable[[], Awaitable[Any]], what: str, seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := await check()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.02)
    return answer


def stream(url: str, floor: str = "main") -> list[bytes]:
    with redis.Redis.from_url(url) as client:
        return [name for _, entry in client.xrange(f"{{floor:{floor}}}:records") for name in entry]


# The lease.


def test_one_owner_at_a_time(redis_url: str) -> None:
    async def run() -> None:
        async with store(redis_url) as first, store(redis_url) as second:
            epoch = await first.acquire(elsewhere())
            assert epoch
            assert await second.acquire(elsewhere()) is None
            await first.release(epoch)
            later = await second.acquire(elsewhere())
            assert later is not None
            assert later > epoch
            with pytest.raises(LeaseLost):
                await first.renew(epoch)
            with pytest.raises(LeaseLost):
                await first.write_snapshot(Saved())

    asyncio.run(run())


def test_many_race_and_one_wins(redis_url: str) -> None:
    async def run() -> None:
        stores = [FloorStore(redis_url, "main") for _ in range(20)]
        won = await asyncio.gather(*(each.acquire(elsewhere()) for each in stores))
        assert sum(epoch is not None for epoch in won) == 1
        for each in stores:
            await each.close()

    asyncio.run(run())


def test_a_lease_not_renewed_runs_out_and_one_renewed_does_not(redis_url: str) -> None:
    async def run() -> None:
        async with (
            store(redis_url) as kept,
            store(redis_url, "other") as left,
            store(redis_url, "other") as heir,
        ):
            kept_epoch = await kept.acquire(elsewhere())
            assert kept_epoch
            assert await left.acquire(elsewhere())
            began = time.monotonic()

            async def taken() -> int | None:
                await kept.renew(kept_epoch)
                return await heir.acquire(elsewhere())

            await until(taken, "the lease runs out")
            assert LEASE_SECONDS - 0.2 < time.monotonic() - began < LEASE_SECONDS + 1
            async with store(redis_url) as rival:
                assert await rival.acquire(elsewhere()) is None

    asyncio.run(run())


def test_a_dead_process_here_is_succeeded_at_once(redis_url: str) -> None:
    body = (
        "import asyncio,sys,time\nfrom callcenter.state import FloorStore, Owner\n"
        "async def run():\n"
        "    print(await FloorStore(sys.argv[1], 'main').acquire(Owner.here()), flush=True)\n"
        "    time.sleep(60)\nasyncio.run(run())"
    )
    engine = subprocess.Popen([sys.executable, "-c", body, redis_url], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    epoch = int(engine.stdout.readline())

    async def run() -> None:
        async with store(redis_url) as heir:
            assert await heir.acquire(Owner.here()) is None, "it lives"
            engine.send_signal(signal.SIGSTOP)
            assert await heir.acquire(Owner.here()) is None, "a stopped process is not dead"
            engine.kill()  # a zombie until it is waited for: dead all the same
            began = time.monotonic()

            async def taken() -> int | None:
                return await heir.acquire(Owner.here())

            later = await until(taken, "the dead engine's floor is taken")
            assert later > epoch
            assert time.monotonic() - began < 1.0

    try:
        asyncio.run(run())
    finally:
        engine.kill()
        engine.wait()


def test_a_pid_used_anew_is_not_the_owner() -> None:
    here = Owner.here()
    assert not here.surely_dead()
    assert replace(here, started=here.started - 1).surely_dead()
    assert not replace(here, started=1, host="another machine").surely_dead()


def test_a_lease_nobody_took_is_retaken_by_a_commit(redis_url: str) -> None:
    async def run() -> None:
        async with store(redis_url) as owner, store(redis_url) as rival:
            assert await owner.acquire(elsewhere())
            with redis.Redis.from_url(redis_url) as client:
                client.delete(owner.keys.lease)
            await owner.commit(Turn())
            assert await rival.acquire(elsewhere()) is None

    asyncio.run(run())


# The fence and the state.


def test_what_is_committed_is_loaded(redis_url: str) -> None:
    async def run() -> None:
        async with store(redis_url) as owner:
            epoch = await owner.acquire(elsewhere())
            assert epoch
            await owner.commit(
                Turn(
                    contacts={"c1": encode(contact()), "c2": encode(contact("c2"))},
                    agents={"1001": encode(agent())},
                    queues={"sales": b"\x00\xff"},
                    timers={"offer:c1": NOON + 0.123456, "wait:c2": NOON},
                    meta={"people_version": "7"},
                    records=[(record_id(epoch, 1), encode(step()))],
                    inbox="5-0",
                )
            )
            await owner.commit(Turn(contacts={"c2": None}, timers={"wait:c2": None}))
            saved = await owner.load()
            assert saved.contacts == {"c1": contact()}
            assert saved.agents == {"1001": agent()}
            assert saved.queues == {"sales": b"\x00\xff"}
            assert saved.timers == {"offer:c1": NOON + 0.123456}
            assert saved.meta == {"people_version": "7"}
            assert saved.inbox == "5-0"
            assert not saved.unreadable
        assert stream(redis_url) == [f"{epoch}-1".encode()]

    asyncio.run(run())


def test_one_unreadable_contact_is_left_out_and_named(redis_url: str) -> None:
    async def run() -> None:
        async with store(redis_url) as owner:
            await owner.acquire(elsewhere())
            await owner.commit(Turn(contacts={"c1": encode(contact()), "c2": b"rubbish"}))
            saved = await owner.load()
            assert list(saved.contacts) == ["c1"]
            assert [line.split(":")[0] for line in saved.unreadable] == ["contact c2"]

    asyncio.run(run())


def test_a_former_owner_writes_nothing(redis_url: str) -> None:
    async def run() -> None:
        async with store(redis_url) as old, store(redis_url) as new:
            old_epoch = await old.acquire(elsewhere())
            assert old_epoch
            await old.release(old_epoch)
            old._whole = True  # as one who was stopped and never knew
            assert await new.acquire(elsewhere())
            await new.commit(Turn(contacts={"c1": encode(contact())}))
            with pytest.raises(LeaseLost):
                await old.commit(Turn(contacts={"c1": None}, records=numbered_steps(old_epoch, 1, 1)))
            with pytest.raises(LeaseLost):
                await old.write_snapshot(Saved())
            assert list((await new.load()).contacts) == ["c1"]
        assert stream(redis_url) == []

    asyncio.run(run())


def test_a_big_turn_and_a_big_snapshot(redis_url: str) -> None:
    async def run() -> None:
        async with store(redis_url) as owner:
            epoch = await owner.acquire(elsewhere())
            assert epoch
            many = {f"c{n}": contact(f"c{n}") for n in range(10_000)}
            floor = Saved(contacts=many, timers=dict.fromkeys(many, NOON), inbox="7-1")
            await owner.write_snapshot(floor)
            assert await owner.load() == floor
            await owner.commit(Turn(timers=dict.fromkeys(list(many)[:5000])))
            assert len((await owner.load()).timers) == 5000

    asyncio.run(run())


# Redis away.


def test_a_frozen_redis_is_away_in_50_ms_and_a_late_commit_undoes_nothing(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            epoch = await owner.acquire(Owner.here())
            assert epoch
            await owner.commit(Turn(contacts={"c1": encode(contact())}))
            own_redis.freeze()
            began = time.monotonic()
            with pytest.raises(StateAway):
                await owner.commit(Turn(contacts={"c1": None, "late": encode(contact("late"))}))
            assert time.monotonic() - began < 0.2
            began = time.monotonic()
            with pytest.raises(StateAway, match="a snapshot must be written first"):
                await owner.commit(Turn())
            assert time.monotonic() - began < 0.02, "it must not wait again"
            with pytest.raises(StateAway):
                await asyncio.wait_for(owner.write_snapshot(Saved(contacts={"x": contact("x")})), 7)
            own_redis.thaw()
            now = Saved(contacts={"c9": contact("c9")}, meta={"a": "b"})

            async def written() -> bool:
                try:
                    await owner.write_snapshot(now)
                except StateAway:
                    return False
                return True

            await until(written, "the snapshot is written")
            for _ in range(20):  # whatever Redis still carries out of the past must change nothing
                assert await owner.load() == now
            await owner.commit(Turn(meta={"a": "c"}))
            assert (await owner.load()).meta == {"a": "c"}

    asyncio.run(run())


def test_a_commit_that_comes_late_is_refused_as_stale(redis_url: str) -> None:
    async def run() -> None:
        async with store(redis_url) as owner:
            await owner.acquire(elsewhere())
            await owner.commit(Turn(meta={"a": "new"}))
            owner._turn -= 1
            with pytest.raises(StateAway, match="STALE"):
                await owner.commit(Turn(meta={"a": "old"}))
            assert (await owner.load()).meta == {"a": "new"}

    asyncio.run(run())


def test_a_time_out_never_leaves_its_answer_to_the_next_question(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            await owner.acquire(Owner.here())
            await owner._line.call("SET", "a", "answer of a", seconds=1)
            await owner._line.call("SET", "b", "answer of b", seconds=1)
            own_redis.freeze()
            with pytest.raises(StateAway):
                await owner._line.call("GET", "a", seconds=0.05)
            waiting = asyncio.create_task(owner._line.call("GET", "a", seconds=5))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            own_redis.thaw()
            for _ in range(10):
                assert await owner._line.call("GET", "b", seconds=1) == b"answer of b"

    asyncio.run(run())


def test_redis_back_without_its_data_gets_a_snapshot(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            epoch = await owner.acquire(Owner.here())
            assert epoch
            await owner.commit(Turn(contacts={"c1": encode(contact())}, inbox="99999999999999-3"))
            own_redis.kill()
            with pytest.raises(StateAway):
                await owner.commit(Turn())
            own_redis.wipe()
            own_redis.start()
            with pytest.raises(StateAway):  # its connection was cut
                await owner.renew(epoch)
            with pytest.raises(StateEmptied):
                await owner.renew(epoch)
            await owner.write_snapshot(Saved(contacts={"c1": contact()}, inbox="99999999999999-3"))
            await owner.renew(epoch)
            await owner.commit(Turn(records=numbered_steps(epoch, 1, 1)))
            assert list((await owner.load()).contacts) == ["c1"]
            # an inbox made anew must not hide its requests behind the old position
            with FloorClient(own_redis.url, "main") as client:
                await asyncio.to_thread(client.post, PeoplePublished(NOON, 1, ()))
            assert len(await owner.read_inbox("99999999999999-3", 500)) == 1

        async with store(own_redis.url) as heir:
            later = await heir.acquire(replace(Owner.here(), token="other"))
            assert later is None, "the snapshot holds the lease again"

    asyncio.run(run())


def test_epochs_rise_over_a_redis_that_lost_all(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as before:
            first = await before.acquire(elsewhere())
        own_redis.stop()
        own_redis.wipe()
        own_redis.start()
        async with store(own_redis.url) as after:
            second = await after.acquire(elsewhere())
        assert first is not None
        assert second is not None
        assert second > first

    asyncio.run(run())


def test_redis_restarted_with_its_data_goes_on(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            epoch = await owner.acquire(Owner.here())
            assert epoch
            await owner.commit(Turn(contacts={"c1": encode(contact())}, records=numbered_steps(epoch, 1, 2)))
            own_redis.stop()
            with pytest.raises(StateAway):
                await owner.renew(epoch)
            own_redis.start()
            with pytest.raises(StateAway):  # the old connection is cut: whatever was lost, write it all
                await owner.commit(Turn())
            await owner.write_snapshot(Saved(contacts={"c2": contact("c2")}))
            await owner.readd(numbered_steps(epoch, 1, 3))
            assert list((await owner.load()).contacts) == ["c2"]
        assert set(stream(own_redis.url)) == {f"{epoch}-{n}".encode() for n in (1, 2, 3)}

    asyncio.run(run())


def test_a_redis_that_refuses_is_away(own_redis: RedisServer) -> None:
    async def run() -> None:
        async with store(own_redis.url) as owner:
            await owner.acquire(Owner.here())
            with redis.Redis.from_url(own_redis.url) as client:
                client.config_set("maxmemory", "1")
                with pytest.raises(StateAway, match=r"Redis refused: .*memory"):
                    await owner.commit(Turn(contacts={"c1": encode(contact())}))
                client.config_set("maxmemory", "0")
            await owner.write_snapshot(Saved())
            await owner.commit(Turn())

    asyncio.run(run())


# The inbox.


def test_each_request_is_taken_once_and_answered(redis_url: str) -> None:
    taken: list[str] = []

    async def engine(stop: threading.Event) -> None:
        async with store(redis_url) as owner:
            await owner.acquire(elsewhere())
            position = ""
            while not stop.is_set():
                for posted in await owner.read_inbox(position, 50):
                    position = posted.position
                    assert isinstance(posted.event, AgentReadyRequested)
                    taken.append(posted.event.agent)
                    reply = Reply(posted.event.request, True, f"{posted.event.agent} is ready")
                    await owner.commit(Turn(inbox=position, replies=[reply]))
            assert (await owner.load()).inbox == position
            assert await owner.read_inbox(position, 1) == []
            with redis.Redis.from_url(redis_url) as client:
                assert client.xlen(owner.keys.inbox) <= 1, "what was taken is trimmed"

    stop = threading.Event()
    running = threading.Thread(target=lambda: asyncio.run(engine(stop)))
    running.start()
    try:
        with FloorClient(redis_url, "main", by="tester") as client:
            for number in ("1001", "1002", "1003"):
                reply = client.ask(AgentReadyRequested, agent=number)
                assert reply.ok
                assert reply.text == f"{number} is ready"
    finally:
        stop.set()
        running.join()
    assert taken == ["1001", "1002", "1003"]


def test_a_request_nobody_waits_for_any_more_is_void(redis_url: str) -> None:
    with FloorClient(redis_url, "main") as client:
        with pytest.raises(FloorSilent, match="is its engine running"):
            client.ask(AgentReadyRequested, patience=0.2, agent="1001")
        client.post(PeoplePublished(NOON, 3, ()))

    async def run() -> None:
        async with store(redis_url) as owner:
            old, people = await owner.read_inbox("", 50)
            assert old.event is None
            assert "nobody waits" in old.refused
            assert isinstance(people.event, PeoplePublished)

    asyncio.run(run())


def test_rubbish_in_the_inbox_is_passed_over(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.xadd("{floor:main}:inbox", {"body": b"\xc1"})
        client.xadd("{floor:main}:inbox", {"hello": "world"})
        client.xadd("{floor:main}:inbox", {"body": encode(contact())})

    async def run() -> None:
        async with store(redis_url) as owner:
            posted = await owner.read_inbox("", 50)
            assert [each.event for each in posted] == [None, None, None]
            assert all(each.refused for each in posted)

    asyncio.run(run())


def test_the_client_sees_the_floor(redis_url: str) -> None:
    async def run() -> int:
        async with store(redis_url) as owner:
            epoch = await owner.acquire(Owner.here())
            assert epoch
            turn = Turn(agents={"1001": encode(agent())}, meta={"people_version": "4"})
            turn.contacts = {"b": encode(contact("b", at=NOON + 1)), "a": encode(contact("a")), "x": b"?"}
            await owner.commit(turn)
            return epoch

    with FloorClient(redis_url, "main") as client:
        assert client.engine() is None
        epoch = asyncio.run(run())
        assert [each.id for each in client.contacts()] == ["a", "b"]
        assert client.agents() == [agent()]
        assert client.meta() == {"people_version": "4"}
        seen = client.engine()
        assert seen is not None
        assert (seen.epoch, seen.pid, seen.alive) == (epoch, os.getpid(), True)


def test_the_client_names_a_redis_that_is_away(own_redis: RedisServer) -> None:
    own_redis.stop()
    with (
        FloorClient(own_redis.url, "main") as client,
        pytest.raises(StateAway, match="Redis does not answer: is the centre up"),
    ):
        client.contacts()


def test_floor_names_are_checked(redis_url: str) -> None:
    with pytest.raises(ValueError, match="expected letters"):
        FloorStore(redis_url, "main}:*")


# The spool.


def test_spooled_records_come_back_and_the_file_goes_when_they_are_drained(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async def run() -> None:
        spool = Spool(tmp_path / "spool", "main")
        async with store(own_redis.url) as owner:
            epoch = await owner.acquire(Owner.here())
            assert epoch
            own_redis.stop()
            spool.append(epoch, numbered_steps(epoch, 1, 3))
            spool.append(epoch, numbered_steps(epoch, 4, 5))
            [path] = (tmp_path / "spool").iterdir()
            assert path.name == f"main-{epoch}.jsonl"
            assert path.stat().st_mode & 0o777 == 0o600
            with pytest.raises(StateAway):
                await spool.give_back(owner)
            own_redis.start()
            assert await spool.give_back(owner) == []
            assert stream(own_redis.url) == [f"{epoch}-{n}".encode() for n in range(1, 6)]
            await spool.tidy(owner)
            assert path.exists(), "PostgreSQL has nothing yet"
            with redis.Redis.from_url(own_redis.url) as client:
                client.hset(owner.keys.drained, str(epoch), 5)
            await spool.tidy(owner)
            assert not path.exists()
            spool.append(epoch, numbered_steps(epoch, 6, 6))
            await spool.give_back(owner)
            assert len(stream(own_redis.url)) == 6
            await spool.tidy(owner)
            assert path.exists(), "the sixth is not drained yet"
            spool.close()

    asyncio.run(run())


def test_a_half_written_line_costs_only_itself(redis_url: str, tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, "main")
        spool.append(7, numbered_steps(7, 1, 2))
        spool.close()
        path = tmp_path / "main-7.jsonl"
        path.write_bytes(path.read_bytes()[:-20])
        spool.append(7, numbered_steps(7, 3, 3))
        spool.close()
        (tmp_path / "main-2-9.jsonl").write_text("another floor's")
        async with store(redis_url) as owner:
            odd = await spool.give_back(owner)
            assert [line.split(":")[0] for line in odd] == ["main-7.jsonl line 2"]
            assert stream(redis_url) == [b"7-1", b"7-3"]
            await spool.tidy(owner)
            assert path.exists()
            with redis.Redis.from_url(redis_url) as client:
                client.hset(owner.keys.drained, "7", 3)  # the second came from elsewhere
            await spool.tidy(owner)
            assert not path.exists()
            assert (tmp_path / "main-2-9.jsonl").exists()

    asyncio.run(run())


def test_what_is_spooled_reads_back_the_same(redis_url: str, tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, "main")
        body = encode(step(text='two\nlines and a "quote" 你好'))
        spool.append(7, [(record_id(7, 1), body)])
        spool.close()
        async with store(redis_url) as owner:
            await spool.give_back(owner)
        with redis.Redis.from_url(redis_url) as client:
            assert client.xrange("{floor:main}:records")[0][1] == {b"7-1": body}

    asyncio.run(run())
