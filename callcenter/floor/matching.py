"""Bringing waiting callers and free agents together, after every event that touched a queue."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from callcenter.floor import journey, widening
from callcenter.floor.contacts import ContactState
from callcenter.floor.plan import Strategy
from callcenter.floor.routing import place, score

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene

_SCORE = attrgetter("score")


def settle(scene: Scene, at: float) -> None:
    """Of the queues that the event touched, the caller of the smallest score is offered to the best of the
    free agents who may take him, as long as there are both."""
    for number in scene.doubtful:
        widening.let_go_of(scene, number, at)
    scene.doubtful.clear()
    names = scene.unsettled
    for number in scene.freed:
        names.update(dict.fromkeys(scene.agents[number].queues))
    lanes = [lane for name in names if (q := scene.queues.get(name)) is not None for lane in q.ready_lanes()]
    while lanes:
        lane = min(lanes, key=_SCORE) if len(lanes) > 1 else lanes[0]
        contact = scene.contacts[lane.first_caller]
        journey.offer(scene, contact, scene.agents[lane.best_agent(scene.chance, contact)], at)
        if lane.plan.strategy is Strategy.RING_ALL:
            scene.rung_together[contact.id] = None
            journey.offer_to(scene, contact, [key[-1] for key in lane.free], at)
        lanes = [each for each in lanes if each.waiting and each.free]
    if scene.rung_together:
        _ring_along(scene, at)
    scene.unsettled.clear()
    scene.freed.clear()
    for contact_id in scene.newly_waiting:
        found = scene.contacts.get(contact_id)
        if found is not None and found.state in (ContactState.WAITING, ContactState.OFFERED):
            journey.entertain(scene, found, at)
    scene.newly_waiting.clear()


def _ring_along(scene: Scene, at: float) -> None:
    """Whoever has become free and nobody waits for: his phone joins those that ring for the first caller whom
    he may take (strategy `ring_all`)."""
    for contact_id in list(scene.rung_together):
        contact = scene.contacts.get(contact_id)
        if contact is None or contact.state is not ContactState.OFFERED:
            del scene.rung_together[contact_id]
    rung = [scene.contacts[contact_id] for contact_id in scene.rung_together]
    rung.sort(key=lambda contact: score(place(contact), scene.queues[contact.queue].plan))
    for number in list(scene.freed):
        agent = scene.agents[number]
        for contact in rung:
            queue = scene.queues[contact.queue]
            if scene.is_free(agent) and contact.queue in agent.queues and queue.may_take(agent, contact):
                journey.offer_to(scene, contact, [number], at)
