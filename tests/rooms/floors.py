"""Things of a floor for the tests of the rooms."""

from __future__ import annotations

from callcenter.floor.agents import Agent, Presence
from callcenter.floor.contacts import Contact, ContactState
from callcenter.floor.records import ContactClosed, ContactStep, Outcome
from callcenter.state import encode, record_id

NOON = 1_795_000_000.0  # 2026-11-18 11:06:40 UTC, 19:06:40 in Shanghai


def contact(name: str = "c1", queue: str = "sales", at: float = NOON) -> Contact:
    return Contact(name, "13800138000", "4001", "sales", queue, "zh", at, ContactState.WAITING, queued_at=at)


def agent(number: str = "1001") -> Agent:
    return Agent(number, "小王", ("sales",), presence=Presence.READY, phone=number)


def step(name: str = "c1", at: float = NOON, text: str = "queued") -> ContactStep:
    return ContactStep(at, name, text, "sales")


def closed(
    name: str = "c1",
    outcome: Outcome = Outcome.ANSWERED,
    at: float = NOON,
    wait: float = 5.0,
    talk: float = 60.0,
    queue: str = "sales",
) -> ContactClosed:
    talked = talk if outcome is Outcome.ANSWERED else 0.0
    return ContactClosed(
        at=at + wait + talked,
        contact=name,
        ani="13800138000",
        dnis="4001",
        service="sales",
        queue=queue,
        language="zh",
        outcome=outcome,
        agent="1001" if talked else "",
        arrived_at=at,
        queued_at=at,
        connected_at=at + wait if talked else 0.0,
        wait_seconds=wait,
        talk_seconds=talked,
        offers=1 if talked else 0,
        ended_by="caller",
    )


def numbered_steps(epoch: int, first: int, last: int) -> list[tuple[str, bytes]]:
    """Records `first` to `last` of an epoch, each about a contact of its own."""
    return [(record_id(epoch, n), encode(step(f"c{epoch}-{n}"))) for n in range(first, last + 1)]
