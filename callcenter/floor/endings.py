"""The ways out of a contact.

All of them go through `end`, which writes the contact's one `ContactClosed`. After that the contact stays,
ENDING, until the caller's leg is gone, so that a hang-up lost in a crash is repeated; then `forget`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from callcenter.floor import agents, parts, recording, ringall, standing
from callcenter.floor.commands import DestroyBridge, HangUp, SendOutside
from callcenter.floor.contacts import Contact, ContactState, answer, play, step, stop_sounds
from callcenter.floor.records import ContactClosed, Outcome
from callcenter.floor.sticky import remember

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene

# Each followed by the contact's id.
CONTACT_TIMERS = ("announce", "answer", "brief", "other", "refer", "ring", "wait", "widen")

# What an unanswered caller's network is told (Q.850): user busy, unassigned number.
_CAUSES: Mapping[str, int] = {Outcome.FULL: 17, Outcome.UNKNOWN_NUMBER: 1}


def turn_away(
    scene: Scene,
    contact: Contact,
    at: float,
    outcome: Outcome,
    prompts: tuple[str, ...],
    to_number: str = "",
) -> None:
    """Say why, then hang up or send outside (`message_over`); at once where there is nothing to say."""
    scene.stop_timers(("announce", "answer", "wait", "widen"), contact.id)
    stop_sounds(scene, contact)
    contact.leaving_as, contact.leaving_to = outcome.value, to_number
    contact.state = ContactState.LEAVING
    step(scene, contact, at, "turned away", detail=outcome.value)
    if prompts:
        answer(scene, contact)
        play(scene, contact, prompts)
    else:
        message_over(scene, contact, at, "")


def message_over(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    """The last message was heard: to the number that the site names, else the caller is hung up."""
    scene.playbacks.pop(contact.playback, None)
    contact.playback = ""
    if number := contact.leaving_to:
        scene.do(SendOutside(contact.id, number))
        by_key = contact.leaving_as == Outcome.EXITED
        outcome = Outcome.EXITED if by_key else Outcome.OVERFLOWED
        end(scene, contact, at, outcome, "centre", detail=f"{contact.leaving_as}, to {number}")
    else:
        cause = 16 if contact.answered else _CAUSES.get(contact.leaving_as, 16)
        scene.do(HangUp(contact.id, cause))
        end(scene, contact, at, Outcome(contact.leaving_as), "centre")


def gone_during_message(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    """The caller hung up during the last message: the outcome is what it told him."""
    end(scene, contact, at, Outcome(contact.leaving_as), "caller")
    forget(scene, contact)


def part(
    scene: Scene, contact: Contact, at: float, ended_by: str, outcome: Outcome = Outcome.ANSWERED
) -> None:
    """A conversation is over: the agent is released, the bridge goes, the record is written."""
    parts.drop_other(scene, contact, at, ended_by)
    parts.close(scene, contact, at, ended_by, last=True)
    scene.do(DestroyBridge(contact.bridge))
    if (agent := scene.agents.get(contact.agent)) is not None:
        agents.release(scene, at, agent, scene.queues[contact.queue].plan.wrapup_seconds)
    end(scene, contact, at, outcome, ended_by)


def drop_offer(scene: Scene, contact: Contact, at: float) -> None:
    """Stop ringing the agent (or all of them), or let him go before the join; he did nothing wrong."""
    if contact.state not in (ContactState.OFFERED, ContactState.CONNECTING):
        return
    scene.stop(f"ring:{contact.id}")
    standing.hang_up(scene, contact.agent_leg)
    ringall.stop_others(scene, contact, at)
    if (agent := scene.agents.get(contact.agent)) is not None:
        agents.offer_over(scene, at, agent)


def end(scene: Scene, contact: Contact, at: float, outcome: Outcome, ended_by: str, detail: str = "") -> None:
    """Write the contact's closing record; `ended_by` is "caller", "agent", "centre" or "switch"."""
    scene.stop_timers(CONTACT_TIMERS, contact.id)
    parts.drop_other(scene, contact, at, ended_by)
    parts.close(scene, contact, at, ended_by, last=True)
    step(scene, contact, at, outcome.value, agent=contact.agent, detail=detail or f"ended by {ended_by}")
    recording.finish(scene, contact, at, stop=outcome is Outcome.LEFT)
    talked = contact.connected_at > 0.0
    if talked:
        remember(scene, contact)
    waited_until = contact.connected_at if talked else at
    waited = max(0.0, waited_until - contact.queued_at) if contact.queued_at else 0.0
    queue = contact.served_queue or contact.queue
    first_queue = contact.been_in[0] if contact.been_in else ""
    scene.note(
        ContactClosed(
            at=at,
            contact=contact.id,
            ani=contact.ani,
            dnis=contact.dnis,
            service=contact.service,
            queue=queue,
            language=contact.language,
            outcome=outcome,
            agent=contact.last_agent if talked else "",
            arrived_at=contact.arrived_at,
            queued_at=contact.queued_at,
            connected_at=contact.connected_at,
            wait_seconds=waited,
            talk_seconds=contact.talked_seconds,
            offers=contact.offers,
            ended_by=ended_by,
            first_queue=first_queue if first_queue != queue else "",
        )
    )
    contact.state = ContactState.ENDING
    scene.outcome.contacts.add(contact.id)


def forget(scene: Scene, contact: Contact) -> None:
    """The caller's leg is gone, and with it the contact."""
    scene.stop(f"hangup:{contact.id}")
    scene.contacts.pop(contact.id, None)
    scene.playbacks.pop(contact.playback, None)
    scene.playbacks.pop(contact.whisper, None)
    scene.outcome.contacts.add(contact.id)
