"""Our centre with skills: 500 agents, 40 queues, 20 skills, and a thousand callers who wait."""

from __future__ import annotations

from tests.bench.centre import Centre
from tests.bench.systems import FIRST_AGENT
from tests.bench.traffic import Load

AGENTS, QUEUES, SKILLS = 500, 40, 20
NUMBERS = tuple(str(4008002001 + queue) for queue in range(QUEUES))
# 65 calls a second against the 20 that 500 agents take: after 25 s some 1,000 wait, for a minute.
LOAD = Load("crowd", 65.0, 28.0, 25.0, numbers=NUMBERS, audio_every_seconds=1.0, waiting=10 * QUEUES)
_QUEUE = """
[[numbers]]
number = "{number}"
service = "s{queue}"
queue = "q{queue}"

[[queues]]
name = "q{queue}"
skills = "skill{skill} >= 3"
prefer = "skill{skill}"
answer_after_seconds = 120
"""


class Crowd(Centre):
    """Each queue asks for one skill, two for the same; each agent has four skills and so eight queues."""

    name = "crowd"

    def numbers_and_queues(self) -> str:
        return "".join(
            _QUEUE.format(number=number, queue=queue, skill=queue % SKILLS)
            for queue, number in enumerate(NUMBERS)
        )

    def queues_of(self, agent: str) -> list[str]:
        return [f"q{queue}" for queue in range(QUEUES) if f"skill{queue % SKILLS}" in self.skills_of(agent)]

    def skills_of(self, agent: str) -> dict[str, int]:
        index = int(agent) - FIRST_AGENT
        return {f"skill{(index + step) % SKILLS}": 3 + (index + step) % 8 for step in (0, 1, 4, 11)}
