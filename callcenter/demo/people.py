"""The eight agents of the demo. Their PINs are new in every run and known to nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field

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
