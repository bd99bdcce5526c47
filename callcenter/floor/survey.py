"""Asterisk is the truth for live channels: make the floor agree with what a survey found.

After every (re)connect: conversations stay joined, waiting callers keep their places, offers go on or
are withdrawn without blame, callers of the fallback queue are fetched back in the order they came, and
what nobody knows of is taken in (a caller) or hung up (anything else, supervisors and their taps too).
With an empty snapshot this rebuilds the floor from channel variables alone.

Known sharp edges:
- A greeting that a restart cut short is not played again: its caller goes into the queue.
- With an empty snapshot a conversation's talk time begins with the survey, and of the agents only those who
  talk are logged in: the others' presence was nowhere but in Redis.
- An always-connected agent whose standing leg is gone works on-hook from then on (see `standing.py`); with an
  empty snapshot the standing legs of those who do not talk are hung up.
- Whoever sits in the fallback queue with an agent stays there: that conversation has no record of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from callcenter.floor import (
    agents,
    journey,
    keys,
    parts,
    recording,
    regain,
    ringall,
    second_line,
    sessions,
    standing,
    waiting,
    widening,
    wrapups,
)
from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.commands import (
    AnswerLeg,
    DestroyBridge,
    HangUp,
    SendOutside,
    SetFallbackMember,
    StopPlayback,
    TakeFromFallback,
)
from callcenter.floor.contacts import Contact, ContactState, Cue, Talk
from callcenter.floor.events import CallArrived, PhonesSeen, SeenLeg, SwitchSurveyed

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene

FALLBACK_TIMER = "fallback:"
FALLBACK_SECONDS = 5.0  # the members stay paused so long, while the callers come back


def surveyed(scene: Scene, event: SwitchSurveyed) -> None:
    at = event.at
    seen = {leg.leg: leg for leg in event.legs}
    scene.connected = True
    scene.busy_phones = frozenset(
        leg.phone
        for leg in event.legs
        if leg.phone and not leg.in_app and not leg.agent and not leg.made_by_us
    )
    sessions.surveyed(scene, at, seen)
    recording.surveyed(scene, at, seen)
    _keyings(scene, seen)
    partners = regain.partners(scene, event)
    _known_contacts(scene, event, seen, partners)
    _release_agents(scene, at, seen)
    _take_in_callers(scene, event, partners)
    _hang_up_strangers(scene, event)
    _agents(scene, at)
    talking = (ContactState.TALKING, ContactState.OUTSIDE)
    bridges = {c.bridge for c in scene.contacts.values() if c.state in talking}
    bridges |= {second_line.bridge(c) for c in scene.contacts.values() if c.second_leg}
    for bridge in event.bridges:
        if bridge not in bridges:
            scene.do(DestroyBridge(bridge))
    for agent in scene.agents.values():
        if agent.line and not agent.leg:
            standing.rest(scene, agent)
    _fetch_from_fallback(scene, at, event.legs)
    scene.unsettled.update(dict.fromkeys(scene.queues))


def phones_seen(scene: Scene, event: PhonesSeen) -> None:
    """Some phones are in calls that are not ours; an agent is back as soon as his is not. Callers whom the
    fallback queue took although we live (our heartbeat was late) are fetched."""
    changed = scene.busy_phones ^ event.busy
    scene.busy_phones = event.busy
    for phone in sorted(changed):
        if (agent := scene.agents.get(scene.seats.get(phone, ""))) is not None:
            agents.settle_phone(scene, event.at, agent)
    if FALLBACK_TIMER not in scene.timers:
        # Else they are on their way: sent again, they would be taken out of our hands.
        _fetch_from_fallback(scene, event.at, event.held)


def fallback_empty(scene: Scene) -> None:
    """The callers are back: the fallback's members are as ready as their agents again."""
    for agent in scene.agents.values():
        if agent.phone and agent.presence is Presence.READY:
            scene.tell_fallback(agent)


def _keyings(scene: Scene, seen: dict[str, SeenLeg]) -> None:
    for timer in [t for t in scene.timers if t.startswith("keys:")]:  # of before a crash, or of legs gone
        leg = timer.partition(":")[2]
        if leg not in scene.keyings or leg not in seen:
            keys.drop(scene, leg)


def _known_contacts(
    scene: Scene, event: SwitchSurveyed, seen: dict[str, SeenLeg], partners: Mapping[str, SeenLeg]
) -> None:
    for contact in sorted(scene.contacts.values(), key=lambda c: (c.arrived_at, c.id)):
        leg = seen.get(contact.id)
        if leg is None or not leg.in_app:
            cut_off = leg is None and contact.arrived_at < event.started_at
            _without_caller(scene, contact, event.at, cut_off, left=leg is not None)
        elif leg.leg in partners and contact.state is not ContactState.ENDING:
            # He talks, though the snapshot is older than that: taken in again, as Asterisk has it.
            journey.set_aside(scene, contact, event.at)
        else:
            _with_caller(scene, contact, event, leg, seen)


def _without_caller(scene: Scene, contact: Contact, at: float, cut_off: bool, left: bool) -> None:
    if contact.state is ContactState.TALKING and contact.agent_leg:
        standing.hang_up(scene, contact.agent_leg)
    if contact.other_leg:
        scene.do(HangUp(contact.other_leg))
    if left:
        journey.happen(scene, contact, at, Cue.CALLER_LEFT)
    else:
        journey.lose(scene, contact, at, cut_off)


def _with_caller(
    scene: Scene, contact: Contact, event: SwitchSurveyed, leg: SeenLeg, seen: dict[str, SeenLeg]
) -> None:
    """The caller is there: put right what was cut short between saving and acting."""
    at = event.at
    scene.outcome.contacts.add(contact.id)
    if contact.answered and not leg.up:
        scene.do(AnswerLeg(contact.id))
        contact.music = False
    if contact.ringing:
        ringall.narrow(contact, seen)
    if contact.served_queue and contact.state in (ContactState.WAITING, ContactState.OFFERED):
        contact.music = False  # transferred: the crash may have come before his music
        scene.newly_waiting.append(contact.id)
    other = seen.get(contact.agent_leg)
    match contact.state:
        case ContactState.GREETING:
            scene.playbacks.pop(contact.playback, None)
            scene.do(StopPlayback(contact.playback))
            journey.join_queue(scene, contact, at)
        case ContactState.WAITING:
            waiting.after_a_restart(scene, contact)
            widening.widen(scene, contact, at, "")
            scene.newly_waiting.append(contact.id)
        case ContactState.OFFERED | ContactState.CONNECTING if other is None:
            journey.happen(scene, contact, at, Cue.AGENT_GONE)
        case ContactState.OFFERED if other is not None and other.up and other.in_app:
            journey.happen(scene, contact, at, Cue.AGENT_ANSWERED)
        case ContactState.OFFERED if contact.playback:
            waiting.after_a_restart(scene, contact)
            scene.newly_waiting.append(contact.id)
        case ContactState.CONNECTING:
            journey.happen(scene, contact, at, Cue.BRIEF_LIMIT)  # what was played may never be told as over
        case ContactState.TALKING:
            regain.mend(scene, contact, at, leg, seen, event.bridges)
        case ContactState.OUTSIDE:
            regain.mend_outside(scene, contact, at, leg, seen, event.bridges)
        case ContactState.LEAVING:
            journey.happen(scene, contact, at, Cue.PLAYBACK_DONE)
        case ContactState.ENDING if contact.other_number:  # transferred outside, and not gone yet
            scene.do(SendOutside(contact.id, contact.other_number))
        case ContactState.ENDING:
            scene.do(HangUp(contact.id))


def _take_in_callers(scene: Scene, event: SwitchSurveyed, partners: Mapping[str, SeenLeg]) -> None:
    """Callers in our hands whom the snapshot does not know, by arrival."""
    callers = [leg for leg in event.legs if regain.is_caller(leg) and leg.leg not in scene.contacts]
    rung = regain.mates(event)
    for leg in sorted(callers, key=lambda leg: (leg.arrived_at, leg.leg)):
        _take_in(scene, event, leg, partners.get(leg.leg), rung.get(leg.leg, []))
    for leg in event.legs:  # numbers of offers are used once, or the end of an old leg would be the new one's
        if leg.agent and (contact := scene.contacts.get(leg.contact)) is not None:
            contact.offers = max(contact.offers, _offer_number(leg.leg))


def _offer_number(leg: str) -> int:
    number = leg.rpartition("~")[2]
    return int(number) if number.isdecimal() else 0


def _hang_up_strangers(scene: Scene, event: SwitchSurveyed) -> None:
    """Legs of ours that belong to nothing any more; an agent's phone is rung again when his is gone."""
    known = {leg for c in scene.contacts.values() for leg in (c.agent_leg, c.other_leg, c.second_leg)}
    known |= {agent.line for agent in scene.agents.values()}
    for leg in event.legs:
        ours = leg.in_app or leg.agent or leg.made_by_us
        if ours and leg.leg not in known and leg.leg not in scene.contacts and leg.leg not in scene.sessions:
            scene.do(HangUp(leg.leg))
            if (agent := scene.agents.get(leg.agent)) is not None and not agent.leg:
                agent.leg = leg.leg
                scene.agent_legs[leg.leg] = agent.number
                scene.file(agent)


def _take_in(
    scene: Scene, event: SwitchSurveyed, leg: SeenLeg, partner: SeenLeg | None, rung: list[SeenLeg]
) -> None:
    agent = _seat_of(scene, event.at, partner) if partner and partner.agent else None
    if partner is None or (partner.agent and agent is None):
        arrived = CallArrived(event.at, leg.leg, leg.ani, leg.dnis, leg.arrived_at, event.node, leg.up)
        head_start = leg.head_start if leg.queue else None
        journey.arrive(scene, arrived, accepted=bool(leg.queue), queue=leg.queue, head_start=head_start)
        return
    service = scene.service_for(leg.dnis)
    told = (leg.queue, partner.queue, service.queue if service else "")
    queue = next((name for name in told if name in scene.queues), "")
    if not queue:
        return
    contact = Contact(
        id=leg.leg,
        ani=leg.ani,
        dnis=leg.dnis,
        service=service.name if service else "",
        queue=queue,
        language=leg.language or (service.language if service else scene.plan.language),
        arrived_at=leg.arrived_at,
        state=ContactState.TALKING,
        node=event.node,
        answered=True,
    )
    scene.contacts[contact.id] = contact
    if agent is None:
        regain.found_outside(scene, contact, event.at, partner)
        return
    journey.pair(scene, contact, agent, partner.leg, partner.bridge, event.at)
    agents.offer(scene, event.at, agent, contact.id, queue, partner.leg)
    agents.connect(scene, event.at, agent)
    _stand(scene, contact, event.at, leg, rung)


def _stand(scene: Scene, contact: Contact, at: float, caller: SeenLeg, rung: list[SeenLeg]) -> None:
    """Whoever else is in a conversation found in Asterisk alone, and whether its caller is on hold."""
    if regain.stand(scene, contact, at, caller, rung):
        leg = next(leg for leg in rung if leg.leg == contact.other_leg)
        agent = _seat_of(scene, at, leg)
        if agent is None:
            contact.other_agent = ""
            parts.drop_other(scene, contact, at, "switch")
        else:
            agents.offer(scene, at, agent, contact.id, contact.queue, leg.leg)
            if contact.talk is not Talk.RINGING:
                agents.connect(scene, at, agent)
    if contact.talk in parts.HOLDING:
        parts.hold_begins(scene, contact, at)


def _seat_of(scene: Scene, at: float, leg: SeenLeg) -> Agent | None:
    """The agent of a leg found talking, logged in at that phone if the snapshot did not know it."""
    agent = scene.agents.get(leg.agent)
    if agent is None:
        agent = scene.agents[leg.agent] = Agent(leg.agent, leg.agent, (), since=at)
    line = leg.leg if not leg.contact else ""  # what we ring for a contact names it
    seated = agent.presence is not Presence.LOGGED_OUT and agent.phone == leg.phone and agent.line == line
    refusal = None
    if not seated:
        refusal = agents.login(scene, at, agent.number, leg.phone, connected=bool(line), line=line)
    if refusal is not None:
        return None
    return agent if agent.activity is Activity.IDLE else None


def _release_agents(scene: Scene, at: float, seen: dict[str, SeenLeg]) -> None:
    """Agents follow their legs: nobody stays in a contact that is gone."""
    for agent in list(scene.agents.values()):
        if agent.leg and agent.leg not in seen:
            agents.leg_gone(scene, agent, agent.leg)
        _standing_leg(scene, agent, seen.get(agent.line))
        mine = _is_in_contact(scene, agent)
        if agent.activity is Activity.OFFERED and not mine:
            agents.offer_over(scene, at, agent)
        elif agent.activity in (Activity.TALKING, Activity.HOLDING) and not mine:
            agents.excuse(scene, at, agent)
        elif agent.activity is Activity.WRAPUP and wrapups.is_adrift(scene, agent):
            agents.wrapup_over(scene, at, agent)
    for leg in [leg for leg in scene.agent_legs if leg not in seen]:  # of agents who are no more
        scene.stop(f"hangup:{leg}")
        del scene.agent_legs[leg]
    for leg, name in list(scene.second_legs.items()):
        contact = scene.contacts.get(name)
        if contact is None or contact.second_leg != leg or leg not in seen:
            del scene.second_legs[leg]
    for leg in [leg for leg in scene.outside_legs if leg not in seen]:
        scene.outside_legs.discard(leg)
    for timer in [t for t in scene.timers if t.startswith("hangup:")]:  # of those before a crash
        leg = timer.partition(":")[2]
        if leg not in {*scene.contacts, *scene.agent_legs, *scene.outside_legs}:
            scene.stop(timer)


def _standing_leg(scene: Scene, agent: Agent, leg: SeenLeg | None) -> None:
    """One that is gone, or was sent elsewhere, leaves its agent on-hook."""
    if not agent.line:
        return
    if leg is None:
        agents.leg_gone(scene, agent, agent.line)
    elif leg.up and not leg.in_app:
        standing.give_up(scene, agent)
        scene.file(agent)
    elif leg.up:
        standing.answered(scene, agent)


def _agents(scene: Scene, at: float) -> None:
    for agent in list(scene.agents.values()):
        if agent.leg and not _is_in_contact(scene, agent):
            standing.hang_up(scene, agent.leg)
        agents.settle_phone(scene, at, agent)
        scene.file(agent)


def _is_in_contact(scene: Scene, agent: Agent) -> bool:
    contact = scene.contacts.get(agent.contact)
    if contact is None or contact.state is ContactState.ENDING:
        return False
    return agent.number in (contact.agent, contact.other_agent)


def _fetch_from_fallback(scene: Scene, at: float, legs: tuple[SeenLeg, ...]) -> None:
    """Callers whom app_queue holds and has not connected; its members are paused first."""
    held = [leg for leg in legs if leg.application == "Queue" and not leg.phone and not leg.bridge]
    if not held:
        return
    for agent in scene.agents.values():
        if agent.phone and agent.presence is Presence.READY:
            scene.do(SetFallbackMember(agent.phone, agent.number, agent.queues, present=True, paused=True))
    for leg in sorted(held, key=lambda leg: (leg.arrived_at, leg.leg)):
        scene.do(TakeFromFallback(leg.leg, leg.name))
    scene.start(FALLBACK_TIMER, at + FALLBACK_SECONDS)
