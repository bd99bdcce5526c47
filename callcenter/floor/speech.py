"""A leader speaks to his team: the phones of its idle agents ring, who answers hears him and is not heard.

Speaker and listeners are legs with sessions of their own, in one bridge. Agents are elsewhere while their
phone rings for it or they listen, so no caller is offered to them; whoever hangs up is free at once. Nothing
of it is saved: a restart or a broken connection ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callcenter.floor.agents import Activity, Agent, Presence, Refusal
from callcenter.floor.commands import (
    AddLeg,
    Command,
    ConnectLegs,
    DestroyBridge,
    HangUp,
    MuteLeg,
    RingPhone,
)
from callcenter.floor.events import Failure
from callcenter.floor.records import Intervention

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene

RING_SECONDS = 15


@dataclass(slots=True)
class Speech:
    leg: str  # the speaker's
    by: str
    team: str
    phones: dict[str, str]  # of those who are to hear it, by the leg that rings there
    here: bool = False  # the speaker is
    bridged: bool = False
    heard: set[str] = field(default_factory=set)  # legs that listen

    @property
    def bridge(self) -> str:
        return f"{self.leg}~speech"


Sit = Callable[[str, str], None]  # give the leg at a phone its session


def team_of(scene: Scene, leader: str, team: str) -> Refusal | None:
    """May `leader` ("" the shell) speak to this team?"""
    if not leader:
        return None
    who = scene.agents.get(leader)
    may = who is not None and not who.removed and (who.supervisor or team in who.leads)
    return None if may else Refusal.NOT_ALLOWED


def begin(scene: Scene, at: float, leg: str, speaker_phone: str, teams: tuple[str, ...], by: str) -> bool:
    """Remember who is to hear it; False when nobody of these teams is idle. () is everybody's team."""
    phones = {
        f"{leg}~{agent.phone}": agent.phone
        for agent in scene.agents.values()
        if _is_idle(agent) and agent.phone != speaker_phone and (not teams or agent.team in teams)
    }
    if not phones:
        return False
    speech = scene.speeches[leg] = Speech(leg, by, " ".join(teams) or "everybody", phones)
    scene.listeners.update(dict.fromkeys(phones, leg))
    detail = f"to {speech.team}, {len(phones)} phones"
    scene.note(Intervention(at, by, "speak", detail=detail))
    return True


def ring(scene: Scene, at: float, leg: str, sit: Sit) -> None:
    """The speaker is there: ring the others, but for those who are no longer idle."""
    speech = scene.speeches[leg]
    speech.here = True
    scene.stop(f"session:{leg}")
    for listener, phone in list(speech.phones.items()):
        agent = scene.agents.get(scene.seats.get(phone, ""))
        if agent is None or not _is_idle(agent):
            leg_gone(scene, listener, at)
            continue
        sit(listener, phone)
        scene.do(RingPhone(listener, phone, scene.sessions[leg].phone, RING_SECONDS))
        scene.start(f"session:{listener}", at + RING_SECONDS)


def answered(scene: Scene, leg: str) -> bool:
    """Somebody listens. False: this leg does not."""
    speech = scene.speeches.get(scene.listeners.get(leg, ""))
    if speech is None or leg in speech.heard:
        return speech is not None
    scene.stop(f"session:{leg}")
    speech.heard.add(leg)
    scene.do(MuteLeg(leg, True))
    if speech.bridged:
        scene.do(AddLeg(speech.bridge, leg, absorb=True))
    else:
        speech.bridged = True
        scene.do(ConnectLegs(speech.bridge, leg, speech.leg))
    return True


def leg_gone(scene: Scene, leg: str, at: float) -> None:
    """A listener hung up, which is his right; with the speaker, or the last listener, it is over."""
    if leg in scene.speeches:
        _end(scene, scene.speeches[leg], at)
    elif (speech := scene.speeches.get(scene.listeners.pop(leg, ""))) is not None:
        speech.phones.pop(leg, None)
        speech.heard.discard(leg)
        if not speech.phones:
            _end(scene, speech, at)
            _hang_up(scene, speech.leg, at)


def command_failed(scene: Scene, command: Command, failure: Failure, at: float) -> bool:
    """Who cannot be made to listen, or to be silent, is let go. False: a command of no speech."""
    match command:
        case MuteLeg(leg) | AddLeg(_, leg) | ConnectLegs(_, leg) if leg in scene.listeners:
            pass
        case _:
            return False
    speech = scene.speeches[scene.listeners[leg]]
    if not isinstance(command, ConnectLegs):
        speech.heard.discard(leg)
        _hang_up(scene, leg, at)
    elif failure is not Failure.CONFLICT:  # the bridge is not there, or the speaker is not in it
        _end(scene, speech, at)
        _hang_up(scene, speech.leg, at)
    return True


def surveyed(scene: Scene, at: float) -> None:
    for speech in list(scene.speeches.values()):
        _end(scene, speech, at)
        _hang_up(scene, speech.leg, at)


def _end(scene: Scene, speech: Speech, at: float) -> None:
    scene.speeches.pop(speech.leg)
    for listener in speech.phones:
        scene.listeners.pop(listener, None)
        if listener in scene.sessions:
            _hang_up(scene, listener, at)
    if speech.bridged:
        scene.do(DestroyBridge(speech.bridge))


def _hang_up(scene: Scene, leg: str, at: float) -> None:
    """Repeated, if it fails, by the session's timer."""
    scene.do(HangUp(leg))
    if leg in scene.sessions:
        scene.start(f"session:{leg}", at + scene.plan.session_seconds)


def _is_idle(agent: Agent) -> bool:
    idle = agent.presence is not Presence.LOGGED_OUT and agent.activity is Activity.IDLE
    return idle and not (agent.leg or agent.line)
