"""For tests of a call centre: a switch and a clock in memory, held to the same checks as the real ones."""

from __future__ import annotations

from callcenter.testing.clock import FakeClock
from callcenter.testing.switch import FakeLeg, FakeSwitch, Phone

__all__ = ["FakeClock", "FakeLeg", "FakeSwitch", "Phone"]
