"""All that is on the floor at this moment, and what the event at hand has led to so far.

The machines (contacts, agents, sessions, survey) are functions over a scene; the scene itself decides
nothing. It keeps the indexes: which leg belongs to what, which agent sits at which phone, who is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.commands import Command, SetFallbackMember, StartTimer, StopTimer
from callcenter.floor.contacts import Contact
from callcenter.floor.keys import Keying
from callcenter.floor.plan import ANY_NUMBER, FloorPlan, QueuePlan, ServicePlan
from callcenter.floor.queues import Queue
from callcenter.floor.records import Record
from callcenter.floor.sessions import Session
from callcenter.floor.skills import ANYBODY
from callcenter.floor.speech import Speech
from callcenter.floor.sticky import Regulars
from callcenter.floor.supervision import Supervision


@dataclass(slots=True)
class Outcome:
    """What one event led to: do these, remember those, and save what changed."""

    commands: list[Command] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    contacts: set[str] = field(default_factory=set)  # ids that changed or are gone
    agents: set[str] = field(default_factory=set)
    meta: dict[str, str] = field(default_factory=dict)
    oddities: list[str] = field(default_factory=list)  # moves no table has: for the log


class Scene:
    def __init__(self, plan: FloorPlan) -> None:
        self.contacts: dict[str, Contact] = {}
        self.agents: dict[str, Agent] = {}
        self.queues: dict[str, Queue] = {}
        self.sessions: dict[str, Session] = {}  # by leg
        self.supervisions: dict[str, Supervision] = {}  # by the supervisor's leg
        self.taps: dict[str, str] = {}  # a leg that taps an agent's -> the supervisor's leg
        self.speeches: dict[str, Speech] = {}  # by the speaker's leg
        self.listeners: dict[str, str] = {}  # a leg that is to hear one -> the speaker's leg
        self.agent_legs: dict[str, str] = {}  # our leg to an agent's phone -> agent
        self.outside_legs: set[str] = set()  # our legs to outside numbers
        self.second_legs: dict[str, str] = {}  # second line of an agent who talks -> his contact
        self.keyings: dict[str, Keying] = {}  # by agent's leg: what is keyed during a talk
        self.playbacks: dict[str, str] = {}  # playback -> leg it is for
        self.seats: dict[str, str] = {}  # phone -> agent logged in there
        self.timers: dict[str, float] = {}  # timer -> when it is due
        self.busy_phones: frozenset[str] = frozenset()
        self.night = False
        self.recording_space = True  # there is room on the disk
        self.regulars = Regulars()
        self.chance = 0.0  # of the event at hand
        self.connected = True  # to Asterisk; nothing is offered while it is not
        self.outcome = Outcome()
        self.freed: dict[str, None] = {}  # agents to find a caller for, in order
        self.doubtful: dict[str, None] = {}  # agents who may have gone: does anybody wait for them alone?
        self.unsettled: dict[str, None] = {}  # queues to look at, in order
        self.rung_together: dict[str, None] = {}  # contacts for whom all free agents ring
        self.thinned: dict[str, None] = {}  # queues that an agent left or is not ready for any more
        self.newly_waiting: list[str] = []  # contacts who have just come (back) to waiting
        self.plan = plan
        self.take_plan(plan)

    def take_plan(self, plan: FloorPlan) -> None:
        """Go on under `plan`. A queue that is no longer in it stays until its last caller is gone."""
        self.plan = plan
        self._services = {number: s for s in plan.services.values() for number in s.numbers}
        used = {c.queue for c in self.contacts.values()}
        for name in [n for n in self.queues if n not in plan.queues and n not in used]:
            del self.queues[name]
        asked = {s.name: s.skills for s in plan.services.values() if s.skills != ANYBODY}
        for name, queue_plan in plan.queues.items():
            fresh = Queue(queue_plan, asked)
            if (old := self.queues.get(name)) is not None:
                for contact_id in old.waiting_ids():
                    fresh.join(self.contacts[contact_id])
                fresh.pace, fresh.pace_saved_at = old.pace, old.pace_saved_at
            self.queues[name] = fresh
        for agent in self.agents.values():
            self.file(agent)
        self.unsettled.update(dict.fromkeys(self.queues))

    def service_for(self, dnis: str) -> ServicePlan | None:
        return self._services.get(dnis) or self._services.get(ANY_NUMBER)

    def do(self, command: Command) -> None:
        self.outcome.commands.append(command)

    def note(self, record: Record) -> None:
        self.outcome.records.append(record)

    def start(self, timer: str, due_at: float) -> None:
        self.timers[timer] = due_at
        self.outcome.commands.append(StartTimer(timer, due_at))

    def stop(self, timer: str) -> None:
        if self.timers.pop(timer, None) is not None:
            self.outcome.commands.append(StopTimer(timer))

    def stop_timers(self, kinds: Iterable[str], subject: str) -> None:
        """Stop those that run of the timers of these kinds."""
        for kind in kinds:
            if (timer := f"{kind}:{subject}") in self.timers:
                self.stop(timer)

    def set_night(self, closed: bool) -> None:
        self.night = closed
        self.outcome.meta["night"] = "1" if closed else "0"

    def is_free(self, agent: Agent) -> bool:
        """Ready, idle, not left alone after a missed offer, and no leg of ours (one being hung up included)
        on the phone, but for a standing one that is answered."""
        return (
            agent.presence is Presence.READY
            and agent.activity is Activity.IDLE
            and not agent.leg
            and not agent.resting_until
            and (not agent.line or agent.line_up)
        )

    def file(self, agent: Agent) -> None:
        """Put the agent into the free lists of his queues, or take him out."""
        queues = self.queues
        if self.is_free(agent):
            for name in agent.queues:
                if (queue := queues.get(name)) is not None:
                    queue.add_free(agent)
            self.freed[agent.number] = None
        else:
            for name in agent.queues:
                if (queue := queues.get(name)) is not None:
                    queue.remove_free(agent.number)
            self.freed.pop(agent.number, None)
            if agent.presence is not Presence.READY:
                self.doubtful[agent.number] = None
        self.outcome.agents.add(agent.number)

    def tell_fallback(self, agent: Agent) -> None:
        """Keep the fallback queue's members in step with presence."""
        ready = agent.presence is Presence.READY
        self.do(SetFallbackMember(agent.phone, agent.number, agent.queues, present=True, paused=not ready))

    def retire_fallback(self, agent: Agent) -> None:
        self.do(SetFallbackMember(agent.phone, agent.number, agent.queues, present=False))

    def restore(
        self, contacts: Mapping[str, Contact], agents: Mapping[str, Agent], timers: Mapping[str, float]
    ) -> None:
        """Take over what a snapshot says; a survey of Asterisk must follow before anything is offered."""
        self.connected = False
        self.contacts = dict(contacts)
        self.agents = dict(agents)
        self.timers = dict(timers)
        for contact in self.contacts.values():
            if contact.queue and contact.queue not in self.queues:  # the site dropped it meanwhile
                self.queues[contact.queue] = Queue(QueuePlan(contact.queue, contact.queue))
            for playback in (contact.playback, contact.whisper):
                if playback:
                    self.playbacks[playback] = contact.id
            if contact.other_leg and not contact.other_agent:
                self.outside_legs.add(contact.other_leg)
            if contact.second_leg:
                self.second_legs[contact.second_leg] = contact.id
        for agent in self.agents.values():
            if agent.phone and agent.presence is not Presence.LOGGED_OUT:
                self.seats[agent.phone] = agent.number
            if agent.leg:
                self.agent_legs[agent.leg] = agent.number
            if agent.line:
                self.agent_legs[agent.line] = agent.number
            if agent.tone:
                self.playbacks[agent.tone] = agent.line
            self.file(agent)
