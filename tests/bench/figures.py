"""From one run's capture to its figures. Times are milliseconds; every definition is in its docstring."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.bench.capture import Call, Captured, Offer

OVERTAKEN_SECONDS = 0.05  # who came that much later and was offered first has overtaken
SAME_MOMENT_SECONDS = 0.02  # agents who were freed within it count as equally long idle


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of `count` values, by the nearest rank."""

    count: int
    p50: float
    p99: float
    highest: float


@dataclass(frozen=True, slots=True)
class CallFigures:
    """What one run showed.

    routing: a caller's INVITE to the first INVITE to an agent.
    bridging: an agent's 200 to the agent's first audio at the caller.
    next_offer: an agent's BYE to the next INVITE to the same agent, where callers waited all through the gap.
    double_booked: INVITEs to an agent who was still in a call.
    overtaken: callers who were offered after someone who came more than 50 ms later.
    longest_idle: share of offers that took the agent who was idle longest (by 20 ms), None without any.
    """

    calls: int
    calls_per_second: float
    connected: int
    failures: dict[str, int]
    routing: Spread | None
    bridging: Spread | None
    next_offer: Spread | None
    offers: int
    agents_seen: int
    most_waiting: int
    double_booked: int
    overtaken: int
    longest_idle: float | None
    unmatched_offers: int
    reinvites: int
    retransmitted: int


def call_figures(captured: Captured, at_least: int = 1) -> CallFigures:
    """All figures of one run. `at_least` callers count as "callers wait": with skills it takes many of them
    to be sure that every agent has one."""
    calls, offers = captured.calls, captured.offers
    failures = Counter(why for call in calls if (why := _failure(call)))
    span = calls[-1].invited_at - calls[0].invited_at if len(calls) > 1 else 0.0
    waiting = _Waiting(calls, at_least)
    double_booked, gaps = _gaps(offers, waiting)
    return CallFigures(
        calls=len(calls),
        calls_per_second=(len(calls) - 1) / span if span else 0.0,
        connected=len(calls) - failures.total(),
        failures=dict(failures),
        routing=_spread(call.offers[0].invited_at - call.invited_at for call in calls if call.offers),
        bridging=_spread(
            call.heard_at - call.agent_answered_at
            for call in calls
            if call.heard_at is not None and call.agent_answered_at is not None
        ),
        next_offer=_spread(gaps),
        offers=len(offers),
        agents_seen=len({offer.agent for offer in offers}),
        most_waiting=waiting.most,
        double_booked=double_booked,
        overtaken=_overtaken(calls),
        longest_idle=_longest_idle(offers),
        unmatched_offers=captured.unmatched_offers,
        reinvites=captured.reinvites,
        retransmitted=captured.retransmitted,
    )


def _failure(call: Call) -> str:
    """Why this caller did not hear an agent, "" if he did."""
    if call.heard_at is not None:
        return ""
    if call.status >= 300:
        return f"caller got {call.status}"
    if not call.offers:
        return f"never offered, {f'ended by {call.ended_by}' if call.ended_by else 'still open'}"
    if call.agent_answered_at is None:
        return "offered, no agent answered"
    if call.answered_at is None:
        return "an agent answered, the caller never got 200"
    return "both answered, the agent was not heard"


def _spread(seconds: Iterable[float]) -> Spread | None:
    values = sorted(seconds)
    if not values:
        return None
    count = len(values)

    def percentile(share: float) -> float:
        return round(1000 * values[min(count - 1, int(count * share))], 2)

    return Spread(count, percentile(0.5), percentile(0.99), percentile(1.0))


class _Waiting:
    """How many callers waited (arrived, neither offered nor gone) at each moment."""

    def __init__(self, calls: list[Call], at_least: int) -> None:
        steps: list[tuple[float, int]] = []
        for call in calls:
            steps.append((call.invited_at, 1))
            left_at = call.offers[0].invited_at if call.offers else call.ended_at
            if left_at is not None:
                steps.append((left_at, -1))
        steps.sort()
        self.most = 0
        self._few: list[tuple[float, float]] = []  # spans in which fewer waited
        now, since = 0, float("-inf")
        for at, step in steps:
            if step > 0 and now == at_least - 1:
                self._few.append((since, at))
            now += step
            self.most = max(self.most, now)
            if step < 0 and now == at_least - 1:
                since = at
        if now < at_least:
            self._few.append((since, float("inf")))

    def all_through(self, start: float, end: float) -> bool:
        """Whether enough waited at every moment from `start` until just before `end`."""
        # The caller who is offered at `end` may be the last who waited.
        last = bisect_left(self._few, (end - 1e-4,)) - 1
        return last < 0 or self._few[last][1] < start


def _gaps(offers: list[Offer], waiting: _Waiting) -> tuple[int, list[float]]:
    """Double bookings, and the seconds between an agent's hang-up and the next offer while callers waited."""
    double_booked = 0
    gaps = []
    last: dict[str, Offer] = {}
    for offer in offers:
        before = last.get(offer.agent)
        last[offer.agent] = offer
        if before is None:
            continue
        if before.free_at is None or offer.invited_at < before.free_at:
            double_booked += 1
        elif before.bye_at is not None and waiting.all_through(before.bye_at, offer.invited_at):
            gaps.append(offer.invited_at - before.bye_at)
    return double_booked, gaps


def _overtaken(calls: list[Call]) -> int:
    overtaken = 0
    latest = float("-inf")  # arrival of the latest comer who was offered so far
    for call in sorted((call for call in calls if call.offers), key=lambda call: call.offers[0].invited_at):
        if call.invited_at < latest - OVERTAKEN_SECONDS:
            overtaken += 1
        latest = max(latest, call.invited_at)
    return overtaken


def _longest_idle(offers: list[Offer]) -> float | None:
    """Share of the offers to agents who had a call before that took the longest idle of these."""
    moves: list[tuple[float, bool, str]] = []
    for offer in offers:
        moves.append((offer.invited_at, True, offer.agent))
        if offer.free_at is not None:
            moves.append((offer.free_at, False, offer.agent))
    moves.sort()
    idle: dict[str, float] = {}
    order: list[tuple[float, str]] = []  # heap; an entry counts only while `idle` agrees
    picks = hits = 0
    for at, offered, agent in moves:
        if not offered:
            idle[agent] = at
            heapq.heappush(order, (at, agent))
        elif agent in idle:
            while idle.get(order[0][1]) != order[0][0]:
                heapq.heappop(order)
            picks += 1
            hits += idle.pop(agent) - order[0][0] <= SAME_MOMENT_SECONDS
    return hits / picks if picks else None
