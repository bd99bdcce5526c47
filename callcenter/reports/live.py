"""The floor at this moment, queue by queue, from what the engine saved last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.contacts import Contact, ContactState

WAITING = (
    ContactState.GREETING,
    ContactState.WAITING,
    ContactState.OFFERED,
    ContactState.CONNECTING,
)


@dataclass(frozen=True, slots=True)
class QueueNow:
    """One queue now. An agent who serves several queues counts in each."""

    queue: str
    waiting: int
    longest_wait_seconds: float
    free: int
    ringing: int
    talking: int
    wrapup: int
    elsewhere: int
    not_ready: int


def queues_now(
    queues: Iterable[str], contacts: Sequence[Contact], agents: Sequence[Agent], now: float
) -> list[QueueNow]:
    """Each queue in the order given."""
    return [_queue_now(queue, contacts, agents, now) for queue in queues]


def _queue_now(queue: str, contacts: Sequence[Contact], agents: Sequence[Agent], now: float) -> QueueNow:
    waits = [
        now - (contact.queued_at or contact.arrived_at)
        for contact in contacts
        if contact.queue == queue and contact.state in WAITING
    ]
    here = [agent for agent in agents if queue in agent.queues and agent.presence is not Presence.LOGGED_OUT]
    doing = [agent.activity for agent in here]
    idle = [agent.presence for agent in here if agent.activity is Activity.IDLE]
    return QueueNow(
        queue=queue,
        waiting=len(waits),
        longest_wait_seconds=max(0.0, *waits) if waits else 0.0,
        free=idle.count(Presence.READY),
        ringing=doing.count(Activity.OFFERED),
        talking=doing.count(Activity.TALKING),
        wrapup=doing.count(Activity.WRAPUP),
        elsewhere=doing.count(Activity.ELSEWHERE),
        not_ready=idle.count(Presence.NOT_READY),
    )
