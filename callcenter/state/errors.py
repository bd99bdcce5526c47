"""What can go wrong with the saved state, as the engine must tell it apart."""

from __future__ import annotations


class StateError(Exception):
    """Something about the state in Redis; the text is one line for people."""


class StateAway(StateError, ConnectionError):
    """Redis did not answer, in time or at all: what was sent may or may not have been done.

    Go on from memory, spool records, and write a snapshot before the next commit.
    """


class StateEmptied(StateAway):
    """Redis answers, and knows nothing of this floor: it came back without its data."""


class LeaseLost(StateError):
    """Another engine owns the floor now: stop at once."""
