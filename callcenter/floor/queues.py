"""A queue: who waits, by place, and which of its agents are free, by the strategy's key.

Callers of one queue may ask for different agents: by the skills of their number, by how far their ring has
widened, or because they wait for one agent first. All who ask for the same stand in one `Lane`, with the free
agents who qualify beside them, so that nothing is evaluated caller by caller. A queue in which all ask for
the same is one lane, and that lane's lists are the queue's own.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping

from callcenter.floor.agents import Agent
from callcenter.floor.contacts import Contact
from callcenter.floor.figures import AnswerPace
from callcenter.floor.plan import QueuePlan
from callcenter.floor.routing import BY_CHANCE, Key, Place, drawn, find, key_of, mixed, place, score
from callcenter.floor.skills import ANYBODY, Expression, Skills, both, meets

_NOBODY: Mapping[str, Expression] = {}


class Lane:
    """Callers of one queue for whom the same agents come into question, and those of these who are free."""

    __slots__ = ("_qualified", "free", "needs", "only", "plan", "waiting")

    def __init__(self, plan: QueuePlan, needs: Expression, only: str = "") -> None:
        self.plan = plan
        self.needs = needs
        self.only = only  # the one agent they wait for; "" for all who have the skills
        self.waiting: list[Place] = []
        self.free: list[Key] = []
        self._qualified: dict[str, tuple[Skills, bool]] = {}  # agent -> by these skills, whether he does

    def takes(self, agent: Agent) -> bool:
        known = self._qualified.get(agent.number)
        if known is None or known[0] is not agent.skills:
            known = self._qualified[agent.number] = (agent.skills, meets(self.needs, agent.skills))
        return known[1]

    @property
    def score(self) -> Place:
        """Of the first who waits."""
        return score(self.waiting[0], self.plan)

    @property
    def first_caller(self) -> str:
        return self.waiting[0][1]

    def best_agent(self, chance: float, contact: Contact) -> str:
        if self.plan.strategy in BY_CHANCE:
            return drawn(self.free, mixed(chance, contact.id, contact.offers))
        return self.free[0][3]


class Queue:
    """All lists are sorted; joining and leaving is a binary search.

    The place of a caller is (arrival less head start, contact id) and never changes: one whose offer failed,
    or who was fetched back after a restart, stands where he stood.
    """

    __slots__ = ("_asked", "_by_asked", "_everybody", "_free", "_held", "_lanes", "_places", "free", "pace",
                 "pace_saved_at", "plan", "waiting")  # fmt: skip

    def __init__(self, plan: QueuePlan, asked: Mapping[str, Expression] = _NOBODY) -> None:
        """`asked`: the skills that services ask for their callers, by the service's name."""
        self.plan = plan
        self.waiting: list[Place] = []  # all of them
        self.free: list[Key] = []  # whatever their skills
        self.pace = AnswerPace()
        self.pace_saved_at = 0.0
        self._asked = asked
        self._everybody = Lane(plan, ANYBODY)
        self._everybody.waiting, self._everybody.free = self.waiting, self.free
        self._lanes: dict[Expression, Lane] = {}  # of those who ask for skills
        self._by_asked: dict[tuple[int, str], Lane] = {}
        self._held: dict[str, Lane] = {}  # of those who wait for one agent, by his number
        self._places: dict[str, tuple[Place, Lane]] = {}  # contact -> where he stands
        self._free: dict[str, tuple[Key, Agent]] = {}

    def join(self, contact: Contact) -> None:
        if contact.id in self._places:
            return
        stands = place(contact)
        lane = self._lane_for(contact)
        self._places[contact.id] = (stands, lane)
        insort(self.waiting, stands)
        if lane.waiting is not self.waiting:
            insort(lane.waiting, stands)

    def leave(self, contact: Contact) -> None:
        found = self._places.pop(contact.id, None)
        if found is None:
            return
        stands, lane = found
        del self.waiting[bisect_left(self.waiting, stands)]
        if lane.waiting is not self.waiting:
            del lane.waiting[bisect_left(lane.waiting, stands)]
            if lane.only and not lane.waiting:
                del self._held[lane.only]
                lane.free.clear()

    def add_free(self, agent: Agent) -> None:
        key = key_of(agent, self.plan)
        if (old := self._free.get(agent.number)) is not None:
            if old[0] == key:
                return
            self.remove_free(agent.number)
        self._free[agent.number] = (key, agent)
        insort(self.free, key)
        for lane in self._lanes.values():
            if lane.takes(agent):
                insort(lane.free, key)
        if (held := self._held.get(agent.number)) is not None:
            held.free.append(key)

    def remove_free(self, number: str) -> None:
        found = self._free.pop(number, None)
        if found is None:
            return
        key = found[0]
        del self.free[bisect_left(self.free, key)]
        for lane in self._lanes.values():
            if (at := find(lane.free, key)) >= 0:
                del lane.free[at]
        if (held := self._held.get(number)) is not None:
            held.free.clear()

    def ready_lanes(self) -> Iterator[Lane]:
        """Those in which somebody waits and somebody is free for him."""
        if not (self.waiting and self.free):
            return
        if self._everybody.waiting:
            yield self._everybody
        for lane in self._lanes.values():
            if lane.waiting and lane.free:
                yield lane
        if self._held:
            yield from [self._held[number] for number in self._free if number in self._held]

    def needs(self, contact: Contact, widened: int | None = None) -> Expression:
        """What a caller asks of an agent now, or when his ring has been widened so many times."""
        rings = self.plan.rings
        step = min(contact.widened if widened is None else widened, len(rings))
        own = rings[step - 1].skills if step else self.plan.skills
        return both(own, self._asked.get(contact.service, ANYBODY))

    def may_take(self, agent: Agent, contact: Contact) -> bool:
        """Whether this agent of the queue comes into question for a caller of it."""
        if contact.held_for:
            return contact.held_for == agent.number
        return meets(self.needs(contact), agent.skills)

    def held_for(self, number: str) -> list[str]:
        """Those who wait for this agent alone."""
        lane = self._held.get(number)
        return [contact for _, contact in lane.waiting] if lane is not None else []

    def waiting_ids(self) -> list[str]:
        return [contact for _, contact in self.waiting]

    def _lane_for(self, contact: Contact) -> Lane:
        if contact.held_for:
            return self._hold(contact.held_for)
        if not self._asked and not self.plan.rings and self.plan.skills is ANYBODY:
            return self._everybody
        asks = (contact.widened, contact.service)
        lane = self._by_asked.get(asks)
        if lane is None:
            needs = self.needs(contact)
            lane = self._everybody if needs == ANYBODY else self._lanes.get(needs)
            self._by_asked[asks] = lane = lane or self._open(needs)
        if lane is not self._everybody:
            self._split()
        return lane

    def _open(self, needs: Expression) -> Lane:
        """Lanes of skills stay: there are no more of them than the site file has expressions."""
        lane = self._lanes[needs] = Lane(self.plan, needs)
        lane.free = [key for key, agent in sorted(self._free.values(), key=_by_key) if lane.takes(agent)]
        return lane

    def _hold(self, number: str) -> Lane:
        self._split()
        lane = self._held.get(number)
        if lane is None:
            lane = self._held[number] = Lane(self.plan, ANYBODY, only=number)
            if (found := self._free.get(number)) is not None:
                lane.free.append(found[0])
        return lane

    def _split(self) -> None:
        """Not all ask for the same any more: those who take anybody get a list of their own."""
        everybody = self._everybody
        if everybody.waiting is self.waiting:
            everybody.waiting = list(self.waiting)


def _by_key(entry: tuple[Key, Agent]) -> Key:
    return entry[0]
