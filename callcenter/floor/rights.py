"""Who may do what to whom: an agent nothing, a leader all to his teams' agents, a supervisor all to all.

`leader` "" is whoever sits at the shell of the centre's account: he is asked for no right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.floor.agents import Agent, Refusal

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene


def leads(leader: Agent, agent: Agent) -> bool:
    """A leader who is a member of his own team leads himself no more than others do."""
    return leader is not agent and (leader.supervisor or (agent.team != "" and agent.team in leader.leads))


def over_agent(scene: Scene, leader: str, number: str) -> Refusal | None:
    """May `leader` force this agent? Whoever leads nobody is not told which agents there are."""
    if not leader:
        return None
    who, agent = scene.agents.get(leader), scene.agents.get(number)
    if who is None or who.removed or not (who.supervisor or who.leads):
        return Refusal.NOT_ALLOWED
    if agent is None or agent.removed:
        return Refusal.UNKNOWN_AGENT
    return None if leads(who, agent) else Refusal.NOT_ALLOWED


def over_queue(scene: Scene, leader: str, queue: str) -> Refusal | None:
    """May `leader` move those who wait there? If one whom he leads serves it."""
    who = scene.agents.get(leader)
    if not leader or (who is not None and not who.removed and who.supervisor):
        return None
    if who is not None and not who.removed:
        for agent in scene.agents.values():
            if queue in agent.queues and leads(who, agent):
                return None
    return Refusal.NOT_ALLOWED
