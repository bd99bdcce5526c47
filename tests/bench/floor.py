"""How many events a second the floor alone takes on one core, small and large.

    python -m tests.bench.floor

Two loads, each in a small and a large centre: a backlog (callers wait, each hang-up brings the next
offer) and idle agents (each caller is offered at once). To reach: 50,000 events/s, and an event in the
large centre at most 1.5 times as dear as in the small one. CPU time, median of five alternating runs.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from statistics import median

from callcenter.floor.commands import RingAgent
from callcenter.floor.events import (
    AgentDefinition,
    AgentLoginRequested,
    CallArrived,
    LegAnswered,
    LegHungUp,
    PeoplePublished,
)
from callcenter.floor.floor import Floor
from callcenter.floor.plan import FloorPlan, PhonePlan, QueuePlan, ServicePlan
from callcenter.floor.scene import Outcome

SMALL = (5, 10)  # agents, callers waiting
LARGE = (5_000, 10_000)
CYCLES = 5_000
RUNS = 5
LEAST_RATE = 50_000.0
MOST_RATIO = 1.5


class Centre:
    """One queue, all agents logged in; `talking` holds the agents' legs in the order of their calls."""

    def __init__(self, agents: int, waiting: int) -> None:
        numbers = [str(1000 + n) for n in range(agents)]
        self.floor = Floor(
            FloorPlan(
                "main",
                {"all": ServicePlan("all", ("*",), "all", "en")},
                {"all": QueuePlan("all", "All")},
                {},
                {number: PhonePlan(number, "en") for number in numbers},
            )
        )
        self.now = 1_700_000_000.0
        self.callers = 0
        self.talking: deque[tuple[str, str]] = deque()  # contact, agent's leg
        people = tuple(AgentDefinition(number, number, ("all",)) for number in numbers)
        self.floor.receive(PeoplePublished(self.now, 1, people))
        for number in numbers:
            self.now += 0.001
            self.floor.receive(AgentLoginRequested(self.now, "", "bench", number, number))
        for _ in range(agents + waiting if waiting else 0):
            self.answer(self.call())

    def call(self) -> Outcome:
        self.now += 0.001
        self.callers += 1
        contact = f"c{self.callers}"
        return self.floor.receive(CallArrived(self.now, contact, "1380000", "100", self.now))

    def answer(self, outcome: Outcome) -> int:
        rings = [c for c in outcome.commands if isinstance(c, RingAgent)]
        for ring in rings:
            self.floor.receive(LegAnswered(self.now, ring.leg))
            self.talking.append((ring.contact, ring.leg))
        return len(rings)

    def hang_up(self) -> int:
        contact, leg = self.talking.popleft()
        rung = self.answer(self.floor.receive(LegHungUp(self.now, leg)))
        self.floor.receive(LegHungUp(self.now, contact))
        return 2 + rung


def backlog(centre: Centre) -> int:
    return centre.hang_up() + 1 + centre.answer(centre.call())


def idle(centre: Centre) -> int:
    return 1 + centre.answer(centre.call()) + centre.hang_up()


def rate(centre: Centre, load: Callable[[Centre], int]) -> float:
    """Events per second of CPU time."""
    began = time.process_time()
    events = sum(load(centre) for _ in range(CYCLES))
    return events / (time.process_time() - began)


def measure(load: Callable[[Centre], int], *, waiting: bool) -> dict[str, float]:
    sizes = {"small": SMALL, "large": LARGE}
    centres = {name: Centre(agents, callers if waiting else 0) for name, (agents, callers) in sizes.items()}
    gc.collect()
    gc.freeze()  # as the engine does
    rates: dict[str, list[float]] = {name: [] for name in centres}
    for _ in range(RUNS):
        for name, centre in centres.items():
            rates[name].append(rate(centre, load))
    small, large = median(rates["small"]), median(rates["large"])
    return {"small": round(small), "large": round(large), "ratio": round(small / large, 2)}


def main() -> int:
    """Print the table (`--json` for machines); 1 when a target is missed."""
    gc.set_threshold(20_000, 20, 50)  # as the engine does
    found = {"backlog": measure(backlog, waiting=True), "idle agents": measure(idle, waiting=False)}
    if "--json" in sys.argv:
        print(json.dumps(found))
    else:
        small, large = (f"{a:,} agents, {c:,} waiting" for a, c in (SMALL, LARGE))
        print(f"events per second of one core: {small} / {large} (none waiting with idle agents)")
        for name, row in found.items():
            print(f"{name:12} {row['small']:>9,.0f} {row['large']:>9,.0f}   ratio {row['ratio']:.2f}")
    fast = all(min(row["small"], row["large"]) >= LEAST_RATE for row in found.values())
    return 0 if fast and all(row["ratio"] <= MOST_RATIO for row in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
