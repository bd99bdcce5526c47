"""Whose time is whose: each agent's part of a contact, and the third party of a transfer.

A part runs from the moment an agent gets the caller until he gives him away or the contact ends. The
parts in which an agent served the caller follow one another and add up to the contact's talk time; an agent
who was only asked has a part of his own beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.floor import agents
from callcenter.floor.agents import Activity, Move
from callcenter.floor.commands import DestroyBridge, HangUp
from callcenter.floor.contacts import Contact, Talk
from callcenter.floor.records import TalkClosed

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene


def begin(contact: Contact, at: float) -> None:
    """The contact's agent has the caller from now on."""
    contact.connected_at = contact.connected_at or at
    contact.part_since = at
    contact.held_since = contact.held_seconds = 0.0


def hold_begins(scene: Scene, contact: Contact, at: float) -> None:
    """The caller is on hold; the agent's activity says so."""
    contact.held_since = contact.held_since or at
    agent = scene.agents.get(contact.agent)
    if agent is not None and agent.activity is Activity.TALKING:
        agents.move(scene, agent, at, Move.HOLD)


def hold_ends(scene: Scene, contact: Contact, at: float) -> None:
    """The caller is with somebody again."""
    if contact.held_since:
        contact.held_seconds += max(0.0, at - contact.held_since)
        contact.held_since = 0.0
    agent = scene.agents.get(contact.agent)
    if agent is not None and agent.activity is Activity.HOLDING:
        agents.move(scene, agent, at, Move.RESUME)


def close(scene: Scene, contact: Contact, at: float, ended: str, *, last: bool = False) -> None:
    """The agent's part is over; it is remembered unless the contact's closing record says the same."""
    scene.stop(f"refer:{contact.id}")
    since = contact.part_since
    if not since:
        return
    if contact.held_since:
        contact.held_seconds += max(0.0, at - contact.held_since)
    seconds = max(0.0, at - since)
    plain = last and contact.parts == 0 and not contact.held_seconds
    if not plain:
        scene.note(
            TalkClosed(
                max(at, since),
                contact.id,
                contact.queue,
                contact.agent,
                "served",
                since,
                seconds,
                contact.held_seconds,
                ended,
            )
        )
    contact.parts += 1
    contact.talked_seconds += seconds
    contact.last_agent = contact.agent
    void(contact)


def void(contact: Contact) -> None:
    """No part runs: it is over, or never came to a conversation."""
    contact.part_since = contact.held_since = contact.held_seconds = 0.0


def close_other(scene: Scene, contact: Contact, at: float, ended: str) -> None:
    """The third party's time of being asked is over."""
    since, contact.other_since = contact.other_since, 0.0
    if contact.other_agent and since:
        seconds = max(0.0, at - since)
        scene.note(
            TalkClosed(
                max(at, since),
                contact.id,
                contact.queue,
                contact.other_agent,
                "consulted",
                since,
                seconds,
                0.0,
                ended,
            )
        )


def drop_other(scene: Scene, contact: Contact, at: float, ended: str, blame: str = "") -> None:
    """The third party goes, answered or not; his leg is hung up if it is still there. `blame` says why he
    could not be had ("no-answer", "busy", …), as for an offer."""
    scene.stop(f"other:{contact.id}")
    leg, number = contact.other_leg, contact.other_agent
    if not leg:
        return
    close_other(scene, contact, at, ended)
    contact.other_leg = contact.other_agent = contact.other_number = ""
    contact.talk = Talk.HELD if contact.talk in HOLDING else Talk.TOGETHER
    if leg in scene.agent_legs or leg in scene.outside_legs:
        scene.do(HangUp(leg))
    if second := contact.second_leg:
        contact.second_leg = ""
        scene.do(DestroyBridge(f"{contact.id}~s{contact.others}"))
        if scene.second_legs.pop(second, None) is not None:
            scene.do(HangUp(second))
    if (agent := scene.agents.get(number)) is None:
        return
    if agent.activity is Activity.OFFERED:
        agents.offer_over(scene, at, agent, blame)
    else:
        agents.excuse(scene, at, agent)


HOLDING = frozenset({Talk.HELD, Talk.RINGING, Talk.CONSULTING})  # the caller hears music
