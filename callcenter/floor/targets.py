"""Where an agent may send or ask somebody: a queue, an agent, a phone where one sits, an outside number.

Looked up in that order. An outside number must match one of the site file's `[transfers] outside`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callcenter.floor.agents import Activity, Presence

if TYPE_CHECKING:
    from callcenter.floor.agents import Agent
    from callcenter.floor.scene import Scene

_OUTSIDE = re.compile(r"\+?[0-9]{2,20}")  # what may reach a dial string


@dataclass(frozen=True, slots=True)
class Target:
    """One of the three is given."""

    queue: str = ""
    agent: str = ""
    outside: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    prompt: str  # tells why


def find(scene: Scene, number: str, *, to_talk: bool = False) -> Target | Refused:
    """Who `number` is. With `to_talk` a queue stands for the agent it would offer a caller to."""
    for name, plan in scene.plan.queues.items():
        if number and plan.number == number:
            return _of_queue(scene, name, to_talk)
    agent = scene.agents.get(number) or scene.agents.get(scene.seats.get(number, ""))
    if agent is not None:
        return _to(scene, agent, to_talk)
    if number in scene.plan.phones:
        return Refused("transfer-busy")  # nobody sits there
    if not _OUTSIDE.fullmatch(number):
        return Refused("unknown-code")
    if any(re.fullmatch(pattern, number) for pattern in scene.plan.transfer_outside):
        return Target(outside=number)
    return Refused("transfer-not-allowed")


def _of_queue(scene: Scene, name: str, to_talk: bool) -> Target | Refused:
    queue = scene.queues[name]
    if to_talk:
        free = (scene.agents[key[-1]] for key in queue.free)
        return next(
            (Target(agent=agent.number) for agent in free if not agent.line), Refused("transfer-busy")
        )
    return Target(queue=name)


def _can_be_rung(scene: Scene, agent: Agent) -> bool:
    """Not ready is no hindrance: who is asked for by name may be asked."""
    here = agent.presence is not Presence.LOGGED_OUT and agent.phone in scene.plan.phones
    return here and agent.activity is Activity.IDLE and not agent.leg and not agent.removed


def _to(scene: Scene, agent: Agent, to_talk: bool) -> Target | Refused:
    """Who works always connected can be given a caller, but not be asked first: his leg is the caller's."""
    if not _can_be_rung(scene, agent) or (to_talk and agent.line):
        return Refused("transfer-busy")
    return Target(agent=agent.number)
