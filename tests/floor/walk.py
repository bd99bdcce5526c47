"""Anything that can happen to a floor, in any order: the steps that hypothesis and the long walk take."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.floor.agents import Activity
from callcenter.floor.contacts import ContactState
from callcenter.floor.events import AgentDefinition, Failure
from callcenter.floor.plan import (
    UNTIL_ENDED,
    Announce,
    DispositionRule,
    Message,
    Overflow,
    OverflowWhen,
    QueuePlan,
    Ring,
    Strategy,
    Target,
)
from callcenter.floor.skills import ANYBODY, Skill, Without
from tests.floor import plans
from tests.floor.invariants import check, is_empty, records_add_up, talks_add_up
from tests.floor.world import World

Step: TypeAlias = tuple[str, int]

SERVICES = (
    *plans.SERVICES[:2],
    replace(plans.SERVICES[2], head_start_seconds=30, skills=Without(Skill("loans", 5))),
    replace(plans.SERVICES[3], agent="14"),
)
BUSY_PLAN = plans.plan(
    QueuePlan(
        "sales",
        "Sales",
        wrapup_seconds=10,
        disposition=DispositionRule.REQUIRED,
        dispositions={"1": "sold", "22": "call back"},
        disposition_limit_seconds=40,
        greeting=("greeting",),
        music="default",
        record_percent=50,
        skills=Skill("chinese", 3),
        rings=(Ring(10, Skill("chinese")), Ring(30, ANYBODY)),
        misses=2,
        overflow=(
            Overflow(when=OverflowWhen.WAIT, seconds=60, to_queue="help", prompts=("other-team",)),
            Overflow(when=OverflowWhen.LENGTH, count=1, prompts=("queue-full",)),
            Overflow(when=OverflowWhen.NOBODY_STAFFED, seconds=31, to_queue="gold"),
        ),
        announce=Announce(position=True, expected_wait=True, first_after=5, every=10),
        exits={
            "1": Target(to_queue="help"),
            "9": Target(prompts=("goodbye",)),
            "*": Target(to_number="5557"),
        },
        whisper=True,
        tell_agent_number=True,
    ),
    replace(
        plans.HELP,
        strategy=Strategy.WEIGHTED_RANDOM,
        prefer=("loans",),
        overflow=(
            Overflow(when=OverflowWhen.NOBODY_READY, to_queue="gold", prompts=("other-team",)),
            Overflow(when=OverflowWhen.WAIT, seconds=10, to_number="5551234", prompts=("max-wait",)),
        ),
        messages=(Message(("greeting",), 15),),
        record_on_demand=True,
        whisper=True,
        wrapup_seconds=UNTIL_ENDED,
        dispositions={"1": "solved"},
        exits={"1": Target(to_queue="sales", prompts=("other-team",))},
    ),
    replace(
        plans.GOLD,
        strategy=Strategy.RING_ALL,
        weight_seconds=20,
        sticky_seconds=20,
        misses=0,
        overflow=(
            Overflow(when=OverflowWhen.LENGTH, count=2, to_number="5559999"),
            Overflow(when=OverflowWhen.WAIT, seconds=31, to_number="5559999"),
            Overflow(when=OverflowWhen.EXPECTED_WAIT, seconds=90, to_queue="sales"),
        ),
        tell_agent_number=True,
    ),
    recording_beep=True,
    services={s.name: s for s in SERVICES},
)
NUMBERS = ("100", "200", "300", "400", "999")
WAITS = (0.0, 0.5, 5.0, 10.0, 15.0, 31.0, 61.0)
CAUSES = (16, 17, 19, 20, 21)
CODES = ("*11", "*1111", "*12", "*13", "*14", "*141", "*149", "*15", "*18", "*19", "777", "*1113")
CONNECTED_CODES = ("*1011", "*1012", "*10", "*16", "*17", "*171", "*1722", "*172")
LINE_KEYS = ("*0", "*13", "*141", "*15", "*16", "*171", "*12", "*1", "0", "1", "*14", "*17", "22")
DISPOSITIONS = ("sold", "call back", "solved", "lost")
KEYS = ("1111#", "11#", "9#", "1", "*", "3333#", "#", "2222#")
ORDERS = ("*81", "*82", "*83", "*88", "*81", "*88", "*84", "*85", "*86")
ACTS = ("listen", "whisper", "barge", "take over")
TALK_KEYS = (
    *("*1", "*270#", "*280#", "*211#", "*213000#", "*3", "12", "#", "*4", "*5", "*6", "*9", "*", "*299#"),
    *("*0", "*1", "*313#", "*314#", "*313001#", "*380#", "*31003#"),
)
WHITHER = ("11", "12", "13", "14", "13001", "80", "70", "999")
FAULTS: tuple[tuple[type[do.Command], Failure], ...] = (
    (do.RingAgent, Failure.FAILED),
    (do.RingAgent, Failure.NOT_FOUND),
    (do.RingAgent, Failure.TIMED_OUT),
    (do.ConnectLegs, Failure.FAILED),
    (do.SnoopLeg, Failure.FAILED),
    (do.AddLeg, Failure.FAILED),
    (do.MuteLeg, Failure.TIMED_OUT),
    (do.RingPhone, Failure.REFUSED),
    (do.RingPhone, Failure.TIMED_OUT),
    (do.ConnectLegs, Failure.TIMED_OUT),
    (do.PlayPrompts, Failure.REFUSED),
    (do.SendOutside, Failure.REFUSED),
    (do.AnswerLeg, Failure.TIMED_OUT),
    (do.StartMusic, Failure.FAILED),
    (do.TakeFromFallback, Failure.AWAY),
    (do.HangUp, Failure.TIMED_OUT),
    (do.StartRecording, Failure.FAILED),
    (do.StartRecording, Failure.AWAY),
    (do.AddLeg, Failure.TIMED_OUT),
    (do.RingOutside, Failure.FAILED),
)


def _pick(things: Iterable[str], n: int) -> str:
    found = list(things)
    return found[n % len(found)] if found else ""


def _agent(n: int) -> str:
    return plans.AGENTS[n % 4].number


def _answer(w: World, n: int) -> None:
    if leg := _pick(w.ringing(), n):
        w.answer(w.leg_to(leg))


def _refuse(w: World, n: int) -> None:
    if agent := _pick(w.ringing(), n):
        w.hang_up(w.leg_to(agent), CAUSES[n % len(CAUSES)])


def _hang_up(w: World, n: int) -> None:
    if leg := _pick(w.legs, n):
        w.hang_up(leg)


def _caller_hangs_up(w: World, n: int) -> None:
    if leg := _pick((x.id for x in w.legs.values() if not x.phone), n):
        w.hang_up(leg)


def _agent_hangs_up(w: World, n: int) -> None:
    if leg := _pick((x.id for x in w.agent_legs() if x.up), n):
        w.hang_up(leg)


def _finish_playback(w: World, n: int) -> None:
    if playback := _pick(w.playing, n):
        w.finish_playback(playback)


def _press(w: World, n: int) -> None:
    if leg := _pick((x.id for x in w.legs.values() if x.phone and not x.agent), n):
        w.press(leg, KEYS[n % len(KEYS)])


def _press_on_line(w: World, n: int) -> None:
    if leg := _pick((x.id for x in w.agent_legs() if x.up), n):
        w.press(leg, LINE_KEYS[n % len(LINE_KEYS)])


def _log_in_connected(w: World, n: int) -> None:
    agent, phone = _agent(n), plans.PHONES[n % 5]
    if n % 2:
        w.ask(seen.AgentLoginRequested, agent=agent, phone=phone, connected=True)
        return
    leg = w.dial(phone, f"*10{agent}")
    w.run()
    w.press(leg, f"{plans.AGENTS[n % 4].pin_hash}#")


def _dispose(w: World, n: int) -> None:
    contact = {"contact": _pick(w.floor.scene.contacts, n), "queue": "sales"} if n % 3 == 2 else {}
    w.ask(seen.DispositionRequested, agent=_agent(n), disposition=DISPOSITIONS[n % 4], **contact)


def _answer_supervisor(w: World, n: int) -> None:
    if leg := _pick((x.id for x in w.legs.values() if x.id.startswith("watch") and not x.up), n):
        w.answer(leg)


def _supervised(w: World, n: int) -> str:
    """Mostly an agent who talks, or little happens."""
    talking = [a.number for a in w.floor.scene.agents.values() if a.activity is Activity.TALKING]
    return talking[n % len(talking)] if talking and n % 4 else _agent(n)


def _order(w: World, n: int) -> None:
    leader = w.floor.scene.agents.get(("11", "14")[n % 2])
    if leader is not None and leader.phone:
        code = "*87" if n > 12 else ORDERS[n % len(ORDERS)] + _supervised(w, n)
        w.dial(leader.phone, code)


def _supervised_talk(w: World, n: int) -> None:
    """Several steps in one, for it takes many until a supervisor is at a conversation by chance."""
    w.login("14", "1004")
    w.login("11", "1001")
    w.call("200")
    w.run()
    _answer(w, 0)
    w.run()
    if n % 2:
        w.dial("1004", ORDERS[n % 6] + "11")
    else:
        _supervise(w, n + 1)
        w.run()
        _answer_supervisor(w, 0)


def _speak(w: World, n: int) -> None:
    request, phone, team = f"r{len(w.told)}", plans.PHONES[n % 5], "ab"[n % 2]
    w.receive(seen.SpeakRequested(w.now, request, "test", team=team, phone=phone))


def _spoken_to(w: World, n: int) -> None:
    """A leader of two teams speaks, and some listen."""
    for number, phone in (("11", "1001"), ("12", "1002"), ("13", "1003")):
        w.login(number, phone)
    if n % 2:
        w.dial("1001", "*87")
    else:
        _speak(w, n)
    w.run()
    _answer_many(w, n)


def _answer_many(w: World, n: int) -> None:
    """All phones that ring for no contact, or some; a supervisor's or a speaker's first."""
    for leg in [x.id for x in w.legs.values() if "~" in x.id and not x.up and not x.agent][: n % 4]:
        w.answer(leg)


def _supervise(w: World, n: int) -> None:
    request = f"r{len(w.told)}"  # the leg is named after it
    phone, act = plans.PHONES[n % 5], ACTS[n // 4 % 4]
    w.receive(seen.SuperviseRequested(w.now, request, "test", agent=_supervised(w, n), phone=phone, act=act))


def _press_supervisor(w: World, n: int) -> None:
    if leg := _pick(w.floor.scene.supervisions, n):
        w.press(leg, "45678"[n % 5])


def _move_call(w: World, n: int) -> None:
    if contact := _pick(w.floor.scene.contacts, n):
        w.ask(seen.CallMoveRequested, contact=contact, queue=("sales", "help", "gold")[n % 3])


def _prioritize_call(w: World, n: int) -> None:
    if contact := _pick(w.floor.scene.contacts, n):
        w.ask(seen.CallPrioritizeRequested, contact=contact, head_start=float(n * 10))


def _press_waiting(w: World, n: int) -> None:
    """A caller presses a key, wherever he is."""
    if leg := _pick((x.id for x in w.legs.values() if not x.phone), n):
        w.press(leg, "19*5"[n % 4])


def _talking(w: World, n: int) -> str:
    return _pick((c.agent_leg for c in w.floor.scene.contacts.values() if c.state is ContactState.TALKING), n)


def _keys(w: World, n: int) -> None:
    """Somebody who talks keys a code or something else."""
    leg = _talking(w, n // 2)
    if leg in w.legs and w.legs[leg].up:
        w.press(leg, TALK_KEYS[n % len(TALK_KEYS)])


def _third_party(w: World, n: int) -> None:
    """A consultation, as far as it goes, and one more code."""
    leg = _talking(w, n)
    if leg not in w.legs or not w.legs[leg].up:
        return
    w.press(leg, f"*3{WHITHER[n % len(WHITHER)]}#")
    w.run()
    other = _pick((c.other_leg for c in w.floor.scene.contacts.values() if c.other_leg), n)
    if n % 4 and other in w.legs and not w.legs[other].up:
        w.answer(other)
    w.run()
    if n % 8 == 4:
        w.pass_time(31.0)
    if leg in w.legs:
        w.press(leg, ("*4", "*5", "*6", "*4*5", "*4*4", "", "*5*6")[n % 7])


def _given_outside(w: World, n: int) -> None:
    """The caller is given to an outside number."""
    leg = _talking(w, n)
    if leg not in w.legs or not w.legs[leg].up:
        return
    w.press(leg, "*313001#")
    w.run()
    _other_answers(w, n)
    w.run()
    if w.disturbed and n % 3 == 0:
        w.fail_next(do.AddLeg, Failure.FAILED)
    w.hang_up(leg)


def _other_answers(w: World, n: int) -> None:
    if leg := _pick((x.id for x in w.legs.values() if "~x" in x.id and not x.up), n):
        w.answer(leg)


def _other_hangs_up(w: World, n: int) -> None:
    if leg := _pick((x.id for x in w.legs.values() if "~x" in x.id), n):
        w.hang_up(leg, CAUSES[n % len(CAUSES)])


def _hold_key(w: World, n: int) -> None:
    if leg := _talking(w, n):
        w._tell((seen.PhoneHeld if n % 2 else seen.PhoneUnheld)(w.now, leg))


def _transfer_key(w: World, n: int) -> None:
    """The phone's own transfer: its leg is taken out, and the number follows, or never does."""
    leg = _talking(w, n)
    if leg in w.legs and w.legs[leg].up:
        w._tell(seen.LegReplaced(w.now, leg))
        for bridge in w.bridges.values():
            bridge.discard(leg)
        if n % 3:
            w._tell(seen.PhoneTransferred(w.now, leg, WHITHER[n % len(WHITHER)]))
        w.hang_up(leg)
        if n % 3:
            w.run()


def _second_line(w: World, n: int) -> None:
    """An agent who talks dials on his second line; perhaps his phone's transfer key takes both lines."""
    leg = _talking(w, n // 4)
    phone = w.legs[leg].phone if leg in w.legs else ""
    if not phone or not w.legs[leg].up:
        return
    second = w.dial(phone, WHITHER[n % len(WHITHER)])
    w.run()
    if n % 3:
        _other_answers(w, n)
        w.run()
    if n % 5 < 2:
        for line in (leg, second):
            if line in w.legs and line in w.floor.scene.agent_legs | w.floor.scene.second_legs:
                for bridge in w.bridges.values():
                    bridge.discard(line)
                w._tell(seen.LegReplaced(w.now, line))
        w.run()
        w.hang_up(leg)
        w.hang_up(second)
        w.run()


def _phones_seen(w: World, n: int) -> None:
    w.receive(seen.PhonesSeen(w.now, frozenset(p for i, p in enumerate(plans.PHONES[:4]) if n >> i & 1)))


def _plan(w: World, n: int) -> None:
    queues = dict(BUSY_PLAN.queues)
    services = dict(BUSY_PLAN.services)
    if n % 3 == 1:
        del queues["help"], services["help"]
    elif n % 3 == 2:
        queues["gold"] = replace(plans.GOLD, music="", wrapup_seconds=5)
        overflow = (
            Overflow(when=OverflowWhen.NOBODY_STAFFED),
            Overflow(when=OverflowWhen.NOBODY_READY, prompts=("max-wait",)),
        )
        rings = queues["sales"].rings[n % 2 :]
        queues["sales"] = replace(queues["sales"], skills=ANYBODY, rings=rings, overflow=overflow)
    w.apply(replace(BUSY_PLAN, queues=queues, services=services))


def _people(w: World, n: int) -> None:
    people = list(plans.AGENTS)
    if n % 3 == 1:
        del people[n % 4]
    elif n % 3 == 2:
        people[0] = AgentDefinition(
            "11", "Ada", ("gold",), pin_hash="1111", skills={"loans": 9}, leads=("a", "b")
        )
        people[2] = replace(people[2], weights={"help": 5}, skills={})
    w.publish(people)


def _fault(w: World, n: int) -> None:
    w.fail_next(*FAULTS[n % len(FAULTS)])


def _crash(w: World, _n: int) -> None:
    w.restart_engine()


def _operator_takes(w: World, n: int) -> None:
    """Somebody at Asterisk's console sends a leg to the dialplan."""
    if leg := _pick((x.id for x in w.legs.values() if x.in_app), n):
        w.legs[leg].in_app, w.legs[leg].application = False, "Dial"
        for bridge in w.bridges.values():
            bridge.discard(leg)
        w._tell(seen.LegLeft(w.now, leg))


def _key(w: World, n: int) -> None:
    """An agent in a conversation keys a code, or half of one."""
    if leg := _pick((x.id for x in w.agent_legs() if x.up), n):
        w.press(leg, ("*7", "*9", "*", "7", "**9", "1")[n % 6])


def _record(w: World, n: int) -> None:
    contact = _pick(w.floor.scene.contacts, n) or "nobody"
    w.ask(seen.RecordingRequested, contact=contact, wish=tuple(seen.RecordingWish)[n % 4])


ORDINARY: Mapping[str, Callable[[World, int], object]] = {
    "call": lambda w, n: w.call(NUMBERS[n % len(NUMBERS)]),
    "answer": _answer,
    "refuse": _refuse,
    "caller hangs up": _caller_hangs_up,
    "agent hangs up": _agent_hangs_up,
    "hang up any": _hang_up,
    "playback ends": _finish_playback,
    "time": lambda w, n: w.pass_time(WAITS[n % len(WAITS)]),
    "log in": lambda w, n: w.login(_agent(n), plans.PHONES[n % 5]),
    "log out": lambda w, n: w.ask(seen.AgentLogoutRequested, agent=_agent(n)),
    "ready": lambda w, n: w.ask(seen.AgentReadyRequested, agent=_agent(n)),
    "not ready": lambda w, n: w.ask(seen.AgentNotReadyRequested, agent=_agent(n), reason="break"),
    "end wrap-up": lambda w, n: w.ask(seen.WrapupEndRequested, agent=_agent(n)),
    "extend wrap-up": lambda w, n: w.ask(seen.WrapupExtendRequested, agent=_agent(n), seconds=5 + n),
    "dispose": _dispose,
    "log in connected": _log_in_connected,
    "press on line": _press_on_line,
    "dial for wrap-up": lambda w, n: w.dial(plans.PHONES[n % 5], CONNECTED_CODES[n % len(CONNECTED_CODES)]),
    "dial": lambda w, n: w.dial(plans.PHONES[n % 5], CODES[n % len(CODES)]),
    "press": _press,
    "order": _order,
    "supervise": _supervise,
    "speak": _speak,
    "spoken to": _spoken_to,
    "many answer": _answer_many,
    "supervised talk": _supervised_talk,
    "supervisor presses": _press_supervisor,
    "supervisor answers": _answer_supervisor,
    "move call": _move_call,
    "prioritize call": _prioritize_call,
    "caller presses": _press_waiting,
    "key in a talk": _keys,
    "third party": _third_party,
    "other answers": _other_answers,
    "given outside": _given_outside,
    "other hangs up": _other_hangs_up,
    "hold key": _hold_key,
    "transfer key": _transfer_key,
    "second line": _second_line,
    "night": lambda w, n: w.ask(seen.NightSwitchRequested, closed=n % 2 == 0),
    "phones seen": _phones_seen,
    "key": _key,
    "record": _record,
    "room on the disk": lambda w, n: w.ask(seen.RecordingSpaceSeen, enough=n % 4 != 0),
    "plan": _plan,
    "people": _people,
    "operator": _operator_takes,
}
TROUBLE: Mapping[str, Callable[[World, int], object]] = {
    "deliver one": lambda w, n: w.deliver(n),
    "deliver all": lambda w, n: w.run(),
    "repeat": lambda w, n: w.repeat(n),
    "lose": lambda w, n: w.lose(),
    "reconnect": lambda w, n: w.reconnect() if not w.connected else None,
    "survey": lambda w, n: w.survey(),
    "crash": _crash,
    "crash before acting": lambda w, n: setattr(w, "crash_next", True),
    "empty restart": lambda w, n: w.restart_engine(empty=True),
    "redis leaves": lambda w, n: w.redis_leaves(),
    "outdated restart": lambda w, n: w.restart_outdated(),
    "asterisk restarts": lambda w, n: w.restart_asterisk(),
    "fault": _fault,
    "fallback call": lambda w, n: w.call_fallback(NUMBERS[n % 3]),
}
ALL = {**ORDINARY, **TROUBLE}


# Drawn more often, or little happens.
MOST = ("call", "answer", "log in", "time", "playback ends", "key in a talk", "third party")
_CALM_POOL = (*ORDINARY, *MOST * 3)
_POOL = (*ALL, *MOST * 3, *("supervised talk", "spoken to") * 2, *("deliver all",) * 12, *("survey",) * 3)


def random_steps(seed: int, *, calm: bool = False) -> list[Step]:
    """The same steps for the same seed; much quicker to draw than hypothesis's."""
    dice = random.Random(seed)
    pool = _CALM_POOL if calm else _POOL
    opening = [dice.choice(("log in", "log in", "log in connected", "call", "call")) for _ in range(4)]
    names = opening + dice.choices(pool, k=dice.randint(5, 55))
    return [(name, dice.randrange(64)) for name in names]


def shortest(steps: list[Step], *, calm: bool = False, talking: bool = False) -> list[Step]:
    """Of steps that fail, as few as still do, for people to read."""
    left = list(steps)
    index = 0
    while index < len(left):
        fewer = left[:index] + left[index + 1 :]
        try:
            walk(fewer, calm=calm, talking=talking)
            index += 1
        except Exception:  # whatever it is, it still fails
            left, index = fewer, 0
    return left


def _everybody_talks(w: World) -> None:
    """Four agents are there, one of them has a caller: a floor for holds and transfers."""
    for n, phone in zip(range(4), plans.PHONES, strict=False):
        w.login(_agent(n), phone)
    w.call("300")
    w.run()
    if w.ringing():
        w.answer(w.leg_to(next(iter(w.ringing()))))
    w.run()
    while w.playing:  # what agent and caller are told before the join
        w.finish_playback(next(iter(w.playing)))
        w.run()
    assert [c.state for c in w.floor.scene.contacts.values()] == [ContactState.TALKING]


TALKING = (
    "key in a talk",
    "key in a talk",
    "third party",
    "third party",
    "other answers",
    "other hangs up",
    "agent hangs up",
    "hold key",
    "transfer key",
    "given outside",
    "second line",
    "second line",
    "answer",
)
_TALK_CALM = (*TALKING * 8, *ORDINARY, *("time",) * 3)
_TALK_TROUBLE = (*TALKING * 10, *ALL, *("survey",) * 6, *("deliver all",) * 24)


def talking_steps(seed: int, *, calm: bool = False) -> list[Step]:
    """Steps for a floor on which somebody talks already, most of them about that."""
    dice = random.Random(seed)
    names = dice.choices(_TALK_CALM if calm else _TALK_TROUBLE, k=dice.randint(2, 25))
    return [(name, dice.randrange(64)) for name in names]


def walk(steps: Iterable[Step], *, calm: bool = False, talking: bool = False) -> World:
    """Take the steps; after each one everything that must hold is checked. Then all go home."""
    world = World(BUSY_PLAN)
    world.disturbed = not calm
    if talking:
        _everybody_talks(world)
    for name, n in steps:
        ALL[name](world, n)
        if calm:
            world.run()
        check(world)
    go_home(world)
    return world


def go_home(world: World) -> None:
    """Asterisk is there, everybody hangs up, time passes: nothing may be left."""
    world.crash_next = False
    world.faults.clear()
    world.run()
    if not world.floor.scene.connected or not world.connected:
        world.survey()
    world.receive(seen.PhonesSeen(world.now, frozenset()))
    world.run()
    for _ in range(50):
        check(world)
        for leg in list(world.legs):
            world.hang_up(leg)
        world.run()
        world.pass_time(120.0)
        for agent in list(world.floor.scene.agents.values()):
            if agent.activity is Activity.WRAPUP and not agent.wrapup_until:
                world.ask(seen.WrapupEndRequested, agent=agent.number)
        if not world.legs and not world.floor.scene.contacts and not world.saved.timers:
            break
    check(world)
    is_empty(world)
    records_add_up(world)
    talks_add_up(world)
