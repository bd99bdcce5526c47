"""Listen, whisper, barge, take over: a supervisor's own leg beside an agent's conversation.

His leg is that of a feature-code call or a phone that we rang, in either case with a session of its own
(`sessions.py`). The agent's leg is tapped (ARI's snoop): a bridge of two, tap and supervisor, hears both
sides, and what is said into it the agent alone hears. To listen the supervisor is mute; to barge he moves
into the conversation's bridge. The conversation itself is never touched, but to take it over.

Known sharp edges:
- Nothing of this is saved, and a survey of Asterisk ends it: after a restart or a broken connection the
  supervisor is hung up and dials again, the two go on talking. A conversation that was taken over is an
  ordinary one, and stays.
- A whisper is mixed into what Asterisk sends to the agent: while the customer's side sends nothing at all (on
  hold, or a network that leaves silence out) the agent does not hear it. Barging is heard always.
- A conversation that goes to another agent ends the supervision: it was of this agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from callcenter.floor import agents, parts, standing, talks
from callcenter.floor.agents import Activity, Refusal
from callcenter.floor.commands import (
    AddLeg,
    Command,
    ConnectLegs,
    DestroyBridge,
    HangUp,
    MuteLeg,
    RemoveLeg,
    SnoopLeg,
    TagLeg,
)
from callcenter.floor.contacts import Contact, ContactState, step
from callcenter.floor.events import Failure
from callcenter.floor.records import Intervention

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene
    from callcenter.floor.sessions import Session


class Act(StrEnum):
    """What a supervisor does in a conversation."""

    LISTEN = "listen"
    WHISPER = "whisper"
    BARGE = "barge"
    TAKE_OVER = "take over"


KEYS = {"4": Act.LISTEN, "5": Act.WHISPER, "6": Act.BARGE, "7": Act.TAKE_OVER}

_NO_CONVERSATION = frozenset(
    {
        ContactState.GREETING,
        ContactState.WAITING,
        ContactState.OFFERED,
        ContactState.LEAVING,
        ContactState.ENDING,
    }
)


@dataclass(slots=True)
class Supervision:
    """One supervisor at one conversation; `leg` is his, and its session's."""

    leg: str
    by: str  # his agent number, else who asked
    agent: str
    agent_leg: str
    contact: str
    act: Act
    here: bool  # his leg is answered and in our hands
    tap: str = ""  # the leg that taps the agent's, from the moment it is asked for
    taps: int = 0  # to number them
    tap_in: bool = False  # the tap is in our hands, and so there is the bridge
    muted: bool = False

    @property
    def bridge(self) -> str:
        return f"{self.leg}~beside"


def begin(
    scene: Scene, session: Session, at: float, number: str, act: Act, *, by: str, here: bool
) -> Refusal | None:
    """Join the session's leg to the agent's talk; `here`: the leg is answered. Rights are asked before."""
    contact = _conversation(scene, number)
    if contact is None:
        return Refusal.UNKNOWN_AGENT if number not in scene.agents else Refusal.NOT_TALKING
    if act is Act.TAKE_OVER and not _may_take_over(scene, session):
        return Refusal.NOT_LOGGED_IN
    supervision = Supervision(session.leg, by, number, contact.agent_leg, contact.id, act, here)
    scene.supervisions[session.leg] = supervision
    if here:
        _start(scene, session, supervision, at)
    return None


def answered(scene: Scene, leg: str, at: float) -> bool:
    """A leg of ours came in: the supervisor's phone, or the tap. False: none of a supervision."""
    if (supervision := scene.supervisions.get(scene.taps.get(leg, leg))) is None:
        return False
    if leg == supervision.tap:
        if not supervision.tap_in:
            supervision.tap_in = True
            scene.do(ConnectLegs(supervision.bridge, supervision.tap, supervision.leg))
    elif not supervision.here:
        supervision.here = True
        _start(scene, scene.sessions[leg], supervision, at)
    return True


def key(scene: Scene, session: Session, at: float, digit: str) -> None:
    """4 listen, 5 whisper, 6 barge, 7 take over; any other key changes nothing."""
    supervision, act = scene.supervisions.get(session.leg), KEYS.get(digit)
    if supervision is None or act is None or not supervision.here or act is supervision.act:
        return
    if act is Act.TAKE_OVER and not _may_take_over(scene, session):
        return
    supervision.act = act
    _go_on(scene, session, supervision, at)


def settle(scene: Scene, at: float) -> None:
    """End what has lost its conversation."""
    for supervision in list(scene.supervisions.values()):
        contact = scene.contacts.get(supervision.contact)
        if contact is None or not _is_with(contact, supervision.agent_leg):
            _let_go(scene, supervision, at)


def leg_gone(scene: Scene, leg: str, at: float) -> None:
    """The supervisor hung up."""
    if (supervision := scene.supervisions.get(leg)) is not None:
        _take_apart(scene, supervision)
        _note(scene, supervision, at, "supervision over")


def tap_gone(scene: Scene, tap: str, at: float) -> None:
    """The tap ended by itself: the agent's leg is going, or Asterisk gave it up."""
    _let_go(scene, scene.supervisions[scene.taps[tap]], at)


def command_failed(scene: Scene, command: Command, failure: Failure, at: float) -> bool:
    """A command of a supervision was not carried out: it ends, the conversation goes on. False: of none."""
    match command:
        case SnoopLeg(leg) | MuteLeg(leg) | AddLeg(_, leg) | ConnectLegs(_, leg):
            supervision = scene.supervisions.get(scene.taps.get(leg, leg))
        case _:
            return False
    if supervision is None:
        return False
    if failure is not Failure.CONFLICT or isinstance(command, AddLeg):
        _let_go(scene, supervision, at)
    return True


def surveyed(scene: Scene, at: float) -> None:
    """After a broken connection nobody knows how far it had come: all supervisors are let go."""
    for supervision in list(scene.supervisions.values()):
        _let_go(scene, supervision, at)


def _start(scene: Scene, session: Session, supervision: Supervision, at: float) -> None:
    if supervision.act is Act.TAKE_OVER and not _may_take_over(scene, session):
        _let_go(scene, supervision, at)  # while his phone rang he sat down elsewhere
        return
    scene.stop(f"session:{session.leg}")
    _go_on(scene, session, supervision, at)


def _go_on(scene: Scene, session: Session, supervision: Supervision, at: float) -> None:
    """Do what the supervision is in now."""
    contact = scene.contacts[supervision.contact]
    _note(scene, supervision, at, supervision.act.value)
    match supervision.act:
        case Act.TAKE_OVER:
            _take_over(scene, session, supervision, at)
        case Act.BARGE:
            _mute(scene, supervision, False)
            scene.do(AddLeg(contact.bridge, supervision.leg, absorb=True))
            _untap(scene, supervision)
        case Act.LISTEN | Act.WHISPER:
            _mute(scene, supervision, supervision.act is Act.LISTEN)
            if not supervision.tap:
                supervision.taps += 1
                supervision.tap = f"{supervision.leg}~tap{supervision.taps}"
                scene.taps[supervision.tap] = supervision.leg
                scene.do(SnoopLeg(supervision.tap, supervision.agent_leg))


def _take_over(scene: Scene, session: Session, supervision: Supervision, at: float) -> None:
    """His leg takes the place of the agent's; the agent is released, each has his own time."""
    contact, leg = scene.contacts[supervision.contact], supervision.leg
    taker, old = scene.agents[scene.seats[session.phone]], scene.agents[supervision.agent]
    _mute(scene, supervision, False)
    _take_apart(scene, supervision)
    talks.back_together(scene, contact, at)
    parts.close(scene, contact, at, "taken over")
    scene.sessions.pop(leg)
    scene.playbacks.pop(session.playback, None)
    scene.stop(f"session:{leg}")
    scene.do(AddLeg(contact.bridge, leg, absorb=True))
    if standing.is_standing(scene, contact.agent_leg):
        scene.do(RemoveLeg(contact.bridge, contact.agent_leg))  # it stays, for his next contact
    standing.hang_up(scene, contact.agent_leg)
    tag = TagLeg(
        leg,
        contact.id,
        contact.queue,
        contact.arrived_at,
        contact.language,
        contact.head_start,
        agent=taker.number,
        phone=taker.phone,
    )
    scene.do(tag)
    contact.agent, contact.agent_leg = taker.number, leg
    parts.begin(contact, at)
    scene.outcome.contacts.add(contact.id)
    agents.take_over(scene, at, taker, contact.id, contact.queue, leg)
    agents.release(scene, at, old, scene.queues[contact.queue].plan.wrapup_seconds)


def _may_take_over(scene: Scene, session: Session) -> bool:
    taker = scene.agents.get(scene.seats.get(session.phone, ""))
    return taker is not None and taker.activity is Activity.ELSEWHERE and not (taker.leg or taker.line)


def _mute(scene: Scene, supervision: Supervision, muted: bool) -> None:
    if supervision.muted != muted:
        supervision.muted = muted
        scene.do(MuteLeg(supervision.leg, muted))


def _let_go(scene: Scene, supervision: Supervision, at: float) -> None:
    """The supervisor's call ends; his session ends with it, when the leg is gone."""
    _take_apart(scene, supervision)
    _note(scene, supervision, at, "supervision over")
    scene.do(HangUp(supervision.leg))
    if supervision.leg in scene.sessions:  # if that hang-up fails, it is repeated
        scene.start(f"session:{supervision.leg}", at + scene.plan.session_seconds)


def _take_apart(scene: Scene, supervision: Supervision) -> None:
    scene.supervisions.pop(supervision.leg, None)
    _untap(scene, supervision)


def _untap(scene: Scene, supervision: Supervision) -> None:
    """Also to barge: a tap that nobody listens to keeps what it hears, and would tell it later."""
    if supervision.tap:
        scene.taps.pop(supervision.tap, None)
        scene.do(HangUp(supervision.tap))
    if supervision.tap_in:
        scene.do(DestroyBridge(supervision.bridge))
    supervision.tap, supervision.tap_in = "", False


def _note(scene: Scene, supervision: Supervision, at: float, act: str) -> None:
    if not supervision.here:
        return  # his phone rang, and no more
    contact = scene.contacts.get(supervision.contact)
    queue = contact.queue if contact else ""
    scene.note(Intervention(at, supervision.by, act, supervision.agent, supervision.contact, queue))
    if contact is not None and contact.state is not ContactState.ENDING:
        step(scene, contact, at, act, agent=supervision.agent, detail=f"by {supervision.by}")


def _conversation(scene: Scene, number: str) -> Contact | None:
    agent = scene.agents.get(number)
    contact = scene.contacts.get(agent.contact) if agent is not None else None
    mine = contact is not None and contact.agent == number and _is_with(contact, contact.agent_leg)
    return contact if mine else None


def _is_with(contact: Contact, agent_leg: str) -> bool:
    """They talk: there is a bridge, and it is this agent's."""
    talks = contact.state not in _NO_CONVERSATION and bool(contact.bridge)
    return talks and contact.agent_leg == agent_leg != ""
