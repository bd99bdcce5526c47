"""The one door: an event comes in, commands and records go out. It dispatches, no more.

    floor = Floor(plan)
    outcome = floor.receive(CallArrived(at=…, contact=…, ani=…, dnis=…, arrived_at=…))

The caller (the engine, the simulator, a test) saves what changed, then carries out the commands; one
that fails comes back as CommandFailed. Nothing here reads a clock or throws dice: time is
`event.at`, chance comes with the event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, TypeAlias

from callcenter.floor import (
    agents,
    dispositions,
    events,
    interventions,
    journey,
    keys,
    recording,
    rights,
    ringall,
    second_line,
    sessions,
    speech,
    standing,
    supervision,
    survey,
    talks,
    waiting,
    widening,
)
from callcenter.floor.agents import REFUSALS, Agent, Refusal
from callcenter.floor.commands import (
    AddLeg,
    AnswerLeg,
    ConnectLegs,
    HangUp,
    MuteLeg,
    PlayPrompts,
    Reply,
    RingAgent,
    RingOutside,
    RingPhone,
    SendOutside,
    StartMusic,
    StartRecording,
)
from callcenter.floor.contacts import Contact, ContactState, Cue, Talk
from callcenter.floor.events import Event, Failure
from callcenter.floor.figures import AnswerPace
from callcenter.floor.matching import settle
from callcenter.floor.plan import FloorPlan
from callcenter.floor.records import NightSwitched
from callcenter.floor.scene import Outcome, Scene
from callcenter.floor.talks import Happening

# What a phone's hang-up before the answer says of it (ITU-T Q.850); anything else: not reachable.
BLAME = {16: "no-answer", 17: "busy", 19: "no-answer", 21: "rejected", 26: "no-answer"}

HANG_UP_AGAIN_SECONDS = 5.0  # after Asterisk failed to do it


class Floor:
    """One floor: every contact, agent and queue of it. Not for several threads."""

    def __init__(self, plan: FloorPlan) -> None:
        self.scene = Scene(plan)

    def restore(
        self,
        contacts: Mapping[str, Contact],
        agents: Mapping[str, Agent],
        timers: Mapping[str, float],
        meta: Mapping[str, str],
    ) -> None:
        """Take over a snapshot. Nothing is offered until a SwitchSurveyed has come."""
        self.scene.restore(contacts, agents, timers)
        self.scene.night = meta.get("night") == "1"
        self.scene.recording_space = meta.get("recording_space") != "0"
        self.scene.regulars.restore(meta)
        for name, queue in self.scene.queues.items():
            queue.pace = AnswerPace.read(meta.get(f"{waiting.PACE_KEY}{name}", ""))

    def receive(self, event: Event, chance: float = 0.0) -> Outcome:
        """Act on one event. `chance`, uniform in [0, 1) and new for each event, feeds the random strategies.

        An event that fits nothing (late, repeated, unknown leg) changes nothing; if it should not have
        come at all, `Outcome.oddities` says so.
        """
        scene = self.scene
        outcome = scene.outcome = Outcome()
        scene.chance = chance
        _RECEIVE[type(event)](scene, event)
        if scene.supervisions:
            supervision.settle(scene, event.at)
        if scene.connected:
            if scene.thinned:
                _reconsider(scene, event.at)
            if scene.freed or scene.unsettled or scene.newly_waiting or scene.doubtful:
                settle(scene, event.at)
        return outcome


def _reconsider(scene: Scene, at: float) -> None:
    """Agents have gone from some queues: their rules may send on those who wait there."""
    for name in scene.thinned:
        if (queue := scene.queues.get(name)) is not None and queue.plan.overflow:
            for contact_id in queue.waiting_ids():
                journey.reconsider(scene, scene.contacts[contact_id], at)
    scene.thinned.clear()


def _phone_dialled(scene: Scene, event: events.PhoneDialled) -> None:
    if event.leg not in scene.second_legs and not second_line.dialled(scene, event):
        sessions.begin(scene, event)


def _leg_answered(scene: Scene, event: events.LegAnswered) -> None:
    contact = _contact_of_agent_leg(scene, event.leg)
    if contact is not None:
        ringall.answered_by(contact, scene.agent_legs[event.leg])
        journey.happen(scene, contact, event.at, Cue.AGENT_ANSWERED)
    elif (agent := _standing_agent(scene, event.leg)) is not None:
        standing.answered(scene, agent)
    elif sessions.answered(scene, event.leg, event.at):
        pass
    elif (contact := _contact_of_other_leg(scene, event.leg)) is not None:
        if contact.second_leg:
            second_line.answered(scene, contact, event.at)
        elif contact.talk is Talk.RINGING:  # else it is told again
            talks.happen(scene, contact, event.at, Happening.OTHER_ANSWERED)
    elif event.leg not in scene.contacts and event.leg not in scene.sessions:
        scene.do(HangUp(event.leg))  # answered just as it was given up


def _leg_hung_up(scene: Scene, event: events.LegHungUp) -> None:
    leg, at = event.leg, event.at
    if (contact := scene.contacts.get(leg)) is not None:
        journey.happen(scene, contact, at, Cue.CALLER_GONE)
        return
    if (session := scene.sessions.get(leg)) is not None:
        sessions.end(scene, session, at)
    if leg in scene.taps:
        supervision.tap_gone(scene, leg, at)
    elif leg in scene.agent_legs:
        _agent_leg_gone(scene, event)
    elif leg in scene.second_legs:
        contact = scene.contacts.get(scene.second_legs.pop(leg))
        if contact is not None:
            second_line.over(scene, contact, at, "given up")
    elif leg in scene.outside_legs:
        scene.stop(f"hangup:{leg}")
        scene.outside_legs.discard(leg)
        if (contact := _contact_of_other_leg(scene, leg)) is not None:
            _other_gone(scene, contact, at, BLAME.get(event.cause, "unreachable"))


def _agent_leg_gone(scene: Scene, event: events.LegHungUp) -> None:
    leg, at = event.leg, event.at
    number = scene.agent_legs[leg]
    agent = scene.agents.get(number)
    contact = _contact_of_agent_leg(scene, leg)
    stood = agent is not None and agent.line == leg
    keys.drop(scene, leg)
    if agent is not None:
        agents.leg_gone(scene, agent, leg)
        if stood:
            agents.line_gone(scene, at, agent)
    else:
        scene.stop(f"hangup:{leg}")
        del scene.agent_legs[leg]
    blame = "" if stood else BLAME.get(event.cause, "unreachable")
    if contact is not None and contact.second_leg:
        second_line.hand_over(scene, contact, at)
    elif contact is not None:
        if not ringall.one_gone(scene, contact, number, at, blame):
            talks.agent_gone(scene, contact, at, blame)
    elif (contact := _contact_of_other_leg(scene, leg)) is not None:
        _other_gone(scene, contact, at, blame)


def _other_gone(scene: Scene, contact: Contact, at: float, blame: str) -> None:
    if contact.state is ContactState.OUTSIDE:
        journey.happen(scene, contact, at, Cue.OTHER_GONE)
    elif contact.second_leg:
        _second_over(scene, contact, at, blame)
    else:
        keys.say(scene, contact, talks.happen(scene, contact, at, Happening.OTHER_GONE, blame))


def _second_over(scene: Scene, contact: Contact, at: float, blame: str) -> None:
    """Whom the agent called on the second line is gone, or does not answer (blamed only for that)."""
    answered = bool(contact.other_since)
    second_line.over(scene, contact, at, "other party left" if answered else blame, "" if answered else blame)


def _leg_left(scene: Scene, event: events.LegLeft) -> None:
    if (contact := scene.contacts.get(event.leg)) is not None:
        journey.happen(scene, contact, event.at, Cue.CALLER_LEFT)
        return
    if (session := scene.sessions.get(event.leg)) is not None:
        sessions.end(scene, session, event.at)
    if event.leg in {*scene.agent_legs, *scene.outside_legs, *scene.second_legs}:
        scene.do(HangUp(event.leg))


def _digit(scene: Scene, event: events.DigitPressed) -> None:
    if (session := scene.sessions.get(event.leg)) is not None:
        sessions.digit(scene, session, event.at, event.digit)
        return
    if (contact := scene.contacts.get(event.leg)) is not None:
        if (contact.state, Cue.KEY_PRESSED) in journey.ROWS:
            journey.happen(scene, contact, event.at, Cue.KEY_PRESSED, event.digit)
        return
    agent = _standing_agent(scene, event.leg)
    if agent is not None and agent.leg != event.leg:
        sessions.keyed(scene, agent, event.at, event.digit)  # between contacts
        return
    contact = _contact_of_agent_leg(scene, event.leg)
    if contact is not None and contact.state is ContactState.TALKING:
        keys.key(scene, contact, event.at, event.digit)


def _phone_held(scene: Scene, event: events.PhoneHeld) -> None:
    if (contact := _contact_of_agent_leg(scene, event.leg)) is not None:
        talks.phone_held(scene, contact, event.at)


def _phone_unheld(scene: Scene, event: events.PhoneUnheld) -> None:
    if (contact := _contact_of_agent_leg(scene, event.leg)) is not None:
        talks.phone_unheld(scene, contact, event.at)


def _leg_replaced(scene: Scene, event: events.LegReplaced) -> None:
    contact = scene.contacts.get(scene.second_legs.get(event.leg, ""))
    contact = contact or _contact_of_agent_leg(scene, event.leg)
    if contact is None:
        return
    if contact.second_leg and contact.state is ContactState.TALKING:
        second_line.hand_over(scene, contact, event.at)
    else:
        talks.leg_replaced(scene, contact, event.at)


def _phone_transferred(scene: Scene, event: events.PhoneTransferred) -> None:
    contact = next((c for c in scene.contacts.values() if c.agent_leg == event.leg), None)
    if contact is not None:
        talks.phone_transferred(scene, contact, event.at, event.number)


def _playback(scene: Scene, event: events.PlaybackFinished) -> None:
    leg = scene.playbacks.pop(event.playback, "")
    note = "failed" if event.failed else ""
    if (contact := scene.contacts.get(leg)) is not None and contact.playback == event.playback:
        journey.happen(scene, contact, event.at, Cue.PLAYBACK_DONE, note)
    elif contact is not None and contact.whisper == event.playback:
        journey.happen(scene, contact, event.at, Cue.WHISPER_DONE, note)
    elif (session := scene.sessions.get(leg)) is not None and session.playback == event.playback:
        sessions.playback_done(scene, session, event.at)
    elif (agent := _standing_agent(scene, leg)) is not None and agent.tone == event.playback:
        contact = _contact_of_agent_leg(scene, leg)
        if contact is not None and event.failed:  # he has hung up, as we shall hear, or else is joined
            if contact.agent_leg == leg and contact.state is ContactState.OFFERED:
                scene.start(f"ring:{contact.id}", event.at + standing.HUNG_UP_SECONDS)
        elif contact is not None:
            ringall.answered_by(contact, agent.number)
            journey.happen(scene, contact, event.at, Cue.AGENT_ANSWERED)


def _command_failed(scene: Scene, event: events.CommandFailed) -> None:
    command, failure, at = event.command, event.failure, event.at
    if isinstance(command, StartRecording):
        recording.failed(scene, command, at, event.failure)
        return
    if failure is Failure.AWAY:
        return  # SwitchLost is here or on its way; the survey after it puts everything right
    gone = failure is Failure.NOT_FOUND
    match command:
        case AnswerLeg(leg) | PlayPrompts(leg=leg) | StartMusic(leg=leg) | MuteLeg(leg=leg) if gone:
            _leg_hung_up(scene, events.LegHungUp(at, leg))  # unseen: a ghost would be offered for ever
        case _ if supervision.command_failed(scene, command, failure, at):
            pass
        case _ if speech.command_failed(scene, command, failure, at):
            pass
        case RingAgent() | RingPhone() | RingOutside() if failure is not Failure.CONFLICT:
            if failure is Failure.TIMED_OUT:
                scene.do(HangUp(command.leg))
            _leg_hung_up(scene, events.LegHungUp(at, command.leg, 20))
        case ConnectLegs() if failure is not Failure.CONFLICT:
            contact = scene.contacts.get(command.caller)
            if contact is not None and contact.bridge == command.bridge:
                journey.happen(scene, contact, at, Cue.CONNECT_FAILED)
        case AddLeg():
            _not_added(scene, command, failure, at)
        case HangUp(leg) if failure in (Failure.FAILED, Failure.TIMED_OUT):
            if leg in scene.contacts or leg in scene.agent_legs or leg in scene.outside_legs:
                scene.start(f"hangup:{leg}", at + HANG_UP_AGAIN_SECONDS)
        case PlayPrompts():
            _playback(scene, events.PlaybackFinished(at, command.playback, failed=True))
        case SendOutside():
            if (contact := scene.contacts.get(command.leg)) is not None:
                journey.happen(scene, contact, at, Cue.OUTSIDE_FAILED)
        case _:
            pass


def _not_added(scene: Scene, command: AddLeg, failure: Failure, at: float) -> None:
    """A leg could not be put (back) into the conversation: gone, or it must go another way. One that is none
    of the conversation's own, such as a supervisor's who has left meanwhile, is nothing to those who talk."""
    if failure is Failure.NOT_FOUND:
        _leg_hung_up(scene, events.LegHungUp(at, command.leg))
        return
    contact = _contact_of_agent_leg(scene, command.leg) or scene.contacts.get(
        command.bridge.partition("~")[0]
    )
    if contact is None or contact.bridge != command.bridge:
        return
    if command.leg not in (contact.id, contact.agent_leg, contact.other_leg):
        return
    if contact.state is ContactState.TALKING and command.leg == contact.other_leg:
        keys.say(scene, contact, talks.happen(scene, contact, at, Happening.OTHER_GONE, "unreachable"))
    elif contact.state in (ContactState.TALKING, ContactState.OUTSIDE):
        journey.happen(scene, contact, at, Cue.CONNECT_FAILED, "during the talk")


def _timer(scene: Scene, event: events.TimerFired) -> None:
    if scene.timers.get(event.timer, inf) > event.at:
        return  # stopped, or set anew, by what came between its deadline and now
    del scene.timers[event.timer]
    kind, _, subject = event.timer.partition(":")
    if kind in _CONTACT_TIMERS:
        if (contact := scene.contacts.get(subject)) is not None:
            journey.happen(scene, contact, event.at, _CONTACT_TIMERS[kind])
    elif kind == "wrapup":
        if (agent := scene.agents.get(subject)) is not None:
            dispositions.time_over(scene, event.at, agent)
    elif kind == "disposition":
        if (agent := scene.agents.get(subject)) is not None:
            dispositions.limit_over(scene, event.at, agent)
    elif kind == "rest":
        if (agent := scene.agents.get(subject)) is not None:
            agents.rested(scene, agent)
    elif kind == "session":
        if (session := scene.sessions.get(subject)) is not None:
            sessions.timed_out(scene, session, event.at)
    elif kind == "keys":
        keys.paused(scene, subject, event.at)
    elif kind == "other":
        contact = scene.contacts.get(subject)
        if contact is not None and contact.second_leg:
            _second_over(scene, contact, event.at, "no-answer")
        elif contact is not None:
            keys.say(scene, contact, talks.happen(scene, contact, event.at, Happening.OTHER_LATE))
    elif kind == "refer":
        if (contact := scene.contacts.get(subject)) is not None:
            talks.phone_transferred(scene, contact, event.at, "")
    elif kind == "hangup":
        if subject in scene.contacts or subject in scene.agent_legs or subject in scene.outside_legs:
            scene.do(HangUp(subject))
    elif event.timer == survey.FALLBACK_TIMER:
        survey.fallback_empty(scene)


_CONTACT_TIMERS = {
    "announce": Cue.ANNOUNCE_DUE,
    "answer": Cue.ANSWER_DUE,
    "brief": Cue.BRIEF_LIMIT,
    "ring": Cue.RING_LIMIT,
    "wait": Cue.WAIT_LIMIT,
    "widen": Cue.WIDEN_DUE,
}


def _pin_checked(scene: Scene, event: events.PinChecked) -> None:
    if (session := scene.sessions.get(event.leg)) is not None:
        sessions.pin_checked(scene, session, event)


def _people(scene: Scene, event: events.PeoplePublished) -> None:
    agents.publish(scene, event.at, event.agents)
    scene.outcome.meta["people_version"] = str(event.version)


def _plan(scene: Scene, event: events.PlanApplied) -> None:
    """Those who wait go on under the new plan's rules and announcements."""
    scene.take_plan(event.plan)
    widening.replan(scene, event.at)
    scene.thinned.update(dict.fromkeys(scene.queues))
    for contact in scene.contacts.values():
        if contact.state is ContactState.WAITING:
            scene.stop(f"wait:{contact.id}")
            scene.stop(f"announce:{contact.id}")
            scene.newly_waiting.append(contact.id)


def _switch_lost(scene: Scene, _event: events.SwitchLost) -> None:
    scene.connected = False


def _night(scene: Scene, event: events.NightSwitchRequested) -> None:
    scene.set_night(event.closed)
    scene.note(NightSwitched(event.at, event.closed, event.by))
    scene.do(
        Reply(event.request, True, "the night switch is on" if event.closed else "the night switch is off")
    )


def _login(scene: Scene, event: events.AgentLoginRequested) -> None:
    refusal = agents.login(scene, event.at, event.agent, event.phone, connected=event.connected)
    agent = scene.agents.get(event.agent)
    rings = agent is not None and agent.line and not agent.line_up
    _reply(scene, event, refusal, "is logged in" + (f": phone {event.phone} is being rung" if rings else ""))


def _logout(scene: Scene, event: events.AgentLogoutRequested) -> None:
    refusal = rights.over_agent(scene, event.leader, event.agent) or agents.logout(
        scene, event.at, event.agent
    )
    agent = scene.agents.get(event.agent)
    later = agent is not None and agent.logout_when_free
    done = "is logged out as soon as the contact is over" if later else "is logged out"
    _forced(scene, event, refusal, "log out", done)


def _ready(scene: Scene, event: events.AgentReadyRequested) -> None:
    refusal = rights.over_agent(scene, event.leader, event.agent) or agents.ready(
        scene, event.at, event.agent
    )
    _forced(scene, event, refusal, "ready", "is ready")


def _not_ready(scene: Scene, event: events.AgentNotReadyRequested) -> None:
    refusal = rights.over_agent(scene, event.leader, event.agent)
    refusal = refusal or agents.not_ready(scene, event.at, event.agent, event.reason)
    _forced(scene, event, refusal, "not ready", "is not ready", event.reason)


def _wrapup_end(scene: Scene, event: events.WrapupEndRequested) -> None:
    refusal = rights.over_agent(scene, event.leader, event.agent)
    refusal = refusal or agents.end_wrapup(scene, event.at, event.agent)
    _forced(scene, event, refusal, "end wrap-up", "has ended the wrap-up")


def _supervise(scene: Scene, event: events.SuperviseRequested) -> None:
    keys = ", ".join(f"{key} {act}" for key, act in supervision.KEYS.items())
    _reply(scene, event, sessions.ring_supervisor(scene, event), f"talks: phone {event.phone} rings ({keys})")


def _speak(scene: Scene, event: events.SpeakRequested) -> None:
    refusal = sessions.ring_speaker(scene, event)
    told = f"phone {event.phone} rings" if refusal is None else REFUSALS[refusal]
    code = "" if refusal is None else refusal.value
    scene.do(Reply(event.request, refusal is None, f"team {event.team}: {told}", code))


def _forced(scene: Scene, event: Any, refusal: Refusal | None, act: str, done: str, detail: str = "") -> None:
    """What was done to an agent by another is remembered."""
    if refusal is None and event.by != event.agent:
        interventions.forced(scene, event, event.agent, act, detail)
    _reply(scene, event, refusal, done)


def _wrapup_extend(scene: Scene, event: events.WrapupExtendRequested) -> None:
    refusal = dispositions.extend(scene, event.at, event.agent, event.seconds)
    _reply(scene, event, refusal, f"has {event.seconds} s more for the wrap-up")


def _disposition(scene: Scene, event: events.DispositionRequested) -> None:
    if event.contact:
        refusal = dispositions.give_late(scene, event)
    else:
        refusal = dispositions.give(scene, event.at, event.agent, event.disposition, event.by)
    _reply(scene, event, refusal, f'has the disposition "{event.disposition}"')


def _reply(scene: Scene, event: Any, refusal: Refusal | None, done: str) -> None:
    if not event.request:
        return
    if refusal is None:
        scene.do(Reply(event.request, True, f"agent {event.agent} {done}"))
    else:
        text = f"agent {event.agent}: {REFUSALS[refusal]}"
        scene.do(Reply(event.request, False, text, refusal.value))


def _standing_agent(scene: Scene, leg: str) -> Agent | None:
    agent = scene.agents.get(scene.agent_legs.get(leg, ""))
    return agent if agent is not None and agent.line == leg else None


def _contact_of_agent_leg(scene: Scene, leg: str) -> Contact | None:
    agent = scene.agents.get(scene.agent_legs.get(leg, ""))
    if agent is None or agent.leg != leg:
        return None
    contact = scene.contacts.get(agent.contact)
    mine = contact is not None and leg in (contact.agent_leg, contact.ringing.get(agent.number))
    return contact if mine else None


def _contact_of_other_leg(scene: Scene, leg: str) -> Contact | None:
    """Of whom a leg is the third party's. Ids of our legs begin with their contact's."""
    contact = scene.contacts.get(leg.partition("~")[0])
    return contact if contact is not None and contact.other_leg == leg else None


_Receive: TypeAlias = Callable[[Scene, Any], None]

_RECEIVE: Mapping[type[Event], _Receive] = {
    events.CallArrived: journey.arrive,
    events.PhoneDialled: _phone_dialled,
    events.LegAnswered: _leg_answered,
    events.LegHungUp: _leg_hung_up,
    events.LegLeft: _leg_left,
    events.DigitPressed: _digit,
    events.PhoneHeld: _phone_held,
    events.PhoneUnheld: _phone_unheld,
    events.LegReplaced: _leg_replaced,
    events.PhoneTransferred: _phone_transferred,
    events.PlaybackFinished: _playback,
    events.CommandFailed: _command_failed,
    events.TimerFired: _timer,
    events.SwitchLost: _switch_lost,
    events.SwitchSurveyed: survey.surveyed,
    events.PhonesSeen: survey.phones_seen,
    events.PeoplePublished: _people,
    events.AgentLoginRequested: _login,
    events.AgentLogoutRequested: _logout,
    events.AgentReadyRequested: _ready,
    events.AgentNotReadyRequested: _not_ready,
    events.WrapupEndRequested: _wrapup_end,
    events.WrapupExtendRequested: _wrapup_extend,
    events.DispositionRequested: _disposition,
    events.SpeakRequested: _speak,
    events.SuperviseRequested: _supervise,
    events.CallMoveRequested: interventions.move_call,
    events.CallPrioritizeRequested: interventions.prioritize_call,
    events.NightSwitchRequested: _night,
    events.RecordingStarted: recording.started,
    events.RecordingRequested: recording.requested,
    events.RecordingSpaceSeen: recording.space_seen,
    events.PinChecked: _pin_checked,
    events.PlanApplied: _plan,
}
