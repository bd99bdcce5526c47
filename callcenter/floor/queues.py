"""A queue: who waits, by arrival, and which of its agents are free, by the strategy's key."""

from __future__ import annotations

from bisect import bisect_left, insort

from callcenter.floor.agents import Agent
from callcenter.floor.contacts import Contact
from callcenter.floor.plan import QueuePlan
from callcenter.floor.routing import KEYS, Key


def place_of(contact: Contact) -> tuple[float, str]:
    """Where he stands: as if he had come by his head start earlier."""
    return (contact.arrived_at - contact.head_start, contact.id)


class Queue:
    """Both lists are sorted; joining and leaving is a binary search.

    The place of a caller is (arrival - head start, contact id) and stays while he waits: one whose offer
    failed, or who was fetched back after a restart, stands where he stood.
    """

    __slots__ = ("_free_keys", "_key", "free", "plan", "waiting")

    def __init__(self, plan: QueuePlan) -> None:
        self.plan = plan
        self.waiting: list[tuple[float, str]] = []
        self.free: list[Key] = []
        self._free_keys: dict[str, Key] = {}
        self._key = KEYS[plan.strategy]

    def join(self, contact: Contact) -> None:
        place = place_of(contact)
        index = bisect_left(self.waiting, place)
        if index == len(self.waiting) or self.waiting[index] != place:
            self.waiting.insert(index, place)

    def leave(self, contact: Contact) -> None:
        place = place_of(contact)
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
