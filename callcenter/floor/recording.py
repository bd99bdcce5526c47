"""Recording a conversation: which ones, from when to when, and where it is silent.

Asterisk writes what the caller says and what he hears to two files (`StartRecording`); a job joins them
later. A contact has one recording at a time, one after the other where it waits in between or somebody turns
it off and on; each ends with one `RecordingEnded`, which is how the back office knows of it.

Known sharp edges:
- A pause reaches Asterisk within milliseconds, not at once: pause first, ask for the card number then.
- Redis and engine lost together: what was recorded on demand ends at the survey; what the queue's rule
  records goes on in a new recording, and a pause is forgotten. Files of the old one are found on the disk.
- An agent leg in the fallback queue is in no floor's hands: those conversations are not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from callcenter.floor.commands import (
    PlayPrompts,
    Reply,
    SilenceRecording,
    StartRecording,
    StopRecording,
)
from callcenter.floor.contacts import Contact, ContactState, Recording, step
from callcenter.floor.events import Failure, RecordingWish
from callcenter.floor.plan import QueuePlan
from callcenter.floor.records import RecordingEnded

if TYPE_CHECKING:
    from callcenter.floor.events import RecordingRequested, RecordingSpaceSeen, RecordingStarted, SeenLeg
    from callcenter.floor.scene import Scene

BY_RULE = "rule"


class Refusal(StrEnum):
    """Why a wish was refused: also the `code` of the reply."""

    UNKNOWN_CONTACT = "unknown-contact"
    NOT_TALKING = "not-talking"
    NOT_ALLOWED = "not-allowed"
    NO_SPACE = "no-space"
    NOT_RECORDED = "not-recorded"
    BY_RULE = "by-rule"


REFUSALS: Mapping[Refusal, str] = {
    Refusal.UNKNOWN_CONTACT: "there is no such call: `callcenter calls list --live` shows those that are",
    Refusal.NOT_TALKING: "nobody talks with an agent: only a conversation is recorded",
    Refusal.NOT_ALLOWED: "its queue is not recorded (`record` in the site file)",
    Refusal.NO_SPACE: "the disk for recordings is too full (`callcenter status`)",
    Refusal.NOT_RECORDED: "it is not being recorded",
    Refusal.BY_RULE: "its queue's rule records it: an agent may pause that, not end it",
}

_DONE: Mapping[RecordingWish, str] = {
    RecordingWish.ON: "is recorded",
    RecordingWish.OFF: "is no longer recorded",
    RecordingWish.PAUSE: "is not recorded until it is resumed",
    RecordingWish.RESUME: "is recorded again",
}
_PROMPTS: Mapping[RecordingWish, str] = {
    RecordingWish.ON: "recording-on",
    RecordingWish.OFF: "recording-off",
    RecordingWish.PAUSE: "recording-paused",
    RecordingWish.RESUME: "recording-resumed",
}


def is_drawn(percent: int, contact: str) -> bool:
    """Whether a contact is among the `percent` of a hundred that are recorded.

    No dice: the contact's id decides, through a hash that spreads evenly. So the same call is drawn again
    after a restart, and nobody can choose which ones are.
    """
    return int.from_bytes(sha256(contact.encode()).digest()[:8], "big") % 100 < percent


def may_be_recorded(plan: QueuePlan, contact: str) -> bool:
    return plan.record_on_demand or is_drawn(plan.record_percent, contact)


# The caller's way: called by journey, endings and survey.


def greeting(scene: Scene, contact: Contact) -> tuple[str, ...]:
    """What a caller hears first: the queue's greeting, then that the call may be recorded, if it may."""
    plan = scene.queues[contact.queue].plan
    announcement = scene.plan.recording_announcement
    if announcement and may_be_recorded(plan, contact.id):
        return (*plan.greeting, *announcement)
    return plan.greeting


def greeted(scene: Scene, contact: Contact, failed: bool) -> None:
    """The greeting was heard to its end; `failed`: its files could not be played."""
    announced = bool(scene.plan.recording_announcement) and not failed
    contact.announced = announced and may_be_recorded(scene.queues[contact.queue].plan, contact.id)


def begin(scene: Scene, contact: Contact, at: float) -> None:
    """A conversation begins: record it if the rule says so. One that runs goes on with the next agent."""
    if contact.recording is None and is_drawn(_plan(scene, contact).record_percent, contact.id):
        if scene.recording_space:
            _start(scene, contact, at, BY_RULE)
        else:
            step(scene, contact, at, "not recorded", agent=contact.agent, detail="no room on the disk")


def finish(scene: Scene, contact: Contact, at: float, stop: bool) -> None:
    """The conversation is over. `stop`: the caller's leg lives on, so Asterisk must be told."""
    running = contact.recording
    if running is None:
        return
    if stop:
        scene.do(StopRecording(contact.id))
    _end(scene, contact, running, at, "" if running.started else "Asterisk has not said that it records")


def surveyed(scene: Scene, at: float, seen: Mapping[str, SeenLeg]) -> None:
    """Put right what was cut short between saving and acting: before anything else of the survey.

    A recording that Asterisk confirmed goes on, silent or not as it should be. Of one that it did not, nobody
    knows: it is ended, whatever there is of it, and begun anew. Where there should be none, one may have been
    left by a stop that was saved and not done, or by what was forgotten.
    """
    may_be = any(each.record_on_demand or each.record_percent for each in scene.plan.queues.values())
    for leg in seen.values():
        known = scene.contacts.get(leg.leg)
        is_caller = leg.in_app and not leg.agent and not leg.phone
        was = may_be if known is None else known.recording is None and (may_be or known.recordings > 0)
        if is_caller and was:
            scene.do(StopRecording(leg.leg))
    for contact in scene.contacts.values():
        running = contact.recording
        if running is None or contact.id not in seen:
            continue
        if running.started:
            scene.do(SilenceRecording(contact.id, running.paused_at > 0.0))
            continue
        was_paused = running.paused_at > 0.0
        finish(scene, contact, at, stop=True)
        _start(scene, contact, at, running.asked_by)
        if was_paused:
            _pause(scene, contact, at)


# What Asterisk says.


def started(scene: Scene, event: RecordingStarted) -> None:
    contact = scene.contacts.get(event.leg)
    running = contact.recording if contact is not None else None
    if contact is None or running is None or running.id != event.recording or running.started:
        return
    running.started = True
    step(scene, contact, event.at, "recording", agent=contact.agent, detail=f"by {running.asked_by}")
    scene.outcome.contacts.add(contact.id)
    if scene.plan.recording_beep:
        _play(scene, contact, contact.id, "beep", contact.language)
        _say(scene, contact, "beep")


def failed(scene: Scene, command: StartRecording, at: float, failure: Failure) -> None:
    """Not recorded: told on the time line and in the index. The call goes on."""
    contact = scene.contacts.get(command.leg)
    running = contact.recording if contact is not None else None
    if contact is None or running is None or running.id != command.recording or running.started:
        return
    if failure is not Failure.NOT_FOUND:
        scene.do(StopRecording(contact.id))  # it may have begun, though no answer came
    step(scene, contact, at, "not recorded", agent=contact.agent, detail=failure.value)
    _end(scene, contact, running, at, f"Asterisk did not begin: {failure.value}")


# What people ask for.


def requested(scene: Scene, event: RecordingRequested) -> None:
    """From the command line."""
    contact = scene.contacts.get(event.contact)
    if contact is None:
        refusal: Refusal | None = Refusal.UNKNOWN_CONTACT
    else:
        refusal = wish(scene, contact, event.at, event.wish, event.by)
    if refusal is None:
        scene.do(Reply(event.request, True, f"call {event.contact} {_DONE[event.wish]}"))
    else:
        text = f"call {event.contact}: {REFUSALS[refusal]}"
        scene.do(Reply(event.request, False, text, refusal.value))


def space_seen(scene: Scene, event: RecordingSpaceSeen) -> None:
    """Too little room: every recording stops before calls suffer; none begins until there is room again."""
    if event.enough != scene.recording_space:
        scene.recording_space = event.enough
        scene.outcome.meta["recording_space"] = "1" if event.enough else "0"
        for contact in scene.contacts.values() if not event.enough else ():
            if contact.recording is not None:
                step(scene, contact, event.at, "recording stopped", detail="no room on the disk")
                finish(scene, contact, event.at, stop=True)
    if event.request:
        scene.do(Reply(event.request, True, "noted"))


def wish(scene: Scene, contact: Contact, at: float, what: RecordingWish, by: str) -> Refusal | None:
    """Do it, or say why not. What is so already is done."""
    if contact.state is not ContactState.TALKING:
        return Refusal.NOT_TALKING
    running = contact.recording
    if what is RecordingWish.ON:
        if running is None:
            return _start_if_allowed(scene, contact, at, by)
        _resume(scene, contact, at)
    elif running is None:
        return None if what is RecordingWish.OFF else Refusal.NOT_RECORDED
    elif what is RecordingWish.OFF:
        step(scene, contact, at, "recording stopped", agent=contact.agent, detail=f"by {by}")
        finish(scene, contact, at, stop=True)
    elif what is RecordingWish.PAUSE:
        _pause(scene, contact, at)
    else:
        _resume(scene, contact, at)
    return None


def obey(scene: Scene, contact: Contact, at: float, code: str) -> bool:
    """An agent keyed one of our two codes: each turns what it finds to the opposite and says so to him alone.
    False for any other code."""
    running = contact.recording
    if code == scene.plan.features.record:
        what = RecordingWish.ON if running is None else RecordingWish.OFF
    elif code == scene.plan.features.record_pause:
        paused = running is not None and running.paused_at > 0.0
        what = RecordingWish.RESUME if paused else RecordingWish.PAUSE
    else:
        return False
    if what is RecordingWish.OFF and running is not None and running.asked_by == BY_RULE:
        refusal: Refusal | None = Refusal.BY_RULE
    else:
        refusal = wish(scene, contact, at, what, f"agent {contact.agent}")
    _say(scene, contact, _PROMPTS[what] if refusal is None else "recording-refused")
    return True


def _start_if_allowed(scene: Scene, contact: Contact, at: float, by: str) -> Refusal | None:
    if not _is_recordable(scene, contact):
        return Refusal.NOT_ALLOWED
    if not scene.recording_space:
        return Refusal.NO_SPACE
    _start(scene, contact, at, by)
    return None


def _is_recordable(scene: Scene, contact: Contact) -> bool:
    plan = _plan(scene, contact)
    return plan.record_on_demand or plan.record_percent > 0


def _start(scene: Scene, contact: Contact, at: float, by: str) -> None:
    # The number is the second of the begin: a floor rebuilt without memory takes none twice.
    contact.recordings = max(contact.recordings + 1, int(at))
    contact.recording = Recording(f"{contact.id}~r{contact.recordings}", contact.agent, at, by)
    scene.outcome.contacts.add(contact.id)
    scene.do(StartRecording(contact.id, contact.recording.id))


def _end(scene: Scene, contact: Contact, running: Recording, at: float, fault: str) -> None:
    _close_pause(running, at)
    contact.recording = None
    scene.outcome.contacts.add(contact.id)
    announces = bool(scene.plan.recording_announcement)
    consent = "" if not announces else "announced" if contact.announced else "not announced"
    scene.note(
        RecordingEnded(
            at=max(at, running.began_at),
            contact=contact.id,
            recording=running.id,
            queue=contact.queue,
            agent=running.agent,
            began_at=running.began_at,
            pauses=tuple(running.pauses),
            consent=consent,
            asked_by=running.asked_by,
            fault=fault,
        )
    )


def _pause(scene: Scene, contact: Contact, at: float) -> None:
    running = contact.recording
    if running is not None and not running.paused_at:
        running.paused_at = at
        scene.outcome.contacts.add(contact.id)
        scene.do(SilenceRecording(contact.id, True))
        step(scene, contact, at, "recording paused", agent=contact.agent)


def _resume(scene: Scene, contact: Contact, at: float) -> None:
    running = contact.recording
    if running is not None and running.paused_at:
        _close_pause(running, at)
        scene.outcome.contacts.add(contact.id)
        scene.do(SilenceRecording(contact.id, False))
        step(scene, contact, at, "recording resumed", agent=contact.agent)


def _close_pause(running: Recording, at: float) -> None:
    if running.paused_at:
        begin_, end_ = running.paused_at - running.began_at, at - running.began_at
        running.pauses.append((round(begin_, 3), round(max(begin_, end_), 3)))
        running.paused_at = 0.0


def _say(scene: Scene, contact: Contact, prompt: str) -> None:
    """To the agent alone."""
    agent = scene.agents.get(contact.agent)
    phone = scene.plan.phones.get(agent.phone) if agent is not None else None
    _play(scene, contact, contact.agent_leg, prompt, phone.language if phone else scene.plan.language)


def _play(scene: Scene, contact: Contact, leg: str, prompt: str, language: str) -> None:
    """Nothing waits for its end."""
    contact.playbacks += 1
    scene.outcome.contacts.add(contact.id)
    scene.do(PlayPrompts(leg, f"{contact.id}~p{contact.playbacks}", (prompt,), language))


def _plan(scene: Scene, contact: Contact) -> QueuePlan:
    return scene.queues[contact.queue].plan
