"""How long the floor alone takes from an agent's hang-up to the next offer, with skills.

    python -m tests.bench.skills

500 agents with 4 of 20 skills and 6 of 40 queues each; every queue asks for skills, prefers one and widens
its ring twice; numbers ask for more and give head starts. 1,000 callers wait all the time, and as many as can
talk do. To reach: 99 % of the hang-ups under 1 ms of CPU, from the event to the command that rings.
"""

from __future__ import annotations

import gc
import heapq
import json
import random
import sys
import time
from statistics import quantiles

from callcenter.floor.commands import RingAgent, StartTimer
from callcenter.floor.events import (
    AgentDefinition,
    AgentLoginRequested,
    CallArrived,
    LegAnswered,
    LegHungUp,
    PeoplePublished,
    TimerFired,
)
from callcenter.floor.floor import Floor
from callcenter.floor.plan import FloorPlan, PhonePlan, QueuePlan, Ring, ServicePlan, Strategy
from callcenter.floor.scene import Outcome
from callcenter.floor.skills import ANYBODY, AllOf, Skill

AGENTS, QUEUES, SKILLS, WAITING = 500, 40, 20, 1_000
HANG_UPS = 5_000
MOST_SECONDS = 0.001


class Centre:
    def __init__(self, seed: int = 1) -> None:
        self.dice = random.Random(seed)
        self.now = 1_700_000_000.0
        self.callers = 0
        self.talking: list[tuple[str, str]] = []  # contact, agent's leg
        self.due: list[tuple[float, str]] = []
        numbers = [str(1000 + n) for n in range(AGENTS)]
        queues = {name: self._queue(name) for name in (f"q{n}" for n in range(QUEUES))}
        services = {number: self._service(number, n) for n, number in enumerate(self._dnis())}
        phones = {number: PhonePlan(number, "en") for number in numbers}
        self.floor = Floor(FloorPlan("main", services, queues, {}, phones))
        people = tuple(self._agent(number) for number in numbers)
        self.floor.receive(PeoplePublished(self.now, 1, people))
        for number in numbers:
            self.now += 0.01
            self.floor.receive(AgentLoginRequested(self.now, "", "bench", number, number))
        while len(self.floor.scene.contacts) - len(self.talking) < WAITING:
            self.call()

    def call(self) -> None:
        self.now += 0.05
        self.callers += 1
        dnis = self.dice.choice(self._dnis())
        event = CallArrived(self.now, f"c{self.callers}", "1380000", dnis, self.now)
        self.take(self.floor.receive(event))

    def take(self, outcome: Outcome) -> int:
        """Answer who is rung, note when rings widen."""
        rings = [c for c in outcome.commands if isinstance(c, RingAgent)]
        for command in outcome.commands:
            if isinstance(command, StartTimer) and command.timer.startswith("widen:"):
                heapq.heappush(self.due, (command.due_at, command.timer))
        for ring in rings:
            self.floor.receive(LegAnswered(self.now, ring.leg))
            self.talking.append((ring.contact, ring.leg))
        return len(rings)

    def hang_up(self) -> tuple[float, int]:
        """One agent hangs up; seconds of CPU until the floor has decided, and how many were rung."""
        contact, leg = self.talking.pop(self.dice.randrange(len(self.talking)))
        self.now += 0.2
        event = LegHungUp(self.now, leg)
        began = time.process_time()
        outcome = self.floor.receive(event, 0.5)
        took = time.process_time() - began
        rung = self.take(outcome)
        self.floor.receive(LegHungUp(self.now, contact))
        while self.due and self.due[0][0] <= self.now:
            due_at, timer = heapq.heappop(self.due)
            self.take(self.floor.receive(TimerFired(due_at, timer)))
        while len(self.floor.scene.contacts) - len(self.talking) < WAITING:
            self.call()
        return took, rung

    def _queue(self, name: str) -> QueuePlan:
        first, second = self.dice.sample(range(SKILLS), 2)
        asks = AllOf((Skill(f"s{first}", self.dice.randint(1, 6)), Skill(f"s{second}")))
        return QueuePlan(
            name,
            name,
            strategy=self.dice.choice(list(Strategy)),
            skills=asks,
            prefer=(f"s{first}",),
            rings=(Ring(30, Skill(f"s{first}")), Ring(90, ANYBODY)),
            weight_seconds=self.dice.choice((0, 0, 30)),
        )

    def _dnis(self) -> list[str]:
        return [str(4000 + n) for n in range(2 * QUEUES)]

    def _service(self, number: str, n: int) -> ServicePlan:
        more = Skill(f"s{n % SKILLS}") if n >= QUEUES else ANYBODY
        return ServicePlan(
            number, (number,), f"q{n % QUEUES}", "en", skills=more, head_start_seconds=60 * (n % 3)
        )

    def _agent(self, number: str) -> AgentDefinition:
        skills = {f"s{n}": self.dice.randint(1, 10) for n in self.dice.sample(range(SKILLS), 4)}
        queues = tuple(f"q{n}" for n in self.dice.sample(range(QUEUES), 6))
        return AgentDefinition(number, number, queues, skills=skills)


def measure() -> dict[str, float]:
    centre = Centre()
    gc.collect()
    gc.freeze()  # as the engine does
    taken = [centre.hang_up() for _ in range(HANG_UPS)]
    cuts = quantiles([seconds for seconds, _ in taken], n=100)
    return {
        "p50_us": round(cuts[49] * 1e6, 1),
        "p99_us": round(cuts[98] * 1e6, 1),
        "rung": sum(rung for _, rung in taken) / HANG_UPS,
        "lanes": sum(len(queue._lanes) for queue in centre.floor.scene.queues.values()),
    }


def main() -> int:
    gc.set_threshold(20_000, 20, 50)  # as the engine does
    found = measure()
    if "--json" in sys.argv:
        print(json.dumps(found))
    else:
        print(f"{AGENTS} agents, {QUEUES} queues, {SKILLS} skills, {WAITING:,} callers waiting:")
        print(f"hang-up to offer p50 {found['p50_us']:.0f} us, p99 {found['p99_us']:.0f} us")
        print(f"offers a hang-up {found['rung']:.2f}, lanes {found['lanes']:.0f}")
    return 0 if found["p99_us"] <= MOST_SECONDS * 1e6 else 1


if __name__ == "__main__":
    sys.exit(main())
