"""Translation both ways: a real call's stream replayed, and what must never get through."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.floor import commands as do
from callcenter.floor.events import (
    CallArrived,
    DigitPressed,
    Event,
    LegAnswered,
    LegHungUp,
    LegReplaced,
    PhoneDialled,
    PhoneHeld,
    PhoneTransferred,
    PhoneUnheld,
    PlaybackFinished,
)
from callcenter.switch import translate
from callcenter.switch.operations import AriRequest
from callcenter.switch.translate import (
    AppReplaced,
    LegEnds,
    LegGoing,
    LegStrayed,
    LegWentSomewhere,
    Lines,
    Untranslatable,
)

CAPTURE = Path(__file__).parent.parent / "captures" / "queued_call.jsonl"
LINES = Lines({"1001": "PJSIP/1001", "1002": "PJSIP/1002", "5": "DAHDI/5"}, "floor-main", "n1")


def ari(kind: str, leg: str = "c1", name: str = "PJSIP/trunk-00000001", **more: object) -> dict[str, Any]:
    return {"type": kind, "channel": {"id": leg, "name": name, "state": "Ring"}, **more}


def told(event: Mapping[str, Any], ends: LegEnds | None = None) -> translate.Translated:
    return translate.event(event, 100.0, LINES, ends or LegEnds())


def asked(command: do.Command) -> list[AriRequest]:
    return list(translate.requests(command, LINES))


def test_what_belongs_to_a_talk() -> None:
    assert told(ari("ChannelHold", "c1~11~1")) == PhoneHeld(100.0, "c1~11~1")
    assert told(ari("ChannelUnhold", "c1~11~1")) == PhoneUnheld(100.0, "c1~11~1")
    half = {"id": "x.1", "name": "Local/70@transferred-0;1", "state": "Up"}
    start = {"type": "StasisStart", "args": [], "channel": half, "replace_channel": {"id": "c1~11~1"}}
    assert told(start) == translate.LegTookPlace("x.1", LegReplaced(100.0, "c1~11~1"))
    other = ari("StasisStart", "x.2", "Local/70@transferred-0;2", args=["transferred", "70"])
    assert told(other) == translate.HalfTransferred("x.2")
    done = ari("BridgeBlindTransfer", "c1~11~1", exten="70", result="Success")
    assert told(done) == PhoneTransferred(100.0, "c1~11~1", "70")
    assert told({**done, "result": "Fail"}) is None
    assert told({**done, "exten": "7&0,x"}) == PhoneTransferred(100.0, "c1~11~1", "70x")


def test_commands_of_a_talk() -> None:
    add = asked(do.AddLeg("c1~b1", "c1~11~1", absorb=True))[0]
    assert add.uri == "bridges/c1~b1/addChannel?channel=c1~11~1&absorbDTMF=true"
    assert "absorb" not in asked(do.AddLeg("c1~b1", "c1"))[0].uri
    assert asked(do.RemoveLeg("c1~b1", "c1"))[0].uri == "bridges/c1~b1/removeChannel?channel=c1"
    assert asked(do.SendDigits("c1", "12#"))[0].uri == "channels/c1/dtmf?dtmf=12%23"
    ring = asked(do.RingOutside("c1~139~x1", "c1", "139", "sales", "zh", 20, 5.0))[0]
    assert ring.uri.startswith("channels/c1~139~x1?endpoint=Local%2F139%40outside%2Fn&")
    for bad in (do.SendDigits("c1", "1&2"), do.RingOutside("x", "c1", "1@evil", "q", "en", 20, 5.0)):
        with pytest.raises(Untranslatable):
            asked(bad)


def test_a_real_call_replays() -> None:
    ends = LegEnds(originated={"leg-1", "leg-2"})
    lines = [msgspec.json.decode(line) for line in CAPTURE.read_bytes().splitlines()]
    results = [translate.event(line["event"], line["at"], LINES, ends) for line in lines]
    events = [result for result in results if isinstance(result, Event)]
    contact = lines[0]["event"]["channel"]["id"]
    at = {index: line["at"] for index, line in enumerate(lines)}
    assert events[:7] == [
        CallArrived(at[0], contact, "5550001", "4001", events[0].arrived_at, "n1"),  # type: ignore[attr-defined]
        PlaybackFinished(at[1], f"{contact}-p1"),
        LegHungUp(at[3], "leg-1", 17),
        LegAnswered(at[4], "leg-2"),
        DigitPressed(at[5], "leg-2", "*"),
        DigitPressed(at[6], "leg-2", "1"),
        DigitPressed(at[7], "leg-2", "2"),
    ]
    assert sorted((event.leg, event.cause) for event in events[7:] if isinstance(event, LegHungUp)) == sorted(
        [(contact, 16), ("leg-2", 16)]
    )
    assert len(events) == 9
    assert [result for result in results if isinstance(result, LegGoing)] == [LegGoing("leg-2")]
    assert ends == LegEnds()


def test_an_arrival_is_cleaned() -> None:
    event = ari("StasisStart", args=["inbound", "4001\n", "+86 (138)&Local/x", "99.250"])
    assert told(event) == CallArrived(100.0, "c1", "+86138Localx", "4001", 99.25, "n1", answered=False)
    for arrival in ("", "soon", "-1", "1e5", "nan", "9" * 30):
        event = ari("StasisStart", args=["inbound", "1", "2", arrival])
        assert told(event) == CallArrived(100.0, "c1", "2", "1", 100.0, "n1")


def test_phones_are_known_by_their_channels() -> None:
    event = ari("StasisStart", name="PJSIP/1002-0000000a", args=["phone", "*11"])
    assert told(event) == PhoneDialled(100.0, "c1", "1002", "*11", "n1")
    assert LINES.phone_of("DAHDI/5-1") == "5"
    stranger = ari("StasisStart", name="PJSIP/1003-0000000a", args=["phone", "*11"])
    assert isinstance(told(stranger), LegStrayed)
    assert isinstance(told(ari("StasisStart", args=["transferred", "1"])), LegStrayed)


def test_how_legs_end() -> None:
    ends = LegEnds()
    assert told(ari("StasisEnd"), ends) == LegWentSomewhere("c1")
    assert told(ari("ChannelHangupRequest", cause=32, soft=True), ends) is None
    assert told(ari("StasisEnd"), ends) == LegHungUp(100.0, "c1", 16)
    assert told(ari("ChannelHangupRequest", cause=17), ends) is None
    assert told(ari("StasisEnd"), ends) == LegHungUp(100.0, "c1", 17)
    assert ends == LegEnds()
    assert told(ari("StasisStart", leg="a1", args=["agent"]), ends) == LegAnswered(100.0, "a1")
    assert told(ari("ChannelHangupRequest", leg="a1", cause=16), ends) is None
    assert told(ari("StasisEnd", leg="a1"), ends) == LegGoing("a1")
    assert told(ari("ChannelDestroyed", leg="a1", cause=0), ends) == LegHungUp(100.0, "a1", 16)
    assert ends == LegEnds()
    assert told({"type": "ApplicationReplaced"}) == AppReplaced()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    ),
    st.sampled_from([*translate.ALLOWED_EVENTS, "ChannelVarset", ""]),
    st.sampled_from(["channel", "args", "playback", "digit", "cause"]),
)
def test_nothing_from_outside_breaks_it(junk: object, kind: str, key: str) -> None:
    event = ari(kind, args=["inbound", "1", "2", "3"])
    event[key] = junk
    told(event)


@given(st.text())
def test_numbers_hold_nothing_dangerous(text: str) -> None:
    number = translate.number(text)
    assert len(number) <= 64
    assert set(number) <= set("0123456789+*#_-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_ring_agent() -> None:
    command = do.RingAgent("l/1", "c1", "501", "1001", "sales", "138&x", "4001", "zh", 20, 12.5)
    (request,) = asked(command)
    assert request.method == "POST"
    assert request.uri == (
        "channels/l%2F1?endpoint=PJSIP%2F1001&app=floor-main&appArgs=agent&callerId=138x&timeout=20"
    )
    assert msgspec.json.decode(request.body) == {
        "variables": {
            "CC_LEG": "c1;501;sales;1001;12.500;zh;4001",
            "__TRANSFER_CONTEXT": "transferred",
        }
    }


@pytest.mark.parametrize("head_start", [0.0, 40.0, -7.5, 120_000.0])
def test_a_waiting_callers_leg_tells_his_place(head_start: float) -> None:
    (request,) = asked(do.TagLeg("c1", "c1", "sales", 12.5, "zh", head_start))
    told = parse_qs(urlsplit(request.uri).query)["value"][0]
    channel = {"id": "c1", "name": "PJSIP/carrier-1"}
    found = translate.seen_leg(channel, {"CC_LEG": told}, LINES, True, "")
    assert (found.contact, found.queue, found.arrived_at, found.head_start) == (
        "c1",
        "sales",
        12.5,
        head_start,
    )


def test_connect_absorbs_the_agents_digits() -> None:
    assert asked(do.ConnectLegs("b1", "c1", "a1")) == [
        AriRequest("POST", "bridges/b1?type=mixing%2Cdtmf_events"),
        AriRequest("POST", "bridges/b1/addChannel?channel=c1"),
        AriRequest("POST", "bridges/b1/addChannel?channel=a1&absorbDTMF=true"),
    ]


@pytest.mark.parametrize(
    ("command", "request_"),
    [
        (do.AnswerLeg("c1"), AriRequest("POST", "channels/c1/answer")),
        (do.IndicateRinging("c1"), AriRequest("POST", "channels/c1/ring")),
        (
            do.PlayPrompts("c1", "p1", ("hello", "digits/1"), "zh"),
            AriRequest("POST", "channels/c1/play/p1?media=sound%3Ahello%2Csound%3Adigits%2F1&lang=zh"),
        ),
        (do.StopPlayback("p1"), AriRequest("DELETE", "playbacks/p1")),
        (do.StartMusic("c1", "jazz"), AriRequest("POST", "channels/c1/moh?mohClass=jazz")),
        (do.StartMusic("c1", ""), AriRequest("POST", "channels/c1/silence")),
        (do.StopMusic("c1"), AriRequest("DELETE", "channels/c1/moh")),
        (
            do.TagLeg("l1", "", "", 12.5, "zh", 0.0, "501", "1001"),
            AriRequest(
                "POST", "channels/l1/variable?variable=CC_LEG&value=%3B501%3B%3B1001%3B12.500%3Bzh%3B"
            ),
        ),
        (do.DestroyBridge("b1"), AriRequest("DELETE", "bridges/b1")),
        (do.HangUp("c1", 17), AriRequest("DELETE", "channels/c1?reason_code=17")),
        (do.HangUp("c1", 999), AriRequest("DELETE", "channels/c1?reason_code=16")),
        (
            do.SendOutside("c1", "+8621#"),
            AriRequest("POST", "channels/c1/continue?context=outside&extension=%2B8621%23&priority=1"),
        ),
    ],
)
def test_commands(command: do.Command, request_: AriRequest) -> None:
    assert asked(command) == [request_]


@pytest.mark.parametrize(
    "command",
    [
        do.RingAgent("l1", "c1", "501", "1009", "sales", "1", "4001", "zh", 20, 12.5),
        do.RingAgent("l1", "c1", "501", "1001", "sales", "1", "4001", "zh)(", 20, 12.5),
        do.PlayPrompts("c1", "p1", ("../secret",), "zh"),
        do.PlayPrompts("c1", "p1", ("/etc/passwd",), "zh"),
        do.PlayPrompts("c1", "p1", ("a,tone:busy",), "zh"),
        do.PlayPrompts("c1", "p1", (), "zh"),
        do.StartMusic("c1", "a&b"),
        do.SendOutside("c1", "1,2"),
        do.SendOutside("c1", ""),
        do.StartTimer("t", 1.0),
        do.AnswerLeg(""),
    ],
)
def test_refused_commands(command: do.Command) -> None:
    with pytest.raises((Untranslatable, ValueError)):
        asked(command)
