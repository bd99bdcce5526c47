"""An agent who talks and calls somebody else on his phone's second line: asked by the phone's own keys.

The first line has the caller (the phone's hold key puts him on hold); the second has a bridge of its own
with whoever was dialled. The phone's transfer key then takes both lines away at once (SIP REFER with
Replaces), or the agent hangs up the first: the caller is handed over. Hanging up the second gives it up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.floor import agents, parts, standing, talks
from callcenter.floor.commands import AddLeg, AnswerLeg, ConnectLegs, DestroyBridge, HangUp, IndicateRinging
from callcenter.floor.contacts import Contact, ContactState, Talk, step, stop_sounds
from callcenter.floor.targets import Refused, find

if TYPE_CHECKING:
    from callcenter.floor.events import PhoneDialled
    from callcenter.floor.scene import Scene


def dialled(scene: Scene, event: PhoneDialled) -> bool:
    """A phone dialled: whether it is a second line of an agent who talks, to somebody who can be had."""
    agent = scene.agents.get(scene.seats.get(event.phone, ""))
    contact = scene.contacts.get(agent.contact) if agent is not None and agent.leg else None
    if agent is None or contact is None or contact.agent_leg != agent.leg:
        return False
    if contact.state is not ContactState.TALKING or contact.other_leg:
        return False
    target = find(scene, event.number, to_talk=True)
    if isinstance(target, Refused):
        return False
    scene.outcome.contacts.add(contact.id)
    contact.second_leg = event.leg
    scene.second_legs[event.leg] = contact.id
    scene.do(IndicateRinging(event.leg))
    step(scene, contact, event.at, "consulting", agent=contact.agent, detail=event.number)
    talks.ring_other(scene, contact, event.at, target)
    return True


def answered(scene: Scene, contact: Contact, at: float) -> None:
    """Whoever was dialled is there."""
    if contact.other_since:
        return  # told again
    scene.stop(f"other:{contact.id}")
    scene.outcome.contacts.add(contact.id)
    contact.other_since = at
    scene.do(AnswerLeg(contact.second_leg))
    scene.do(ConnectLegs(bridge(contact), contact.second_leg, contact.other_leg))
    if (agent := scene.agents.get(contact.other_agent)) is not None:
        agents.connect(scene, at, agent)
    step(scene, contact, at, "consulted", agent=contact.other_agent, detail=contact.other_number)


def over(scene: Scene, contact: Contact, at: float, how: str, blame: str = "") -> None:
    """One of the two hung up, or nobody was there: the caller stays with the agent, as he is."""
    scene.outcome.contacts.add(contact.id)
    step(scene, contact, at, how, agent=contact.agent, detail=contact.other_number)
    parts.drop_other(scene, contact, at, how, blame)


def hand_over(scene: Scene, contact: Contact, at: float) -> None:
    """The caller is given to whom the agent called; to one who has not answered yet, as soon as he does."""
    second = contact.second_leg
    scene.outcome.contacts.add(contact.id)
    if not contact.other_since:
        _drop_second(scene, contact, second)
        contact.talk = Talk.RINGING
        talks.forward(scene, contact, at)
        return
    scene.do(DestroyBridge(bridge(contact)))
    _drop_second(scene, contact, second)
    stop_sounds(scene, contact)
    scene.do(AddLeg(contact.bridge, contact.id))
    scene.do(AddLeg(contact.bridge, contact.other_leg, absorb=bool(contact.other_agent)))
    leg = contact.agent_leg
    talks.handed_over(scene, contact, at)
    if leg in scene.agent_legs:
        standing.hang_up(scene, leg)


def bridge(contact: Contact) -> str:
    """The second line's own."""
    return f"{contact.id}~s{contact.others}"


def _drop_second(scene: Scene, contact: Contact, leg: str) -> None:
    contact.second_leg = ""
    if scene.second_legs.pop(leg, None) is not None:
        scene.do(HangUp(leg))
