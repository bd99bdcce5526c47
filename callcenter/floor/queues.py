"""A queue: who waits, by arrival, and which of its agents are free, by the strategy's key."""

from __future__ import annotations

from bisect import bisect_left, insort

from callcenter.floor.agents import Agent
from callcenter.floor.contacts import Contact
from callcenter.floor.figures import AnswerPace
from callcenter.floor.plan import QueuePlan
from callcenter.floor.routing import KEYS, Key


class Queue:
    """Both lists are sorted; joining and leaving is a binary search.

    The place of a caller is (arrival, contact id) and never changes: one whose offer failed, or who
    was fetched back after a restart, stands where he stood.
    """

    __slots__ = ("_free_keys", "_key", "free", "pace", "pace_saved_at", "plan", "waiting")

    def __init__(self, plan: QueuePlan) -> None:
        self.plan = plan
        self.waiting: list[tuple[float, str]] = []
        self.free: list[Key] = []
        self.pace = AnswerPace()
        self.pace_saved_at = 0.0
        self._free_keys: dict[str, Key] = {}
        self._key = KEYS[plan.strategy]

    def join(self, contact: Contact) -> None:
        place = (contact.arrived_at, contact.id)
        index = bisect_left(self.waiting, place)
        if index == len(self.waiting) or self.waiting[index] != place:
            self.waiting.insert(index, place)

    def leave(self, contact: Contact) -> None:
        place = (contact.arrived_at, contact.id)
        index = bisect_left(self.waiting, place)
        if index < len(self.waiting) and self.waiting[index] == place:
            del self.waiting[index]

    def add_free(self, agent: Agent) -> None:
        key = self._key(agent)
        if (old := self._free_keys.get(agent.number)) is not None:
            if old == key:
                return
            self.remove_free(agent.number)
        self._free_keys[agent.number] = key
        insort(self.free, key)

    def remove_free(self, number: str) -> None:
        key = self._free_keys.pop(number, None)
        if key is not None:
            del self.free[bisect_left(self.free, key)]

    @property
    def first_caller(self) -> str:
        return self.waiting[0][1]

    @property
    def best_agent(self) -> str:
        return self.free[0][2]
