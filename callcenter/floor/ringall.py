"""Several phones ring for one caller (strategy `ring_all`): the first answer wins, the others stop ringing.

The contact's own agent is one of them, the longest idle; the others are in `Contact.ringing`. Whoever was
beaten to it has done nothing wrong, and nobody in particular missed a call that all let ring: neither counts
as a missed offer. After the latter all are left alone for `retry_after_seconds`, then ring again.

An agent who becomes free meanwhile rings along. One who is always connected has answered with the end of his
tone, and so comes first.

Known sharp edge: after a reconnect to Asterisk one phone rings on, the others stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from callcenter.floor import agents, standing
from callcenter.floor.contacts import Contact, step

if TYPE_CHECKING:
    from callcenter.floor.events import SeenLeg
    from callcenter.floor.scene import Scene


def answered_by(contact: Contact, number: str) -> None:
    """The winner becomes the contact's own agent."""
    if number in contact.ringing:
        leg = contact.ringing.pop(number)
        contact.ringing[contact.agent] = contact.agent_leg
        contact.agent, contact.agent_leg = number, leg


def stop_others(scene: Scene, contact: Contact, at: float, blame: str = "") -> None:
    """All but the contact's own agent stop ringing."""
    if not contact.ringing:
        return
    others, contact.ringing = contact.ringing, {}
    for number, leg in others.items():
        standing.hang_up(scene, leg)
        if (agent := scene.agents.get(number)) is not None:
            agents.offer_over(scene, at, agent, blame)


def one_gone(scene: Scene, contact: Contact, number: str, at: float, blame: str) -> bool:
    """One of the phones rings no longer; False when it was the only one, and nothing is done."""
    if not contact.ringing:
        return False
    scene.outcome.contacts.add(contact.id)
    if number == contact.agent:
        answered_by(contact, next(iter(contact.ringing)))
    del contact.ringing[number]
    step(scene, contact, at, blame or "offer withdrawn", agent=number)
    if (agent := scene.agents.get(number)) is not None:
        agents.offer_over(scene, at, agent, blame)
    return True


def narrow(contact: Contact, seen: Mapping[str, SeenLeg]) -> None:
    """A survey: the phone that was answered, else one that rings, stays. The others' legs are strangers now
    and their agents in no contact: the survey ends the one and frees the other."""

    def rank(number: str) -> int:
        leg = seen.get(legs[number])
        return 2 if leg is None else 0 if leg.up and leg.in_app else 1

    legs = {contact.agent: contact.agent_leg, **contact.ringing}
    answered_by(contact, min(legs, key=rank))
    contact.ringing = {}
