"""What people wish of a wrap-up: a disposition given, more time; and what its timers bring.

A disposition is one of its queue's names, given during the contact or the wrap-up by the agent, by code or
command line, and later by anybody who may (`calls dispose`): the last one given counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.floor import agents, wrapups
from callcenter.floor.agents import Activity, Agent, Presence, Refusal
from callcenter.floor.plan import DispositionRule, QueuePlan

if TYPE_CHECKING:
    from callcenter.floor.events import DispositionRequested
    from callcenter.floor.scene import Scene


def give(scene: Scene, at: float, number: str, name: str, by: str) -> Refusal | None:
    """The agent's disposition of the contact at hand; it ends a wrap-up that only waits for it."""
    agent = scene.agents.get(number)
    if agent is None:
        return Refusal.UNKNOWN_AGENT
    if agent.presence is Presence.LOGGED_OUT:
        return Refusal.NOT_LOGGED_IN
    if not has_contact(agent):
        return Refusal.NO_DISPOSITION
    if name not in choices(scene, agent).values():
        return Refusal.UNKNOWN_DISPOSITION
    agent.disposition = name
    scene.outcome.agents.add(number)
    wrapups.write(scene, at, agent.contact, agent.queue, number, name, by)
    if agent.owes_disposition:
        wrapups.settle_debt(scene, agent)
        if wrapups.time_is_over(scene, agent):
            agents.wrapup_over(scene, at, agent)
    return None


def give_late(scene: Scene, event: DispositionRequested) -> Refusal | None:
    """For a contact that may be over; its queue's names hold."""
    agent = scene.agents.get(event.agent)
    if agent is not None and agent.contact == event.contact and has_contact(agent):
        return give(scene, event.at, event.agent, event.disposition, event.by)
    if event.disposition not in _choices(wrapups.plan_of(scene, event.queue)).values():
        return Refusal.UNKNOWN_DISPOSITION
    wrapups.write(scene, event.at, event.contact, event.queue, event.agent, event.disposition, event.by)
    return None


def extend(scene: Scene, at: float, number: str, seconds: int) -> Refusal | None:
    """More time for a timed wrap-up; from now on where only a disposition is waited for. `seconds` 0: as
    many as the queue gives."""
    agent = scene.agents.get(number)
    if agent is None:
        return Refusal.UNKNOWN_AGENT
    if agent.activity is not Activity.WRAPUP:
        return Refusal.NO_WRAPUP if agent.presence is not Presence.LOGGED_OUT else Refusal.NOT_LOGGED_IN
    if not agent.wrapup_until:
        return Refusal.WRAPUP_UNLIMITED
    plan = wrapups.plan_of(scene, agent.queue)
    wrapups.extend(scene, at, agent, seconds or (plan.wrapup_extend_seconds if plan else 60))
    return None


def time_over(scene: Scene, at: float, agent: Agent) -> None:
    """The time of the wrap-up has passed; one that owes a disposition stays until the limit."""
    if agent.activity is Activity.WRAPUP and not agent.owes_disposition:
        agents.wrapup_over(scene, at, agent)


def limit_over(scene: Scene, at: float, agent: Agent) -> None:
    """Nobody is stuck for ever: none was given, and that is recorded."""
    if agent.activity is not Activity.WRAPUP or not agent.owes_disposition:
        return
    wrapups.settle_debt(scene, agent)
    wrapups.write(scene, at, agent.contact, agent.queue, agent.number, "", "limit")
    if wrapups.time_is_over(scene, agent):
        agents.wrapup_over(scene, at, agent)


def has_contact(agent: Agent) -> bool:
    """Whether there is a contact of which he may say what came of it."""
    return bool(agent.contact) and agent.activity is not Activity.OFFERED


def choices(scene: Scene, agent: Agent) -> dict[str, str]:
    """Digits to name, of the contact at hand."""
    return _choices(wrapups.plan_of(scene, agent.queue))


def _choices(plan: QueuePlan | None) -> dict[str, str]:
    if plan is None or plan.disposition is DispositionRule.NONE:
        return {}
    return dict(plan.dispositions)
