"""The saved state on a real Redis: the lease, the fence, what is committed and loaded."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import redis

from callcenter.state import (
    FloorStore,
    LeaseLost,
    Owner,
    Saved,
    StateAway,
    Turn,
    encode,
    record_id,
)
from callcenter.state.keys import LEASE_SECONDS

from .floors import NOON, agent, contact, numbered_steps, step
from .redis_floor import elsewhere, store, stream, until

pytestmark = pytest.mark.usefixtures("patient")


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


def test_floor_names_are_checked(redis_url: str) -> None:
    with pytest.raises(ValueError, match="expected letters"):
        FloorStore(redis_url, "main}:*")
