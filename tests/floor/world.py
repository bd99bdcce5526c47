"""A floor with a model of all that is around it, and no clock but its own.

Asterisk is in asterisk.py; here are the engine's turns, Redis and the requests of people. A test decides what
people do (call, answer, hang up) and what goes wrong (events lost, repeated or late, commands that fail,
restarts of the engine or of Asterisk).
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Agent
from callcenter.floor.contacts import Contact
from callcenter.floor.events import Event, Failure
from callcenter.floor.floor import Floor
from callcenter.floor.plan import FloorPlan, QueuePlan, Strategy
from callcenter.floor.queues import Queue
from callcenter.floor.records import ContactClosed, ContactStep, Record
from callcenter.floor.routing import place
from callcenter.floor.scene import Outcome
from callcenter.floor.skills import meets
from callcenter.state.codec import decode, encode
from tests.floor import plans
from tests.floor.asterisk import Asterisk

# Each strategy in one plain word of its own.
RANKS: Mapping[Strategy, Callable[[Agent], float]] = {
    Strategy.LONGEST_IDLE: lambda agent: agent.idle_since,
    Strategy.ROUND_ROBIN: lambda agent: agent.offered_at,
    Strategy.FEWEST_CALLS: lambda agent: float(agent.calls_taken),
}


def _rank(agent: Agent, plan: QueuePlan) -> tuple[list[int], float]:
    return [-agent.skills.get(name, 0) for name in plan.prefer], RANKS[plan.strategy](agent)


def queue_takes(queue: Queue, contact: Contact, agent: Agent) -> bool:
    """Whether an agent of the queue may take a caller of it, if he were free."""
    if contact.held_for:
        return contact.held_for == agent.number
    return meets(queue.needs(contact), agent.skills)


@dataclass(slots=True)
class Saved:
    """What Redis has."""

    contacts: dict[str, bytes] = field(default_factory=dict)
    agents: dict[str, bytes] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)


class World(Asterisk):
    """That Asterisk, with the engine, Redis and people around it."""

    def __init__(self, plan: FloorPlan | None = None, people: Iterable[seen.AgentDefinition] = plans.AGENTS):
        super().__init__(plans.MONDAY_10)
        self.plan = plan or plans.plan()
        self.people = tuple(people)
        self.floor = Floor(self.plan)
        self.told: list[Event] = []  # all that was delivered, to be repeated
        self.records: list[Record] = []
        self.oddities: list[str] = []
        self.outdated: Saved | None = None  # what Redis had when it went away
        self.saved = Saved()
        self.surveyed = True  # since the last connect
        self.crash_next = False  # the engine dies between saving and acting
        self.amnesia: set[str] = set()  # contacts that were open when all state was lost
        self.regained: set[str] = set()  # contacts whose conversation was taken in anew, with a new beginning
        self.disturbed = False
        self.dice = Random(7)
        self.publish()

    # What people do.

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
        outcome = self.floor.receive(event, self.dice.random())
        self._check_offers(before, outcome)
        self._save(event, outcome)
        self.regained.update(
            r.contact for r in outcome.records if isinstance(r, ContactStep) and r.step == "found elsewhere"
        )
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
        self.pending = deque(heard)
        self.surveyed = True
        self.receive(self.survey_now())

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

    # What a test looks at.

    def contact(self, contact: str) -> Contact:
        return self.floor.scene.contacts[contact]

    def agent(self, number: str) -> Agent:
        return self.floor.scene.agents[number]

    def closed(self, contact: str) -> ContactClosed:
        found = [r for r in self.records if isinstance(r, ContactClosed) and r.contact == contact]
        assert len(found) == 1, f"{contact} has {len(found)} closing records"
        return found[0]

    def steps(self, contact: str) -> list[str]:
        return [r.step for r in self.records if isinstance(r, ContactStep) and r.contact == contact]

    def outcomes(self) -> Counter[str]:
        return Counter(r.outcome.value for r in self.records if isinstance(r, ContactClosed))

    def _check_offers(self, before: dict[str, bytes], outcome: Outcome) -> None:
        """Whoever is offered came first of those who wait, to the agent whom the strategy names."""
        scene = self.floor.scene
        named = {
            r.contact
            for r in outcome.records
            if isinstance(r, ContactStep) and r.step in ("transferred", "consulting")
        }
        offered = [(ring.contact, ring.agent) for ring in outcome.commands if isinstance(ring, do.RingAgent)]
        tones = [
            play for play in outcome.commands if isinstance(play, do.PlayPrompts) and "~t" in play.playback
        ]
        offered += [(p.playback.partition("~")[0], scene.agent_legs[p.leg]) for p in tones]
        for contact_id, number in offered:
            if not contact_id or contact_id in named:
                continue  # rung for a standing leg, or by the number of one agent
            contact = scene.contacts[contact_id]
            queue = scene.queues[contact.queue]
            for other_id in queue.waiting_ids():
                other = scene.contacts[other_id]
                same = (other.held_for, queue.needs(other)) == (contact.held_for, queue.needs(contact))
                assert not same or place(contact) < place(other), f"{contact} was offered before {other}"
            if queue.plan.strategy not in RANKS:
                continue
            old = before.get(number)
            offered_at = _decoded(Agent, old).offered_at if old is not None else 0.0
            chosen = replace(scene.agents[number], offered_at=offered_at)
            for agent in scene.agents.values():
                if (
                    contact.queue in agent.queues
                    and scene.is_free(agent)
                    and queue_takes(queue, contact, agent)
                ):
                    due = _rank(agent, queue.plan)
                    assert _rank(chosen, queue.plan) <= due, f"{number} was rung, {agent.number} was due"

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


_FROM_ASTERISK = (
    seen.CallArrived,
    seen.PhoneDialled,
    seen.LegAnswered,
    seen.LegHungUp,
    seen.LegLeft,
    seen.LegReplaced,
    seen.PhoneHeld,
    seen.PhoneUnheld,
    seen.PhoneTransferred,
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
    return isinstance(event, seen.SwitchLost | seen.PinChecked | seen.RecordingStarted)


def _decoded(kind: type[Any], body: bytes) -> Any:
    thing = decode(body)
    assert isinstance(thing, kind)
    return thing
