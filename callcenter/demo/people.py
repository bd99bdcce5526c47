"""The eight agents of the demo. Their PINs are new in every run and known to nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from callcenter import pins
from callcenter.history import connect
from callcenter.people import store
from callcenter.people.model import Person

DEMO_AGENTS = (
    ("9001", "王芳"), ("9002", "李娜"), ("9003", "张伟"), ("9004", "刘洋"),
    ("9005", "Anna Smith"), ("9006", "陈静"), ("9007", "David Brown"), ("9008", "杨敏"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoAgent:
    """An agent as PostgreSQL has him now, and his PIN."""

    number: str
    name: str
    pin: str = field(repr=False)
    pin_hash: str = field(repr=False)


def hire(database_url: str, queues: Sequence[str]) -> list[DemoAgent]:
    """Add the demo's agents, each in all `queues`, or give those of an earlier run new PINs."""
    hired = []
    with connect(database_url) as connection:
        known = {person.number for person in store.people(connection)}
        for number, name in DEMO_AGENTS:
            pin = pins.generate_pin(number)
            person = Person(number, name, tuple(queues), pin_hash=pins.hash_pin(pin))
            (store.change if number in known else store.add)(connection, person)
            hired.append(DemoAgent(number, name, pin, person.pin_hash))
    return hired
