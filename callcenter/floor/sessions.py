"""Feature codes: an agent's phone dials a code, is led through it by voice, and hears the result.

A session lives only as long as its call. It is never saved: the digits of a PIN stay in memory, and
after a crash the phone is hung up and its user dials again. An always-connected agent keys codes on his
standing leg between contacts (`keyed`): that session ends and the call stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from callcenter.floor import agents, dispositions, standing
from callcenter.floor.agents import Agent, Refusal
from callcenter.floor.commands import AnswerLeg, CheckPin, HangUp, PlayPrompts, StopPlayback
from callcenter.floor.records import NightSwitched

if TYPE_CHECKING:
    from callcenter.floor.events import PhoneDialled, PinChecked
    from callcenter.floor.scene import Scene

PIN_LONGEST = 16


class Asking(StrEnum):
    """What the session is waiting for."""

    AGENT_NUMBER = "agent number"
    PIN = "PIN"
    CHECK = "check"  # the PIN is being checked
    CODE = "code"  # is being keyed on a standing leg
    REASON = "reason"
    DISPOSITION = "disposition"
    NOTHING = "nothing"  # the result is being told; the call ends after it


@dataclass(slots=True)
class Session:
    leg: str
    phone: str
    language: str
    asking: Asking = Asking.NOTHING
    agent: str = ""
    digits: str = field(default="", repr=False)
    tries: int = 0
    playback: str = ""
    playbacks: int = 0
    connected: bool = False  # logs in to work always connected, by this very call
    stays: bool = False  # on a standing leg: the call goes on after it

    @property
    def is_over(self) -> bool:
        """The result is being told."""
        return self.asking is Asking.NOTHING


def begin(scene: Scene, event: PhoneDialled) -> None:
    """A phone dialled a code: do it, or ask for what is missing."""
    if event.leg in scene.sessions:
        return
    phone = scene.plan.phones.get(event.phone)
    seated = scene.seats.get(event.phone, "")
    session = Session(event.leg, event.phone, phone.language if phone else scene.plan.language, agent=seated)
    scene.sessions[event.leg] = session
    if (agent := scene.agents.get(seated)) is not None:
        agents.settle_phone(scene, event.at, agent)
    scene.do(AnswerLeg(event.leg))
    scene.start(f"session:{event.leg}", event.at + scene.plan.session_seconds)
    _dialled(scene, session, event.at, event.number)


def keyed(scene: Scene, agent: Agent, at: float, key: str) -> None:
    """A key on a standing leg between contacts: the first of a code begins a session, others mean nothing."""
    if not any(code.startswith(key) for code in _keyed_codes(scene)):
        return
    phone = scene.plan.phones.get(agent.phone)
    language = phone.language if phone else scene.plan.language
    session = Session(agent.line, agent.phone, language, Asking.CODE, agent.number, stays=True)
    scene.sessions[agent.line] = session
    agents.settle_phone(scene, at, agent)
    standing.wake(scene, agent)
    digit(scene, session, at, key)


def digit(scene: Scene, session: Session, at: float, key: str) -> None:
    """A key cuts the prompt short; `#` ends a number or a PIN, `*` clears what was keyed so far."""
    if session.asking in (Asking.NOTHING, Asking.CHECK):
        return
    scene.start(f"session:{session.leg}", at + scene.plan.session_seconds)
    if session.playback:
        scene.playbacks.pop(session.playback, None)
        scene.do(StopPlayback(session.playback))
        session.playback = ""
    if session.asking is Asking.REASON:
        _not_ready(scene, session, at, key)
    elif session.asking is Asking.CODE:
        _code(scene, session, at, session.digits + key)
    elif session.asking is Asking.DISPOSITION and key not in "*#":
        _disposition(scene, session, at, session.digits + key)
    elif key == "*":
        session.digits = ""
    elif key != "#":
        session.digits = (session.digits + key)[:PIN_LONGEST]
    elif session.asking is Asking.AGENT_NUMBER:
        session.agent, session.digits = session.digits, ""
        _ask(scene, session, Asking.PIN, "enter-pin")
    elif session.asking is Asking.PIN:
        _check(scene, session, at)


def pin_checked(scene: Scene, session: Session, event: PinChecked) -> None:
    """Right: seat the agent. Wrong: told, counted on the agent, and after some tries locked for a while."""
    if session.asking is not Asking.CHECK:
        return
    agent = scene.agents.get(event.agent)
    if event.ok and agent is not None:
        _log_in(scene, session, event.at, event.agent)
        return
    session.tries += 1
    plan = scene.plan
    if agent is not None:
        agent.pin_failures += 1
        scene.outcome.agents.add(agent.number)
        if agent.pin_failures >= plan.pin_tries:
            doublings = min(agent.pin_failures - plan.pin_tries, 6)
            agent.locked_until = event.at + plan.pin_lock_seconds * 2**doublings
    if session.tries >= plan.pin_tries or (agent is not None and agent.locked_until > event.at):
        _say(scene, session, "wrong-pin", "login-locked")
    else:
        _ask(scene, session, Asking.PIN, "wrong-pin", "enter-pin")


def playback_done(scene: Scene, session: Session, at: float) -> None:
    session.playback = ""
    if session.is_over and session.stays:
        end(scene, session, at)
    elif session.is_over:
        scene.do(HangUp(session.leg))


def timed_out(scene: Scene, session: Session, at: float) -> None:
    if session.stays:
        end(scene, session, at)
        return
    scene.do(HangUp(session.leg))
    scene.start(f"session:{session.leg}", at + scene.plan.session_seconds)  # once more if that fails


def end(scene: Scene, session: Session, at: float) -> None:
    """The phone hung up, or all is told on a standing leg: its agent is back at once."""
    scene.sessions.pop(session.leg, None)
    scene.playbacks.pop(session.playback, None)
    scene.stop(f"session:{session.leg}")
    if (agent := scene.agents.get(scene.seats.get(session.phone, ""))) is not None:
        if session.stays and agent.line == session.leg:
            standing.rest(scene, agent)
        agents.settle_phone(scene, at, agent)


def _dialled(scene: Scene, session: Session, at: float, number: str) -> None:
    codes = scene.plan.features
    seated = session.agent
    if number.startswith((codes.login, codes.login_connected)):
        session.connected = number.startswith(codes.login_connected)
        code = codes.login_connected if session.connected else codes.login
        session.agent = number.removeprefix(code)
        if session.agent:
            _ask(scene, session, Asking.PIN, "enter-pin")
        else:
            _ask(scene, session, Asking.AGENT_NUMBER, "enter-agent-number")
    elif number == codes.night_on or number == codes.night_off:
        _switch_night(scene, session, at, number == codes.night_on)
    elif not seated and number.startswith(_agents_codes(scene)):
        _say(scene, session, Refusal.NOT_LOGGED_IN.value)
    elif number == codes.logout:
        session.asking = Asking.NOTHING  # a standing leg is ended after he is told
        _tell(scene, session, agents.logout(scene, at, seated), "logged-out")
    elif number == codes.ready:
        _tell(scene, session, agents.ready(scene, at, seated), "ready")
    elif number == codes.wrapup_end:
        _tell(scene, session, agents.end_wrapup(scene, at, seated), "wrapup-ended")
    elif number == codes.wrapup_extend:
        _tell(scene, session, dispositions.extend(scene, at, seated, 0), "wrapup-extended")
    elif number.startswith(codes.disposition):
        _disposition(scene, session, at, number.removeprefix(codes.disposition))
    elif number == codes.not_ready:
        _ask(scene, session, Asking.REASON, "enter-reason")
    elif number.startswith(codes.not_ready):
        _not_ready(scene, session, at, number.removeprefix(codes.not_ready))
    else:
        _say(scene, session, "unknown-code")


def _code(scene: Scene, session: Session, at: float, keys: str) -> None:
    """Keys on a standing leg: when they are a code it is done; a reason or a disposition is asked for."""
    codes = _keyed_codes(scene)
    if keys in codes:
        session.digits = ""
        _dialled(scene, session, at, keys)
    elif any(code.startswith(keys) for code in codes):
        session.digits = keys
    else:
        _say(scene, session, "unknown-code")


def _agents_codes(scene: Scene) -> tuple[str, ...]:
    """The codes of whoever is logged in."""
    codes = scene.plan.features
    wrapup = (codes.wrapup_end, codes.wrapup_extend, codes.disposition)
    return (codes.logout, codes.ready, codes.not_ready, *wrapup)


def _keyed_codes(scene: Scene) -> tuple[str, ...]:
    codes = scene.plan.features
    return (*_agents_codes(scene), codes.night_on, codes.night_off)


def _log_in(scene: Scene, session: Session, at: float, number: str) -> None:
    """Seat the agent; this call becomes his standing leg when he works always connected."""
    if not session.connected:
        _tell(scene, session, agents.login(scene, at, number, session.phone), "logged-in")
        return
    refusal = agents.login(scene, at, number, session.phone, connected=True, line=session.leg)
    session.stays = refusal is None
    session.agent = number
    _tell(scene, session, refusal, "logged-in-connected")


def _check(scene: Scene, session: Session, at: float) -> None:
    """Ask for the PIN to be checked. An unknown number takes the same way, so as not to be told apart."""
    pin, session.digits = session.digits, ""
    agent = scene.agents.get(session.agent)
    if agent is not None and agent.locked_until > at:
        _say(scene, session, "login-locked")
        return
    session.asking = Asking.CHECK
    scene.do(CheckPin(session.leg, session.agent, pin, agent.pin_hash if agent else ""))


def _not_ready(scene: Scene, session: Session, at: float, key: str) -> None:
    reason = scene.plan.reasons.get(key)
    if reason is None:
        session.tries += 1
        if session.tries >= scene.plan.pin_tries:
            _say(scene, session, "unknown-reason")
        else:
            _ask(scene, session, Asking.REASON, "unknown-reason", "enter-reason")
        return
    _tell(scene, session, agents.not_ready(scene, at, session.agent, reason), "not-ready")


def _disposition(scene: Scene, session: Session, at: float, digits: str) -> None:
    """By its digits; asked for while they may still become one."""
    agent = scene.agents.get(session.agent)
    if agent is None or not dispositions.has_contact(agent):
        _say(scene, session, Refusal.NO_DISPOSITION.value)
        return
    choices = dispositions.choices(scene, agent)
    session.digits = digits
    if digits in choices:
        by = f"phone {session.phone}"
        _tell(scene, session, dispositions.give(scene, at, agent.number, choices[digits], by), "disposed")
    elif not choices or (digits and not any(each.startswith(digits) for each in choices)):
        session.digits = ""
        session.tries += 1
        if not choices or session.tries >= scene.plan.pin_tries:
            _say(scene, session, "unknown-disposition")
        else:
            _ask(scene, session, Asking.DISPOSITION, "unknown-disposition", "enter-disposition")
    elif digits and session.asking is Asking.DISPOSITION:
        return  # more digits follow
    else:
        _ask(scene, session, Asking.DISPOSITION, "enter-disposition")


def _switch_night(scene: Scene, session: Session, at: float, closed: bool) -> None:
    scene.set_night(closed)
    scene.note(NightSwitched(at, closed, f"phone {session.phone}"))
    _say(scene, session, "night-on" if closed else "night-off")


def _tell(scene: Scene, session: Session, refusal: Refusal | None, done: str) -> None:
    """The result; whoever owes a disposition is reminded with it."""
    said = done if refusal is None else refusal.value
    agent = scene.agents.get(session.agent)
    if agent is not None and agent.owes_disposition and refusal is not Refusal.DISPOSITION_OWED:
        _say(scene, session, said, Refusal.DISPOSITION_OWED.value)
    else:
        _say(scene, session, said)


def _say(scene: Scene, session: Session, *prompts: str) -> None:
    _ask(scene, session, Asking.NOTHING, *prompts)


def _ask(scene: Scene, session: Session, asking: Asking, *prompts: str) -> None:
    session.asking = asking
    session.playbacks += 1
    session.playback = f"{session.leg}~p{session.playbacks}"
    scene.playbacks[session.playback] = session.leg
    scene.do(PlayPrompts(session.leg, session.playback, prompts, session.language))
