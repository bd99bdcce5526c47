"""Whatever we keep comes back as it was; what an older or newer version wrote does no harm."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.floor.agents import Agent
from callcenter.floor.commands import Reply
from callcenter.floor.contacts import Contact
from callcenter.floor.events import (
    AgentDefinition,
    AgentLoginRequested,
    AgentNotReadyRequested,
    CallMoveRequested,
    CallPrioritizeRequested,
    NightSwitchRequested,
    PeoplePublished,
    SpeakRequested,
    SuperviseRequested,
)
from callcenter.floor.records import (
    AgentState,
    ContactClosed,
    ContactStep,
    Intervention,
    NightSwitched,
    QueueMoved,
    TalkClosed,
)
from callcenter.state import PlanReloadRequested, UnreadableState, decode, encode
from callcenter.state.codec import fields_of

from .floors import agent, contact

# UTF-8 has no half characters; everything else may be in a caller's number
st.register_type_strategy(str, st.text(st.characters(codec="utf-8"), max_size=20))
st.register_type_strategy(float, st.floats(allow_nan=False))
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))

KEPT = (
    *(Contact, Agent, Reply, AgentState, ContactClosed, ContactStep, Intervention, NightSwitched, QueueMoved),
    TalkClosed,
    *(
        AgentLoginRequested,
        AgentNotReadyRequested,
        CallMoveRequested,
        CallPrioritizeRequested,
        NightSwitchRequested,
        PeoplePublished,
        PlanReloadRequested,
        SpeakRequested,
        SuperviseRequested,
    ),
)


@given(st.one_of([st.from_type(each) for each in KEPT]))
def test_comes_back_as_it_was(thing: Any) -> None:
    back = decode(encode(thing))
    assert type(back) is type(thing)
    assert back == thing


def test_secrets_and_chinese_come_back() -> None:
    people = PeoplePublished(1.0, 7, (AgentDefinition("1001", "小王", ("sales",), "zh", "scrypt$x"),))
    assert decode(encode(people)).agents[0].pin_hash == "scrypt$x"


def test_a_field_of_a_newer_version_is_ignored() -> None:
    kind, content = fields_of(encode(agent()))
    newer = msgspec.msgpack.encode([kind, {**content, "mood": "sunny"}])
    assert decode(newer) == agent()


def test_a_field_that_an_older_version_lacks_takes_its_default() -> None:
    kind, content = fields_of(encode(contact()))
    del content["offers"], content["playback"]
    assert decode(msgspec.msgpack.encode([kind, content])) == contact()


@pytest.mark.parametrize("body", [b"", b"\xc1", b"nonsense", msgspec.msgpack.encode(["Contact", {"id": 3}])])
def test_nonsense_is_unreadable_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(UnreadableState):
        decode(body)


@given(st.binary(max_size=200))
def test_no_bytes_do_worse(body: bytes) -> None:
    with pytest.raises(UnreadableState):
        decode(body)


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(UnreadableState, match="Hologram is unknown") as caught:
        decode(msgspec.msgpack.encode(["Hologram", {}]))
    assert caught.value.kind == "Hologram"


def test_only_what_is_kept_can_be_encoded() -> None:
    with pytest.raises(TypeError, match="str is not kept"):
        encode("hello")


def test_every_field_with_a_default_may_be_missing() -> None:
    """An upgrade adds fields: this pins that those of today with a default are read without it."""
    kind, content = fields_of(encode(agent()))
    needed = {"number", "name", "queues"}
    bare = {name: value for name, value in content.items() if name in needed}
    assert {each.name for each in fields(Agent)} > needed
    assert decode(msgspec.msgpack.encode([kind, bare])) == Agent("1001", "小王", ("sales",))
