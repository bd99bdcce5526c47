"""Requests on several sockets: what must keep its order does."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from callcenter.floor import commands as do
from callcenter.switch.ari import Ari, AriError
from callcenter.switch.lanes import Lanes
from callcenter.switch.operations import AriRequest


class Socket:
    """An Ari that only remembers what it was told."""

    def __init__(self) -> None:
        self.connected = True
        self.told: list[str] = []

    def tell(self, request: AriRequest, failed: Callable[[AriError], None]) -> None:
        self.told.append(request.uri)


def ring(contact: str) -> do.RingAgent:
    return do.RingAgent(f"{contact}~2001~1", contact, "2001", "1001", "q", "1", "2", "en", 20, 1.0)


def test_offers_and_their_withdrawal_keep_the_main_socket() -> None:
    main, others = Socket(), [Socket(), Socket()]
    lanes = Lanes(cast(Ari, main), [cast(Ari, each) for each in others])
    for number in range(20):
        contact = f"1763.{number}"
        for command in (ring(contact), do.HangUp(f"{contact}~2001~1"), do.HangUp(contact)):
            lanes.tell(command, AriRequest("POST", f"{type(command).__name__} {contact}"), lambda _: None)
    assert len(main.told) == 40
    assert all(main.told[at].startswith("RingAgent") for at in range(0, 40, 2))
    assert all(other.told for other in others)


def test_a_contacts_requests_share_a_lane_and_the_main_socket_stands_in() -> None:
    main, others = Socket(), [Socket(), Socket()]
    lanes = Lanes(cast(Ari, main), [cast(Ari, each) for each in others])
    commands = (do.AnswerLeg("c1"), do.ConnectLegs("c1~b1", "c1", "c1~2001~1"), do.DestroyBridge("c1~b1"))
    for command in commands:
        lanes.tell(command, AriRequest("POST", type(command).__name__), lambda _: None)
    assert [other.told for other in others if other.told] == [["AnswerLeg", "ConnectLegs", "DestroyBridge"]]
    for other in others:
        other.connected = False
    lanes.tell(do.AnswerLeg("c1"), AriRequest("POST", "late"), lambda _: None)
    assert main.told == ["late"]


def test_a_standing_leg_stays_on_the_lane_of_its_last_contact() -> None:
    """Else its next tone might be played before the last bridge is gone."""
    main, others = Socket(), [Socket(), Socket()]
    lanes = Lanes(cast(Ari, main), [cast(Ari, each) for each in others])
    for number in range(20):
        contact, tone = f"1763.{number}", do.PlayPrompts("2001~line~1", f"{number}~t1", ("zip-tone",), "en")
        joined = do.ConnectLegs(f"{contact}~b1", contact, "2001~line~1")
        for command in (joined, do.DestroyBridge(f"{contact}~b1"), tone):
            lanes.tell(command, AriRequest("POST", f"{type(command).__name__} {number}"), lambda _: None)
    for other in others:
        assert len(other.told) > 3
        kinds = [each.partition(" ")[0] for each in other.told]
        assert kinds == ["ConnectLegs", "DestroyBridge", "PlayPrompts"] * (len(kinds) // 3)
    lanes.forget("2001~line~1")
    assert not lanes._last_contact
