"""During a talk: hold, transfers, consultation, conference, by codes or by the phone's own keys.

A conversation has one bridge, and the agent's leg never leaves it: the caller and a third party are put in
and taken out, and whoever is out hears music. So there is always somebody with the agent, and whoever is
not has a way on. `ROWS` says, for each way they can stand (`Talk`) and each thing that can happen, which
function acts; a wish that has no row is refused by voice and changes nothing.

Hanging up while another party is there gives him the caller. A transfer that comes to nothing after the
agent has left puts the caller into his queue again, at the place that his arrival gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from callcenter.floor import agents, journey, parts, recording, standing, waiting, widening
from callcenter.floor.commands import (
    AddLeg,
    DestroyBridge,
    RemoveLeg,
    RingAgent,
    RingOutside,
    SendOutside,
    StartMusic,
    StopMusic,
)
from callcenter.floor.contacts import Contact, ContactState, Cue, Talk, start_music, step, stop_sounds
from callcenter.floor.endings import end
from callcenter.floor.records import Outcome
from callcenter.floor.targets import Refused, Target, find

if TYPE_CHECKING:
    from callcenter.floor.agents import Agent
    from callcenter.floor.scene import Scene

REFER_SECONDS = 5.0  # a phone's transfer key has taken its leg away; where to must follow


class Happening(StrEnum):
    """What an agent can wish during a talk, and what can befall it."""

    HOLD = "hold"
    TRANSFER = "transfer"
    CONSULT = "consult"
    SWAP = "swap"
    JOIN = "join"
    GIVE_UP = "give up"
    OTHER_ANSWERED = "other party answered"
    OTHER_GONE = "other party gone"
    OTHER_LATE = "other party did not answer"
    AGENT_GONE = "agent hung up"


def wish(scene: Scene, contact: Contact, at: float, what: Happening, number: str = "") -> str:
    """Do what the agent wishes. Gives "" or the prompt that refuses it; then nothing has changed."""
    row = ROWS.get((contact.talk, what))
    busy = contact.second_leg and what in (Happening.TRANSFER, Happening.CONSULT)
    if row is None or busy:
        return "not-possible-now"
    scene.outcome.contacts.add(contact.id)
    return row.act(scene, contact, at, number)


def happen(scene: Scene, contact: Contact, at: float, what: Happening, note: str = "") -> str:
    """Something befell the talk; gives a prompt for the agent, "" for none."""
    row = ROWS.get((contact.talk, what)) if contact.state is ContactState.TALKING else None
    if row is None:
        scene.outcome.oddities.append(f"contact {contact.id}: '{what}' while {contact.state} {contact.talk}")
        return ""
    scene.outcome.contacts.add(contact.id)
    return row.act(scene, contact, at, note)


def agent_gone(scene: Scene, contact: Contact, at: float, blame: str = "") -> None:
    """The agent's leg is gone: whoever else is there gets the caller, else the contact is over."""
    if contact.state is not ContactState.TALKING:
        journey.happen(scene, contact, at, Cue.AGENT_GONE, blame)
    elif f"refer:{contact.id}" in scene.timers:
        return  # his phone's transfer key took it: where to follows
    elif contact.other_leg:
        happen(scene, contact, at, Happening.AGENT_GONE)
    else:
        journey.happen(scene, contact, at, Cue.AGENT_GONE, blame)


def back_together(scene: Scene, contact: Contact, at: float) -> None:
    """Whatever the agent was about, he and the caller are alone with one another again."""
    if contact.state is not ContactState.TALKING:
        return
    parts.drop_other(scene, contact, at, "given up")
    if contact.talk is Talk.HELD:
        _resume(scene, contact, at, "")


def phone_held(scene: Scene, contact: Contact, at: float) -> None:
    """The phone's hold key; when the caller is on hold already it changes nothing."""
    if contact.state is ContactState.TALKING and contact.talk is Talk.TOGETHER:
        wish(scene, contact, at, Happening.HOLD)


def phone_unheld(scene: Scene, contact: Contact, at: float) -> None:
    if contact.state is ContactState.TALKING and contact.talk is Talk.HELD:
        wish(scene, contact, at, Happening.HOLD)


def leg_replaced(scene: Scene, contact: Contact, at: float) -> None:
    """The phone's transfer key took its leg away: its end is not the caller's. Where to must follow soon."""
    if contact.state is ContactState.TALKING:
        scene.start(f"refer:{contact.id}", at + REFER_SECONDS)


def phone_transferred(scene: Scene, contact: Contact, at: float, number: str) -> None:
    """The phone's transfer key, with its number. The agent is gone then: a number that is refused, or one
    that comes too late, puts the caller into his queue again."""
    if contact.state is not ContactState.TALKING:
        return
    scene.stop(f"refer:{contact.id}")
    parts.drop_other(scene, contact, at, "given up")
    if not number or wish(scene, contact, at, Happening.TRANSFER, number):
        step(scene, contact, at, "transfer failed", agent=contact.agent, detail=number)
        scene.outcome.contacts.add(contact.id)
        _to_queue(scene, contact, at, contact.queue)


# What an agent wishes.


def _hold(scene: Scene, contact: Contact, at: float, _number: str) -> str:
    _caller_out(scene, contact, at)
    contact.talk = Talk.HELD
    step(scene, contact, at, "held", agent=contact.agent)
    return ""


def _resume(scene: Scene, contact: Contact, at: float, _number: str) -> str:
    _caller_in(scene, contact, at)
    contact.talk = Talk.TOGETHER
    step(scene, contact, at, "resumed", agent=contact.agent)
    return ""


def _transfer(scene: Scene, contact: Contact, at: float, number: str) -> str:
    target = find(scene, number)
    if isinstance(target, Refused):
        return target.prompt
    step(scene, contact, at, "transferred", agent=contact.agent, detail=number)
    if target.outside:
        _to_outside(scene, contact, at, target.outside)
    elif target.queue:
        _to_queue(scene, contact, at, target.queue)
    else:
        _to_agent(scene, contact, at, scene.agents[target.agent])
    return ""


def _consult(scene: Scene, contact: Contact, at: float, number: str) -> str:
    target = find(scene, number, to_talk=True)
    if isinstance(target, Refused):
        return target.prompt
    if contact.talk is Talk.TOGETHER:
        _caller_out(scene, contact, at)
    contact.talk = Talk.RINGING
    step(scene, contact, at, "consulting", agent=contact.agent, detail=number)
    ring_other(scene, contact, at, target)
    return ""


def _swap(scene: Scene, contact: Contact, at: float, _number: str) -> str:
    if contact.talk is Talk.CONSULTING:
        _other_out(scene, contact)
        _caller_in(scene, contact, at)
        contact.talk = Talk.SWAPPED
    else:
        _caller_out(scene, contact, at)
        _other_in(scene, contact)
        contact.talk = Talk.CONSULTING
    step(scene, contact, at, "swapped", agent=contact.agent)
    return ""


def _join(scene: Scene, contact: Contact, at: float, _number: str) -> str:
    if contact.talk is Talk.CONSULTING:
        _caller_in(scene, contact, at)
    else:
        _other_in(scene, contact)
    contact.talk = Talk.CONFERENCE
    step(scene, contact, at, "conference", agent=contact.agent, detail=contact.other_number)
    return ""


def _give_up(scene: Scene, contact: Contact, at: float, _number: str) -> str:
    """The other party goes; the agent is with the caller again."""
    parts.drop_other(scene, contact, at, "given up")
    if contact.talk is Talk.HELD:
        return _resume(scene, contact, at, "")
    step(scene, contact, at, "given up", agent=contact.agent)
    return ""


# What befalls it.


def _other_answered(scene: Scene, contact: Contact, at: float, _note: str) -> str:
    scene.stop(f"other:{contact.id}")
    contact.other_since = at
    contact.talk = Talk.CONSULTING
    scene.do(AddLeg(contact.bridge, contact.other_leg, absorb=bool(contact.other_agent)))
    if (agent := scene.agents.get(contact.other_agent)) is not None:
        agents.connect(scene, at, agent)
    step(scene, contact, at, "consulted", agent=contact.other_agent, detail=contact.other_number)
    return ""


def _not_reached(scene: Scene, contact: Contact, at: float, blame: str) -> str:
    """The caller stays on hold: the agent hears why, and goes on when he is ready for it."""
    step(scene, contact, at, blame or "no-answer", agent=contact.other_agent, detail=contact.other_number)
    parts.drop_other(scene, contact, at, "given up", blame or "no-answer")
    return "transfer-failed"


def _other_left(scene: Scene, contact: Contact, at: float, _note: str) -> str:
    parts.drop_other(scene, contact, at, "hung up")
    if contact.talk is Talk.HELD:
        return _resume(scene, contact, at, "")
    step(scene, contact, at, "other party left", agent=contact.agent)
    return ""


def _forward(scene: Scene, contact: Contact, at: float, _note: str) -> str:
    forward(scene, contact, at)
    return ""


def forward(scene: Scene, contact: Contact, at: float) -> None:
    """The agent left while the other party's phone still rings: it rings for the caller from now on."""
    step(scene, contact, at, "transferred", agent=contact.agent, detail=contact.other_number)
    if not contact.other_agent:
        number = contact.other_number
        parts.drop_other(scene, contact, at, "handed over")  # dialled anew, for the caller
        _to_outside(scene, contact, at, number)
        return
    scene.stop(f"other:{contact.id}")
    agent, leg = contact.other_agent, contact.other_leg
    contact.other_leg = contact.other_agent = contact.other_number = ""
    _let_go(scene, contact, at)
    _wait_anew(contact, at)
    widening.go_on(scene, contact, at)
    contact.offers += 1
    contact.state = ContactState.OFFERED
    contact.agent, contact.agent_leg = agent, leg
    if not contact.music:
        scene.newly_waiting.append(contact.id)
    scene.start(f"ring:{contact.id}", at + scene.queues[contact.queue].plan.ring_seconds)


def _hand_over(scene: Scene, contact: Contact, at: float, _note: str) -> str:
    """The agent left: the caller is the other party's."""
    if contact.talk is Talk.CONSULTING:
        _caller_in(scene, contact, at)
    elif contact.talk is Talk.SWAPPED:
        _other_in(scene, contact)
    handed_over(scene, contact, at)
    return ""


def handed_over(scene: Scene, contact: Contact, at: float) -> None:
    """Both are in the bridge: from now on the caller's time is the other party's."""
    step(scene, contact, at, "handed over", agent=contact.other_agent, detail=contact.other_number)
    parts.close(scene, contact, at, "handed over")
    parts.close_other(scene, contact, at, "handed over")
    if standing.is_standing(scene, contact.agent_leg):
        scene.do(RemoveLeg(contact.bridge, contact.agent_leg))  # it stays, for his next contact
    _release(scene, contact, at)
    contact.talk = Talk.TOGETHER
    contact.agent = contact.agent_leg = ""
    if contact.other_agent:
        contact.agent, contact.agent_leg = contact.other_agent, contact.other_leg
        contact.other_leg = contact.other_agent = contact.other_number = ""
        parts.begin(contact, at)
    else:
        contact.state = ContactState.OUTSIDE
        recording.finish(scene, contact, at, stop=True)


# Where a caller goes.


def _to_queue(scene: Scene, contact: Contact, at: float, queue: str) -> None:
    _let_go(scene, contact, at)
    _wait_anew(contact, at)
    contact.tagged = contact.tagged and contact.queue == queue
    contact.queue = queue
    if not waiting.overflow(scene, contact, at, joining=True):
        journey.join_queue(scene, contact, at)


def _to_agent(scene: Scene, contact: Contact, at: float, agent: Agent) -> None:
    _let_go(scene, contact, at)
    _wait_anew(contact, at)
    widening.go_on(scene, contact, at)
    journey.offer(scene, contact, agent, at)
    scene.newly_waiting.append(contact.id)


def _to_outside(scene: Scene, contact: Contact, at: float, number: str) -> None:
    _let_go(scene, contact, at)
    stop_sounds(scene, contact)
    contact.other_number = number  # sent there again if a crash comes before it is done
    scene.do(SendOutside(contact.id, number))
    end(scene, contact, at, Outcome.ANSWERED, "agent", detail=f"transferred to {number}")


def _let_go(scene: Scene, contact: Contact, at: float) -> None:
    """The agent gives the caller away: his part is over, his leg and the bridge go."""
    parts.close(scene, contact, at, "transferred")
    recording.finish(scene, contact, at, stop=True)
    scene.do(DestroyBridge(contact.bridge))
    if contact.agent_leg in scene.agent_legs:
        standing.hang_up(scene, contact.agent_leg)
    _release(scene, contact, at)
    contact.agent = contact.agent_leg = contact.bridge = ""
    contact.talk = Talk.TOGETHER


def _wait_anew(contact: Contact, at: float) -> None:
    """He waits once more: what the closing record tells is of the queue that served him first."""
    if not contact.served_queue:
        contact.served_queue = contact.queue
        contact.been_in = contact.been_in or (contact.queue,)
    contact.joined_at = at  # the rules of his queue begin anew
    contact.announced_at = 0.0
    contact.held_for = ""


def _release(scene: Scene, contact: Contact, at: float) -> None:
    if (agent := scene.agents.get(contact.agent)) is not None:
        agents.release(scene, at, agent, scene.queues[contact.queue].plan.wrapup_seconds)


def ring_other(scene: Scene, contact: Contact, at: float, target: Target) -> None:
    contact.others += 1
    number = target.agent or target.outside
    leg = f"{contact.id}~{number}~x{contact.others}"
    contact.other_leg, contact.other_agent, contact.other_number = leg, target.agent, number
    seconds = scene.queues[contact.queue].plan.ring_seconds
    scene.start(f"other:{contact.id}", at + seconds)
    if target.outside:
        scene.outside_legs.add(leg)
        scene.do(
            RingOutside(leg, contact.id, number, contact.queue, contact.language, seconds, contact.arrived_at)
        )
        return
    agent = scene.agents[target.agent]
    agents.offer(scene, at, agent, contact.id, contact.queue, leg)
    scene.do(
        RingAgent(
            leg=leg,
            contact=contact.id,
            agent=agent.number,
            phone=agent.phone,
            queue=contact.queue,
            ani=contact.ani,
            dnis=contact.dnis,
            language=contact.language,
            ring_seconds=seconds,
            arrived_at=contact.arrived_at,
        )
    )


# Who is in the bridge.


def _caller_out(scene: Scene, contact: Contact, at: float) -> None:
    scene.do(RemoveLeg(contact.bridge, contact.id))
    start_music(scene, contact, hold_music(scene, contact))
    parts.hold_begins(scene, contact, at)


def _caller_in(scene: Scene, contact: Contact, at: float) -> None:
    stop_sounds(scene, contact)
    scene.do(AddLeg(contact.bridge, contact.id))
    parts.hold_ends(scene, contact, at)


def _other_out(scene: Scene, contact: Contact) -> None:
    scene.do(RemoveLeg(contact.bridge, contact.other_leg))
    scene.do(StartMusic(contact.other_leg, hold_music(scene, contact)))


def _other_in(scene: Scene, contact: Contact) -> None:
    scene.do(StopMusic(contact.other_leg))
    scene.do(AddLeg(contact.bridge, contact.other_leg, absorb=bool(contact.other_agent)))


def hold_music(scene: Scene, contact: Contact) -> str:
    """What somebody on hold hears: the queue's music."""
    plan = scene.queues[contact.queue].plan
    return plan.music or plan.ringing_music


Act: TypeAlias = Callable[["Scene", Contact, float, str], str]


@dataclass(frozen=True, slots=True)
class Row:
    act: Act
    leads_to: tuple[Talk | ContactState, ...]


_T, _H, _S = Talk, Happening, ContactState
_AWAY = (_S.WAITING, _S.OFFERED, _S.ENDING)

ROWS: Mapping[tuple[Talk, Happening], Row] = {
    (_T.TOGETHER, _H.HOLD): Row(_hold, (_T.HELD,)),
    (_T.TOGETHER, _H.TRANSFER): Row(_transfer, _AWAY),
    (_T.TOGETHER, _H.CONSULT): Row(_consult, (_T.RINGING,)),
    (_T.HELD, _H.HOLD): Row(_resume, (_T.TOGETHER,)),
    (_T.HELD, _H.GIVE_UP): Row(_resume, (_T.TOGETHER,)),
    (_T.HELD, _H.TRANSFER): Row(_transfer, _AWAY),
    (_T.HELD, _H.CONSULT): Row(_consult, (_T.RINGING,)),
    (_T.RINGING, _H.OTHER_ANSWERED): Row(_other_answered, (_T.CONSULTING,)),
    (_T.RINGING, _H.OTHER_GONE): Row(_not_reached, (_T.HELD,)),
    (_T.RINGING, _H.OTHER_LATE): Row(_not_reached, (_T.HELD,)),
    (_T.RINGING, _H.GIVE_UP): Row(_give_up, (_T.TOGETHER,)),
    (_T.RINGING, _H.AGENT_GONE): Row(_forward, (_S.OFFERED, _S.ENDING)),
    (_T.CONSULTING, _H.SWAP): Row(_swap, (_T.SWAPPED,)),
    (_T.CONSULTING, _H.JOIN): Row(_join, (_T.CONFERENCE,)),
    (_T.CONSULTING, _H.GIVE_UP): Row(_give_up, (_T.TOGETHER,)),
    (_T.CONSULTING, _H.OTHER_GONE): Row(_other_left, (_T.TOGETHER,)),
    (_T.CONSULTING, _H.AGENT_GONE): Row(_hand_over, (_T.TOGETHER, _S.OUTSIDE)),
    (_T.SWAPPED, _H.SWAP): Row(_swap, (_T.CONSULTING,)),
    (_T.SWAPPED, _H.JOIN): Row(_join, (_T.CONFERENCE,)),
    (_T.SWAPPED, _H.GIVE_UP): Row(_give_up, (_T.TOGETHER,)),
    (_T.SWAPPED, _H.OTHER_GONE): Row(_other_left, (_T.TOGETHER,)),
    (_T.SWAPPED, _H.AGENT_GONE): Row(_hand_over, (_T.TOGETHER, _S.OUTSIDE)),
    (_T.CONFERENCE, _H.GIVE_UP): Row(_give_up, (_T.TOGETHER,)),
    (_T.CONFERENCE, _H.OTHER_GONE): Row(_other_left, (_T.TOGETHER,)),
    (_T.CONFERENCE, _H.AGENT_GONE): Row(_hand_over, (_T.TOGETHER, _S.OUTSIDE)),
}
