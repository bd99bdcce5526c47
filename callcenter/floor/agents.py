"""An agent: presence is chosen (logged out, not ready, ready), activity is observed.

What an agent may do at any moment is in `MOVES`; `make states` prints the picture. People's wishes
(log in, ready, …) answer with a `Refusal` when they cannot be granted, and then change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import exp
from typing import TYPE_CHECKING

from callcenter.floor import standing, wrapups
from callcenter.floor.plan import Strategy
from callcenter.floor.records import AgentState

if TYPE_CHECKING:
    from callcenter.floor.events import AgentDefinition
    from callcenter.floor.plan import QueuePlan
    from callcenter.floor.scene import Scene


OCCUPANCY_SECONDS = 1800.0  # what an agent did so long ago counts 1/e for his occupancy


class Presence(StrEnum):
    LOGGED_OUT = "logged_out"
    NOT_READY = "not_ready"
    READY = "ready"


class Activity(StrEnum):
    IDLE = "idle"
    OFFERED = "offered"  # the phone rings for a contact
    TALKING = "talking"
    HOLDING = "holding"  # has a caller, who is on hold
    WRAPUP = "wrapup"
    ELSEWHERE = "elsewhere"  # the phone is in a call that is no contact (feature code, fallback)


class Move(StrEnum):
    OFFER = "offer"
    OFFER_OVER = "offer over"
    CONNECT = "connect"
    HOLD = "hold"
    RESUME = "resume"
    RELEASE = "release"
    RELEASE_TO_WRAPUP = "release to wrap-up"
    WRAPUP_OVER = "wrap-up over"
    PHONE_TAKEN = "phone taken"
    PHONE_FREE = "phone free"
    TAKE_OVER = "take over"


class Refusal(StrEnum):
    """Why a wish was not granted; the texts are in `REFUSALS`."""

    UNKNOWN_AGENT = "unknown-agent"
    UNKNOWN_PHONE = "unknown-phone"
    PHONE_IN_USE = "phone-in-use"
    AGENT_ELSEWHERE = "agent-elsewhere"
    NOT_LOGGED_IN = "not-logged-in"
    DISPOSITION_OWED = "disposition-first"
    IN_CONTACT = "in-contact"
    NO_DISPOSITION = "no-disposition"
    NO_WRAPUP = "no-wrapup"
    UNKNOWN_DISPOSITION = "unknown-disposition"
    WRAPUP_UNLIMITED = "wrapup-unlimited"
    UNKNOWN_REASON = "unknown-reason"
    NOT_ALLOWED = "not-allowed"
    NOT_TALKING = "not-talking"
    NOBODY_FREE = "nobody-free"


REFUSALS = {
    Refusal.UNKNOWN_AGENT: "there is no such agent on this floor (see `callcenter agents list`)",
    Refusal.UNKNOWN_PHONE: "there is no such phone in the site file",
    Refusal.PHONE_IN_USE: "another agent is in a call on that phone",
    Refusal.AGENT_ELSEWHERE: "the agent is in a call on another phone",
    Refusal.NOT_LOGGED_IN: "the agent is not logged in",
    Refusal.DISPOSITION_OWED: "a disposition of the last contact must be given first",
    Refusal.IN_CONTACT: "the agent is in a contact: log in anew when it is over",
    Refusal.NO_DISPOSITION: "the agent has no contact to give a disposition of",
    Refusal.NO_WRAPUP: "the agent is not in wrap-up",
    Refusal.UNKNOWN_DISPOSITION: "the contact's queue has no such disposition in the site file",
    Refusal.WRAPUP_UNLIMITED: "the wrap-up has no time limit: it lasts until it is ended",
    Refusal.UNKNOWN_REASON: "there is no such reason in the site file ([reasons])",
    Refusal.NOT_ALLOWED: "only a leader of his team or a supervisor may do that (see `callcenter teams`)",
    Refusal.NOT_TALKING: "the agent is in no conversation",
    Refusal.NOBODY_FREE: "none of its agents is idle at a phone",
}

MOVES: dict[tuple[Activity, Move], Activity] = {
    (Activity.IDLE, Move.OFFER): Activity.OFFERED,
    (Activity.OFFERED, Move.OFFER_OVER): Activity.IDLE,
    (Activity.OFFERED, Move.CONNECT): Activity.TALKING,
    (Activity.TALKING, Move.RELEASE): Activity.IDLE,
    (Activity.TALKING, Move.RELEASE_TO_WRAPUP): Activity.WRAPUP,
    (Activity.TALKING, Move.HOLD): Activity.HOLDING,
    (Activity.HOLDING, Move.RESUME): Activity.TALKING,
    (Activity.HOLDING, Move.RELEASE): Activity.IDLE,
    (Activity.HOLDING, Move.RELEASE_TO_WRAPUP): Activity.WRAPUP,
    (Activity.WRAPUP, Move.WRAPUP_OVER): Activity.IDLE,
    (Activity.IDLE, Move.PHONE_TAKEN): Activity.ELSEWHERE,
    (Activity.ELSEWHERE, Move.PHONE_FREE): Activity.IDLE,
    (Activity.ELSEWHERE, Move.TAKE_OVER): Activity.TALKING,  # from the call in which he supervised
}


@dataclass(slots=True)
class Agent:
    number: str
    name: str
    queues: tuple[str, ...]
    language: str = ""
    skills: dict[str, int] = field(default_factory=dict)  # never changed in place: lanes know it by identity
    weights: dict[str, int] = field(default_factory=dict)  # by queue, where it is not 1
    pin_hash: str = field(default="", repr=False)
    team: str = ""
    leads: tuple[str, ...] = ()  # the teams whose agents he may supervise
    supervisor: bool = False  # may supervise everybody
    presence: Presence = Presence.LOGGED_OUT
    reason: str = ""  # why not ready: a break reason, or "no-answer", "busy", "unreachable", "rejected"
    activity: Activity = Activity.IDLE
    phone: str = ""
    contact: str = ""  # offered, talking, or the one the wrap-up is for
    queue: str = ""  # of that contact
    since: float = 0.0  # when presence, reason or activity last changed
    leg: str = ""  # our leg to the phone: ringing, talking, or being hung up
    idle_since: float = 0.0  # the end of the last contact, or the moment of becoming ready
    offered_at: float = 0.0  # the last offer
    calls_taken: int = 0  # since log-in
    missed_calls: int = 0  # offers since log-in that came to nothing by him or his phone
    wrapup_until: float = 0.0  # in wrap-up: when its time is over; 0.0 until he ends it
    disposition: str = ""  # given for the contact at hand
    owes_disposition: bool = False  # a required one, and the contact is over
    line: str = ""  # always connected: the standing leg
    line_up: bool = False  # and it is answered
    tone: str = ""  # the playback on it that announces a contact
    occupancy: float = 0.0  # share of time in contacts, exponentially weighted, as it was at `since`
    missed_in_row: int = 0  # offers, since the last one answered
    resting_until: float = 0.0  # ready, but left alone after a missed offer
    logout_when_free: bool = False  # asked to log out during a contact
    removed: bool = False  # no longer published: leaves when free
    pin_failures: int = 0
    locked_until: float = 0.0


# What people wish.


def login(
    scene: Scene, at: float, number: str, phone: str, *, connected: bool = False, line: str = ""
) -> Refusal | None:
    """Seat an agent at a phone. Hot desking: he leaves his old phone, whoever sat here leaves this one.

    `connected`: he works always connected, by the leg `line`, or else his phone is rung for one.
    """
    agent = scene.agents.get(number)
    if agent is None or agent.removed:
        return Refusal.UNKNOWN_AGENT
    if phone not in scene.plan.phones:
        return Refusal.UNKNOWN_PHONE
    same_way = bool(agent.line) == connected and line in ("", agent.line)
    if agent.presence is not Presence.LOGGED_OUT and agent.phone == phone and same_way:
        agent.logout_when_free = False
        agent.pin_failures = 0
        scene.outcome.agents.add(number)
        return ready(scene, at, number)
    if _in_contact(agent):
        return Refusal.IN_CONTACT if agent.phone == phone else Refusal.AGENT_ELSEWHERE
    seated = scene.agents.get(scene.seats.get(phone, ""))
    if seated is not None:
        if _in_contact(seated):
            return Refusal.PHONE_IN_USE
        _leave(scene, at, seated)
    if agent.presence is not Presence.LOGGED_OUT:
        _leave(scene, at, agent)
    scene.seats[phone] = number
    agent.calls_taken = agent.missed_calls = agent.missed_in_row = agent.pin_failures = 0
    agent.idle_since = at
    if line:
        standing.take(scene, at, agent, line, phone)
    elif connected:
        standing.ring(scene, at, agent, phone)
    if scene.plan.login_ready:
        change(scene, agent, at, presence=Presence.READY, reason="", phone=phone)
    else:
        change(scene, agent, at, presence=Presence.NOT_READY, reason="login", phone=phone)
    settle_phone(scene, at, agent)
    scene.tell_fallback(agent)
    return None


def logout(scene: Scene, at: float, number: str) -> Refusal | None:
    """Log out; in a contact, as soon as it is over."""
    agent = scene.agents.get(number)
    if agent is None or agent.presence is Presence.LOGGED_OUT:
        return Refusal.UNKNOWN_AGENT if agent is None else Refusal.NOT_LOGGED_IN
    if _in_contact(agent):
        agent.logout_when_free = True
        scene.outcome.agents.add(number)
    else:
        _leave(scene, at, agent)
    return None


def ready(scene: Scene, at: float, number: str) -> Refusal | None:
    """Ready for contacts; during wrap-up this ends it."""
    agent = scene.agents.get(number)
    if agent is None or agent.presence is Presence.LOGGED_OUT:
        return Refusal.UNKNOWN_AGENT if agent is None else Refusal.NOT_LOGGED_IN
    if agent.owes_disposition:
        return Refusal.DISPOSITION_OWED
    rested(scene, agent)
    if agent.presence is not Presence.READY:
        if agent.activity is not Activity.WRAPUP:
            agent.idle_since = at
        change(scene, agent, at, presence=Presence.READY, reason="")
        scene.tell_fallback(agent)
    if agent.activity is Activity.WRAPUP:
        wrapup_over(scene, at, agent)
    return None


def not_ready(scene: Scene, at: float, number: str, reason: str) -> Refusal | None:
    """Not ready with a reason; a contact at hand goes on and the break begins after it."""
    agent = scene.agents.get(number)
    if agent is None or agent.presence is Presence.LOGGED_OUT:
        return Refusal.UNKNOWN_AGENT if agent is None else Refusal.NOT_LOGGED_IN
    if reason not in scene.plan.reasons.values():
        return Refusal.UNKNOWN_REASON
    _set_not_ready(scene, at, agent, reason)
    return None


def send_away(scene: Scene, at: float, number: str) -> Refusal | None:
    """Not ready because a leader says so; the reason is "supervisor"."""
    agent = scene.agents.get(number)
    if agent is None or agent.presence is Presence.LOGGED_OUT:
        return Refusal.UNKNOWN_AGENT if agent is None else Refusal.NOT_LOGGED_IN
    _set_not_ready(scene, at, agent, "supervisor")
    return None


def end_wrapup(scene: Scene, at: float, number: str) -> Refusal | None:
    agent = scene.agents.get(number)
    if agent is None:
        return Refusal.UNKNOWN_AGENT
    if agent.activity is not Activity.WRAPUP:
        return Refusal.NO_WRAPUP if agent.presence is not Presence.LOGGED_OUT else Refusal.NOT_LOGGED_IN
    if agent.owes_disposition:
        return Refusal.DISPOSITION_OWED
    wrapup_over(scene, at, agent)
    return None


def publish(scene: Scene, at: float, definitions: tuple[AgentDefinition, ...]) -> None:
    """Take over the published list: new agents come in, changed ones change, missing ones leave."""
    published = {d.number for d in definitions}
    for definition in definitions:
        agent = scene.agents.get(definition.number)
        if agent is None:
            agent = scene.agents[definition.number] = Agent(definition.number, definition.name, (), since=at)
        for name in agent.queues:  # out of the old queues before into the new ones
            if name in scene.queues:
                scene.queues[name].remove_free(agent.number)
        moved = agent.queues != definition.queues
        if moved and agent.phone:
            scene.retire_fallback(agent)
            scene.thinned.update(dict.fromkeys(agent.queues))
        agent.name, agent.queues = definition.name, definition.queues
        agent.language, agent.pin_hash, agent.removed = definition.language, definition.pin_hash, False
        agent.team, agent.leads, agent.supervisor = definition.team, definition.leads, definition.supervisor
        agent.skills, agent.weights = dict(definition.skills), dict(definition.weights)
        scene.file(agent)
        scene.doubtful[agent.number] = None
        if moved and agent.phone:
            scene.tell_fallback(agent)
    for number in [n for n in scene.agents if n not in published]:
        agent = scene.agents[number]
        agent.removed = True
        scene.outcome.agents.add(number)
        if not _in_contact(agent):
            _leave(scene, at, agent)


# What happens to them.


def offer(scene: Scene, at: float, agent: Agent, contact: str, queue: str, leg: str) -> None:
    agent.leg, agent.offered_at = leg, at
    scene.agent_legs[leg] = agent.number
    move(scene, agent, at, Move.OFFER, contact=contact, queue=queue)


def offer_over(scene: Scene, at: float, agent: Agent, blame: str = "") -> None:
    """The offer came to nothing; with `blame` ("no-answer", "busy", …) the agent has missed it."""
    queue = scene.queues.get(agent.queue)
    move(scene, agent, at, Move.OFFER_OVER, contact="", queue="")
    if agent.line:
        standing.part(scene, agent)
    agent.missed_calls += bool(blame)
    if blame and agent.presence is Presence.READY:
        _missed(scene, at, agent, blame, queue.plan if queue else None)
    settle_phone(scene, at, agent)
    _go_if_asked(scene, at, agent)


def connect(scene: Scene, at: float, agent: Agent) -> None:
    agent.calls_taken += 1
    agent.missed_in_row = 0
    agent.disposition = ""
    if agent.line:
        standing.end_tone(scene, agent)
    move(scene, agent, at, Move.CONNECT)


def take_over(scene: Scene, at: float, agent: Agent, contact: str, queue: str, leg: str) -> None:
    """He goes on with a conversation of another's, on a leg that is his already."""
    agent.leg = leg
    scene.agent_legs[leg] = agent.number
    agent.calls_taken += 1
    move(scene, agent, at, Move.TAKE_OVER, contact=contact, queue=queue)


def release(scene: Scene, at: float, agent: Agent, wrapup_seconds: int) -> None:
    """The contact is over: wrap-up (`wrapup_seconds` may be UNTIL_ENDED), or straight to idle where there is
    none. A required disposition that is not given yet makes one."""
    agent.idle_since = at
    if agent.logout_when_free or agent.removed:
        wrapups.skip(scene, at, agent)
        move(scene, agent, at, Move.RELEASE, contact="", queue="")
    elif not wrapups.is_wanted(scene, agent, wrapup_seconds):
        move(scene, agent, at, Move.RELEASE, contact="", queue="")
    elif move(scene, agent, at, Move.RELEASE_TO_WRAPUP):
        wrapups.begin(scene, at, agent, wrapup_seconds)
    _after_contact(scene, at, agent)


def excuse(scene: Scene, at: float, agent: Agent) -> None:
    """The contact came to nothing, or nothing is known of it: idle at once, nothing to wrap up."""
    agent.idle_since = at
    move(scene, agent, at, Move.RELEASE, contact="", queue="")
    _after_contact(scene, at, agent)


def wrapup_over(scene: Scene, at: float, agent: Agent) -> None:
    wrapups.close(scene, at, agent)
    agent.idle_since = at
    move(scene, agent, at, Move.WRAPUP_OVER, contact="", queue="")
    settle_phone(scene, at, agent)
    _go_if_asked(scene, at, agent)


def rested(scene: Scene, agent: Agent) -> None:
    """The pause after a missed offer is over."""
    if agent.resting_until:
        scene.stop(f"rest:{agent.number}")
        agent.resting_until = 0.0
        scene.file(agent)


def leg_gone(scene: Scene, agent: Agent, leg: str) -> None:
    """Our leg to the phone no longer exists: the phone can be rung again."""
    scene.stop(f"hangup:{leg}")
    scene.agent_legs.pop(leg, None)
    if agent.line == leg:
        standing.forget(scene, agent)
    if agent.leg == leg:
        agent.leg = ""
    scene.file(agent)


def line_gone(scene: Scene, at: float, agent: Agent) -> None:
    """An always-connected agent has hung up: he is logged out, after the contact if he still is in one."""
    if _in_contact(agent):
        agent.logout_when_free = True
        scene.outcome.agents.add(agent.number)
    else:
        _leave(scene, at, agent)


def settle_phone(scene: Scene, at: float, agent: Agent) -> None:
    """An idle agent whose phone is in some other call is elsewhere, and back when it ends."""
    taken = agent.phone in scene.busy_phones or any(s.phone == agent.phone for s in scene.sessions.values())
    if agent.activity is Activity.IDLE and taken and agent.presence is not Presence.LOGGED_OUT:
        move(scene, agent, at, Move.PHONE_TAKEN)
    elif agent.activity is Activity.ELSEWHERE and not taken:
        move(scene, agent, at, Move.PHONE_FREE)


def move(
    scene: Scene, agent: Agent, at: float, step: Move, contact: str | None = None, queue: str | None = None
) -> bool:
    """Make a move of the table; one that is not in it changes nothing and is told to the log."""
    target = MOVES.get((agent.activity, step))
    if target is None:
        scene.outcome.oddities.append(f"agent {agent.number}: no move '{step}' from '{agent.activity}'")
        return False
    change(scene, agent, at, activity=target, contact=contact, queue=queue)
    return True


def change(
    scene: Scene,
    agent: Agent,
    at: float,
    *,
    presence: Presence | None = None,
    reason: str | None = None,
    activity: Activity | None = None,
    phone: str | None = None,
    contact: str | None = None,
    queue: str | None = None,
) -> None:
    """Close the state the agent was in (one record) and begin the next. A clock that was set back, or an
    event told late, makes a state of no length, never one that ends before it began."""
    at = max(at, agent.since)
    agent.occupancy = _occupancy(agent, at)
    scene.note(
        AgentState(
            at,
            agent.number,
            agent.presence.value,
            agent.reason,
            agent.activity.value,
            agent.phone,
            agent.contact,
            agent.queue,
            agent.since,
        )
    )
    agent.since = at
    if presence is not None:
        agent.presence = presence
        if presence is not Presence.READY:
            scene.thinned.update(dict.fromkeys(agent.queues))
    if reason is not None:
        agent.reason = reason
    if activity is not None:
        agent.activity = activity
    if phone is not None:
        agent.phone = phone
    if contact is not None:
        agent.contact = contact
    if queue is not None:
        agent.queue = queue
    scene.file(agent)


def _after_contact(scene: Scene, at: float, agent: Agent) -> None:
    if agent.line:
        standing.part(scene, agent)
    settle_phone(scene, at, agent)
    _go_if_asked(scene, at, agent)


def _in_contact(agent: Agent) -> bool:
    return agent.activity in (Activity.OFFERED, Activity.TALKING, Activity.HOLDING)


def _occupancy(agent: Agent, at: float) -> float:
    """What the occupancy has become since the agent's state last changed (see `routing.least_occupied`)."""
    if agent.activity in (Activity.IDLE, Activity.ELSEWHERE):
        return agent.occupancy and agent.occupancy * exp((agent.since - at) / OCCUPANCY_SECONDS)
    return 1.0 - (1.0 - agent.occupancy) * exp((agent.since - at) / OCCUPANCY_SECONDS)


def _missed(scene: Scene, at: float, agent: Agent, blame: str, plan: QueuePlan | None) -> None:
    """By the queue's policy: not ready after so many in a row, till then left alone for a while. Where all
    are rung, nobody in particular is to blame for not answering."""
    together = plan is not None and plan.strategy is Strategy.RING_ALL and blame == "no-answer"
    agent.missed_in_row += not together
    if plan is None or (not together and 0 < plan.misses <= agent.missed_in_row):
        agent.missed_in_row = 0
        _set_not_ready(scene, at, agent, blame)
    else:
        agent.resting_until = at + plan.retry_after_seconds
        scene.start(f"rest:{agent.number}", agent.resting_until)
        scene.file(agent)


def _set_not_ready(scene: Scene, at: float, agent: Agent, reason: str) -> None:
    rested(scene, agent)
    change(scene, agent, at, presence=Presence.NOT_READY, reason=reason)
    scene.tell_fallback(agent)


def _go_if_asked(scene: Scene, at: float, agent: Agent) -> None:
    if agent.logout_when_free or agent.removed:
        _leave(scene, at, agent)


def _leave(scene: Scene, at: float, agent: Agent) -> None:
    """Off the phone and the floor; a removed agent is forgotten."""
    if agent.presence is not Presence.LOGGED_OUT:
        rested(scene, agent)
        wrapups.close(scene, at, agent)
        standing.give_up(scene, agent)
        if agent.activity is Activity.WRAPUP:
            move(scene, agent, at, Move.WRAPUP_OVER, contact="", queue="")
        if agent.activity is Activity.ELSEWHERE:
            move(scene, agent, at, Move.PHONE_FREE)
        scene.retire_fallback(agent)
        scene.seats.pop(agent.phone, None)
        change(scene, agent, at, presence=Presence.LOGGED_OUT, reason="", phone="")
        agent.logout_when_free = False
    if agent.removed:
        for name in agent.queues:
            if name in scene.queues:
                scene.queues[name].remove_free(agent.number)
        scene.freed.pop(agent.number, None)
        scene.doubtful[agent.number] = None
        scene.agents.pop(agent.number, None)
        scene.outcome.agents.add(agent.number)
