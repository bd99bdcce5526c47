"""Wrap-up: timed, or until the agent ends it; and the disposition that may be owed in it.

Two timers: `wrapup:AGENT` ends the time; `disposition:AGENT` ends the debt of a required disposition, so that
nobody is stuck for ever. An agent in wrap-up is released when the time is over and nothing is owed.

What people wish of it is in `dispositions.py`; the moves are in `agents.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.floor.plan import UNTIL_ENDED, DispositionRule, QueuePlan
from callcenter.floor.records import ContactStep, DispositionGiven

if TYPE_CHECKING:
    from callcenter.floor.agents import Agent
    from callcenter.floor.scene import Scene


def is_wanted(scene: Scene, agent: Agent, seconds: int) -> bool:
    """Whether wrap-up follows a contact of a queue that gives so many seconds of it."""
    return seconds != 0 or _is_owed(scene, agent)


def begin(scene: Scene, at: float, agent: Agent, seconds: int) -> None:
    """Start the clock of the wrap-up that the agent has just gone into."""
    agent.wrapup_until = 0.0 if seconds == UNTIL_ENDED else at + seconds
    if seconds > 0:
        scene.start(f"wrapup:{agent.number}", agent.wrapup_until)
    agent.owes_disposition = _is_owed(scene, agent)
    if agent.owes_disposition:
        limit = scene.queues[agent.queue].plan.disposition_limit_seconds
        scene.start(f"disposition:{agent.number}", at + limit)


def time_is_over(scene: Scene, agent: Agent) -> bool:
    return agent.wrapup_until > 0.0 and f"wrapup:{agent.number}" not in scene.timers


def is_adrift(scene: Scene, agent: Agent) -> bool:
    """In a wrap-up that no timer would ever end and nobody need end: seen after a restart."""
    if agent.owes_disposition:
        return f"disposition:{agent.number}" not in scene.timers
    return time_is_over(scene, agent)


def extend(scene: Scene, at: float, agent: Agent, seconds: int) -> None:
    agent.wrapup_until = max(at, agent.wrapup_until) + seconds
    scene.start(f"wrapup:{agent.number}", agent.wrapup_until)
    scene.outcome.agents.add(agent.number)


def settle_debt(scene: Scene, agent: Agent) -> None:
    agent.owes_disposition = False
    scene.stop(f"disposition:{agent.number}")
    scene.outcome.agents.add(agent.number)


def close(scene: Scene, at: float, agent: Agent) -> None:
    """No wrap-up any more; what is owed now will never be given."""
    scene.stop(f"wrapup:{agent.number}")
    if agent.owes_disposition:
        settle_debt(scene, agent)
        write(scene, at, agent.contact, agent.queue, agent.number, "", "leave")
    agent.wrapup_until = 0.0


def skip(scene: Scene, at: float, agent: Agent) -> None:
    """He leaves at the end of the contact: one that is required is not given."""
    if _is_owed(scene, agent):
        write(scene, at, agent.contact, agent.queue, agent.number, "", "leave")


def write(scene: Scene, at: float, contact: str, queue: str, agent: str, disposition: str, by: str) -> None:
    """Record what came of a contact, and show it in its time line."""
    scene.note(DispositionGiven(at, contact, queue, agent, disposition, by))
    scene.note(ContactStep(at, contact, "disposed", queue, agent, disposition or "none given"))


def plan_of(scene: Scene, queue: str) -> QueuePlan | None:
    known = scene.queues.get(queue)
    return known.plan if known is not None else None


def _is_owed(scene: Scene, agent: Agent) -> bool:
    plan = plan_of(scene, agent.queue)
    required = plan is not None and plan.disposition is DispositionRule.REQUIRED
    return required and not agent.disposition and bool(agent.contact)
