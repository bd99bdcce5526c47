"""The demo's account: two witnesses are compared, and every way in which they can differ is found."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import cast

import pytest
from rich.console import Console

from callcenter.demo.board import Board, Picture
from callcenter.demo.callers import Caller
from callcenter.demo.ledger import Entry, settle
from callcenter.demo.network import NetworkCall
from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.contacts import Contact, ContactState
from callcenter.floor.records import Outcome
from callcenter.switch.ari import Ari

AGENTS_AT = {"1001": "9001", "1002": "9002"}


def caller(
    phone: str = "", lasted: float = 5.0, hung_up_here: bool = True, heard: bool | None = True
) -> Caller:
    """A call of ten seconds' waiting and, with a phone, `lasted` seconds of talk."""
    call = NetworkCall(cast(Ari, None), "c", "4008001000", "13800000001")
    call.started_at, call.hung_up_here, call.cause = 1000.0, hung_up_here, 16
    call.ended_at = 1010.0 + (lasted if phone else 0.0)
    return Caller(
        "13800000001",
        "4008001000",
        30,
        5,
        1000,
        call,
        phone,
        1010.0 if phone else 0.0,
        heard if phone else None,
    )


def entry(outcome: Outcome, agent: str = "", talked: float = 0.0) -> Entry:
    return Entry("net-1", "13800000001", outcome, agent, 10.0, talked)


def faults(one: Caller, *entries: Entry) -> tuple[str, ...]:
    return settle([one], entries, AGENTS_AT)[0][0].faults


@pytest.mark.parametrize(
    ("one", "written"),
    [
        (caller("1001"), entry(Outcome.ANSWERED, "9001", 5.4)),
        (caller("1001", heard=None), entry(Outcome.ANSWERED, "9001", 5.0)),
        (caller(), entry(Outcome.ABANDONED)),
        (caller(), entry(Outcome.SHORT_ABANDONED)),
        (caller(hung_up_here=False), entry(Outcome.MAX_WAIT)),
        (caller("1001", lasted=0.2), entry(Outcome.ABANDONED)),  # the same instant
    ],
)
def test_stories_that_agree(one: Caller, written: Entry) -> None:
    assert faults(one, written) == ()


@pytest.mark.parametrize(
    ("one", "written", "fault"),
    [
        (caller("1001"), (), "no record"),
        (caller(), (), "no record"),
        (caller(), (entry(Outcome.ABANDONED), entry(Outcome.ABANDONED)), "2 records"),
        (caller("1001"), (entry(Outcome.ANSWERED, "9002", 5.0),), "with agent 9002"),
        (caller("1001"), (entry(Outcome.ANSWERED, "9001", 9.0),), "talked 5.0 s, and the record says 9.0 s"),
        (caller("1001"), (entry(Outcome.ABANDONED),), "the record says abandoned"),
        (caller(), (entry(Outcome.ANSWERED, "9001", 5.0),), "talked with nobody"),
        (caller(), (entry(Outcome.LOST),), "the record says lost"),
        (caller(hung_up_here=False), (entry(Outcome.ABANDONED),), "was cut off"),
        (caller(hung_up_here=False), (entry(Outcome.LOST),), "was cut off"),
        (caller("1001", heard=False), (entry(Outcome.ANSWERED, "9001", 5.0),), "did not hear each other"),
        (replace(caller(), trouble="no line"), (), "no line"),
    ],
)
def test_stories_that_differ(one: Caller, written: tuple[Entry, ...], fault: str) -> None:
    assert any(fault in found for found in faults(one, *written))


def test_records_of_nobody_are_found() -> None:
    stray = replace(entry(Outcome.ABANDONED), ani="13899999999")
    assert settle([caller()], [entry(Outcome.ABANDONED), stray], AGENTS_AT)[1] == [stray]


def picture() -> Picture:
    agent = Agent(
        "9001", "王芳", ("sales",), presence=Presence.READY, activity=Activity.TALKING, phone="1001",
        contact="c1", since=990.0,
    )  # fmt: skip
    talking = Contact("c1", "13800000001", "4000", "sales", "sales", "zh", 980.0, ContactState.TALKING)
    waiting = Contact("c2", "13800000002", "4000", "sales", "sales", "zh", 993.0, ContactState.WAITING)
    return Picture(1000.0, [agent], [talking, waiting])


def test_the_board_shows_queues_agents_and_news() -> None:
    screen = io.StringIO()
    with Board({"sales": "销售"}, Console(file=screen, force_terminal=True, width=120, height=60)) as board:
        board.say("13800000003 [gave up] after 4 s")
        board.show(picture())
    shown = screen.getvalue()
    for text in ("销售", "王芳", "7 s", "talking", "13800000001", "[gave up] after 4 s"):
        assert text in shown


def test_without_a_terminal_the_board_is_plain_lines() -> None:
    screen = io.StringIO()
    with Board({"sales": "销售"}, Console(file=screen, width=80)) as board:
        board.say("13800000003 gave up after 4 s")
        board.show(picture())
        board.show(picture())  # not again so soon
        board.show(Picture(2000.0, fault="Redis does not answer"))
    lines = screen.getvalue().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "13800000003 gave up after 4 s",
        "1 waiting, 1 talking, 1 agents ready, 0 of them free",
        "Redis does not answer",
    ]
    assert "\x1b" not in screen.getvalue()
