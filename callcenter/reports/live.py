"""The floor at this moment, queue by queue, from what the engine saved last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.contacts import Contact, ContactState
from callcenter.floor.figures import AnswerPace, expected_wait
from callcenter.floor.waiting import PACE_KEY

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
    expected_wait_seconds: float | None  # of one who calls now; None while too few were answered to tell
    free: int
    ringing: int
    talking: int
    holding: int
    wrapup: int
    elsewhere: int
    not_ready: int


def queues_now(
    queues: Iterable[str],
    contacts: Sequence[Contact],
    agents: Sequence[Agent],
    now: float,
    meta: Mapping[str, str] | None = None,
) -> list[QueueNow]:
    """Each queue in the order given; `meta` is what the floor keeps beside contacts and agents."""
    paces = {queue: AnswerPace.read((meta or {}).get(f"{PACE_KEY}{queue}", "")) for queue in queues}
    return [_queue_now(queue, contacts, agents, now, pace) for queue, pace in paces.items()]


def _queue_now(
    queue: str, contacts: Sequence[Contact], agents: Sequence[Agent], now: float, pace: AnswerPace
) -> QueueNow:
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
        expected_wait_seconds=_expected_wait(queue, contacts, idle, now, pace),
        free=idle.count(Presence.READY),
        ringing=doing.count(Activity.OFFERED),
        talking=doing.count(Activity.TALKING),
        holding=doing.count(Activity.HOLDING),
        wrapup=doing.count(Activity.WRAPUP),
        elsewhere=doing.count(Activity.ELSEWHERE),
        not_ready=idle.count(Presence.NOT_READY),
    )


def _expected_wait(
    queue: str, contacts: Sequence[Contact], idle: Sequence[Presence], now: float, pace: AnswerPace
) -> float | None:
    """By the floor's own formula, with the pace as it was saved last (a few seconds old)."""
    waiting = [each for each in contacts if each.queue == queue and each.state is ContactState.WAITING]
    if not waiting and Presence.READY in idle:
        return 0.0
    first = min(waiting, key=lambda each: each.arrived_at, default=None)
    return expected_wait(pace, len(waiting), now, first.joined_at if first else now)
