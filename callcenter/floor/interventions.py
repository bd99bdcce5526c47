"""What a leader forces: an agent's state, a waiting caller's queue or place. All of it is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from callcenter.floor import agents, journey, rights, waiting
from callcenter.floor.agents import REFUSALS, Refusal
from callcenter.floor.commands import Reply
from callcenter.floor.contacts import Contact, ContactState, step
from callcenter.floor.endings import drop_offer
from callcenter.floor.records import Intervention

if TYPE_CHECKING:
    from callcenter.floor.events import CallMoveRequested, CallPrioritizeRequested, Request
    from callcenter.floor.scene import Scene

# By code: what is done to the agent of that number.
FORCED: Mapping[str, tuple[str, Callable[[Scene, float, str], Refusal | None]]] = {
    "force_logout": ("log out", agents.logout),
    "force_ready": ("ready", agents.ready),
    "force_not_ready": ("not ready", agents.send_away),
}

LONGEST_HEAD_START = 86_400.0

_WAITS = (ContactState.WAITING, ContactState.OFFERED)


def force(scene: Scene, at: float, leader: str, number: str, code: str) -> Refusal | None:
    """By feature code, from the phone of `leader`."""
    act, wish = FORCED[code]
    refusal = rights.over_agent(scene, leader, number) or wish(scene, at, number)
    if refusal is None:
        scene.note(Intervention(at, leader, act, number))
    return refusal


def forced(scene: Scene, event: Request, number: str, act: str, detail: str = "") -> None:
    """Remember what was asked from the shell and granted."""
    scene.note(Intervention(event.at, event.leader or event.by, act, number, detail=detail))


def move_call(scene: Scene, event: CallMoveRequested) -> None:
    """Into another queue, at the place that his arrival gives there; that queue's rules hold for him too."""
    contact, at = _waiting(scene, event, event.contact), event.at
    if contact is None:
        return
    if event.queue not in scene.plan.queues:
        known = ", ".join(scene.plan.queues)
        _reply(scene, event, False, f"queue {event.queue}: there is none; the site has {known}")
        return
    before = contact.queue
    if before == event.queue:
        _reply(scene, event, False, f"call {contact.id} is in queue {before} already")
        return
    _withdraw(scene, contact, at)
    by = event.leader or event.by
    detail = f"from {before} to {event.queue}"
    scene.note(Intervention(at, by, "move", "", contact.id, event.queue, detail))
    waiting.move(scene, contact, at, event.queue, f"by {by}")
    if waiting.overflow(scene, contact, at, joining=True):
        _reply(scene, event, True, f"call {contact.id} is sent on by the rules of queue {event.queue}")
        return
    journey.join_queue(scene, contact, at)
    _reply(scene, event, True, f"call {contact.id} waits in queue {contact.queue}")


def prioritize_call(scene: Scene, event: CallPrioritizeRequested) -> None:
    """A head start: he waits where he would if he had come so much earlier."""
    contact = _waiting(scene, event, event.contact)
    if contact is None:
        return
    if not 0.0 <= event.head_start <= LONGEST_HEAD_START:  # and what is no number
        _reply(scene, event, False, f"head start: expected 0 to {LONGEST_HEAD_START:.0f} seconds")
        return
    queue = scene.queues[contact.queue]
    waits = contact.state is ContactState.WAITING
    if waits:
        queue.leave(contact)
    contact.head_start = event.head_start
    if waits:
        queue.join(contact)
        scene.unsettled[contact.queue] = None
        contact.tagged = False  # his leg tells his place to a floor that must be rebuilt
        scene.newly_waiting.append(contact.id)
    _remember(scene, event, contact, "prioritize", f"{event.head_start:g} s")
    _reply(scene, event, True, f"call {contact.id} has a head start of {event.head_start:g} s")


def _waiting(scene: Scene, event: Request, name: str) -> Contact | None:
    """The caller, if he waits and whoever asks may; else the refusal is told."""
    contact = scene.contacts.get(name)
    if contact is None:
        _reply(scene, event, False, f"there is no call {name} (see `callcenter calls list --live`)")
    elif contact.state not in _WAITS:
        _reply(scene, event, False, f"call {name} is {contact.state}: only a caller who waits can be moved")
    elif rights.over_queue(scene, event.leader, contact.queue) is not None:
        _reply(scene, event, False, f"call {name}: {REFUSALS[Refusal.NOT_ALLOWED]}", Refusal.NOT_ALLOWED)
    else:
        scene.outcome.contacts.add(name)
        return contact
    return None


def _withdraw(scene: Scene, contact: Contact, at: float) -> None:
    """Out of the queue, and from the agent whose phone rings."""
    drop_offer(scene, contact, at)
    contact.agent = contact.agent_leg = ""
    contact.state = ContactState.WAITING
    scene.queues[contact.queue].leave(contact)


def _remember(scene: Scene, event: Request, contact: Contact, act: str, detail: str) -> None:
    by = event.leader or event.by
    scene.note(Intervention(event.at, by, act, "", contact.id, contact.queue, detail))
    step(scene, contact, event.at, act, detail=f"{detail}, by {by}")


def _reply(scene: Scene, event: Request, ok: bool, text: str, code: str = "") -> None:
    if event.request:
        scene.do(Reply(event.request, ok, text, code))
