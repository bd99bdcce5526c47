"""Skills decide who is rung, on real Asterisks; they are given, and the queue is changed, while it runs."""

from __future__ import annotations

import asyncio
import json

import pytest

from callcenter.demo.network import Answer
from callcenter.floor.agents import Activity, Presence
from tests.asterisk.harness import Centre, World

pytestmark = pytest.mark.asterisk

SKILLED = """\
name = "quick"
skills = "chinese >= 3"
rings = [{ after = 6, skills = "" }]
"""


def test_the_agent_with_the_skill_is_rung_and_the_other_when_the_ring_widens(centre: Centre) -> None:
    before = centre.site_path.read_text("utf-8")

    async def shell(*words: str) -> str:
        done = await asyncio.to_thread(centre.callcenter, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def script(world: World) -> None:
        centre.site_path.write_text(before.replace('name = "quick"\n', SKILLED), "utf-8")
        await shell("site", "apply")
        await shell("agents", "skill", "2002", "chinese=5")
        await world.sees(lambda: world.agent("2002").skills == {"chinese": 5}, "the floor knows the skill")
        without, skilled = world.network.phone("1001"), world.network.phone("1002")
        without.policy = skilled.policy = Answer(0.0)
        await world.log_in("2001", "1001")  # first: the longest idle
        await world.log_in("2002", "1002")

        first = await world.network.call("4001", ani="13800000801")
        await skilled.rings()
        await first.answered()
        second = await world.network.call("4001", ani="13800000802")
        await world.sees(lambda: len(world.contacts()) == 2, "the second caller is here")
        waiting = next(c for c in world.contacts() if c.ani == "13800000802")
        explained = json.loads(await shell("queues", "explain", "quick", "--call", waiting.id, "--json"))
        why = {each["agent"]: each["why"] for each in explained["agents"]}
        assert why["2001"].startswith("lacks chinese >= 3; comes into question when the ring widens")
        assert why["2002"].startswith("talking")

        await without.rings(within=20)
        await second.answered()
        for call in (first, second):
            await call.hang_up()
            await call.ended()
        agents = [(await world.record(f"1380000080{n}"))["agent"] for n in (1, 2)]
        assert agents == ["2002", "2001"]
        assert (await world.record("13800000802"))["wait_seconds"] >= 6.0
        await shell("agents", "skill", "2002", "chinese=0")
        await shell("site", "rollback")

    try:
        centre.play(script)
    finally:
        centre.site_path.write_text(before, "utf-8")


def test_all_ring_and_the_first_answer_stops_the_others(centre: Centre) -> None:
    before = centre.site_path.read_text("utf-8")

    async def shell(*words: str) -> None:
        done = await asyncio.to_thread(centre.callcenter, *words)
        assert done.returncode == 0, done.stderr

    async def script(world: World) -> None:
        together = 'name = "quick"\nstrategy = "ring_all"\n'
        centre.site_path.write_text(before.replace('name = "quick"\n', together), "utf-8")
        await shell("site", "apply")
        first, second = world.network.phone("1001"), world.network.phone("1002")
        first.policy, second.policy = Answer(60.0), Answer(1.0)
        await world.log_in("2001", "1001")
        await world.log_in("2002", "1002")
        call = await world.network.call("4001", ani="13800000811")
        rung = await first.rings()
        await second.rings()
        await call.answered()
        await rung.ended()
        await world.sees(lambda: world.agent("2001").activity is Activity.IDLE, "the other is free")
        assert world.agent("2001").presence is Presence.READY, "and has missed nothing"
        assert world.agent("2002").activity is Activity.TALKING
        await call.hang_up()
        await call.ended()
        assert (await world.record("13800000811"))["agent"] == "2002"
        await shell("site", "rollback")

    try:
        centre.play(script)
    finally:
        centre.site_path.write_text(before, "utf-8")
