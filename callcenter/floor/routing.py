"""Who takes whom.

A strategy is one small pure function from an agent to a key; of the free agents the smallest key is
offered the call. A key stays the same while its agent is free, so each queue keeps its free agents
sorted and a pick costs the same with five agents as with five thousand.

A free agent of several queues takes the caller who arrived first of all who wait in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from callcenter.floor.agents import Agent
from callcenter.floor.plan import Strategy

Key: TypeAlias = tuple[float, float, str]


def longest_idle(agent: Agent) -> Key:
    """Who finished the last contact (or became ready) longest ago."""
    return (agent.idle_since, 0.0, agent.number)


def round_robin(agent: Agent) -> Key:
    """Who was offered a contact longest ago, answered or not."""
    return (agent.offered_at, agent.idle_since, agent.number)


def fewest_calls(agent: Agent) -> Key:
    """Who took the fewest contacts since logging in; among equals the longest idle."""
    return (float(agent.calls_taken), agent.idle_since, agent.number)


KEYS: Mapping[Strategy, Callable[[Agent], Key]] = {
    Strategy.LONGEST_IDLE: longest_idle,
    Strategy.ROUND_ROBIN: round_robin,
    Strategy.FEWEST_CALLS: fewest_calls,
}
