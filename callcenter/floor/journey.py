"""A caller's way through the floor: arrives, hears the greeting, waits, is offered, talks, leaves.

What he hears while he waits and the rules by which he leaves a queue are in `waiting.py`, what is said
before the join in `briefing.py`.

`ROWS` says, for each state and each thing that can happen (`Cue`), which function acts and into which
states it may lead; `make states` prints the picture from it. What has no row is told to the log and
changes nothing: late and repeated events from Asterisk are normal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from callcenter.floor import agents, briefing, parts, recording, ringall, standing, waiting, widening
from callcenter.floor.agents import Agent
from callcenter.floor.commands import ConnectLegs, DestroyBridge, HangUp, IndicateRinging, RingAgent, TagLeg
from callcenter.floor.contacts import (
    Contact,
    ContactState,
    Cue,
    Talk,
    answer,
    play,
    start_music,
    step,
    stop_prompts,
    stop_sounds,
)
from callcenter.floor.endings import (
    CONTACT_TIMERS,
    drop_offer,
    end,
    forget,
    gone_during_message,
    message_over,
    part,
    turn_away,
)
from callcenter.floor.hours import is_open
from callcenter.floor.records import Outcome

if TYPE_CHECKING:
    from callcenter.floor.events import CallArrived
    from callcenter.floor.plan import ServicePlan
    from callcenter.floor.scene import Scene


def arrive(
    scene: Scene,
    event: CallArrived,
    accepted: bool = False,
    queue: str = "",
    head_start: float | None = None,
) -> None:
    """A caller is here: greet, queue, or turn away. A repeated arrival changes nothing.

    Whoever comes answered, or was in a queue before (`accepted`), has heard the greeting and keeps his
    place: he comes back after a restart or from the fallback queue. `queue` is where he was then, "" for
    the service's; `head_start` is what he had then, None for his number's.
    """
    if event.contact in scene.contacts:
        return
    service = scene.service_for(event.dnis)
    accepted = accepted or event.answered
    contact = Contact(
        id=event.contact,
        ani=event.ani,
        dnis=event.dnis,
        service=service.name if service else "",
        queue=service.queue if service else "",
        language=service.language if service else scene.plan.language,
        arrived_at=event.arrived_at,
        state=ContactState.WAITING,
        node=event.node,
        answered=event.answered,
    )
    if head_start is None:
        head_start = float(service.head_start_seconds) if service else 0.0
    contact.head_start = head_start
    scene.contacts[contact.id] = contact
    scene.outcome.contacts.add(contact.id)
    step(scene, contact, event.at, "arrived", detail=f"{contact.ani} -> {contact.dnis}")
    if service is None:
        turn_away(scene, contact, event.at, Outcome.UNKNOWN_NUMBER, ("unknown-number",))
        return
    if queue in scene.queues:
        contact.queue = queue
    if not _is_served(scene, service, event.arrived_at):
        turn_away(scene, contact, event.at, Outcome.CLOSED, service.closed_prompts)
    elif not accepted and waiting.overflow(scene, contact, event.at, joining=True):
        pass  # sent away
    elif not accepted and (greeting := recording.greeting(scene, contact)):
        answer(scene, contact)
        play(scene, contact, greeting)
        contact.state = ContactState.GREETING
        step(scene, contact, event.at, "greeting")
    else:
        join_queue(scene, contact, event.at)


def happen(scene: Scene, contact: Contact, at: float, cue: Cue, note: str = "") -> None:
    """Act on what happened to a contact, by the row of the table; `note` says more (an agent's blame)."""
    row = ROWS.get((contact.state, cue))
    if row is None:
        scene.outcome.oddities.append(f"contact {contact.id}: '{cue}' while {contact.state}")
        return
    scene.outcome.contacts.add(contact.id)
    row.act(scene, contact, at, note)


def offer(scene: Scene, contact: Contact, agent: Agent, at: float) -> None:
    """Ring a free agent for a caller: the first of a queue, or one who is transferred to him."""
    queue = scene.queues[contact.queue]
    queue.leave(contact)
    contact.state = ContactState.OFFERED
    contact.agent = agent.number
    contact.agent_leg = _ring(scene, contact, agent, at)
    seconds = standing.TONE_SECONDS if agent.line else queue.plan.ring_seconds
    scene.start(f"ring:{contact.id}", at + seconds)


def offer_to(scene: Scene, contact: Contact, others: Iterable[str], at: float) -> None:
    """Ring these free agents too: the first answer wins (`ringall`)."""
    for number in others:
        contact.ringing[number] = _ring(scene, contact, scene.agents[number], at)


def _ring(scene: Scene, contact: Contact, agent: Agent, at: float) -> str:
    contact.offers += 1
    leg = agent.line or f"{contact.id}~{agent.number}~{contact.offers}"
    scene.outcome.contacts.add(contact.id)
    step(scene, contact, at, "offered", agent=agent.number)
    agents.offer(scene, at, agent, contact.id, contact.queue, leg)
    if agent.line:
        _tag(scene, contact)  # the agent's leg does not tell it
        standing.announce(scene, contact, agent)
        return leg
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
            ring_seconds=scene.queues[contact.queue].plan.ring_seconds,
            arrived_at=contact.arrived_at,
        )
    )
    return leg


def entertain(scene: Scene, contact: Contact, at: float) -> None:
    """A caller who has to wait hears music, or goes on ringing for as long as the queue allows.

    His leg is told his queue, for a floor that must be rebuilt without Redis. One who is offered at once does
    without: the agent's leg tells it, and the request would cost as much as a bridge.
    """
    plan = scene.queues[contact.queue].plan
    scene.outcome.contacts.add(contact.id)
    if contact.state is ContactState.WAITING:
        _tag(scene, contact)
        if contact.unsaid:
            waiting.say(scene, contact, contact.unsaid)
            contact.unsaid = ()
        if plan.overflow or plan.announce or plan.messages:
            waiting.arm(scene, contact, at)
    if contact.music or contact.playback:
        return
    offered = contact.state is ContactState.OFFERED and not contact.answered
    if offered and (
        plan.music or at + plan.ring_seconds <= contact.arrived_at + plan.answer_after_seconds + 1
    ):
        return  # he rings while the agent's phone does; if that comes to nothing he is back here
    if plan.music:
        answer(scene, contact)
        start_music(scene, contact, plan.music)
    elif contact.answered:
        scene.do(IndicateRinging(contact.id))
    elif (timer := f"answer:{contact.id}") not in scene.timers:
        scene.start(timer, max(at, contact.arrived_at + plan.answer_after_seconds))


def join_queue(scene: Scene, contact: Contact, at: float) -> None:
    """Into the queue at the place that the arrival gives."""
    contact.queued_at = contact.queued_at or at
    contact.joined_at = at
    contact.playback = ""
    step(scene, contact, at, "queued")
    widening.begin(scene, contact, at)
    _wait(scene, contact)


def reconsider(scene: Scene, contact: Contact, at: float) -> None:
    """Apply the rules of his queue to one who waits: he is sent away, moved, or goes on waiting."""
    if contact.state is not ContactState.WAITING:
        return
    scene.outcome.contacts.add(contact.id)
    before = contact.queue
    if waiting.overflow(scene, contact, at, joining=False):
        return
    if contact.queue != before:
        join_queue(scene, contact, at)
    else:
        waiting.arm(scene, contact, at)


def pair(scene: Scene, contact: Contact, agent: Agent, leg: str, bridge: str, at: float) -> None:
    """Take a conversation found in Asterisk for what it is (nothing of it was in our snapshot)."""
    contact.state = ContactState.TALKING
    contact.agent, contact.agent_leg, contact.bridge = agent.number, leg, bridge
    contact.queued_at = contact.queued_at or contact.arrived_at
    parts.begin(contact, at)
    scene.outcome.contacts.add(contact.id)
    step(scene, contact, at, "found talking", agent=agent.number)
    recording.begin(scene, contact, at)


def lose(scene: Scene, contact: Contact, at: float, by_us: bool) -> None:
    """The caller's leg was found gone by a survey: cut off with our switch, or hung up unseen."""
    if contact.state is ContactState.ENDING:
        forget(scene, contact)
    elif contact.state in (ContactState.TALKING, ContactState.OUTSIDE):
        part(scene, contact, at, "switch" if by_us else "caller")
        forget(scene, contact)
    elif by_us and contact.state is not ContactState.LEAVING:
        drop_offer(scene, contact, at)
        scene.queues[contact.queue].leave(contact)
        end(scene, contact, at, Outcome.LOST, "switch")
        forget(scene, contact)
    else:
        happen(scene, contact, at, Cue.CALLER_GONE)


def set_aside(scene: Scene, contact: Contact, at: float) -> None:
    """What was saved of a living caller is out of date: forget it without an outcome; he is taken in anew."""
    scene.stop_timers(CONTACT_TIMERS, contact.id)
    if contact.queue in scene.queues:
        scene.queues[contact.queue].leave(contact)
    step(scene, contact, at, "found elsewhere", agent=contact.agent)
    recording.finish(scene, contact, at, stop=True)
    forget(scene, contact)


# What the rows do.


def _greeted(scene: Scene, contact: Contact, at: float, note: str) -> None:
    contact.playback = ""
    recording.greeted(scene, contact, failed=bool(note))
    if not waiting.overflow(scene, contact, at, joining=True):
        join_queue(scene, contact, at)


def _caller_gave_up(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    drop_offer(scene, contact, at)
    queue = scene.queues[contact.queue]
    queue.leave(contact)
    waited = at - (contact.queued_at or contact.arrived_at)
    if contact.state is not ContactState.GREETING:
        queue.pace.abandoned(waiting.seconds_here(contact, at))
    short = contact.queued_at == 0.0 or waited < queue.plan.short_abandon_seconds
    end(scene, contact, at, Outcome.SHORT_ABANDONED if short else Outcome.ABANDONED, "caller")
    forget(scene, contact)


def _caller_taken_out(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    drop_offer(scene, contact, at)
    scene.queues[contact.queue].leave(contact)
    if contact.state in (ContactState.TALKING, ContactState.OUTSIDE):
        if contact.agent_leg:
            standing.hang_up(scene, contact.agent_leg)
        part(scene, contact, at, "switch", Outcome.LEFT)
    else:
        end(scene, contact, at, Outcome.LEFT, "switch")
    forget(scene, contact)


def _answer_and_play_music(scene: Scene, contact: Contact, _at: float, _note: str) -> None:
    answer(scene, contact)
    if not contact.music:
        start_music(scene, contact, scene.queues[contact.queue].plan.ringing_music)


def _wait_limit(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    reconsider(scene, contact, at)


def _key_pressed(scene: Scene, contact: Contact, at: float, digit: str) -> None:
    """A key of the queue's leads out of it, also while an agent's phone rings; others mean nothing."""
    target = waiting.exit_of(scene, contact, digit)
    if target is None:
        return
    if contact.state is ContactState.OFFERED:
        drop_offer(scene, contact, at)
        contact.agent = contact.agent_leg = ""
        contact.state = ContactState.WAITING
    if waiting.send_on(scene, contact, at, target, Outcome.EXITED, f"key {digit}"):
        return
    if not waiting.overflow(scene, contact, at, joining=True):
        join_queue(scene, contact, at)


def _agent_answered(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    scene.stop(f"ring:{contact.id}")
    widening.stop(scene, contact)
    ringall.stop_others(scene, contact, at)
    waiting.note_answer(scene, contact, scene.agents[contact.agent], at)
    plan = scene.queues[contact.queue].plan
    if plan.whisper or plan.tell_agent_number:
        step(scene, contact, at, "agent answered", agent=contact.agent)
        briefing.brief(scene, contact, at)
    else:
        _join(scene, contact, at, "")


def _caller_told(scene: Scene, contact: Contact, at: float, note: str) -> None:
    if briefing.briefed(scene, contact, at, note, agent=False):
        _join(scene, contact, at, "")


def _agent_told(scene: Scene, contact: Contact, at: float, note: str) -> None:
    if briefing.briefed(scene, contact, at, note, agent=True):
        _join(scene, contact, at, "")


def _join(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    scene.stop_timers(("announce", "brief", "wait"), contact.id)
    stop_sounds(scene, contact)
    contact.unsaid = ()
    answer(scene, contact)
    contact.state = ContactState.TALKING
    parts.begin(contact, at)
    contact.bridge = f"{contact.id}~b{contact.offers}"
    scene.do(ConnectLegs(contact.bridge, contact.id, contact.agent_leg))
    step(scene, contact, at, "connected", agent=contact.agent)
    agents.connect(scene, at, scene.agents[contact.agent])
    recording.begin(scene, contact, at)


def _offer_failed(scene: Scene, contact: Contact, at: float, blame: str) -> None:
    """The agent's leg ended before it was answered: the caller keeps the place."""
    scene.stop(f"ring:{contact.id}")
    agent = scene.agents.get(contact.agent)
    step(scene, contact, at, blame or "offer withdrawn", agent=contact.agent)
    contact.agent = contact.agent_leg = ""
    contact.state = ContactState.WAITING
    if agent is not None:
        agents.offer_over(scene, at, agent, blame)
    widening.let_go(scene, contact, at)
    before = contact.queue
    if waiting.overflow(scene, contact, at, joining=False):
        return
    if contact.queue == before:
        _wait(scene, contact)
    else:
        join_queue(scene, contact, at)


def _agent_gone_before_the_join(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    """He answered and hung up before he was joined: the caller keeps the place."""
    scene.stop(f"brief:{contact.id}")
    stop_prompts(scene, contact)
    widening.go_on(scene, contact, at)
    _offer_failed(scene, contact, at, "rejected")


def _ring_limit(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    if standing.is_standing(scene, contact.agent_leg):  # nobody told us of the end of the tone
        _agent_answered(scene, contact, at, "")
        return
    scene.do(HangUp(contact.agent_leg))
    ringall.stop_others(scene, contact, at, "no-answer")
    _offer_failed(scene, contact, at, "no-answer")


def _could_not_join(scene: Scene, contact: Contact, at: float, during: str) -> None:
    """Both legs live but could not be bridged: the caller goes back to his place, the agent is freed.
    `during`: they had talked before."""
    agent = scene.agents.get(contact.agent)
    parts.drop_other(scene, contact, at, "switch")
    scene.do(DestroyBridge(contact.bridge))
    standing.hang_up(scene, contact.agent_leg)
    step(scene, contact, at, "could not be joined", agent=contact.agent)
    recording.finish(scene, contact, at, stop=True)
    contact.talk = Talk.TOGETHER
    if contact.parts or during:
        parts.close(scene, contact, at, "switch")
    else:
        contact.connected_at = 0.0
        scene.stop(f"refer:{contact.id}")
        parts.void(contact)
    contact.agent = contact.agent_leg = contact.bridge = ""
    contact.joined_at = at  # the rules of the queue begin anew: he was served, and it was our fault
    contact.announced_at = 0.0
    contact.state = ContactState.WAITING
    if agent is not None:
        agents.excuse(scene, at, agent)
    contact.held_for = ""
    widening.go_on(scene, contact, at)
    _wait(scene, contact)


def _caller_hung_up(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    standing.hang_up(scene, contact.agent_leg)
    part(scene, contact, at, "caller")
    forget(scene, contact)


def _agent_hung_up(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    scene.do(HangUp(contact.id))
    part(scene, contact, at, "agent")


def _outside_hung_up(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    """The number outside that the caller was given to hung up: he has nobody any more."""
    scene.do(HangUp(contact.id))
    part(scene, contact, at, "outside")


def _left_outside_alone(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    part(scene, contact, at, "caller")
    forget(scene, contact)


def _leg_over(scene: Scene, contact: Contact, _at: float, _note: str) -> None:
    forget(scene, contact)


def _hang_up_again(scene: Scene, contact: Contact, _at: float, _note: str) -> None:
    scene.do(HangUp(contact.id))


def _stay(_scene: Scene, _contact: Contact, _at: float, _note: str) -> None:
    """Absorbed: late, repeated, or settled when the state is left."""


Act: TypeAlias = Callable[["Scene", Contact, float, str], None]


@dataclass(frozen=True, slots=True)
class Row:
    act: Act
    leads_to: tuple[ContactState | None, ...]  # None: the contact is over and forgotten


_S = ContactState
_WAIT = (_S.WAITING, _S.OFFERED)
_AWAY = (*_WAIT, _S.LEAVING, _S.ENDING)  # a rule of the queue may send him away

# How a contact begins, by `arrive` and `pair`.
BEGINNINGS: Mapping[ContactState, str] = {
    _S.GREETING: "arrives",
    _S.WAITING: "arrives, there is no greeting or he has heard it",
    _S.LEAVING: "is turned away with a message",
    _S.ENDING: "is turned away without one",
    _S.TALKING: "is found talking after a restart",
}

ROWS: Mapping[tuple[ContactState, Cue], Row] = {
    (_S.GREETING, Cue.PLAYBACK_DONE): Row(_greeted, _AWAY),
    (_S.GREETING, Cue.CALLER_GONE): Row(_caller_gave_up, (None,)),
    (_S.GREETING, Cue.CALLER_LEFT): Row(_caller_taken_out, (None,)),
    (_S.WAITING, Cue.ANSWER_DUE): Row(_answer_and_play_music, (_S.WAITING,)),
    (_S.WAITING, Cue.WIDEN_DUE): Row(widening.widen, (_S.WAITING, _S.OFFERED)),
    (_S.WAITING, Cue.ANNOUNCE_DUE): Row(waiting.announce, (_S.WAITING,)),
    (_S.WAITING, Cue.PLAYBACK_DONE): Row(waiting.heard, (_S.WAITING,)),
    (_S.WAITING, Cue.KEY_PRESSED): Row(_key_pressed, _AWAY),
    (_S.WAITING, Cue.WAIT_LIMIT): Row(_wait_limit, _AWAY),
    (_S.WAITING, Cue.CALLER_GONE): Row(_caller_gave_up, (None,)),
    (_S.WAITING, Cue.CALLER_LEFT): Row(_caller_taken_out, (None,)),
    (_S.OFFERED, Cue.AGENT_ANSWERED): Row(_agent_answered, (_S.CONNECTING, _S.TALKING)),
    (_S.OFFERED, Cue.AGENT_GONE): Row(_offer_failed, _AWAY),
    (_S.OFFERED, Cue.RING_LIMIT): Row(_ring_limit, (*_AWAY, _S.CONNECTING, _S.TALKING)),
    (_S.OFFERED, Cue.ANNOUNCE_DUE): Row(_stay, (_S.OFFERED,)),
    (_S.OFFERED, Cue.PLAYBACK_DONE): Row(waiting.heard, (_S.OFFERED,)),
    (_S.OFFERED, Cue.KEY_PRESSED): Row(_key_pressed, (_S.OFFERED, *_AWAY)),
    (_S.OFFERED, Cue.ANSWER_DUE): Row(_answer_and_play_music, (_S.OFFERED,)),
    (_S.OFFERED, Cue.WAIT_LIMIT): Row(_stay, (_S.OFFERED,)),
    (_S.OFFERED, Cue.WIDEN_DUE): Row(widening.widen, (_S.OFFERED,)),
    (_S.OFFERED, Cue.CALLER_GONE): Row(_caller_gave_up, (None,)),
    (_S.OFFERED, Cue.CALLER_LEFT): Row(_caller_taken_out, (None,)),
    (_S.CONNECTING, Cue.PLAYBACK_DONE): Row(_caller_told, (_S.CONNECTING, _S.TALKING)),
    (_S.CONNECTING, Cue.WHISPER_DONE): Row(_agent_told, (_S.CONNECTING, _S.TALKING)),
    (_S.CONNECTING, Cue.BRIEF_LIMIT): Row(_join, (_S.TALKING,)),
    (_S.CONNECTING, Cue.AGENT_GONE): Row(_agent_gone_before_the_join, _AWAY),
    (_S.CONNECTING, Cue.AGENT_ANSWERED): Row(_stay, (_S.CONNECTING,)),
    (_S.CONNECTING, Cue.ANSWER_DUE): Row(_answer_and_play_music, (_S.CONNECTING,)),
    (_S.CONNECTING, Cue.CALLER_GONE): Row(_caller_gave_up, (None,)),
    (_S.CONNECTING, Cue.CALLER_LEFT): Row(_caller_taken_out, (None,)),
    (_S.TALKING, Cue.AGENT_GONE): Row(_agent_hung_up, (_S.ENDING,)),
    (_S.TALKING, Cue.CALLER_GONE): Row(_caller_hung_up, (None,)),
    (_S.TALKING, Cue.CALLER_LEFT): Row(_caller_taken_out, (None,)),
    (_S.TALKING, Cue.CONNECT_FAILED): Row(_could_not_join, _WAIT),
    (_S.TALKING, Cue.AGENT_ANSWERED): Row(_stay, (_S.TALKING,)),
    (_S.OUTSIDE, Cue.OTHER_GONE): Row(_outside_hung_up, (_S.ENDING,)),
    (_S.OUTSIDE, Cue.CALLER_GONE): Row(_left_outside_alone, (None,)),
    (_S.OUTSIDE, Cue.CALLER_LEFT): Row(_caller_taken_out, (None,)),
    (_S.OUTSIDE, Cue.CONNECT_FAILED): Row(_outside_hung_up, (_S.ENDING,)),
    (_S.LEAVING, Cue.PLAYBACK_DONE): Row(message_over, (_S.ENDING,)),
    (_S.LEAVING, Cue.CALLER_GONE): Row(gone_during_message, (None,)),
    (_S.LEAVING, Cue.CALLER_LEFT): Row(gone_during_message, (None,)),
    (_S.ENDING, Cue.CALLER_GONE): Row(_leg_over, (None,)),
    (_S.ENDING, Cue.CALLER_LEFT): Row(_leg_over, (None,)),
    (_S.ENDING, Cue.OUTSIDE_FAILED): Row(_hang_up_again, (_S.ENDING,)),
    (_S.ENDING, Cue.CONNECT_FAILED): Row(_stay, (_S.ENDING,)),
}


def _is_served(scene: Scene, service: ServicePlan, at: float) -> bool:
    if service.night_switch and scene.night:
        return False
    hours = scene.plan.hours.get(service.hours)
    return hours is None or is_open(hours, at)


def _tag(scene: Scene, contact: Contact) -> None:
    if not contact.tagged:
        contact.tagged = True
        scene.do(
            TagLeg(
                *(contact.id, contact.id, contact.queue, contact.arrived_at, contact.language),
                contact.head_start,
            )
        )


def _wait(scene: Scene, contact: Contact) -> None:
    contact.state = ContactState.WAITING
    queue = scene.queues[contact.queue]
    queue.join(contact)
    scene.unsettled[contact.queue] = None
    scene.newly_waiting.append(contact.id)
