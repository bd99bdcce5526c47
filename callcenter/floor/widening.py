"""A ring widens: for whom a caller waits, as time goes by.

First for one agent alone, where his number or his last conversation names one (`sticky_seconds`); then for
those who have the queue's skills, then for those of its next ring (`rings`), and so on. The place in the
queue stays. One timer `widen:CONTACT` runs while something is still to change.

Known sharp edge: a floor that is rebuilt without Redis begins the rings anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.floor.contacts import Contact, ContactState, step
from callcenter.floor.skills import in_words
from callcenter.floor.sticky import can_come, whom_to_wait_for

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene


def begin(scene: Scene, contact: Contact, at: float) -> None:
    """He comes into a queue; call this before he joins it."""
    plan = scene.queues[contact.queue].plan
    contact.widened = 0
    contact.held_for = whom_to_wait_for(scene, contact)
    if contact.held_for:
        contact.held_until = at + plan.sticky_seconds
        step(scene, contact, at, "waits for his agent", agent=contact.held_for)
    go_on(scene, contact, at)


def go_on(scene: Scene, contact: Contact, at: float) -> None:
    """Widen what is due and start the timer for what comes next; not while he stands in the queue."""
    rings = scene.queues[contact.queue].plan.rings
    if not rings and not contact.held_for:
        return
    if contact.held_for and at >= contact.held_until:
        contact.held_for = ""
    since = contact.joined_at if contact.been_in else contact.queued_at
    dues = [since + ring.after for ring in rings]
    widened = sum(due <= at for due in dues)
    if widened > contact.widened:
        words = in_words(rings[widened - 1].skills) or "anybody"
        step(scene, contact, at, "ring widened", detail=words)
    contact.widened = widened
    later = [due for due in (contact.held_until if contact.held_for else 0.0, *dues) if due > at]
    if later:
        scene.start(f"widen:{contact.id}", min(later))
    else:
        scene.stop(f"widen:{contact.id}")


def widen(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    """The timer is due: he keeps his place, among others."""
    if contact.state is ContactState.WAITING:
        queue = scene.queues[contact.queue]
        queue.leave(contact)
        go_on(scene, contact, at)
        queue.join(contact)
        scene.unsettled[contact.queue] = None
    else:
        go_on(scene, contact, at)


def let_go(scene: Scene, contact: Contact, at: float) -> None:
    """His agent does not come: he waits for everybody now."""
    if contact.held_for:
        contact.held_for = ""
        go_on(scene, contact, at)
        if not scene.queues[contact.queue].plan.rings:
            scene.stop(f"widen:{contact.id}")


def let_go_of(scene: Scene, number: str, at: float) -> None:
    """The agent may have gone: those who wait for him do so only if he can still come."""
    for queue in scene.queues.values():
        for contact in [scene.contacts[contact_id] for contact_id in queue.held_for(number)]:
            if not can_come(scene, contact, number):
                scene.outcome.contacts.add(contact.id)
                queue.leave(contact)
                let_go(scene, contact, at)
                queue.join(contact)
                scene.unsettled[contact.queue] = None


def replan(scene: Scene, at: float) -> None:
    """The site changed: rings may have come, gone or moved."""
    for contact in scene.contacts.values():
        queue = scene.queues.get(contact.queue)
        if queue is None or not (queue.plan.rings or contact.held_for or contact.widened):
            continue
        if contact.state in (ContactState.WAITING, ContactState.OFFERED):
            scene.outcome.contacts.add(contact.id)
            widen(scene, contact, at, "")


def stop(scene: Scene, contact: Contact) -> None:
    scene.stop(f"widen:{contact.id}")
