"""A day of a call centre under a virtual clock: the real floor, and people who come at random.

Calls come by a Poisson process whose rate changes through the day; talks are log-normal, patience is
exponential, a phone is picked up after a few seconds, some agents go to lunch. A seed is one certain day.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor import waiting
from callcenter.floor.contacts import ContactState
from callcenter.floor.floor import Floor
from callcenter.floor.plan import FloorPlan, PhonePlan, QueuePlan, ServicePlan
from callcenter.floor.records import ContactClosed

HOUR = 3600.0
OPENING = 1_700_445_600.0
LOOKS = (0.0, 15.0, 60.0, 105.0, 150.0, 195.0)  # seconds after joining at which a caller is told


@dataclass(frozen=True, slots=True)
class Day:
    """How busy: calls an hour for each hour, agents, of whom `at_lunch` are away in the hours of `lunch`."""

    calls_an_hour: tuple[int, ...] = (120, 200, 260, 250, 190, 180, 240, 255, 210, 130)
    agents: int = 14
    at_lunch: int = 4
    lunch: tuple[int, int] = (3, 5)
    talk_seconds: float = 170.0
    talk_spread: float = 0.6  # sigma of the logarithm
    patience_seconds: float = 400.0
    wrapup_seconds: int = 15


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller could have been told after `waited` seconds, by us and by app_queue, and the truth."""

    waited: float
    ours: float | None
    app_queue: float
    truth: float  # how much longer he waited
    whole: float  # how long he waited in all


@dataclass
class Simulation:
    """`run` gives what all callers who were answered after waiting were told."""

    day: Day
    seed: int
    now: float = OPENING
    hold_seconds: int = 0  # app_queue's
    told: list[Told] = field(default_factory=list)
    closed: list[ContactClosed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.numbers = [str(2001 + n) for n in range(self.day.agents)]
        self.floor = Floor(
            FloorPlan(
                "main",
                {"all": ServicePlan("all", ("*",), "all", "en")},
                {"all": QueuePlan("all", "All", music="default", wrapup_seconds=self.day.wrapup_seconds)},
                {},
                {number: PhonePlan(number, "en") for number in self.numbers},
                reasons={"1": "lunch"},
            )
        )
        self.order = itertools.count()
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.timers: dict[str, float] = {}
        self.pending: dict[str, list[tuple[float, float | None, float]]] = {}  # contact -> told so far

    def run(self) -> Simulation:
        people = tuple(seen.AgentDefinition(number, number, ("all",)) for number in self.numbers)
        self.tell(seen.PeoplePublished(self.now, 1, people))
        for number in self.numbers:
            self.tell(seen.AgentLoginRequested(self.now, "", "day", number, number))
        for hour, rate in enumerate(self.day.calls_an_hour):
            at = OPENING + hour * HOUR
            while (at := at + self.dice.expovariate(rate / HOUR)) < OPENING + (hour + 1) * HOUR:
                self.later(at, self.call)
        begin, end = (OPENING + hour * HOUR for hour in self.day.lunch)
        for number in self.numbers[: self.day.at_lunch]:
            self.later(begin, lambda n=number: self.away(n))  # type: ignore[misc]
            self.later(end, lambda n=number: self.tell(seen.AgentReadyRequested(self.now, "", "day", n)))  # type: ignore[misc]
        while self.agenda:
            self.now, _, act = heapq.heappop(self.agenda)
            act()
        return self

    def later(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (at, next(self.order), act))

    def away(self, number: str) -> None:
        self.tell(seen.AgentNotReadyRequested(self.now, "", "day", number, "lunch"))

    def call(self) -> None:
        contact = f"c{next(self.order)}"
        self.tell(seen.CallArrived(self.now, contact, "1", "4000", self.now))
        if self.floor.scene.contacts[contact].state is ContactState.WAITING:
            for after in LOOKS:
                self.later(self.now + after, lambda: self.look(contact))
        gives_up = self.now + self.dice.expovariate(1.0 / self.day.patience_seconds)
        self.later(gives_up, lambda: self.give_up(contact))

    def look(self, name: str) -> None:
        contact = self.floor.scene.contacts.get(name)
        if contact is None or contact.state is not ContactState.WAITING:
            return
        waited = self.now - contact.joined_at
        ours = waiting.wait_to_expect(self.floor.scene, contact, self.now)
        self.pending.setdefault(name, []).append((waited, ours, self.hold_seconds - waited))

    def give_up(self, name: str) -> None:
        contact = self.floor.scene.contacts.get(name)
        if contact is not None and contact.state in (ContactState.WAITING, ContactState.OFFERED):
            self.tell(seen.LegHungUp(self.now, name))

    def answer(self, ring: do.RingAgent) -> None:
        contact = self.floor.scene.contacts.get(ring.contact)
        if contact is None or contact.agent_leg != ring.leg:
            return
        self.tell(seen.LegAnswered(self.now, ring.leg))
        whole = self.now - contact.queued_at
        self.hold_seconds = ((self.hold_seconds << 2) - self.hold_seconds + int(whole)) >> 2
        for waited, ours, theirs in self.pending.pop(ring.contact, ()):
            self.told.append(Told(waited, ours, abs(theirs), whole - waited, whole))
        talk = self.dice.lognormvariate(0.0, self.day.talk_spread) * self.day.talk_seconds
        self.later(self.now + talk, lambda: self.tell(seen.LegHungUp(self.now, ring.contact)))

    def fire(self, timer: str, due_at: float) -> None:
        if self.timers.get(timer) == due_at:
            del self.timers[timer]
            self.tell(seen.TimerFired(self.now, timer))

    def tell(self, event: seen.Event) -> None:
        outcome = self.floor.receive(event)
        self.closed += [record for record in outcome.records if isinstance(record, ContactClosed)]
        for command in outcome.commands:
            match command:
                case do.StartTimer(timer, due_at):
                    self.timers[timer] = due_at
                    self.later(due_at, lambda t=timer, d=due_at: self.fire(t, d))  # type: ignore[misc]
                case do.StopTimer(timer):
                    self.timers.pop(timer, None)
                case do.RingAgent():
                    pick_up = self.now + self.dice.uniform(2.0, 7.0)
                    self.later(pick_up, lambda ring=command: self.answer(ring))  # type: ignore[misc]
                case do.HangUp(leg):
                    self.later(self.now, lambda gone=leg: self.tell(seen.LegHungUp(self.now, gone)))  # type: ignore[misc]
