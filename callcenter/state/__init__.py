"""What survives a restart: the floor's state in Redis, its lease, its inbox, its record stream.

Docstrings of `keys` list every Redis key; `store` states the rules.
"""

from callcenter.state.client import EngineSeen, FloorClient, FloorSilent
from callcenter.state.codec import UnreadableState, decode, encode
from callcenter.state.errors import LeaseLost, StateAway, StateEmptied, StateError
from callcenter.state.keys import FloorKeys
from callcenter.state.owner import Owner
from callcenter.state.requests import PlanReloadRequested
from callcenter.state.spool import Spool
from callcenter.state.store import FloorStore, Posted, Saved, Turn, record_id
from callcenter.state.stream import RecordStream, Streamed

__all__ = [
    "EngineSeen",
    "FloorClient",
    "FloorKeys",
    "FloorSilent",
    "FloorStore",
    "LeaseLost",
    "Owner",
    "PlanReloadRequested",
    "Posted",
    "RecordStream",
    "Saved",
    "Spool",
    "StateAway",
    "StateEmptied",
    "StateError",
    "Streamed",
    "Turn",
    "UnreadableState",
    "decode",
    "encode",
    "record_id",
]
