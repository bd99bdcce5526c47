"""A model of Asterisk, Redis and the people around a floor, with no clock but its own.

The world carries the floor's commands out, keeps legs, bridges, playbacks and timers, and queues what
Asterisk would tell. A test decides what the people do (call, answer, hang up) and what goes wrong
(events lost, repeated or late, commands that fail, restarts of the engine or of Asterisk).
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Agent
from callcenter.floor.contacts import Contact
from callcenter.floor.events import Event, Failure, SeenLeg
from callcenter.floor.floor import Floor
from callcenter.floor.plan import FloorPlan, Strategy
from callcenter.floor.records import ContactClosed, ContactStep, Record
from callcenter.floor.scene import Outcome
from callcenter.state.codec import decode, encode
from tests.floor import plans

# Each strategy in one plain word of its own.
RANKS: Mapping[Strategy, Callable[[Agent], float]] = {
    Strategy.LONGEST_IDLE: lambda agent: agent.idle_since,
    Strategy.ROUND_ROBIN: lambda agent: agent.offered_at,
    Strategy.FEWEST_CALLS: lambda agent: float(agent.calls_taken),
}

C = TypeVar("C", bound=do.Command)

# A failure of these is not told to the floor by the switch.
HARMLESS = (do.IndicateRinging, do.StopMusic, do.StopPlayback, do.TagLeg)
GONE_IS_FINE = (do.DestroyBridge, do.HangUp)


@dataclass(slots=True)
class Leg:
    id: str
    name: str
    phone: str = ""
    ani: str = ""
    dnis: str = ""
    arrived_at: float = 0.0
    up: bool = False
    in_app: bool = True
    application: str = "Stasis"
    music: bool = False
    contact: str = ""
    agent: str = ""
    queue: str = ""
    language: str = ""


@dataclass(slots=True)
class Saved:
    """What Redis has."""

    contacts: dict[str, bytes] = field(default_factory=dict)
    agents: dict[str, bytes] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)


class World:
    def __init__(self, plan: FloorPlan | None = None, people: Iterable[seen.AgentDefinition] = plans.AGENTS):
        self.plan = plan or plans.plan()
        self.people = tuple(people)
        self.floor = Floor(self.plan)
        self.now = plans.MONDAY_10
        self.legs: dict[str, Leg] = {}
        self.bridges: dict[str, set[str]] = {}
        self.playing: dict[str, str] = {}  # playback -> leg
        self.members: dict[str, do.SetFallbackMember] = {}  # phone -> the last word
        self.replies: list[do.Reply] = []
        self.pending: deque[Event] = deque()
        self.told: list[Event] = []  # all that was delivered, to be repeated
        self.done: list[do.Command] = []
        self.records: list[Record] = []
        self.oddities: list[str] = []
        self.faults: list[tuple[type[do.Command], Failure]] = []
        self.outdated: Saved | None = None  # what Redis had when it went away
        self.saved = Saved()
        self.connected = True  # the socket to Asterisk
        self.surveyed = True  # since the last connect
        self.crash_next = False  # the engine dies between saving and acting
        self.asterisk_started_at = 0.0
        self.amnesia: set[str] = set()  # contacts that were open when all state was lost
        self.forgot = False  # state was lost, so that records may overlap
        self.disturbed = False
        self._callers = 0
        self._dials = 0
        self.publish()

    # What people do.

    def call(self, dnis: str = "100", ani: str = "13800000000", answered: bool = False) -> str:
        """A caller from the trunk; gives the contact's id, which is also the leg's."""
        self._callers += 1
        leg = f"c{self._callers}"
        self.legs[leg] = Leg(leg, f"PJSIP/trunk-{leg}", ani=ani, dnis=dnis, arrived_at=self.now, up=answered)
        self._tell(seen.CallArrived(self.now, leg, ani, dnis, self.now, answered=answered))
        return leg

    def call_fallback(self, dnis: str = "100") -> str:
        """A caller who came while nobody was there: the fallback queue holds him."""
        self._callers += 1
        leg = f"c{self._callers}"
        self.legs[leg] = Leg(
            leg,
            f"PJSIP/trunk-{leg}",
            dnis=dnis,
            arrived_at=self.now,
            up=True,
            in_app=False,
            application="Queue",
        )
        return leg

    def dial(self, phone: str, number: str) -> str:
        self._dials += 1
        leg = f"d{self._dials}"
        self.legs[leg] = Leg(leg, f"PJSIP/{phone}-{leg}", phone=phone)
        self._tell(seen.PhoneDialled(self.now, leg, phone, number))
        return leg

    def press(self, leg: str, digits: str) -> None:
        for digit in digits:
            self._tell(seen.DigitPressed(self.now, leg, digit))

    def answer(self, leg: str) -> None:
        self.legs[leg].up = self.legs[leg].in_app = True
        self._tell(seen.LegAnswered(self.now, leg))

    def hang_up(self, leg: str, cause: int = 16) -> None:
        if leg not in self.legs:
            return
        del self.legs[leg]
        for bridge in self.bridges.values():
            bridge.discard(leg)
        for playback in [p for p, on in self.playing.items() if on == leg]:
            self.finish_playback(playback)
        self._tell(seen.LegHungUp(self.now, leg, cause))

    def finish_playback(self, playback: str, failed: bool = False) -> None:
        if self.playing.pop(playback, None) is not None:
            self._tell(seen.PlaybackFinished(self.now, playback, failed))

    def ask(self, request: type[seen.Request], **fields: Any) -> do.Reply | None:
        """A request from the shell, acted on at once; gives its reply."""
        self.receive(request(at=self.now, request="r", by="test", **fields))
        return self.replies[-1] if self.replies else None

    def login(self, number: str, phone: str) -> do.Reply | None:
        return self.ask(seen.AgentLoginRequested, agent=number, phone=phone)

    def publish(self, people: Iterable[seen.AgentDefinition] | None = None) -> None:
        self.people = self.people if people is None else tuple(people)
        self.receive(seen.PeoplePublished(self.now, 1, self.people))

    def apply(self, plan: FloorPlan) -> None:
        self.plan = plan
        self.receive(seen.PlanApplied(self.now, plan))

    # How events reach the floor.

    def receive(self, event: Event) -> Outcome:
        """Give the floor one event; save, then act (unless the engine dies in between)."""
        self.told.append(event)
        before = dict(self.saved.agents)
        outcome = self.floor.receive(event)
        self._check_offers(before, outcome)
        self._save(event, outcome)
        self.records.extend(outcome.records)
        self.oddities.extend(outcome.oddities)
        if self.crash_next:
            self.crash_next = False
            self.restart_engine()
            return outcome
        for command in outcome.commands:
            self._act(command)
        return outcome

    def deliver(self, index: int = 0) -> None:
        """The `index`th of the events that wait; an arrival always comes before the leg's other events."""
        if not self.pending:
            return
        index %= len(self.pending)
        leg = _leg_of(self.pending[index])
        for earlier in range(index):
            other = self.pending[earlier]
            if isinstance(other, seen.CallArrived | seen.PhoneDialled) and _leg_of(other) == leg:
                index = earlier
                break
        event = self.pending[index]
        del self.pending[index]
        self.receive(event)

    def run(self) -> World:
        """Deliver all that waits, and what it leads to."""
        for _ in range(10_000):
            if not self.pending:
                return self
            self.deliver()
        raise AssertionError("the floor and the world talk without end")

    def repeat(self, back: int) -> None:
        """Deliver an old event of Asterisk again; an arrival only while its leg lives."""
        recent = [e for e in self.told[-12:] if isinstance(e, _FROM_ASTERISK)]
        if not recent:
            return
        event = recent[back % len(recent)]
        if isinstance(event, seen.CallArrived | seen.PhoneDialled):
            leg = self.legs.get(_leg_of(event))
            if leg is None or not leg.in_app:
                return
        self.receive(event)

    def pass_time(self, seconds: float) -> World:
        """Let time pass; timers fire at their deadlines, and what waits is delivered before each."""
        end = self.now + seconds
        while True:
            self.run()
            due = min(self.saved.timers.values(), default=end + 1.0)
            if due > end or not self.floor.scene.connected:
                break
            self.now = max(self.now, due)
            self.fire_all_due()
        self.now = end
        return self.run()

    def fire_all_due(self) -> None:
        """As the engine does: all that are due are taken out first, then told one by one."""
        due = sorted((at, timer) for timer, at in self.saved.timers.items() if at <= self.now)
        for _, timer in due:
            del self.saved.timers[timer]
        crash, self.crash_next = self.crash_next, False  # all of a turn is saved at once
        for index, (_, timer) in enumerate(due, 1):
            self.crash_next = crash and index == len(due)
            self.receive(seen.TimerFired(self.now, timer))

    # What goes wrong.

    def lose(self) -> None:
        """The connection breaks; what Asterisk says from now on is lost."""
        if self.connected:
            self.connected = self.surveyed = False
            self.pending.clear()
            self._tell_ourselves(seen.SwitchLost(self.now))

    def reconnect(self) -> None:
        """The socket is open again: events come, commands go; they wait for the survey."""
        self.connected = True

    def survey(self) -> None:
        """What is in Asterisk now; what was heard since the reconnect is told after it, once more."""
        if self.surveyed:
            self.lose()
        if not self.connected:
            self.reconnect()
        heard = [e for e in self.pending if not _is_ours(e)]
        for event in [e for e in self.pending if _is_ours(e)]:
            self.receive(event)
        if not self.connected:
            return  # the engine died of one of them
        bridge_of = {leg: bridge for bridge, legs in self.bridges.items() for leg in legs}
        legs = tuple(
            SeenLeg(
                leg=leg.id,
                name=leg.name,
                up=leg.up,
                in_app=leg.in_app,
                application=leg.application,
                phone=leg.phone,
                ani=leg.ani,
                dnis=leg.dnis,
                arrived_at=leg.arrived_at,
                bridge=bridge_of.get(leg.id, ""),
                contact=leg.contact,
                agent=leg.agent,
                queue=leg.queue,
                language=leg.language,
            )
            for leg in self.legs.values()
        )
        self.pending = deque(heard)
        self.surveyed = True
        self.receive(seen.SwitchSurveyed(self.now, legs, tuple(self.bridges), "", self.asterisk_started_at))

    def redis_leaves(self) -> None:
        """Redis stays as it is from now on; the engine goes on from memory (`saved` here)."""
        self.outdated = copy.deepcopy(self.saved)

    def restart_outdated(self) -> None:
        """The engine dies before Redis is told: the next one finds what Redis had when it went away."""
        if self.outdated is not None:
            self.amnesia.update(self.floor.scene.contacts)
            self.amnesia.update(leg.id for leg in self.legs.values())
            self.amnesia.update(self.outdated.contacts)
            self.forgot = True
            self.saved, self.outdated = self.outdated, None
            self.restart_engine()

    def restart_engine(self, empty: bool = False) -> None:
        """The engine dies and another takes what Redis has (nothing at all with `empty`)."""
        if empty:
            self.amnesia.update(self.floor.scene.contacts)
            self.amnesia.update(leg.id for leg in self.legs.values())
            self.saved = Saved()
            self.forgot = True
        self.connected = self.surveyed = False
        self.pending.clear()
        self.floor = Floor(self.plan)
        self.floor.restore(
            {k: _decoded(Contact, v) for k, v in self.saved.contacts.items()},
            {k: _decoded(Agent, v) for k, v in self.saved.agents.items()},
            self.saved.timers,
            self.saved.meta,
        )
        if empty:
            self.publish()

    def restart_asterisk(self) -> None:
        """All legs and bridges are gone; the connection broke."""
        self.lose()
        self.legs.clear()
        self.bridges.clear()
        self.playing.clear()
        self.asterisk_started_at = self.now

    def fail_next(self, command: type[do.Command], failure: Failure) -> None:
        self.faults.append((command, failure))

    # What a test looks at.

    def contact(self, contact: str) -> Contact:
        return self.floor.scene.contacts[contact]

    def agent(self, number: str) -> Agent:
        return self.floor.scene.agents[number]

    def agent_legs(self) -> list[Leg]:
        """Live legs that we rang, in the order they were made."""
        return [leg for leg in self.legs.values() if leg.agent]

    def ringing(self) -> dict[str, str]:
        """Agent -> contact, for every phone that rings."""
        return {leg.agent: leg.contact for leg in self.agent_legs() if not leg.up}

    def leg_to(self, agent: str) -> str:
        return next(leg.id for leg in self.agent_legs() if leg.agent == agent)

    def closed(self, contact: str) -> ContactClosed:
        found = [r for r in self.records if isinstance(r, ContactClosed) and r.contact == contact]
        assert len(found) == 1, f"{contact} has {len(found)} closing records"
        return found[0]

    def steps(self, contact: str) -> list[str]:
        return [r.step for r in self.records if isinstance(r, ContactStep) and r.contact == contact]

    def commands(self, kind: type[C]) -> list[C]:
        return [c for c in self.done if isinstance(c, kind)]

    def outcomes(self) -> Counter[str]:
        return Counter(r.outcome.value for r in self.records if isinstance(r, ContactClosed))

    def _check_offers(self, before: dict[str, bytes], outcome: Outcome) -> None:
        """Whoever is offered came first of those who wait, to the agent whom the strategy names."""
        scene = self.floor.scene
        for ring in outcome.commands:
            if not isinstance(ring, do.RingAgent):
                continue
            queue = scene.queues[ring.queue]
            assert not queue.waiting or (ring.arrived_at, ring.contact) < queue.waiting[0], (
                f"{ring.contact} was offered before {queue.waiting[0]}"
            )
            old = before.get(ring.agent)
            offered_at = _decoded(Agent, old).offered_at if old is not None else 0.0
            chosen = replace(scene.agents[ring.agent], offered_at=offered_at)
            for agent in scene.agents.values():
                if scene.is_free(agent) and ring.queue in agent.queues:
                    rank = RANKS[queue.plan.strategy]
                    assert rank(chosen) <= rank(agent), f"{ring.agent} was rung, {agent.number} was due"

    # Redis.

    def _save(self, event: Event, outcome: Outcome) -> None:
        scene, saved = self.floor.scene, self.saved
        for contact_id in outcome.contacts:
            contact = scene.contacts.get(contact_id)
            if contact is None:
                saved.contacts.pop(contact_id, None)
            else:
                saved.contacts[contact_id] = encode(contact)
        for number in outcome.agents:
            agent = scene.agents.get(number)
            if agent is None:
                saved.agents.pop(number, None)
            else:
                saved.agents[number] = encode(agent)
        saved.meta.update(outcome.meta)
        for command in outcome.commands:
            if isinstance(command, do.StartTimer):
                saved.timers[command.timer] = command.due_at
            elif isinstance(command, do.StopTimer):
                saved.timers.pop(command.timer, None)

    # Asterisk.

    def _tell(self, event: Event) -> None:
        if self.connected:
            self.pending.append(event)

    def _tell_ourselves(self, event: Event) -> None:
        self.pending.append(event)

    def _fail(self, command: do.Command, failure: Failure) -> None:
        if isinstance(command, HARMLESS):
            return
        if failure is Failure.NOT_FOUND and isinstance(command, GONE_IS_FINE):
            return
        self._tell_ourselves(seen.CommandFailed(self.now, command, failure))

    def _act(self, command: do.Command) -> None:
        self.done.append(command)
        match command:
            case do.StartTimer() | do.StopTimer():
                return
            case do.Reply():
                self.replies.append(command)
                return
            case do.CheckPin():
                ok = bool(command.pin_hash) and command.pin == command.pin_hash
                self._tell_ourselves(seen.PinChecked(self.now, command.leg, command.agent, ok))
                return
            case do.SetFallbackMember():
                self.members[command.phone] = command
                return
        if not self.connected:
            self._fail(command, Failure.AWAY)
            return
        fault = next((f for f in self.faults if isinstance(command, f[0])), None)
        if fault is not None:
            self.faults.remove(fault)
            self._fail(command, fault[1])
            return
        self._carry_out(command)

    def _carry_out(self, command: do.Command) -> None:  # one case per command of the switch
        match command:
            case do.RingAgent():
                self._ring_agent(command)
            case do.ConnectLegs(bridge, caller, agent):
                self.bridges.setdefault(bridge, set())
                for leg in (caller, agent):
                    if leg not in self.legs:
                        self._fail(command, Failure.NOT_FOUND)
                        return
                    for members in self.bridges.values():
                        members.discard(leg)
                    self.bridges[bridge].add(leg)
            case do.DestroyBridge(bridge):
                self.bridges.pop(bridge, None)
            case do.StopPlayback(playback):
                self.finish_playback(playback)
            case do.HangUp(leg):
                self.hang_up(leg)
            case do.TakeFromFallback(leg):
                self._take_back(command, self.legs.get(leg))
            case _:
                on = self.legs.get(getattr(command, "leg", ""))
                if on is None:
                    self._fail(command, Failure.NOT_FOUND)
                elif not on.in_app:
                    self._fail(command, Failure.CONFLICT)
                else:
                    self._on_leg(command, on)

    def _on_leg(self, command: do.Command, leg: Leg) -> None:
        match command:
            case do.AnswerLeg():
                leg.up = True
            case do.StartMusic():
                leg.music = True
            case do.StopMusic():
                leg.music = False
            case do.PlayPrompts():
                self.playing[command.playback] = leg.id
            case do.TagLeg():
                leg.contact, leg.queue, leg.language = command.contact, command.queue, command.language
            case do.SendOutside():
                leg.in_app, leg.application = False, "Dial"
                self._tell(seen.LegLeft(self.now, leg.id))

    def _ring_agent(self, command: do.RingAgent) -> None:
        if command.leg in self.legs:
            self._fail(command, Failure.CONFLICT)
            return
        self.legs[command.leg] = Leg(
            command.leg,
            f"PJSIP/{command.phone}-{command.leg}",
            phone=command.phone,
            ani=command.ani,
            dnis=command.dnis,
            arrived_at=command.arrived_at,
            in_app=False,
            application="AppDial2",
            contact=command.contact,
            agent=command.agent,
            queue=command.queue,
            language=command.language,
        )

    def _take_back(self, command: do.Command, leg: Leg | None) -> None:
        if leg is None or leg.application != "Queue":
            self._fail(command, Failure.NOT_FOUND)
            return
        leg.in_app, leg.application = True, "Stasis"
        self._tell(seen.CallArrived(self.now, leg.id, leg.ani, leg.dnis, leg.arrived_at, answered=leg.up))


_FROM_ASTERISK = (
    seen.CallArrived,
    seen.PhoneDialled,
    seen.LegAnswered,
    seen.LegHungUp,
    seen.LegLeft,
    seen.PlaybackFinished,
    seen.CommandFailed,
    seen.PinChecked,
)


def _leg_of(event: Event) -> str:
    if isinstance(event, seen.CallArrived):
        return event.contact
    return getattr(event, "leg", "")


def _is_ours(event: Event) -> bool:
    """Made on our side of the socket, so older than the survey's answer."""
    if isinstance(event, seen.CommandFailed):
        return event.failure is Failure.AWAY
    return isinstance(event, seen.SwitchLost | seen.PinChecked)


def _decoded(kind: type[Any], body: bytes) -> Any:
    thing = decode(body)
    assert isinstance(thing, kind)
    return thing
