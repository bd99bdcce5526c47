"""Requests that the engine itself takes from the inbox; all others are the floor's own events."""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.floor.events import Request


@dataclass(frozen=True, slots=True)
class PlanReloadRequested(Request):
    """The site file was applied: the engine reads it again and gives the floor PlanApplied."""
