"""`callcenter queues explain`: which agent would be tried for a call, in which order, and why not the others.

Made by the floor's own functions on what the engine saved last; no rule of routing is written down again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import click
from rapidfuzz import process

from callcenter.cli_context import Context
from callcenter.durations import clock
from callcenter.endpoints import redis_url
from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.contacts import Contact, ContactState
from callcenter.floor.floor import Floor
from callcenter.floor.plan import FloorPlan, QueuePlan, Strategy
from callcenter.floor.queues import Queue
from callcenter.floor.routing import key_of, place, score
from callcenter.floor.scene import Scene
from callcenter.floor.skills import Expression, in_words, lacking, meets
from callcenter.site import floor_plan, site_in_force
from callcenter.state import FloorClient

_IN_QUEUE = (ContactState.WAITING, ContactState.OFFERED)


class CannotExplain(Exception):
    """There is no such call or queue; the text is one line."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent of the queue. `order` counts from 1 those who would be tried now; 0 for the others."""

    agent: str
    name: str
    order: int
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    queue: str
    strategy: str
    call: str  # "" for a caller who came now
    asks: str  # of an agent; "" for nothing
    score: str  # where the caller stands, in words
    agents: tuple[Candidate, ...]


def explain(scene: Scene, queue_name: str, call: str, now: float, zone: tzinfo) -> Explanation:
    """For the call with the id `call`, or ("") for a caller who came now. Raises CannotExplain."""
    queue = scene.queues[queue_name]
    contact = _call(scene, queue_name, call) if call else _newcomer(queue_name, now)
    members = [agent for agent in scene.agents.values() if queue_name in agent.queues]
    ranked = sorted(members, key=lambda agent: key_of(agent, queue.plan))
    against = {agent.number: "; ".join(_against(scene, queue, contact, agent, now)) for agent in ranked}
    first = [agent for agent in ranked if not against[agent.number]]
    rest = [agent for agent in ranked if against[agent.number]]
    candidates = [
        Candidate(agent.number, agent.name, order, _standing(agent, queue.plan, now))
        for order, agent in enumerate(first, 1)
    ]
    candidates += [Candidate(agent.number, agent.name, 0, against[agent.number]) for agent in rest]
    return Explanation(
        queue=queue_name,
        strategy=queue.plan.strategy.value,
        call=call,
        asks=in_words(queue.needs(contact)),
        score=_score_in_words(queue, contact, now, zone) if call else "",
        agents=tuple(candidates),
    )


def scene_of(plan: FloorPlan, contacts: Iterable[Contact], agents: Iterable[Agent]) -> Scene:
    """The floor as the engine saved it last."""
    floor = Floor(plan)
    floor.restore({c.id: c for c in contacts}, {a.number: a for a in agents}, {}, {})
    for contact in floor.scene.contacts.values():
        if contact.state is ContactState.WAITING:
            floor.scene.queues[contact.queue].join(contact)
    return floor.scene


@click.command("explain", epilog="Example: callcenter queues explain sales --call 1763712345.17")
@click.argument("queue")
@click.option("--call", default="", metavar="ID", help="A call that waits; without it, one that came now.")
@click.pass_obj
def explain_queue(context: Context, queue: str, call: str) -> None:
    """Every agent of a queue in the order in which he would be tried for a call, and why or why not."""
    site = site_in_force(context.site_path, context.run)
    plan = floor_plan(site)
    if queue not in plan.queues:
        best = process.extractOne(queue, list(plan.queues), score_cutoff=60)
        hint = f"did you mean {best[0]!r}?" if best else f"it has {', '.join(plan.queues)}"
        raise CannotExplain(f"queue {queue!r} is not in the site file: {hint}")
    with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
        engine = floor.engine()
        if engine is None or not engine.alive:
            click.echo("callcenter: no engine runs: what you see is the state it left", err=True)
        scene = scene_of(plan, floor.contacts(), floor.agents())
    found = explain(scene, queue, call, time.time(), ZoneInfo(site.site.zone))
    if context.json:
        context.print_json(found)
        return
    asks = f", asks for {found.asks}" if found.asks else ", any agent"
    context.say(f"{queue}: {found.strategy.replace('_', ' ')}{asks}")
    if found.score:
        context.say(found.score)
    context.print_table(
        ("order", "agent", "name", "why"),
        [(each.order or "", each.agent, each.name, each.why) for each in found.agents],
    )


def _call(scene: Scene, queue: str, call: str) -> Contact:
    contact = scene.contacts.get(call)
    if contact is None:
        raise CannotExplain(
            f"call {call} is not in the centre: `callcenter calls list --live` shows their ids"
        )
    if contact.queue != queue:
        where = f"in queue {contact.queue}" if contact.queue else "in no queue"
        raise CannotExplain(f"call {call} is {where}, not in {queue}")
    if contact.state not in _IN_QUEUE:
        with_agent = f" with agent {contact.agent}" if contact.agent else ""
        raise CannotExplain(f"call {call} does not wait: it is {contact.state}{with_agent}")
    return contact


def _newcomer(queue: str, now: float) -> Contact:
    return Contact("", "", "", "", queue, "", now, ContactState.WAITING, queued_at=now)


def _against(scene: Scene, queue: Queue, contact: Contact, agent: Agent, now: float) -> Iterator[str]:
    """What speaks against offering the call to him now; nothing when he comes into question."""
    if not scene.is_free(agent):
        yield _why_not_free(agent, now)
    if contact.held_for and contact.held_for != agent.number:
        left = max(0.0, contact.held_until - now)
        yield f"the caller waits for agent {contact.held_for} first, {left:.0f} s more"
    elif not contact.held_for:
        yield from _skills_missing(queue, contact, agent, now)


def _why_not_free(agent: Agent, now: float) -> str:
    since = clock(max(0.0, now - agent.since))
    if agent.presence is Presence.LOGGED_OUT:
        return "logged out"
    if agent.activity is Activity.ELSEWHERE:
        return f"phone {agent.phone} is in another call for {since}"
    if agent.activity is not Activity.IDLE:
        return f"{agent.activity.value.replace('wrapup', 'wrap-up')} for {since} (call {agent.contact})"
    if agent.presence is Presence.NOT_READY:
        return f"not ready for {since}" + (f" ({agent.reason})" if agent.reason else "")
    if agent.resting_until:
        return f"left alone after a missed offer, {max(0.0, agent.resting_until - now):.0f} s more"
    return "his phone is being hung up"


def _skills_missing(queue: Queue, contact: Contact, agent: Agent, now: float) -> Iterator[str]:
    lacks = lacking(queue.needs(contact), agent.skills)
    if not lacks:
        return
    yield "lacks " + " and ".join(_level(lack, agent) for lack in lacks)
    for step, ring in enumerate(queue.plan.rings, 1):
        if step > contact.widened and meets(queue.needs(contact, step), agent.skills):
            left = max(0.0, contact.queued_at + ring.after - now)
            yield f"comes into question when the ring widens, in {left:.0f} s"
            return


def _level(lack: Expression, agent: Agent) -> str:
    name = getattr(lack, "name", "")
    has = f" (has {agent.skills[name]})" if name in agent.skills else ""
    return f"{in_words(lack)}{has}"


def _standing(agent: Agent, plan: QueuePlan, now: float) -> str:
    """Why he is where he is among those who come into question."""
    skills = [f"{name} {agent.skills.get(name, 0)}" for name in plan.prefer]
    return ", ".join([*skills, _rank(agent, plan, now)])


def _rank(agent: Agent, plan: QueuePlan, now: float) -> str:
    match plan.strategy:
        case Strategy.LONGEST_IDLE | Strategy.RING_ALL:
            return f"idle for {clock(max(0.0, now - agent.idle_since))}"
        case Strategy.ROUND_ROBIN:
            last = f"last offer {clock(max(0.0, now - agent.offered_at))} ago"
            return last if agent.offered_at else "no offer yet"
        case Strategy.FEWEST_CALLS:
            return f"{agent.calls_taken} calls since log-in"
        case Strategy.LEAST_OCCUPIED:
            return (
                f"occupied {agent.occupancy:.0%} when he became free {clock(max(0.0, now - agent.since))} ago"
            )
        case Strategy.TOP_DOWN:
            return f"this is number {agent.queues.index(plan.name) + 1} of his queues"
        case Strategy.RANDOM:
            return "by chance"
        case Strategy.WEIGHTED_RANDOM:
            return f"by chance, weight {agent.weights.get(plan.name, 1)}"


def _score_in_words(queue: Queue, contact: Contact, now: float, zone: tzinfo) -> str:
    def at(seconds: float) -> str:
        return f"{datetime.fromtimestamp(seconds, zone):%H:%M:%S}"

    stands = place(contact)
    if contact.state is ContactState.WAITING:
        where = f"number {queue.waiting.index(stands) + 1} of {len(queue.waiting)} who wait"
    else:
        where = f"agent {contact.agent}'s phone rings for it"
    return (
        f"call {contact.id}: score {at(score(stands, queue.plan)[0])} = arrived {at(contact.arrived_at)} "
        f"- head start {contact.head_start:g} s - queue's weight {queue.plan.weight_seconds} s; {where}; "
        f"waits for {clock(max(0.0, now - (contact.queued_at or contact.arrived_at)))}"
    )
