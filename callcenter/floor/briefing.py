"""Between the agent's answer and the join: the agent is told what the queue wants told, and the caller too.

The contact is CONNECTING meanwhile and the agent still offered: whoever hangs up now was never joined. The
caller keeps his place if the agent is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.floor import spoken
from callcenter.floor.commands import PlayPrompts
from callcenter.floor.contacts import (
    Contact,
    ContactState,
    answer,
    play,
    start_music,
    stop_prompts,
    stop_sounds,
)

if TYPE_CHECKING:
    from callcenter.floor.scene import Scene

BRIEFING_SECONDS = 20.0  # then agent and caller are joined, whatever still plays
FAILED_SECONDS = 1.0  # after a prompt that failed: the agent may be hanging up


def brief(scene: Scene, contact: Contact, at: float) -> None:
    """The agent has answered: say to him and to the caller what is to be said; then they are joined.

    Without a whisper the agent hears what the caller hears, in the caller's language, and so knows when to
    speak. The caller of a whisper goes on hearing music or ringing.
    """
    plan = scene.queues[contact.queue].plan
    scene.stop_timers(("announce", "wait"), contact.id)
    contact.state = ContactState.CONNECTING
    prompts, language = spoken.agent_number(contact.agent), contact.language
    if plan.tell_agent_number:
        stop_sounds(scene, contact)
        answer(scene, contact)
        play(scene, contact, prompts)
    elif contact.playback:
        stop_prompts(scene, contact)
        start_music(scene, contact, plan.music or plan.ringing_music)
    if plan.whisper:
        language = _language_of(scene, contact.agent)
        waited = at - (contact.queued_at or contact.joined_at or at)
        prompts = (*plan.title_prompts, *spoken.waited(waited, language))
    contact.whisper = f"{contact.id}~w{contact.offers}"
    scene.playbacks[contact.whisper] = contact.id
    scene.do(PlayPrompts(contact.agent_leg, contact.whisper, prompts, language))
    scene.start(f"brief:{contact.id}", at + BRIEFING_SECONDS)


def briefed(scene: Scene, contact: Contact, at: float, note: str, *, agent: bool) -> bool:
    """One of the two has heard his part; True when both have. `note` is "failed" if he could not hear it."""
    if agent:
        contact.whisper = ""
    else:
        contact.playback = ""
    if note == "failed":
        scene.start(f"brief:{contact.id}", at + FAILED_SECONDS)
        return False
    return not contact.whisper and not contact.playback


def _language_of(scene: Scene, number: str) -> str:
    agent = scene.agents[number]
    phone = scene.plan.phones.get(agent.phone)
    return agent.language or (phone.language if phone else scene.plan.language)
