"""Lengths of time, written for people."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """0:05, 12:30, 1:02:03; parts of a second are dropped, what is negative (two clocks) is 0:00."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
