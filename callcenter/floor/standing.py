"""Always-connected working: one long call to the agent, his standing leg, carries contact after contact.

The agent dials the code, or his phone is rung once; between contacts the leg rests in silence or music. For
an offer he hears the zip tone on it and is joined to the caller at once, who hears nothing of that. After
the contact the leg stays. When the agent hangs up he is logged out, after the contact if he had one: without
the leg there is no way to him.

A standing leg that Asterisk no longer has when an engine comes back (Asterisk itself ended; or no engine ran
and the fallback queue needed the phone, see dialplans/fallback.conf) leaves its agent logged in, and on-hook:
his phone rings for contacts until he dials the code again.

Ids: a leg that was dialled has Asterisk's; one that we rang is `AGENT~line~MILLISECONDS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.floor.commands import (
    HangUp,
    PlayPrompts,
    RingAgent,
    StartMusic,
    StopMusic,
    StopPlayback,
    TagLeg,
)

if TYPE_CHECKING:
    from callcenter.floor.agents import Agent
    from callcenter.floor.contacts import Contact
    from callcenter.floor.scene import Scene

ZIP_TONE = "zip-tone"
TONE_SECONDS = 3.0  # the tone takes a fraction of it; whoever was not told of its end is joined then
HUNG_UP_SECONDS = 0.5  # a tone failed: the agent's hang-up is the cause, and told within this
RING_SECONDS = 30  # the phone rings so long for its standing leg


def ring(scene: Scene, at: float, agent: Agent, phone: str) -> None:
    """Ring the phone once; the agent is free when it is answered."""
    leg = f"{agent.number}~line~{round(at * 1000)}"
    _hold(scene, agent, leg, up=False)
    scene.do(
        RingAgent(
            leg=leg,
            contact="",
            agent=agent.number,
            phone=phone,
            queue="",
            ani=agent.number,
            dnis="",
            language=_language(scene, agent, phone),
            ring_seconds=RING_SECONDS,
            arrived_at=at,
        )
    )


def take(scene: Scene, at: float, agent: Agent, leg: str, phone: str) -> None:
    """The call in which he has just logged in becomes his standing leg."""
    _hold(scene, agent, leg, up=True)
    scene.do(TagLeg(leg, "", "", at, _language(scene, agent, phone), 0.0, agent.number, phone))


def answered(scene: Scene, agent: Agent) -> None:
    """His phone was picked up. Told twice, it changes nothing."""
    if not agent.line_up:
        agent.line_up = True
        rest(scene, agent)
        scene.file(agent)


def rest(scene: Scene, agent: Agent) -> None:
    """Between contacts: music, or silence."""
    if agent.line_up and agent.line not in scene.sessions:
        scene.do(StartMusic(agent.line, scene.plan.standing_music))


def wake(scene: Scene, agent: Agent) -> None:
    """Something else is to be heard now. Silence ends by itself."""
    if scene.plan.standing_music:
        scene.do(StopMusic(agent.line))


def announce(scene: Scene, contact: Contact, agent: Agent) -> None:
    """The zip tone; its end joins them."""
    wake(scene, agent)
    agent.tone = f"{contact.id}~t{contact.offers}"
    scene.playbacks[agent.tone] = agent.line
    language = _language(scene, agent, agent.phone)
    scene.do(PlayPrompts(agent.line, agent.tone, (ZIP_TONE,), language))


def end_tone(scene: Scene, agent: Agent) -> None:
    """Also when it is still being played."""
    if agent.tone:
        if scene.playbacks.pop(agent.tone, None) is not None:
            scene.do(StopPlayback(agent.tone))
        agent.tone = ""
        scene.outcome.agents.add(agent.number)


def part(scene: Scene, agent: Agent) -> None:
    """The contact is over, the leg stays."""
    if agent.leg == agent.line:
        end_tone(scene, agent)
        scene.stop(f"keys:{agent.line}")  # what was half keyed was not meant for the next caller
        scene.keyings.pop(agent.line, None)
        agent.leg = ""
        rest(scene, agent)
        scene.file(agent)


def hang_up(scene: Scene, leg: str) -> None:
    """The contact needs this leg of an agent no more: hang up, unless it is a standing one."""
    if not is_standing(scene, leg):
        scene.do(HangUp(leg))


def is_standing(scene: Scene, leg: str) -> bool:
    agent = scene.agents.get(scene.agent_legs.get(leg, ""))
    return agent is not None and agent.line == leg


def give_up(scene: Scene, agent: Agent) -> None:
    """The agent leaves: hang his leg up, after what he is being told on it."""
    if not agent.line:
        return
    end_tone(scene, agent)
    line, agent.line, agent.line_up = agent.line, "", False
    agent.leg = agent.leg or line  # until it is gone
    session = scene.sessions.get(line)
    if session is None or not session.is_over:
        scene.do(HangUp(line))
    if session is not None:
        session.stays = False


def forget(scene: Scene, agent: Agent) -> None:
    """The leg is gone."""
    end_tone(scene, agent)
    agent.line, agent.line_up = "", False


def _hold(scene: Scene, agent: Agent, leg: str, up: bool) -> None:
    agent.line, agent.line_up = leg, up
    scene.agent_legs[leg] = agent.number


def _language(scene: Scene, agent: Agent, phone: str) -> str:
    known = scene.plan.phones.get(phone)
    return agent.language or (known.language if known else scene.plan.language)
