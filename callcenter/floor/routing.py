"""Who takes whom.

Of the free agents who may take a call the smallest key is offered it: (how little he has of the preferred
skills, his rank by the queue's strategy, his number). A strategy is one small pure function from an agent to
a rank. A rank stays the same while its agent is free, so each queue keeps its free agents sorted and a pick
costs the same with five agents as with five thousand. Strategies of chance draw among the equals in front.

Of the callers whom a free agent may take the smallest score is served first, in all his queues together:

    score = arrival - the caller's head start - weight_seconds of the queue     (seconds since the epoch)

Nothing in it ever changes, so a caller is overtaken only by callers who came less than the largest head start
(and, from other queues, the difference of the weights) after him: whoever has waited longer than that is
overtaken by nobody who comes from now on. This is the bound on the wait of the lowest priority.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from math import inf, log
from typing import TypeAlias

from callcenter.floor.agents import OCCUPANCY_SECONDS, Agent
from callcenter.floor.contacts import Contact
from callcenter.floor.plan import QueuePlan, Strategy
from callcenter.floor.skills import preference

Rank: TypeAlias = tuple[float, float]
Key: TypeAlias = tuple[float, float, float, str]  # preference, rank, agent
Place: TypeAlias = tuple[float, str]  # arrival less head start, contact


def place(contact: Contact) -> Place:
    """A caller's place in his queue."""
    return (contact.arrived_at - contact.head_start, contact.id)


def score(place: Place, plan: QueuePlan) -> Place:
    """His place among the callers of several queues."""
    return (place[0] - plan.weight_seconds, place[1])


def longest_idle(agent: Agent, _queue: str) -> Rank:
    """Who finished the last contact (or became ready) longest ago."""
    return (agent.idle_since, 0.0)


def round_robin(agent: Agent, _queue: str) -> Rank:
    """Who was offered a contact longest ago, answered or not."""
    return (agent.offered_at, agent.idle_since)


def fewest_calls(agent: Agent, _queue: str) -> Rank:
    """Who took the fewest contacts since logging in; among equals the longest idle."""
    return (float(agent.calls_taken), agent.idle_since)


def least_occupied(agent: Agent, _queue: str) -> Rank:
    """Who was busy for the smallest share of the last time; among the never busy the longest idle.

    Occupancy at t = 1/T * integral of busy(s) * exp((s - t)/T) ds over all s < t, busy(s) being 1 while a
    contact is offered, talked to or wrapped up, T = OCCUPANCY_SECONDS: an exponentially weighted mean, as in
    Unix' load averages. While idle it falls by the same factor for everybody, so the order of free agents
    stays; ln(occupancy) + t/T does not change at all while he is free, and is the rank.
    """
    if agent.occupancy <= 0.0:
        return (-inf, agent.idle_since)
    return (log(agent.occupancy) + agent.since / OCCUPANCY_SECONDS, agent.idle_since)


def top_down(agent: Agent, queue: str) -> Rank:
    """A fixed order: whose first queue this is, then whose second, …; among equals by agent number."""
    return (float(agent.queues.index(queue)), float(len(agent.number)))


def at_random(_agent: Agent, _queue: str) -> Rank:
    """All alike: `drawn` takes any of them."""
    return (-1.0, 0.0)


def weighted_random(agent: Agent, queue: str) -> Rank:
    """The heaviest in front; `drawn` gives each a chance in proportion to his weight in this queue."""
    return (-float(agent.weights.get(queue, 1)), 0.0)


RANKS: Mapping[Strategy, Callable[[Agent, str], Rank]] = {
    Strategy.LONGEST_IDLE: longest_idle,
    Strategy.ROUND_ROBIN: round_robin,
    Strategy.FEWEST_CALLS: fewest_calls,
    Strategy.LEAST_OCCUPIED: least_occupied,
    Strategy.TOP_DOWN: top_down,
    Strategy.RING_ALL: longest_idle,  # all of them; he is first in the list
    Strategy.RANDOM: at_random,
    Strategy.WEIGHTED_RANDOM: weighted_random,
}
BY_CHANCE = frozenset((Strategy.RANDOM, Strategy.WEIGHTED_RANDOM))


def key_of(agent: Agent, plan: QueuePlan) -> Key:
    """Where an agent stands among the free ones of a queue."""
    first, second = RANKS[plan.strategy](agent, plan.name)
    preferred = preference(plan.prefer, agent.skills) if plan.prefer else 0.0
    return (preferred, first, second, agent.number)


def drawn(free: Sequence[Key], draw: float) -> str:
    """The agent whom `draw` (0 <= draw < 1) takes of those in front by preference; weights are the ranks.

    The keys are sorted, so those of one weight stand together: a few binary searches, however many are free.
    """
    end = bisect_right(free, (free[0][0], inf))
    groups: list[tuple[int, int, float]] = []  # from, to, weight
    start = 0
    while start < end:
        weight = free[start][1]
        after = bisect_right(free, (free[0][0], weight, inf), start, end)
        groups.append((start, after, -weight))
        start = after
    left = draw * sum((to - at) * weight for at, to, weight in groups)
    for at, to, weight in groups:
        if left < (to - at) * weight:
            return free[at + min(int(left / weight), to - at - 1)][3]
        left -= (to - at) * weight
    return free[end - 1][3]


def mixed(chance: float, contact: str, offers: int) -> float:
    """The draw of one pick, uniform in [0, 1), of the event's chance and of what is picked for."""
    digest = blake2b(f"{chance!r} {contact} {offers}".encode(), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


def find(keys: Sequence[Key], key: Key) -> int:
    """Where `key` stands in sorted keys; -1 when it is not there."""
    at = bisect_left(keys, key)
    return at if at < len(keys) and keys[at] == key else -1
