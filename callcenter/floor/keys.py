"""What an agent keys during a talk: codes for the floor, everything else for the far end.

Keys are absorbed on the way in, so that nobody hears a code; what turns out to be none is sent on. They are
never saved, for they may be a card number or a PIN: after a crash a code that was half keyed is keyed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callcenter.floor import recording, standing, talks
from callcenter.floor.commands import PlayPrompts, SendDigits, StopPlayback
from callcenter.floor.contacts import Contact, ContactState, Talk
from callcenter.floor.talks import Happening

if TYPE_CHECKING:
    from callcenter.floor.plan import FeatureCodes
    from callcenter.floor.scene import Scene

CODE_SECONDS = 2.0  # a pause after which what begins like a code is none
NUMBER_SECONDS = 5.0  # a pause that ends a number as # does
NUMBER_LONGEST = 20


@dataclass(slots=True)
class Keying:
    """Keys of one agent's leg that are not yet understood; `asking`: a number for this is being keyed."""

    digits: str = field(default="", repr=False)
    asking: Happening | None = None
    playback: str = ""  # asks for the number


def key(scene: Scene, contact: Contact, at: float, digit: str) -> None:
    """A key on the phone of the contact's agent."""
    leg = contact.agent_leg
    keying = scene.keyings.get(leg) or Keying()
    if keying.asking is not None:
        _number_key(scene, contact, keying, at, digit)
        return
    typed = keying.digits + digit
    codes = codes_of(scene.plan.features)
    if standing.is_standing(scene, leg):
        codes = {**codes, scene.plan.features.end_contact: Happening.AGENT_GONE}
    recorder = (scene.plan.features.record, scene.plan.features.record_pause)
    if typed in recorder:
        drop(scene, leg)
        recording.obey(scene, contact, at, typed)
    elif typed in codes:
        drop(scene, leg)
        _code(scene, contact, at, codes[typed])
    elif any(code.startswith(typed) for code in (*codes, *recorder)):
        keying.digits = typed
        scene.keyings[leg] = keying
        scene.start(f"keys:{leg}", at + CODE_SECONDS)
    else:
        drop(scene, leg)
        _pass_on(scene, contact, typed)


def paused(scene: Scene, leg: str, at: float) -> None:
    """Nothing more was keyed for a while."""
    keying = scene.keyings.pop(leg, None)
    agent = scene.agents.get(scene.agent_legs.get(leg, ""))
    contact = scene.contacts.get(agent.contact) if agent is not None else None
    if keying is None or contact is None or contact.agent_leg != leg:
        return
    if contact.state is not ContactState.TALKING:
        return
    if keying.asking is None:
        _pass_on(scene, contact, keying.digits)
    else:
        _number(scene, contact, keying, at)


def drop(scene: Scene, leg: str) -> None:
    """The leg's keys are understood, or it is gone."""
    scene.stop(f"keys:{leg}")
    scene.keyings.pop(leg, None)


def say(scene: Scene, contact: Contact, prompt: str) -> str:
    """Tell the contact's agent something, in his phone's language; gives the playback, "" for no prompt."""
    if not prompt or not contact.agent_leg:
        return ""
    agent = scene.agents.get(contact.agent)
    phone = scene.plan.phones.get(agent.phone) if agent else None
    contact.playbacks += 1
    scene.outcome.contacts.add(contact.id)
    playback = f"{contact.id}~p{contact.playbacks}"
    language = phone.language if phone else scene.plan.language
    scene.do(PlayPrompts(contact.agent_leg, playback, (prompt,), language))
    return playback


def codes_of(codes: FeatureCodes) -> Mapping[str, Happening]:
    """The codes of a talk, by what is keyed."""
    return {
        codes.hold: Happening.HOLD,
        codes.transfer: Happening.TRANSFER,
        codes.consult: Happening.CONSULT,
        codes.swap: Happening.SWAP,
        codes.join: Happening.JOIN,
        codes.give_up: Happening.GIVE_UP,
    }


def _code(scene: Scene, contact: Contact, at: float, what: Happening) -> None:
    if what is Happening.AGENT_GONE:  # in place of putting down
        talks.agent_gone(scene, contact, at)
    elif what not in (Happening.TRANSFER, Happening.CONSULT):
        say(scene, contact, talks.wish(scene, contact, at, what))
    elif (contact.talk, what) not in talks.ROWS:
        say(scene, contact, "not-possible-now")
    else:
        playback = say(scene, contact, "enter-number")
        scene.keyings[contact.agent_leg] = Keying(asking=what, playback=playback)
        scene.start(f"keys:{contact.agent_leg}", at + NUMBER_SECONDS)


def _number_key(scene: Scene, contact: Contact, keying: Keying, at: float, digit: str) -> None:
    """`#` ends the number, `*` begins it anew."""
    leg = contact.agent_leg
    if keying.playback:
        scene.do(StopPlayback(keying.playback))
        keying.playback = ""
    if digit == "#":
        drop(scene, leg)
        _number(scene, contact, keying, at)
        return
    keying.digits = "" if digit == "*" else (keying.digits + digit)[:NUMBER_LONGEST]
    scene.start(f"keys:{leg}", at + NUMBER_SECONDS)


def _number(scene: Scene, contact: Contact, keying: Keying, at: float) -> None:
    if keying.asking is not None and keying.digits:
        say(scene, contact, talks.wish(scene, contact, at, keying.asking, keying.digits))


def _pass_on(scene: Scene, contact: Contact, digits: str) -> None:
    """To whom the agent talks with; nobody hears them while the caller is on hold."""
    if contact.talk is Talk.CONSULTING:
        scene.do(SendDigits(contact.other_leg, digits))
    elif contact.talk not in (Talk.HELD, Talk.RINGING):
        scene.do(SendDigits(contact.id, digits))
