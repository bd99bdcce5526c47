"""Bytes for what we keep: `[class name, fields]` in MessagePack.

Rules that keep old and new versions reading each other during an upgrade:
- a field that the reader does not know is ignored; a field that the bytes lack takes its default, so
  every field added later must have one;
- a class that the reader does not know raises UnreadableState, and so do bytes that make no sense.
  Neither may stop a floor: the caller skips and reports the one entry.
"""

from __future__ import annotations

from typing import Any

import msgspec

from callcenter.floor import events, records
from callcenter.floor.agents import Agent
from callcenter.floor.commands import Reply
from callcenter.floor.contacts import Contact
from callcenter.state.requests import PlanReloadRequested

_CLASSES: tuple[type[Any], ...] = (
    Contact,
    Agent,
    Reply,
    records.ContactStep,
    records.ContactClosed,
    records.RecordingEnded,
    records.TalkClosed,
    records.AgentState,
    records.DispositionGiven,
    records.Intervention,
    records.NightSwitched,
    records.QueueMoved,
    events.PeoplePublished,
    events.AgentLoginRequested,
    events.AgentLogoutRequested,
    events.AgentReadyRequested,
    events.AgentNotReadyRequested,
    events.DispositionRequested,
    events.WrapupEndRequested,
    events.WrapupExtendRequested,
    events.SpeakRequested,
    events.SuperviseRequested,
    events.CallMoveRequested,
    events.CallPrioritizeRequested,
    events.NightSwitchRequested,
    events.RecordingRequested,
    events.RecordingSpaceSeen,
    PlanReloadRequested,
)

_ENCODER = msgspec.msgpack.Encoder()
_ENVELOPE = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])
_DECODERS: dict[str, msgspec.msgpack.Decoder[Any]] = {
    each.__name__: msgspec.msgpack.Decoder(each) for each in _CLASSES
}


class UnreadableState(Exception):
    """These bytes are nothing that this version knows; `kind` is the class they name, "" if none."""

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind


def encode(thing: object) -> bytes:
    """One entity, record, request or reply as bytes. Raises TypeError for any other class."""
    kind = type(thing).__name__
    if kind not in _DECODERS:
        raise TypeError(f"{kind} is not kept: add it to callcenter.state.codec first")
    return _ENCODER.encode((kind, thing))


def decode(body: bytes) -> Any:
    """What `encode` made these bytes from. Raises UnreadableState."""
    try:
        kind, fields = _ENVELOPE.decode(body)
    except msgspec.MsgspecError as error:
        raise UnreadableState(f"no saved entry: {error}") from None
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise UnreadableState(f"{kind} is unknown to this version", kind)
    try:
        return decoder.decode(fields)
    except msgspec.MsgspecError as error:
        raise UnreadableState(f"{kind}: {error}", kind) from None


def fields_of(body: bytes) -> tuple[str, dict[str, Any]]:
    """Class name and bare fields of bytes whose class may be unknown. Raises UnreadableState."""
    try:
        kind, fields = msgspec.msgpack.decode(body, type=tuple[str, dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise UnreadableState(f"no saved entry: {error}") from None
    return kind, fields


def decode_as(expected: type[Any], body: bytes) -> Any:
    """`decode`, and UnreadableState unless it is an `expected`."""
    thing = decode(body)
    if not isinstance(thing, expected):
        raise UnreadableState(f"expected {expected.__name__}, found {type(thing).__name__}")
    return thing
