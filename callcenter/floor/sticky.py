"""Who talked to whom last, so that a caller who rings again comes to the same agent.

The floor remembers it itself: no call waits for a look-up. Only queues with `sticky_seconds` are remembered,
the last REMEMBERED callers, oldest forgotten first. Saved as entries "regular:SLOT" of the floor's meta, one
written per conversation; a slot is used again when all have been.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from callcenter.floor.agents import Presence
from callcenter.floor.skills import meets

if TYPE_CHECKING:
    from callcenter.floor.contacts import Contact
    from callcenter.floor.scene import Scene

REMEMBERED = 10_000

_META = "regular:"


class Regulars:
    """Callers' numbers and the agents who talked to them last."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._slots = remembered
        self._written = 0
        self._agents: dict[str, str] = {}  # ANI -> agent, longest ago first

    def agent_of(self, ani: str) -> str:
        """ "" for a caller who is not remembered."""
        return self._agents.get(ani, "")

    def callers(self) -> Mapping[str, str]:
        """All of them and their agents, longest ago first."""
        return self._agents

    def remember(self, ani: str, agent: str) -> tuple[str, str]:
        """Gives the entry of meta to be saved."""
        self._take(ani, agent)
        self._written += 1
        return f"{_META}{self._written % self._slots}", f"{self._written} {agent} {ani}"

    def restore(self, meta: Mapping[str, str]) -> None:
        entries = (text.split(" ", 2) for name, text in meta.items() if name.startswith(_META))
        known = sorted((int(e[0]), e[1], e[2]) for e in entries if len(e) == 3 and e[0].isdecimal())
        for number, agent, ani in known:
            self._take(ani, agent)
            self._written = number

    def _take(self, ani: str, agent: str) -> None:
        self._agents.pop(ani, None)
        self._agents[ani] = agent
        if len(self._agents) > self._slots:
            del self._agents[next(iter(self._agents))]


def remember(scene: Scene, contact: Contact) -> None:
    """A conversation is over: whom the caller talked to, where his queue cares."""
    queue = scene.queues.get(contact.queue)
    agent = contact.agent or contact.last_agent
    if queue is not None and queue.plan.sticky_seconds and contact.ani and agent:
        name, text = scene.regulars.remember(contact.ani, agent)
        scene.outcome.meta[name] = text


def whom_to_wait_for(scene: Scene, contact: Contact) -> str:
    """The agent who has a caller first: his number's, else the last one of this ANI; "" for nobody."""
    if not scene.queues[contact.queue].plan.sticky_seconds:
        return ""
    service = scene.plan.services.get(contact.service)
    number = (service.agent if service else "") or scene.regulars.agent_of(contact.ani)
    return number if can_come(scene, contact, number) else ""


def can_come(scene: Scene, contact: Contact, number: str) -> bool:
    """Nobody is made to wait for an agent who is not ready (he may be talking), does not serve the queue, or
    lacks what the call asks for even when its ring is widest."""
    queue, agent = scene.queues[contact.queue], scene.agents.get(number)
    if agent is None or agent.presence is not Presence.READY or contact.queue not in agent.queues:
        return False
    steps = range(len(queue.plan.rings) + 1)
    return any(meets(queue.needs(contact, step), agent.skills) for step in steps)
