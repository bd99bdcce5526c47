"""A clock that goes only when it is told to."""

from __future__ import annotations


class FakeClock:
    """Call it for the time (seconds since the epoch), `advance` it by seconds."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        if seconds < 0:
            raise ValueError("a clock does not go back")
        self.now += seconds
        return self.now
