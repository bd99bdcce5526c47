"""Requests to a floor and their answers, and the floor seen from outside."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
import redis

from callcenter.floor.commands import Reply
from callcenter.floor.events import AgentReadyRequested, PeoplePublished
from callcenter.state import (
    FloorClient,
    FloorSilent,
    Owner,
    StateAway,
    Turn,
    encode,
)

from ..servers import RedisServer
from .floors import NOON, agent, contact
from .redis_floor import elsewhere, store

pytestmark = pytest.mark.usefixtures("patient")


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
