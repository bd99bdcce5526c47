"""The engine against a real Redis and a switch in memory: saving before acting, restarts, Redis away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from callcenter.engine import Configured, Engine
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.commands import ConnectLegs, RingAgent
from callcenter.floor.contacts import ContactState
from callcenter.floor.events import (
    AgentDefinition,
    AgentLoginRequested,
    AgentLogoutRequested,
    AgentReadyRequested,
    PeoplePublished,
    Request,
)
from callcenter.floor.plan import FloorPlan, PhonePlan, QueuePlan, ServicePlan
from callcenter.floor.records import ContactClosed
from callcenter.pins import hash_pin
from callcenter.state import FloorClient, FloorStore, Owner, RecordStream, Spool, decode
from callcenter.testing import FakeSwitch, Phone
from tests.servers import RedisServer

PHONES = ("1001", "1002")


def plan(wrapup_seconds: int = 0, queue: str = "service") -> FloorPlan:
    queues = {queue: QueuePlan(queue, "Service", wrapup_seconds=wrapup_seconds)}
    services = {"hotline": ServicePlan("hotline", ("4000",), queue, "en")}
    return FloorPlan("test", services, queues, {}, {phone: PhonePlan(phone, "en") for phone in PHONES})


@dataclass
class Running:
    engine: Engine
    switch: FakeSwitch
    task: asyncio.Task[str]

    async def end(self) -> str:
        self.engine.stop("test over")
        return await self.task


@asynccontextmanager
async def running(
    url: str, spool: Path, switch: FakeSwitch | None = None, floor_plan: FloorPlan | None = None
) -> AsyncIterator[Running]:
    """An engine that owns (or waits for) the floor; `switch` is one whose calls live on from before."""
    made: list[FakeSwitch] = []

    def make(on_event: Callable[..., None], on_replaced: Callable[[], None]) -> FakeSwitch:
        made.append(FakeSwitch(PHONES, on_event, on_replaced, time.time))
        if switch is not None:
            made[0].legs, made[0].bridges, made[0].started_at = switch.legs, switch.bridges, switch.started_at
        return made[0]

    use = floor_plan or plan()
    store = FloorStore(url, "test")
    engine = Engine(use, store, Spool(spool, "test"), make, lambda: Configured(use, {}))
    task = asyncio.create_task(engine.run(Owner.here()))
    try:
        yield Running(engine, made[0], task)
    finally:
        engine.stop("test over")
        await asyncio.wait([task], timeout=5)
        await store.close()


async def until(check: Callable[[], bool], what: str, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"waited {seconds} s until {what}"
        await asyncio.sleep(0.005)


async def ask(client: FloorClient, kind: type[Request], agent: str, phone: str = "") -> str:
    fields: dict[str, Any] = {"agent": agent} | ({"phone": phone} if phone else {})
    return (await asyncio.to_thread(lambda: client.ask(kind, **fields))).text


def publish(client: FloorClient) -> None:
    pin = hash_pin("8520")
    agents = tuple(AgentDefinition(n, f"Agent {n}", ("service",), pin_hash=pin) for n in ("2001", "2002"))
    client.post(PeoplePublished(0.0, 1, agents))


async def closed_records(url: str) -> list[ContactClosed]:
    stream = RecordStream(url, "test")
    try:
        entries = await stream.read(10_000, 1)
    finally:
        await stream.close()
    once = {(entry.epoch, entry.sequence): decode(entry.body) for entry in entries}
    return [record for record in once.values() if isinstance(record, ContactClosed)]


def play(script: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_whole(script), 60))


async def _whole(script: Callable[[], Awaitable[None]]) -> None:
    await script()


def test_a_call_is_connected_and_saved(redis_url: str, tmp_path: Path) -> None:
    async def script() -> None:
        client = FloorClient(redis_url, "test")
        async with running(redis_url, tmp_path) as run:
            publish(client)
            assert "is logged in" in await ask(client, AgentLoginRequested, agent="2001", phone="1001")
            caller = run.switch.call("4000")
            await until(lambda: bool(run.switch.ringing("1001")), "the phone rings")
            assert [contact.state for contact in client.contacts()] == [ContactState.OFFERED]
            run.switch.answer(run.switch.ringing("1001"))
            await until(lambda: any(isinstance(c, ConnectLegs) for c in run.switch.sent), "they are joined")
            run.switch.hang_up(caller)
            await until(lambda: not client.contacts(), "the contact is over")
            await until(lambda: client.agents()[0].activity is Activity.IDLE, "the agent is idle")
            assert [record.outcome for record in await closed_records(redis_url)] == ["answered"]

    play(script)


def test_a_restarted_engine_goes_on_where_the_killed_one_was(redis_url: str, tmp_path: Path) -> None:
    async def script() -> None:
        client = FloorClient(redis_url, "test")
        async with running(redis_url, tmp_path, floor_plan=plan(wrapup_seconds=1)) as run:
            publish(client)
            await ask(client, AgentLoginRequested, agent="2001", phone="1001")
            run.switch.phones["1001"] = Phone.ANSWERS
            talking = run.switch.call("4000", ani="1")
            await until(lambda: bool(run.switch.bridges), "they talk")
            waiting = [run.switch.call("4000", ani=str(number)) for number in (2, 3)]
            await until(lambda: len(client.contacts()) == 3, "two wait")
            before = run.switch
            run.task.cancel()  # like a kill: nothing is put in order
            await asyncio.wait([run.task])
        async with running(redis_url, tmp_path, before, plan(wrapup_seconds=1)) as run:
            await until(lambda: run.engine.floor.scene.connected, "the survey is in")
            states = {contact.id: contact.state for contact in client.contacts()}
            assert states.pop(talking) is ContactState.TALKING
            assert states == dict.fromkeys(waiting, ContactState.WAITING)
            run.switch.phones["1001"] = Phone.ANSWERS
            run.switch.hang_up(talking)
            await until(lambda: client.agents()[0].activity is Activity.WRAPUP, "wrap-up")
            await until(lambda: bool(run.switch.legs[waiting[0]].bridge), "the first in line is served", 3)
            assert run.switch.legs[waiting[1]].bridge == ""

    play(script)


def test_calls_go_on_without_redis_and_nothing_is_missing_afterwards(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async def script() -> None:
        client = FloorClient(own_redis.url, "test")
        async with running(own_redis.url, tmp_path) as run:
            publish(client)
            await ask(client, AgentLoginRequested, agent="2001", phone="1001")
            await until(lambda: bool(run.engine.floor.scene.seats), "he is logged in")
            run.switch.phones["1001"] = Phone.ANSWERS
            await asyncio.to_thread(own_redis.kill)
            for number in range(3):
                caller = run.switch.call("4000", ani=str(number))
                await until(lambda leg=caller: bool(run.switch.legs[leg].bridge), "served without Redis")  # type: ignore[misc]
                run.switch.hang_up(caller)
            waiting = run.switch.call("4000", ani="9")
            await until(lambda: waiting in run.engine.floor.scene.contacts, "taken in")
            await asyncio.to_thread(own_redis.start)
            await until(lambda: [c.id for c in client.contacts()] == [waiting], "the floor is saved")
            deadline = time.monotonic() + 5
            while len(found := await closed_records(own_redis.url)) < 3:
                assert time.monotonic() < deadline, f"records are missing: {found}"
            assert sorted(record.ani for record in found) == ["0", "1", "2"]
            assert "is ready" in await ask(client, AgentReadyRequested, agent="2001")

    play(script)


def test_a_frozen_redis_holds_nobody_up(own_redis: RedisServer, tmp_path: Path) -> None:
    async def script() -> None:
        client = FloorClient(own_redis.url, "test")
        async with running(own_redis.url, tmp_path) as run:
            publish(client)
            await ask(client, AgentLoginRequested, agent="2001", phone="1001")
            await until(lambda: bool(run.engine.floor.scene.seats), "he is logged in")
            own_redis.freeze()
            began = time.monotonic()
            run.switch.call("4000")
            await until(lambda: bool(run.switch.ringing("1001")), "the phone rings", 1)
            assert time.monotonic() - began < 0.5
            own_redis.thaw()
            await until(lambda: len(client.contacts()) == 1, "the floor is saved")

    play(script)


def test_a_stand_by_takes_over_and_the_loser_acts_no_more(redis_url: str, tmp_path: Path) -> None:
    async def script() -> None:
        client = FloorClient(redis_url, "test")
        async with running(redis_url, tmp_path / "a") as one, running(redis_url, tmp_path / "b") as other:
            publish(client)
            await ask(client, AgentLoginRequested, agent="2001", phone="1001")
            first, second = (one, other) if one.switch.connected else (other, one)
            assert not second.switch.connected, "two owners"
            assert await first.end() == "test over"
            await until(lambda: second.switch.connected, "the stand-by has the floor", 3)
            second.switch.call("4000")
            await until(lambda: any(isinstance(c, RingAgent) for c in second.switch.sent), "it serves")
            assert not any(isinstance(c, RingAgent) for c in first.switch.sent)

    play(script)


def test_an_engine_that_lost_its_lease_stops_without_acting(redis_url: str, tmp_path: Path) -> None:
    async def script() -> None:
        client = FloorClient(redis_url, "test")
        async with running(redis_url, tmp_path) as run:
            publish(client)
            await ask(client, AgentLoginRequested, agent="2001", phone="1001")
            client._redis.set(client.keys.lease, "99999999999999-somebody")
            run.switch.call("4000")
            why = await asyncio.wait_for(run.task, 5)
            assert "owns this floor" in why
            assert not any(isinstance(c, RingAgent) for c in run.switch.sent)

    play(script)


def test_log_in_by_feature_code_checks_the_pin(redis_url: str, tmp_path: Path) -> None:
    async def script() -> None:
        client = FloorClient(redis_url, "test")
        async with running(redis_url, tmp_path) as run:
            publish(client)
            await until(lambda: len(client.agents()) == 2, "people are there")
            leg = run.switch.dial("1001", "*11")
            run.switch.press(leg, "2001#1111#")
            await until(lambda: "wrong-pin" in run.switch.legs[leg].hears, "the wrong PIN is told")
            run.switch.press(leg, "8520#")
            await until(lambda: "logged-in" in run.switch.legs[leg].hears, "logged in")
            assert client.agents()[0].presence is Presence.READY
            assert "8520" not in str(client._redis.hgetall(client.keys.agents))

    play(script)


@pytest.mark.parametrize("agent", ["9999", "2001"])
def test_what_cannot_be_done_is_refused_in_words(redis_url: str, tmp_path: Path, agent: str) -> None:
    async def script() -> None:
        client = FloorClient(redis_url, "test")
        async with running(redis_url, tmp_path):
            publish(client)
            await until(lambda: len(client.agents()) == 2, "people are there")
            reply = await asyncio.to_thread(client.ask, AgentLogoutRequested, agent=agent)
            assert not reply.ok
            assert "no such agent" in reply.text or "not logged in" in reply.text

    play(script)
