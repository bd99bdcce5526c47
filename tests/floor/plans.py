"""The small call centre that the floor's tests play in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from callcenter.floor.events import AgentDefinition
from callcenter.floor.plan import (
    FloorPlan,
    HoursPlan,
    PhonePlan,
    QueuePlan,
    ServicePlan,
    Span,
    Strategy,
)

ZONE = ZoneInfo("Asia/Shanghai")
DAY = (Span(9 * 60, 18 * 60),)
MONDAY_10 = 1_700_445_600.0  # Monday 20 November 2023, 10:00 in Shanghai

OFFICE = HoursPlan("office", ZONE, (DAY, DAY, DAY, DAY, DAY, (), ()))

SALES = QueuePlan("sales", "Sales", wrapup_seconds=10, greeting=("greeting",), music="default")
HELP = QueuePlan("help", "Help", number="70", strategy=Strategy.ROUND_ROBIN, ring_seconds=15)
GOLD = QueuePlan("gold", "Gold", number="80", strategy=Strategy.FEWEST_CALLS, music="default")

SERVICES = (
    ServicePlan("sales", ("100",), "sales", "en"),
    ServicePlan("help", ("200",), "help", "zh"),
    ServicePlan("gold", ("300",), "gold", "en", hours="office"),
    ServicePlan("always", ("400",), "gold", "en", night_switch=False),
)

PHONES = tuple(str(number) for number in range(1001, 1007))

AGENTS = (
    AgentDefinition("11", "Ada", ("sales", "help"), pin_hash="1111", skills={"chinese": 5}, leads=("a", "b")),
    AgentDefinition("12", "Bo", ("sales",), pin_hash="2222", skills={"chinese": 2}, team="a"),
    AgentDefinition("13", "Cy", ("help", "gold"), pin_hash="3333", skills={"loans": 3}, team="b"),
    AgentDefinition("14", "Di", ("gold",), pin_hash="4444", supervisor=True),
)


def plan(*queues: QueuePlan, **changes: Any) -> FloorPlan:
    """The plan of the tests; `queues` take the place of those with the same name."""
    named = {q.name: q for q in (SALES, HELP, GOLD, *queues)}
    made = FloorPlan(
        name="main",
        services={s.name: s for s in SERVICES},
        queues=named,
        hours={"office": OFFICE},
        phones={phone: PhonePlan(phone, "zh" if phone == "1006" else "en") for phone in PHONES},
        transfer_outside=("13[0-9]{3}",),
        reasons={"1": "break", "2": "lunch"},
    )
    return replace(made, **changes)
