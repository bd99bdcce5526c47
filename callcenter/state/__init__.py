"""What survives a restart: the floor's state in Redis, its lease, its inbox, its record stream.

Docstrings of `keys` list every Redis key; `store` states the rules.
"""

from callcenter.state.codec import UnreadableState, decode, encode
from callcenter.state.errors import LeaseLost, StateAway, StateEmptied, StateError
from callcenter.state.keys import FloorKeys
from callcenter.state.owner import Owner
from callcenter.state.store import FloorStore, Posted, Saved, Turn, record_id

__all__ = [
    "FloorKeys",
    "FloorStore",
    "LeaseLost",
    "Owner",
    "Posted",
    "Saved",
    "StateAway",
    "StateEmptied",
    "StateError",
    "Turn",
    "UnreadableState",
    "decode",
    "encode",
    "record_id",
]
