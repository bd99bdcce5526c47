"""A caller who waits: what he hears, and by which rules he leaves the queue.

Sounds: music or ringing; in between, announcements (place, expected wait, the queue's messages), after each
of which the music begins again. An announcement never holds an offer up: it stops when the agent answers.

Rules (`QueuePlan.overflow`) are looked at when a caller joins, when the time of one has come (timer
`wait:CONTACT`), when an agent leaves (`Scene.thinned`) and after an offer that failed; an offer under way is
not taken back. Of several that apply the first counts. A rule never sends a caller into a queue that he has
been in, so that nobody goes round in circles whatever two plans in a row say.

A caller who moves keeps his arrival, and so his place among those of the new queue, and the time he waited;
the seconds of the new queue's rules and announcements count from his joining it.

Known sharp edges:
- An announcement answers a caller who still rings, and music follows it.
- Who is moved while he waits does not hear the new queue's greeting; who is moved on arrival does.
- A rebuilt floor (no Redis) knows the queue of each caller, but not which queues he has been in.
- The expected wait is the queue's own: agents who serve several queues count by what they answered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, inf
from typing import TYPE_CHECKING

from callcenter.floor import spoken
from callcenter.floor.agents import Presence
from callcenter.floor.commands import StopMusic
from callcenter.floor.contacts import (
    Contact,
    ContactState,
    answer,
    play,
    start_music,
    step,
    stop_prompts,
)
from callcenter.floor.endings import turn_away
from callcenter.floor.figures import expected_wait
from callcenter.floor.plan import Overflow, OverflowWhen, QueuePlan, Target
from callcenter.floor.records import Outcome, QueueMoved

if TYPE_CHECKING:
    from callcenter.floor.agents import Agent
    from callcenter.floor.queues import Queue
    from callcenter.floor.scene import Scene

EXPECTED_WAIT_SECONDS = 10.0  # so often a rule on the expected wait is looked at
GAP_SECONDS = 5.0  # of music, at least, between two announcements
PACE_SECONDS = 10.0  # so often a queue's pace is saved, for a restart and for `queues show`
PACE_KEY = "pace:"  # of the saved pace; the queue's name follows
_EARLY_SECONDS = 0.05  # a timer's rounding

# What becomes of a caller whom a rule sends away.
OUTCOMES: Mapping[OverflowWhen, Outcome] = {
    OverflowWhen.WAIT: Outcome.MAX_WAIT,
    OverflowWhen.LENGTH: Outcome.FULL,
    OverflowWhen.NOBODY_STAFFED: Outcome.UNSTAFFED,
    OverflowWhen.NOBODY_READY: Outcome.UNSTAFFED,
    OverflowWhen.EXPECTED_WAIT: Outcome.LONG_WAIT,
}


# The rules.


def overflow(scene: Scene, contact: Contact, at: float, *, joining: bool) -> bool:
    """Apply the rules of his queue, and of each that he comes to by them; True when he is sent away.

    One who is moved (`contact.queue` is another afterwards) has not joined the new queue yet.
    """
    while (rule := _rule(scene, contact, at, joining)) is not None:
        if send_on(scene, contact, at, rule, OUTCOMES[rule.when], rule.when.value):
            return True
        joining = True
    return False


def send_on(scene: Scene, contact: Contact, at: float, target: Target, outcome: Outcome, cause: str) -> bool:
    """Out of his queue, to where `target` says; True when he leaves us, False when he is in another queue."""
    if target.to_queue:
        move(scene, contact, at, target.to_queue, cause, target.prompts)
        return False
    queue = scene.queues[contact.queue]
    queue.leave(contact)
    queue.pace.left(seconds_here(contact, at))
    turn_away(scene, contact, at, outcome, target.prompts, target.to_number)
    return True


def move(
    scene: Scene, contact: Contact, at: float, to: str, cause: str, prompts: tuple[str, ...] = ()
) -> None:
    """Give the caller another queue, which he has still to join; there he hears `prompts` first.

    A step of the time line and a QueueMoved say so. The figures count him in both queues.
    """
    old, new = scene.queues[contact.queue].plan, scene.queues[to].plan
    scene.queues[contact.queue].leave(contact)
    scene.queues[contact.queue].pace.left(seconds_here(contact, at))
    step(scene, contact, at, "moved", detail=f"{cause}: to {to}")
    waited = seconds_here(contact, at)
    scene.note(QueueMoved(at, contact.id, contact.queue, to, cause, contact.arrived_at, waited))
    scene.stop_timers(("announce", "wait", "widen"), contact.id)
    stop_prompts(scene, contact)
    if contact.music and new.music and new.music != old.music:
        contact.music = False
        scene.do(StopMusic(contact.id))
    contact.been_in = (*contact.been_in, contact.queue)
    contact.queue, contact.unsaid = to, prompts
    contact.joined_at = contact.announced_at = 0.0
    contact.tagged = False
    scene.outcome.contacts.add(contact.id)


def exit_of(scene: Scene, contact: Contact, digit: str) -> Target | None:
    """Where a key leads out of his queue; None for a key that means nothing, or a queue that is no more."""
    target = scene.queues[contact.queue].plan.exits.get(digit)
    if target is None or target.to_queue == contact.queue:
        return None
    return target if not target.to_queue or target.to_queue in scene.plan.queues else None


def seconds_here(contact: Contact, at: float) -> float:
    """How long he has been in the queue he is in."""
    joined = contact.joined_at or contact.queued_at
    return max(0.0, at - joined) if joined else 0.0


def place(queue: Queue, contact: Contact) -> int:
    """His place among those who wait, from 1; after all of them while he is not one."""
    ids = [entry[-1] for entry in queue.waiting]
    return ids.index(contact.id) + 1 if contact.id in ids else len(ids) + 1


def wait_to_expect(scene: Scene, contact: Contact, at: float) -> float | None:
    """How much longer he will probably wait (see `figures.expected_wait`); None when nobody can say."""
    queue = scene.queues[contact.queue]
    if queue.free and not queue.waiting:
        return 0.0
    first = scene.contacts.get(queue.waiting[0][-1]) if queue.waiting else None
    backlog_since = first.joined_at if first is not None else at
    return expected_wait(queue.pace, place(queue, contact) - 1, at, backlog_since)


def note_answer(scene: Scene, contact: Contact, agent: Agent, at: float) -> None:
    """Let the queue's pace know of an answer; one that nobody had to wait for tells nothing."""
    queue = scene.queues[contact.queue]
    if agent.offered_at <= contact.joined_at and contact.offers == 1:
        return
    queue.pace.answered(at, contact.joined_at, max(0.0, at - agent.offered_at))
    if at - queue.pace_saved_at >= PACE_SECONDS:
        queue.pace_saved_at = at
        scene.outcome.meta[f"{PACE_KEY}{contact.queue}"] = queue.pace.text()


# What he hears.


def arm(scene: Scene, contact: Contact, at: float) -> None:
    """Set the timers of one who waits: the next look at the rules, the next announcement."""
    plan = scene.queues[contact.queue].plan
    look, announcement = f"wait:{contact.id}", f"announce:{contact.id}"
    if plan.overflow and look not in scene.timers:
        due = _next_look(plan, contact, at)
        if due < inf:
            scene.start(look, due)
    if (plan.announce or plan.messages) and not contact.playback and announcement not in scene.timers:
        due = contact.joined_at + _next_announcement(plan, _announced(contact))
        if due < inf:
            scene.start(announcement, due if due > at else at + GAP_SECONDS)


def say(scene: Scene, contact: Contact, prompts: tuple[str, ...]) -> None:
    """Prompts in place of the music or the ringing; `heard` brings it back."""
    answer(scene, contact)
    scene.stop(f"announce:{contact.id}")  # the next one counts from the end of this
    contact.music = False  # Asterisk ends it for a prompt
    play(scene, contact, prompts)


def announce(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    """All that is due by now, as one announcement."""
    plan = scene.queues[contact.queue].plan
    since, now = _announced(contact), at - contact.joined_at + _EARLY_SECONDS
    prompts: list[str] = []
    if plan.announce and _after(plan.announce.first_after, plan.announce.every, since) <= now:
        if plan.announce.position:
            prompts += spoken.position(place(scene.queues[contact.queue], contact), contact.language)
        if plan.announce.expected_wait and (wait := wait_to_expect(scene, contact, at)) is not None:
            prompts += spoken.expected_wait(wait, contact.language)
    for message in plan.messages:
        if _after(message.every, message.every, since) <= now:
            prompts += message.prompts
    contact.announced_at = at
    if prompts:
        say(scene, contact, tuple(prompts))
    else:
        arm(scene, contact, at)


def heard(scene: Scene, contact: Contact, at: float, _note: str) -> None:
    """An announcement is over: music again."""
    contact.playback = ""
    plan = scene.queues[contact.queue].plan
    start_music(scene, contact, plan.music or plan.ringing_music)
    if contact.state is ContactState.WAITING:
        arm(scene, contact, at)


def after_a_restart(scene: Scene, contact: Contact) -> None:
    """Nobody knows whether what was played still plays: it is ended, and music follows (`entertain`)."""
    contact.joined_at = contact.joined_at or contact.queued_at  # saved by a version that did not know it
    stop_prompts(scene, contact)


def _rule(scene: Scene, contact: Contact, at: float, joining: bool) -> Overflow | None:
    plan = scene.queues[contact.queue].plan
    for rule in plan.overflow:
        if rule.to_queue and (rule.to_queue in (contact.queue, *contact.been_in)):
            continue
        if rule.to_queue and rule.to_queue not in scene.plan.queues:
            continue  # a queue that the site dropped, with callers still in it
        if _applies(scene, contact, at, rule, joining):
            return rule
    return None


def _applies(scene: Scene, contact: Contact, at: float, rule: Overflow, joining: bool) -> bool:
    match rule.when:
        case OverflowWhen.WAIT:
            return not joining and _has_waited(contact, at, rule.seconds)
        case OverflowWhen.LENGTH:
            return joining and len(scene.queues[contact.queue].waiting) >= rule.count
        case OverflowWhen.NOBODY_STAFFED:
            return _has_waited(contact, at, rule.seconds) and not _anybody(scene, contact.queue, ready=False)
        case OverflowWhen.NOBODY_READY:
            return _has_waited(contact, at, rule.seconds) and not _anybody(scene, contact.queue, ready=True)
        case OverflowWhen.EXPECTED_WAIT:
            wait = wait_to_expect(scene, contact, at)
            return wait is not None and wait > rule.seconds


def _has_waited(contact: Contact, at: float, seconds: int) -> bool:
    """By the very sum that the timer was set to."""
    return seconds == 0 or (contact.joined_at > 0 and at >= contact.joined_at + seconds)


def _anybody(scene: Scene, queue: str, *, ready: bool) -> bool:
    return any(
        queue in agent.queues and (agent.presence is Presence.READY or not ready)
        for agent in scene.agents.values()
        if agent.presence is not Presence.LOGGED_OUT
    )


def _next_look(plan: QueuePlan, contact: Contact, at: float) -> float:
    """When time alone may make a rule apply; infinite for never."""
    looks = [
        at + EXPECTED_WAIT_SECONDS
        if rule.when is OverflowWhen.EXPECTED_WAIT
        else contact.joined_at + rule.seconds
        for rule in plan.overflow
        if rule.when is not OverflowWhen.LENGTH
    ]
    return min((look for look in looks if look > at), default=inf)


def _announced(contact: Contact) -> float:
    """The last announcement, in seconds since he joined."""
    return contact.announced_at - contact.joined_at if contact.announced_at else 0.0


def _next_announcement(plan: QueuePlan, since: float) -> float:
    """Seconds after the joining at which something is due again, after `since`; infinite for never."""
    due = [_after(message.every, message.every, since) for message in plan.messages]
    if plan.announce:
        due.append(_after(plan.announce.first_after, plan.announce.every, since))
    return min(due)


def _after(first: int, every: int, since: float) -> float:
    """The first of first, first + every, … that is later than `since`."""
    if since < first:
        return first
    return first + (floor((since - first) / every) + 1) * every if every else inf
