"""After a restart: who stands how in a conversation, by the snapshot and by what a survey found.

A leg of ours begins its id with its contact's, and its variables name contact and agent. An agent's leg in
a bridge has that caller, in the bridge with him or on hold; so conversations are found from Asterisk alone,
holds, consultations and conferences among them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from callcenter.floor import journey, parts, second_line, talks
from callcenter.floor.commands import AddLeg, ConnectLegs, RemoveLeg, StartMusic, StopMusic
from callcenter.floor.contacts import Contact, ContactState, Cue, Talk, step
from callcenter.floor.talks import Happening, hold_music

if TYPE_CHECKING:
    from callcenter.floor.events import SeenLeg, SwitchSurveyed
    from callcenter.floor.scene import Scene

Seen: TypeAlias = "Mapping[str, SeenLeg]"


def is_caller(leg: SeenLeg) -> bool:
    """A leg from a trunk in our hands; not one that we rang, nor half of a phone's transfer."""
    rung = bool(leg.phone or leg.agent) or "~" in leg.leg
    return leg.in_app and not rung and not leg.made_by_us and not leg.name.startswith("Local/")


def mates(event: SwitchSurveyed) -> Mapping[str, list[SeenLeg]]:
    """By contact the legs that we rang for it: who talks first, and of these the one rung first."""
    found: defaultdict[str, list[SeenLeg]] = defaultdict(list)
    callers = {leg.bridge: leg.leg for leg in event.legs if leg.bridge and is_caller(leg)}
    for leg in event.legs:
        told = leg.contact if leg.agent or "~" in leg.leg else ""
        contact = told or (callers.get(leg.bridge, "") if leg.agent else "")  # a standing leg names none
        if contact:
            found[contact].append(leg)
    for legs in found.values():
        legs.sort(key=lambda leg: (not leg.agent, not leg.bridge, "~x" in leg.leg, leg.leg))
    return found


def partners(scene: Scene, event: SwitchSurveyed) -> dict[str, SeenLeg]:
    """Callers found with an agent (or an outside number) that the snapshot does not give them -> his leg."""
    rung = mates(event)
    found = {}
    for caller in event.legs:
        if not is_caller(caller):
            continue
        legs = [leg for leg in rung.get(caller.leg, ()) if leg.up and leg.in_app and leg.bridge]
        legs = [leg for leg in legs if caller.bridge in ("", leg.bridge) and (leg.agent or caller.bridge)]
        contact = scene.contacts.get(caller.leg)
        if contact is not None:
            if {contact.agent_leg, contact.other_leg} & {leg.leg for leg in legs}:
                continue
            # A transfer that was decided and not carried out: it is now.
            legs = [leg for leg in legs if not (contact.parts and contact.last_agent == leg.agent)]
        if legs:
            found[caller.leg] = legs[0]
    return found


def mend(
    scene: Scene, contact: Contact, at: float, caller: SeenLeg, seen: Seen, bridges: tuple[str, ...]
) -> None:
    """A conversation of the snapshot: put right what was cut short between saving and acting."""
    agent, other = seen.get(contact.agent_leg), seen.get(contact.other_leg)
    if contact.second_leg and (other is None or contact.second_leg not in seen):
        parts.drop_other(scene, contact, at, "switch")  # what is left of the second line
        other = None
    elif contact.second_leg and agent is None:
        second_line.hand_over(scene, contact, at)
        return
    elif contact.second_leg and other is not None:
        _mend_second(scene, contact, at, other, bridges)
        other = None
    elif contact.other_leg and other is None:
        talks.happen(scene, contact, at, Happening.OTHER_GONE, "unreachable")
    if agent is None:
        talks.agent_gone(scene, contact, at)
        return
    if contact.talk is Talk.RINGING and other is not None and other.up and other.in_app:
        talks.happen(scene, contact, at, Happening.OTHER_ANSWERED)
    inside = {caller.bridge, agent.bridge} if contact.talk is Talk.TOGETHER else {contact.bridge}
    if contact.bridge not in bridges or inside != {contact.bridge}:
        if not contact.second_leg:
            parts.drop_other(scene, contact, at, "switch")
        parts.hold_ends(scene, contact, at)
        contact.talk = Talk.TOGETHER
        contact.music = False
        for leg in (contact.id, contact.agent_leg):
            scene.do(StopMusic(leg))
        scene.do(ConnectLegs(contact.bridge, contact.id, contact.agent_leg))
        return
    _place(scene, contact, caller, contact.talk not in parts.HOLDING)
    _place(scene, contact, agent, True)
    if other is not None and contact.talk is not Talk.RINGING and contact.other_leg:
        _place(scene, contact, other, contact.talk is not Talk.SWAPPED)


def _mend_second(scene: Scene, contact: Contact, at: float, other: SeenLeg, bridges: tuple[str, ...]) -> None:
    if contact.other_since and second_line.bridge(contact) not in bridges:
        scene.do(ConnectLegs(second_line.bridge(contact), contact.second_leg, contact.other_leg))
    elif not contact.other_since and other.up and other.in_app:
        second_line.answered(scene, contact, at)


def mend_outside(
    scene: Scene, contact: Contact, at: float, caller: SeenLeg, seen: Seen, bridges: tuple[str, ...]
) -> None:
    """A caller whom an agent gave to an outside number."""
    other = seen.get(contact.other_leg)
    if other is None:
        journey.happen(scene, contact, at, Cue.OTHER_GONE)
    elif contact.bridge not in bridges:
        scene.do(ConnectLegs(contact.bridge, contact.id, contact.other_leg))
    else:
        _place(scene, contact, caller, True)
        _place(scene, contact, other, True)


def stand(scene: Scene, contact: Contact, at: float, caller: SeenLeg, rung: list[SeenLeg]) -> str:
    """How a conversation stands that is known from Asterisk alone; its agent is known already. Gives the
    agent of a third leg, to be seated by the caller of this, "" for none."""
    main = next(leg for leg in rung if leg.leg == contact.agent_leg)
    contact.others = max((_number(leg.leg) for leg in rung), default=0)
    together = caller.bridge == main.bridge
    others = [leg for leg in rung if leg is not main and ((leg.up and leg.in_app) or not together)]
    contact.talk = Talk.TOGETHER if together else Talk.HELD
    if others:
        other = others[0]
        contact.other_leg, contact.other_agent = other.leg, other.agent
        contact.other_number = other.agent or other.leg.split("~")[1]
        if not other.agent:
            scene.outside_legs.add(other.leg)
        contact.talk = _talk(together, other, main.bridge)
        if contact.talk is Talk.SWAPPED or (contact.talk is Talk.CONSULTING and other.bridge != main.bridge):
            _place(scene, contact, other, contact.talk is Talk.CONSULTING)  # of a second line that is gone
        if contact.talk is Talk.RINGING:
            seconds = scene.queues[contact.queue].plan.ring_seconds
            scene.start(f"other:{contact.id}", at + seconds)
        else:
            contact.other_since = at
    contact.music = contact.talk in parts.HOLDING
    return contact.other_agent


def found_outside(scene: Scene, contact: Contact, at: float, leg: SeenLeg) -> None:
    """A caller found with an outside number that an agent gave him to."""
    contact.state = ContactState.OUTSIDE
    contact.other_leg, contact.other_number, contact.bridge = leg.leg, leg.leg.split("~")[1], leg.bridge
    contact.connected_at = at
    scene.outcome.contacts.add(contact.id)
    scene.outside_legs.add(leg.leg)
    step(scene, contact, at, "found talking", detail=contact.other_number)


def _talk(together: bool, other: SeenLeg, bridge: str) -> Talk:
    if not (other.up and other.in_app):
        return Talk.RINGING
    if together:
        return Talk.CONFERENCE if other.bridge == bridge else Talk.SWAPPED
    return Talk.CONSULTING


def _number(leg: str) -> int:
    number = leg.rpartition("~x")[2]
    return int(number) if number.isdecimal() else 0


def _place(scene: Scene, contact: Contact, leg: SeenLeg, inside: bool) -> None:
    if inside and leg.bridge != contact.bridge:
        scene.do(StopMusic(leg.leg))
        scene.do(AddLeg(contact.bridge, leg.leg, absorb=bool(leg.agent)))
    elif not inside:
        if leg.bridge:
            scene.do(RemoveLeg(leg.bridge, leg.leg))
        scene.do(StartMusic(leg.leg, hold_music(scene, contact)))
