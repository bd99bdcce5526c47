"""The tables say what happens: every row is taken by some walk, and leads where it says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from callcenter.floor import agents, floor, journey, scene, talks
from callcenter.floor.agents import MOVES, Activity, Move
from callcenter.floor.contacts import Contact, ContactState, Cue, Talk
from callcenter.floor.events import CallArrived
from callcenter.floor.journey import BEGINNINGS, ROWS
from callcenter.floor.states import agent_picture, contact_picture
from callcenter.floor.talks import Happening
from tests.floor.walk import random_steps, talking_steps, walk

Seen = dict[tuple[ContactState, Cue], set[ContactState | None]]


@pytest.fixture(scope="module")
def travelled() -> tuple[Seen, set[tuple[Activity, Move, Activity]]]:
    """Every transition that a fixed set of walks makes."""
    rows: Seen = defaultdict(set)
    moves: set[tuple[Activity, Move, Activity]] = set()
    happen, move = journey.happen, agents.move

    def watch_happen(on: scene.Scene, contact: Contact, at: float, cue: Cue, note: str = "") -> None:
        before = contact.state
        happen(on, contact, at, cue, note)
        rows[before, cue].add(contact.state if contact.id in on.contacts else None)

    def watch_move(on: scene.Scene, agent: agents.Agent, at: float, step: Move, *a: str, **k: str) -> bool:
        before = agent.activity
        made = move(on, agent, at, step, *a, **k)
        if made:
            moves.add((before, step, agent.activity))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journey, "happen", watch_happen)
        patch.setattr(agents, "move", watch_move)
        for seed in range(8000):
            walk(random_steps(seed))
        for seed in range(1500):
            walk(talking_steps(seed), talking=True)
    return rows, moves


TalksSeen = dict[tuple[Talk, Happening], set[Talk | ContactState]]


def talks_travelled() -> TalksSeen:
    """Every row of `talks.ROWS` that a fixed set of walks takes, and where to."""
    rows: TalksSeen = defaultdict(set)

    def watched(key: tuple[Talk, Happening], row: talks.Row) -> talks.Row:
        def act(on: scene.Scene, contact: Contact, at: float, text: str) -> str:
            prompt = row.act(on, contact, at, text)
            rows[key].add(contact.talk if contact.state is ContactState.TALKING else contact.state)
            return prompt

        return talks.Row(act, row.leads_to)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(talks, "ROWS", {key: watched(key, row) for key, row in talks.ROWS.items()})
        for seed in range(2000):
            walk(talking_steps(seed, calm=seed % 2 == 0), calm=seed % 2 == 0, talking=True)
    return rows


def test_every_row_leads_where_it_says(
    travelled: tuple[Seen, set[tuple[Activity, Move, Activity]]],
) -> None:
    rows, _ = travelled
    for key, row in ROWS.items():
        assert rows[key], f"no walk came by {key}: can it happen?"
        # An offer follows in the same event, when the floor settles: waiting may become offered.
        allowed = set(row.leads_to)
        assert rows[key] <= allowed, f"{key} led to {rows[key] - allowed}"
        unseen = allowed - rows[key] - {ContactState.OFFERED}
        assert not unseen, f"{key} never led to {unseen}"


def test_every_move_of_an_agent_is_made(
    travelled: tuple[Seen, set[tuple[Activity, Move, Activity]]],
) -> None:
    _, moves = travelled
    assert moves == {(activity, move, target) for (activity, move), target in MOVES.items()}


def test_contacts_begin_as_it_says() -> None:
    """Seen where a contact's first step is written, before it is offered to anybody."""
    begun: set[ContactState] = set()

    def watch(act: Callable[..., None]) -> Callable[..., None]:
        def acting(on: scene.Scene, *words: Any, **more: Any) -> None:
            known = set(on.contacts)
            act(on, *words, **more)
            begun.update(c.state for c in on.contacts.values() if c.id not in known)
            if act is pair:
                begun.add(words[0].state)

        return acting

    arrive, pair = journey.arrive, journey.pair
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(floor._RECEIVE, CallArrived, watch(arrive))
        patch.setattr(journey, "arrive", watch(arrive))
        patch.setattr(journey, "pair", watch(pair))
        for seed in range(600):
            walk(random_steps(seed))
    assert begun == set(BEGINNINGS)


def test_the_pictures_are_drawn_from_the_tables() -> None:
    contact, agent = list(contact_picture()), list(agent_picture())
    assert contact[0] == agent[0] == "stateDiagram-v2"
    assert "    offered --> talking: agent answered" in contact
    assert "    talking --> wrapup: release to wrap-up" in agent
    assert len(agent) == 3 + len(MOVES)
