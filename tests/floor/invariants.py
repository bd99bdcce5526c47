"""What must be true of a floor after every single event, however it came to be."""

from __future__ import annotations

from collections import Counter, defaultdict

from callcenter.floor import events as seen
from callcenter.floor.agents import Activity, Presence
from callcenter.floor.contacts import Contact, ContactState, Talk
from callcenter.floor.parts import HOLDING
from callcenter.floor.plan import OverflowWhen
from callcenter.floor.records import (
    AgentState,
    ContactClosed,
    ContactStep,
    RecordingEnded,
    TalkClosed,
)
from callcenter.floor.routing import key_of, place
from callcenter.floor.scene import Scene
from callcenter.floor.sticky import Regulars
from callcenter.state.codec import encode
from tests.floor.world import World, queue_takes

IN_QUEUE = (ContactState.WAITING, ContactState.OFFERED)


def check(world: World) -> None:
    """All of them; raises AssertionError that says which, and of whom."""
    scene = world.floor.scene
    saved_is_what_is(world)
    offers_match(scene)
    timers_have_subjects(world)
    indexes_agree(scene)
    every_contact_closes_once(world)
    if scene.connected:
        queues_agree(scene)
        nobody_waits_beside_a_free_agent(scene)
    recordings_match(world)
    if scene.connected and world.surveyed:
        one_leg_per_agent(world)
        nobody_is_forgotten(world)
    if not world.disturbed and not world.pending:
        nobody_waits_in_silence(world)
        rules_are_kept(scene)
    if world.surveyed and not world.pending:
        assert scene.connected, "the floor waits for a survey that will never come"


def saved_is_what_is(world: World) -> None:
    scene = world.floor.scene
    assert {k: encode(c) for k, c in scene.contacts.items()} == world.saved.contacts, "contacts not saved"
    assert {k: encode(a) for k, a in scene.agents.items()} == world.saved.agents, "agents not saved"
    regulars = Regulars()
    regulars.restore(world.saved.meta)
    assert [*regulars.callers().items()] == [*scene.regulars.callers().items()], "regulars not saved"


def offers_match(scene: Scene) -> None:
    """An agent and a contact always mean one another; nobody is in two offers or conversations."""
    with_one = (ContactState.OFFERED, ContactState.CONNECTING, ContactState.TALKING)
    pairs = [c for c in scene.contacts.values() if c.state in with_one]
    asked = [c for c in pairs if c.other_agent]
    with_agent = Counter([number for c in pairs for number in (c.agent, *c.ringing)])
    with_agent.update(c.other_agent for c in asked)
    twice = [a for a, n in with_agent.items() if n > 1]
    assert not twice, f"agents with two contacts: {twice}"
    for contact in pairs:
        agent = scene.agents.get(contact.agent)
        assert agent is not None, f"{contact.id} is with an agent who is not there"
        assert agent.contact == contact.id, f"{contact.id} is with {agent.number}, who is not with it"
        expected = Activity.TALKING if contact.state is ContactState.TALKING else Activity.OFFERED
        if contact.state is ContactState.TALKING and contact.talk in HOLDING:
            expected = Activity.HOLDING
        assert agent.activity is expected, f"{agent.number} is {agent.activity}, {contact.id} {contact.state}"
        for number, leg in contact.ringing.items():
            other = scene.agents.get(number)
            assert contact.state is ContactState.OFFERED, f"{contact.id} is {contact.state} and rings others"
            assert other is not None, f"{contact.id} rings an agent who is not there"
            assert (other.contact, other.activity) == (contact.id, Activity.OFFERED), (
                f"{number} is not offered it"
            )
            assert other.leg in (leg, ""), f"{contact.id} rings {number} on another leg"
    for contact in asked:
        agent = scene.agents.get(contact.other_agent)
        assert agent is not None, f"{contact.id} asks an agent who is not there"
        assert agent.contact == contact.id, f"{contact.id} asks {agent.number}, who is not with it"
        expected = Activity.TALKING if contact.other_since else Activity.OFFERED
        assert agent.activity is expected, f"{agent.number} is {agent.activity}, {contact.id} {contact.talk}"
    for agent in scene.agents.values():
        busy = agent.activity in (Activity.OFFERED, Activity.TALKING, Activity.HOLDING)
        if scene.connected:
            assert busy == (agent.number in with_agent), f"{agent.number} is {agent.activity} with nobody"
        if agent.presence is Presence.LOGGED_OUT:
            assert agent.activity is Activity.IDLE, f"{agent.number} is logged out and {agent.activity}"
            assert not agent.phone
        else:
            phones = {s.phone for s in scene.sessions.values()} | scene.busy_phones
            if scene.connected and agent.activity in (Activity.IDLE, Activity.ELSEWHERE):
                elsewhere = agent.activity is Activity.ELSEWHERE
                assert elsewhere == (agent.phone in phones), f"{agent.number} is {agent.activity}"
            assert scene.seats.get(agent.phone) == agent.number, f"{agent.number} sits nowhere"


def timers_have_subjects(world: World) -> None:
    scene = world.floor.scene
    assert scene.timers == world.saved.timers, "the floor's timers and the engine's differ"
    for timer in scene.timers:
        kind, _, subject = timer.partition(":")
        contact, agent = scene.contacts.get(subject), scene.agents.get(subject)
        match kind:
            case "ring":
                alive = contact is not None and contact.state is ContactState.OFFERED
            case "wait":
                alive = contact is not None and contact.state in IN_QUEUE
            case "announce":
                alive = contact is not None and contact.state in IN_QUEUE
            case "answer":
                in_queue = (*IN_QUEUE, ContactState.CONNECTING)
                alive = contact is not None and contact.state in in_queue and not contact.answered
            case "brief":
                alive = contact is not None and contact.state is ContactState.CONNECTING
            case "wrapup":
                alive = agent is not None and agent.activity is Activity.WRAPUP
            case "disposition":
                alive = agent is not None and agent.owes_disposition
            case "widen":
                alive = contact is not None and contact.state in IN_QUEUE
            case "rest":
                alive = agent is not None and agent.resting_until > 0.0
            case "session":
                alive = subject in scene.sessions or not scene.connected
            case "hangup":
                ours = {*scene.agent_legs, *scene.outside_legs}
                alive = contact is not None or subject in ours or not scene.connected
            case "keys":
                alive = not scene.connected or (subject in scene.keyings and subject in scene.agent_legs)
            case "other":
                alive = contact is not None and bool(contact.other_leg) and not contact.other_since
            case "refer":
                alive = contact is not None and contact.state is ContactState.TALKING
            case _:
                alive = timer == "fallback:"
        assert alive, f"timer {timer} outlives its subject"
    for contact in scene.contacts.values():
        if contact.state is ContactState.OFFERED:
            assert f"ring:{contact.id}" in scene.timers, f"{contact.id} is offered without an end"
        if contact.state is ContactState.CONNECTING:
            assert f"brief:{contact.id}" in scene.timers, f"{contact.id} is told things without an end"
        if contact.state is ContactState.TALKING and contact.other_leg and not contact.other_since:
            assert f"other:{contact.id}" in scene.timers, f"{contact.id} waits for a phone without an end"
    for agent in scene.agents.values():
        if agent.owes_disposition:
            assert agent.activity is Activity.WRAPUP, f"{agent.number} owes a disposition, {agent.activity}"
            assert f"disposition:{agent.number}" in scene.timers, f"{agent.number} owes without an end"
        elif agent.activity is Activity.WRAPUP and agent.wrapup_until:
            assert f"wrapup:{agent.number}" in scene.timers, f"{agent.number} wraps up without an end"
    for session in scene.sessions:
        endless = session in scene.supervisions and scene.supervisions[session].here
        endless |= session in scene.speeches and scene.speeches[session].here
        endless |= any(session in speech.heard for speech in scene.speeches.values())
        assert endless != (f"session:{session}" in scene.timers), f"session {session} has no end, or two"


def indexes_agree(scene: Scene) -> None:
    for playback, leg in scene.playbacks.items():
        agent = scene.agents.get(scene.agent_legs.get(leg, ""))
        if agent is not None and agent.tone == playback:
            continue
        owner = scene.contacts.get(leg) or scene.sessions.get(leg)
        assert owner is not None, f"playback {playback} of nobody"
        played = (owner.playback, getattr(owner, "whisper", ""))
        assert playback in played, f"playback {playback} left over"
    for agent in scene.agents.values():
        if agent.leg:
            assert scene.agent_legs.get(agent.leg) == agent.number, f"leg {agent.leg} is not known"
        if agent.line:
            assert scene.agent_legs.get(agent.line) == agent.number, f"line {agent.line} is not known"
            assert agent.presence is not Presence.LOGGED_OUT, f"{agent.number} is gone, the line is not"
        if agent.tone:
            assert agent.activity is Activity.OFFERED, f"{agent.number} is {agent.activity}, hears a tone"
    lines = {agent.line for agent in scene.agents.values()}
    rung = [
        number
        for leg, number in scene.agent_legs.items()
        if leg not in lines
        and "~" in leg
        and "~line~" not in leg  # a line that is given up may be still there
    ]
    twice = [a for a, n in Counter(rung).items() if n > 1]
    assert not twice, f"rung while an old leg is not known to be gone: {twice}"
    for leg, supervision in scene.supervisions.items():
        assert leg in scene.sessions, f"a supervision without a session: {leg}"
        contact = scene.contacts.get(supervision.contact)
        assert contact is not None, f"{leg} is at a conversation that is over"
        assert contact.agent_leg == supervision.agent_leg, f"{leg} is at another's conversation"
    taps = {s.tap: s.leg for s in scene.supervisions.values() if s.tap}
    assert scene.taps == taps, f"taps: {scene.taps}, should be {taps}"
    for leg, speech in scene.speeches.items():
        assert leg in scene.sessions, f"a speech without a speaker: {leg}"
        assert speech.phones, f"nobody is left to hear {leg}"
        assert not speech.here or all(each in scene.sessions for each in speech.phones)
        assert speech.heard <= set(speech.phones)
    listeners = {each: s.leg for s in scene.speeches.values() for each in s.phones}
    assert scene.listeners == listeners, f"listeners: {scene.listeners}, should be {listeners}"
    for phone, number in scene.seats.items():
        assert scene.agents[number].phone == phone, f"{number} sits at {phone} and does not know"
    for name, queue in scene.queues.items():
        assert queue.free == sorted(queue.free)
        free = {a.number for a in scene.agents.values() if scene.is_free(a) and name in a.queues}
        assert {key[-1] for key in queue.free} == free, f"free agents of {name}"
        for key in queue.free:
            assert key_of(scene.agents[key[-1]], queue.plan) == key, (
                f"{key[-1]} stands in {name} by an old key"
            )


def queues_agree(scene: Scene) -> None:
    for name, queue in scene.queues.items():
        waiting = sorted(
            place(c) for c in scene.contacts.values() if c.queue == name and c.state is ContactState.WAITING
        )
        assert queue.waiting == waiting, f"{name}: {queue.waiting} wait, should be {waiting}"


def nobody_waits_beside_a_free_agent(scene: Scene) -> None:
    for name, queue in scene.queues.items():
        for _, _, _, number in queue.free:
            for contact_id in queue.waiting_ids():
                assert not queue_takes(queue, scene.contacts[contact_id], scene.agents[number]), (
                    f"{name}: {contact_id} waits beside {number}"
                )


def nobody_waits_in_silence(world: World) -> None:
    """Answered callers hear music, ringing or prompts."""
    playing = set(world.playing.values())
    for contact in world.floor.scene.contacts.values():
        waits = contact.state in (ContactState.WAITING, ContactState.OFFERED) and contact.answered
        if waits and contact.id in world.legs:
            leg = world.legs[contact.id]
            assert leg.music or leg.ringing or contact.id in playing, f"{contact.id} waits in silence"


def rules_are_kept(scene: Scene) -> None:
    """Nobody waits where a rule that needs no time would have sent him on; nobody comes to a queue twice
    but by a key."""
    for contact in scene.contacts.values():
        if contact.state is ContactState.WAITING:
            rules = scene.queues[contact.queue].plan.overflow
            for rule in rules if contact.queue in scene.plan.queues else ():
                gone = [a for a in scene.agents.values() if contact.queue in a.queues]
                gone = [a for a in gone if a.presence is not Presence.LOGGED_OUT]
                if rule.when is OverflowWhen.NOBODY_READY:
                    gone = [a for a in gone if a.presence is Presence.READY]
                elif rule.when is not OverflowWhen.NOBODY_STAFFED:
                    continue
                been = (*contact.been_in, contact.queue)
                if not rule.seconds and not gone and rule.to_queue not in been:
                    raise AssertionError(f"{contact.id} waits in {contact.queue}: {rule.when}")


def recordings_match(world: World) -> None:
    """Only conversations are recorded, as the floor thinks they are, and silent where it thinks so."""
    scene = world.floor.scene
    for contact in scene.contacts.values():
        if contact.recording is not None:
            assert contact.state is ContactState.TALKING, f"{contact.id} is {contact.state} and recorded"
            assert scene.recording_space or not scene.connected, f"{contact.id} is recorded on a full disk"
    if world.pending or not world.surveyed or world.crash_next:
        return
    for leg in world.legs.values():
        talk = scene.contacts.get(leg.id)
        running = talk.recording if talk is not None else None
        if leg.in_app or leg.recording:
            known = running.id if running is not None else ""
            assert leg.recording == known, f"{leg.id}: {leg.recording!r} is written, {known!r} is known"
        if running is not None:
            assert running.started, f"{running.id} runs, and nobody knows"
            assert leg.silent == bool(running.paused_at), f"{running.id} is silent: {leg.silent}"


def every_contact_closes_once(world: World) -> None:
    closed = Counter(r.contact for r in world.records if isinstance(r, ContactClosed))
    for number, times in closed.items():
        assert times == 1 or number in world.amnesia, f"{number} was closed {times} times"
    for contact in world.floor.scene.contacts.values():
        if contact.id not in world.amnesia:
            ended = contact.state is ContactState.ENDING
            times = closed[contact.id]
            assert times == ended, f"{contact.id} is {contact.state}, closed {times} times"


def one_leg_per_agent(world: World) -> None:
    rung = [leg.agent for leg in world.agent_legs() if leg.contact]
    rung += [a.number for a in world.floor.scene.agents.values() if a.line and a.leg == a.line]
    twice = [a for a, n in Counter(rung).items() if n > 1]
    assert not twice, f"two phones ring for agents {twice}"
    heard = {getattr(e, "leg", "") for e in world.pending}
    heard |= {getattr(e.command, "leg", "") for e in world.pending if isinstance(e, seen.CommandFailed)}
    for agent in world.floor.scene.agents.values():
        if agent.leg:
            known = agent.leg in world.legs or agent.leg in heard
            assert known, f"{agent.number} holds a leg that is gone: {agent.leg}"
        if agent.line:
            known = agent.line in world.legs or agent.line in heard
            assert known, f"{agent.number} holds a line that is gone: {agent.line}"
    for leg in world.floor.scene.agent_legs:
        assert leg in world.legs or leg in heard, f"a leg that is gone is remembered: {leg}"


def nobody_is_forgotten(world: World) -> None:
    """Every caller in our hands is in a contact, or is about to be told; every contact has a caller."""
    scene = world.floor.scene
    arriving = {e.contact for e in world.pending if isinstance(e, seen.CallArrived)}
    leaving = {getattr(e, "leg", "") for e in world.pending}
    for leg in world.legs.values():
        outside = leg.taps or leg.name.startswith("Local/")
        if leg.in_app and not leg.phone and not outside:
            assert leg.id in scene.contacts or leg.id in arriving, f"caller {leg.id} is forgotten"
        if leg.in_app and leg.agent and not world.pending and not world.disturbed:
            assert leg.id in scene.agent_legs, f"a leg of {leg.agent} is forgotten: {leg.id}"
    for contact in scene.contacts.values():
        leg_there = world.legs.get(contact.id)
        alive = leg_there is not None and leg_there.in_app
        assert alive or contact.id in leaving, f"{contact.id} is {contact.state} without a caller"
    if not world.pending and not world.disturbed:
        for contact in scene.contacts.values():
            everyone_hears_somebody(world, contact)
            if contact.state is ContactState.ENDING:
                raise AssertionError(f"{contact.id} is over and nobody hung up")


def everyone_hears_somebody(world: World, contact: Contact) -> None:
    """Who is in the bridge, and that whoever is not has music."""
    caller, agent, other = contact.id, contact.agent_leg, contact.other_leg
    if contact.state is ContactState.OUTSIDE:
        inside, outside = {caller, other}, set()
    elif contact.state is not ContactState.TALKING or f"refer:{caller}" in world.floor.scene.timers:
        return
    else:
        inside = {agent} | (set() if contact.talk in HOLDING else {caller})
        inside |= {other} if contact.talk in (Talk.CONSULTING, Talk.CONFERENCE) else set()
        outside = {caller, *([other] if contact.talk is Talk.SWAPPED else [])} - inside
    if contact.second_leg and contact.other_since:
        line = {contact.second_leg, other}
        assert line in world.bridges.values(), f"{contact.id}: the second line is not joined"
    barging = {leg for leg, s in world.floor.scene.supervisions.items() if s.contact == contact.id}
    joined = world.bridges.get(contact.bridge, set()) - barging
    assert joined == inside, f"{contact.id} {contact.talk}: {world.bridges}"
    for leg in inside:
        assert not world.legs[leg].music, f"{leg} hears music in a conversation"
    for leg in outside:
        assert world.legs[leg].music, f"{leg} hears nothing"


def records_add_up(world: World) -> None:
    """When all is over: every arrival has its one outcome, and no agent is in two states at once."""
    steps = {r.contact for r in world.records if isinstance(r, ContactStep)} - world.amnesia
    closed = Counter(r.contact for r in world.records if isinstance(r, ContactClosed))
    assert {c: closed[c] for c in steps} == dict.fromkeys(steps, 1)
    ends = Counter(r.recording for r in world.records if isinstance(r, RecordingEnded))
    assert not [name for name, times in ends.items() if times > 1 and not world.forgot], "ended twice"
    lost = set(world.recorded) - ends.keys()
    assert not lost or world.forgot, f"recordings whose end nobody told: {lost}"
    for record in world.records:
        if isinstance(record, RecordingEnded):
            flat = [moment for pause in record.pauses for moment in pause]
            length = record.at - record.began_at + 0.001
            assert flat == sorted(flat), f"{record.recording}: pauses out of order"
            assert all(0.0 <= moment <= length for moment in flat), f"{record.recording}: {flat}"
    last: dict[str, float] = {}
    for record in world.records:
        if isinstance(record, AgentState) and not world.forgot:
            begun = last.get(record.agent, record.since)
            assert begun <= record.since <= record.at, f"{record.agent}'s states overlap: {record}"
            last[record.agent] = record.at
    for record in world.records:
        if isinstance(record, ContactClosed) and record.contact not in world.amnesia:
            assert record.wait_seconds >= 0.0 <= record.talk_seconds, f"negative times: {record}"
            assert bool(record.agent) == (record.connected_at > 0.0), f"talked with nobody: {record}"


def talks_add_up(world: World) -> None:
    """The agents' parts of a contact are its talk."""
    served: defaultdict[str, float] = defaultdict(float)
    many = set()
    for record in world.records:
        if isinstance(record, TalkClosed):
            assert 0.0 <= record.hold_seconds <= record.talk_seconds + 1e-6, (
                f"held longer than talked: {record}"
            )
            assert abs(record.at - record.since - record.talk_seconds) < 1e-6, f"no part: {record}"
            if record.role == "served":
                served[record.contact] += record.talk_seconds
                many.add(record.contact)
    for record in world.records:
        if isinstance(record, ContactClosed) and record.contact in many - world.amnesia - world.regained:
            assert abs(record.talk_seconds - served[record.contact]) < 1e-6, f"parts do not add up: {record}"


def is_empty(world: World) -> None:
    """Nothing is left when everybody has gone home."""
    scene = world.floor.scene
    assert not scene.contacts, f"contacts left: {list(scene.contacts)}"
    assert not scene.sessions
    assert not scene.supervisions
    assert not scene.speeches
    assert not scene.listeners
    assert not scene.taps
    assert not scene.playbacks
    assert not scene.keyings
    assert not scene.second_legs
    assert not scene.outside_legs, f"outside legs left: {scene.outside_legs}"
    assert not scene.agent_legs, f"legs left: {scene.agent_legs}"
    assert not scene.timers, f"timers left: {scene.timers}"
    assert not world.legs, f"legs left in Asterisk: {list(world.legs)}"
    assert not world.bridges, f"bridges left in Asterisk: {list(world.bridges)}"
    assert all(not q.waiting for q in scene.queues.values())
    assert all(a.activity is Activity.IDLE and not a.leg and not a.contact for a in scene.agents.values())
