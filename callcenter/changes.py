"""What a floor changed and Redis does not know yet.

A turn of the engine that leads to commands is saved before they are carried out. One that leads to none (a
caller's leg is gone after the call) is saved with the next turn, within UNSAVED_SECONDS: a save costs engine
and Redis as much as several events. Should the engine die in between, the survey of Asterisk tells the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from callcenter.floor.commands import Reply
from callcenter.floor.scene import Scene
from callcenter.state import Turn, encode

UNSAVED_SECONDS = 0.02


@dataclass(slots=True)
class Changes:
    """Since when (0.0: nothing has changed), and what."""

    since: float = 0.0
    contacts: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    timers: dict[str, float | None] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    records: list[tuple[str, bytes]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    inbox: str = ""

    @property
    def anything(self) -> bool:
        return bool(
            self.contacts
            or self.agents
            or self.timers
            or self.meta
            or self.records
            or self.replies
            or self.inbox
        )

    def is_due(self, now: float) -> bool:
        """Whether they must be saved though nothing is to be done: somebody waits for it, or they are old."""
        return bool(self.since) and bool(
            self.replies or self.inbox or not self.since <= now < self.since + UNSAVED_SECONDS
        )

    def turn(self, scene: Scene) -> Turn:
        """As Redis takes it, entities as they are now."""
        contacts, agents = scene.contacts, scene.agents
        return Turn(
            contacts={i: encode(contacts[i]) if i in contacts else None for i in self.contacts},
            agents={number: encode(agents[number]) if number in agents else None for number in self.agents},
            timers=self.timers,
            meta=self.meta,
            records=self.records,
            replies=self.replies,
            inbox=self.inbox,
        )
