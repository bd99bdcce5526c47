"""The one door: an event comes in, commands and records go out. It dispatches, no more.

    floor = Floor(plan)
    outcome = floor.receive(CallArrived(at=…, contact=…, ani=…, dnis=…, arrived_at=…))

The caller (the engine, the simulator, a test) saves what changed, then carries out the commands; one
that fails comes back as CommandFailed. Nothing here reads a clock: time is `event.at`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from callcenter.floor import agents, events, journey, recording, sessions, survey
from callcenter.floor.agents import REFUSALS, Agent, Refusal
from callcenter.floor.commands import (
    AnswerLeg,
    ConnectLegs,
    HangUp,
    PlayPrompts,
    Reply,
    RingAgent,
    SendOutside,
    StartMusic,
    StartRecording,
)
from callcenter.floor.contacts import Contact, ContactState, Cue
from callcenter.floor.events import Event, Failure
from callcenter.floor.plan import FloorPlan
from callcenter.floor.records import NightSwitched
from callcenter.floor.scene import Outcome, Scene

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

    def receive(self, event: Event) -> Outcome:
        """Act on one event.

        An event that fits nothing (late, repeated, unknown leg) changes nothing; if it should not have
        come at all, `Outcome.oddities` says so.
        """
        scene = self.scene
        outcome = scene.outcome = Outcome()
        _RECEIVE[type(event)](scene, event)
        if scene.connected and (scene.freed or scene.unsettled or scene.newly_waiting):
            _settle(scene, event.at)
        return outcome


def _settle(scene: Scene, at: float) -> None:
    """Bring waiting callers and free agents together: of the queues that an event touched, the caller who
    came first is offered to his queue's best free agent, as long as there are both."""
    names = scene.unsettled
    for number in scene.freed:
        names.update(dict.fromkeys(scene.agents[number].queues))
    queues = [q for name in names if (q := scene.queues.get(name)) is not None]
    while both := [q for q in queues if q.waiting and q.free]:
        queue = min(both, key=lambda q: q.waiting[0])
        journey.offer(scene, scene.contacts[queue.first_caller], scene.agents[queue.best_agent], at)
        queues = both
    scene.unsettled.clear()
    scene.freed.clear()
    for contact_id in scene.newly_waiting:
        contact = scene.contacts.get(contact_id)
        if contact is not None and contact.state in (ContactState.WAITING, ContactState.OFFERED):
            journey.entertain(scene, contact, at)
    scene.newly_waiting.clear()


def _leg_answered(scene: Scene, event: events.LegAnswered) -> None:
    contact = _contact_of_agent_leg(scene, event.leg)
    if contact is not None:
        journey.happen(scene, contact, event.at, Cue.AGENT_ANSWERED)
    elif event.leg not in scene.contacts and event.leg not in scene.sessions:
        scene.do(HangUp(event.leg))  # answered just as it was given up


def _leg_hung_up(scene: Scene, event: events.LegHungUp) -> None:
    leg, at = event.leg, event.at
    if (contact := scene.contacts.get(leg)) is not None:
        journey.happen(scene, contact, at, Cue.CALLER_GONE)
    elif (session := scene.sessions.get(leg)) is not None:
        sessions.end(scene, session, at)
    elif (number := scene.agent_legs.get(leg)) is not None:
        agent = scene.agents.get(number)
        contact = _contact_of_agent_leg(scene, leg)
        if agent is not None:
            agents.leg_gone(scene, agent, leg)
        else:
            scene.stop(f"hangup:{leg}")
            del scene.agent_legs[leg]
        if contact is not None:
            journey.happen(scene, contact, at, Cue.AGENT_GONE, BLAME.get(event.cause, "unreachable"))


def _leg_left(scene: Scene, event: events.LegLeft) -> None:
    if (contact := scene.contacts.get(event.leg)) is not None:
        journey.happen(scene, contact, event.at, Cue.CALLER_LEFT)
    elif (session := scene.sessions.get(event.leg)) is not None:
        sessions.end(scene, session, event.at)
    elif event.leg in scene.agent_legs:
        scene.do(HangUp(event.leg))


def _digit(scene: Scene, event: events.DigitPressed) -> None:
    if (session := scene.sessions.get(event.leg)) is not None:
        sessions.digit(scene, session, event.at, event.digit)
    elif (contact := _contact_of_agent_leg(scene, event.leg)) is not None:
        recording.key(scene, contact, event.at, event.digit)


def _playback(scene: Scene, event: events.PlaybackFinished) -> None:
    leg = scene.playbacks.pop(event.playback, "")
    if (contact := scene.contacts.get(leg)) is not None and contact.playback == event.playback:
        journey.happen(scene, contact, event.at, Cue.PLAYBACK_DONE, "failed" if event.failed else "")
    elif (session := scene.sessions.get(leg)) is not None and session.playback == event.playback:
        sessions.playback_done(scene, session)


def _command_failed(scene: Scene, event: events.CommandFailed) -> None:
    command, failure, at = event.command, event.failure, event.at
    if isinstance(command, StartRecording):
        recording.failed(scene, command, at, event.failure)
        return
    if failure is Failure.AWAY:
        return  # SwitchLost is here or on its way; the survey after it puts everything right
    match command:
        case AnswerLeg(leg) | PlayPrompts(leg=leg) | StartMusic(leg=leg) if failure is Failure.NOT_FOUND:
            _leg_hung_up(scene, events.LegHungUp(at, leg))  # unseen: a ghost would be offered for ever
        case RingAgent() if failure is not Failure.CONFLICT:
            if failure is Failure.TIMED_OUT:
                scene.do(HangUp(command.leg))
            _leg_hung_up(scene, events.LegHungUp(at, command.leg, 20))
        case ConnectLegs() if failure is not Failure.CONFLICT:
            contact = scene.contacts.get(command.caller)
            if contact is not None and contact.bridge == command.bridge:
                journey.happen(scene, contact, at, Cue.CONNECT_FAILED)
        case HangUp(leg) if failure in (Failure.FAILED, Failure.TIMED_OUT):
            if leg in scene.contacts or leg in scene.agent_legs:
                scene.start(f"hangup:{leg}", at + HANG_UP_AGAIN_SECONDS)
        case PlayPrompts():
            _playback(scene, events.PlaybackFinished(at, command.playback, failed=True))
        case SendOutside():
            if (contact := scene.contacts.get(command.leg)) is not None:
                journey.happen(scene, contact, at, Cue.OUTSIDE_FAILED)
        case _:
            pass


def _timer(scene: Scene, event: events.TimerFired) -> None:
    if event.timer not in scene.timers:
        return  # stopped by what came between its deadline and now
    scene.timers.discard(event.timer)
    kind, _, subject = event.timer.partition(":")
    if kind in _CONTACT_TIMERS:
        if (contact := scene.contacts.get(subject)) is not None:
            journey.happen(scene, contact, event.at, _CONTACT_TIMERS[kind])
    elif kind == "wrapup":
        if (agent := scene.agents.get(subject)) is not None and agent.activity is agents.Activity.WRAPUP:
            agents.wrapup_over(scene, event.at, agent)
    elif kind == "session":
        if (session := scene.sessions.get(subject)) is not None:
            sessions.timed_out(scene, session, event.at)
    elif kind == "hangup":
        if subject in scene.contacts or subject in scene.agent_legs:
            scene.do(HangUp(subject))
    elif event.timer == survey.FALLBACK_TIMER:
        survey.fallback_empty(scene)


_CONTACT_TIMERS = {"ring": Cue.RING_LIMIT, "wait": Cue.WAIT_LIMIT, "answer": Cue.ANSWER_DUE}


def _pin_checked(scene: Scene, event: events.PinChecked) -> None:
    if (session := scene.sessions.get(event.leg)) is not None:
        sessions.pin_checked(scene, session, event)


def _people(scene: Scene, event: events.PeoplePublished) -> None:
    agents.publish(scene, event.at, event.agents)
    scene.outcome.meta["people_version"] = str(event.version)


def _plan(scene: Scene, event: events.PlanApplied) -> None:
    scene.take_plan(event.plan)


def _switch_lost(scene: Scene, _event: events.SwitchLost) -> None:
    scene.connected = False


def _night(scene: Scene, event: events.NightSwitchRequested) -> None:
    scene.set_night(event.closed)
    scene.note(NightSwitched(event.at, event.closed, event.by))
    scene.do(
        Reply(event.request, True, "the night switch is on" if event.closed else "the night switch is off")
    )


def _login(scene: Scene, event: events.AgentLoginRequested) -> None:
    _reply(scene, event, agents.login(scene, event.at, event.agent, event.phone), "is logged in")


def _logout(scene: Scene, event: events.AgentLogoutRequested) -> None:
    refusal = agents.logout(scene, event.at, event.agent)
    agent = scene.agents.get(event.agent)
    later = agent is not None and agent.logout_when_free
    _reply(
        scene, event, refusal, "is logged out as soon as the contact is over" if later else "is logged out"
    )


def _ready(scene: Scene, event: events.AgentReadyRequested) -> None:
    _reply(scene, event, agents.ready(scene, event.at, event.agent), "is ready")


def _not_ready(scene: Scene, event: events.AgentNotReadyRequested) -> None:
    _reply(scene, event, agents.not_ready(scene, event.at, event.agent, event.reason), "is not ready")


def _wrapup_end(scene: Scene, event: events.WrapupEndRequested) -> None:
    _reply(scene, event, agents.end_wrapup(scene, event.at, event.agent), "has ended the wrap-up")


def _reply(scene: Scene, event: Any, refusal: Refusal | None, done: str) -> None:
    if not event.request:
        return
    if refusal is None:
        scene.do(Reply(event.request, True, f"agent {event.agent} {done}"))
    else:
        text = f"agent {event.agent}: {REFUSALS[refusal]}"
        scene.do(Reply(event.request, False, text, refusal.value))


def _contact_of_agent_leg(scene: Scene, leg: str) -> Contact | None:
    agent = scene.agents.get(scene.agent_legs.get(leg, ""))
    if agent is None or agent.leg != leg:
        return None
    contact = scene.contacts.get(agent.contact)
    return contact if contact is not None and contact.agent_leg == leg else None


_Receive: TypeAlias = Callable[[Scene, Any], None]

_RECEIVE: Mapping[type[Event], _Receive] = {
    events.CallArrived: journey.arrive,
    events.PhoneDialled: sessions.begin,
    events.LegAnswered: _leg_answered,
    events.LegHungUp: _leg_hung_up,
    events.LegLeft: _leg_left,
    events.DigitPressed: _digit,
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
    events.NightSwitchRequested: _night,
    events.RecordingStarted: recording.started,
    events.RecordingRequested: recording.requested,
    events.RecordingSpaceSeen: recording.space_seen,
    events.PinChecked: _pin_checked,
    events.PlanApplied: _plan,
}
