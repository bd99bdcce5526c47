"""The board of `callcenter floor watch`: what a leader must see of queues and agents, in the terminal.

One look a second: Redis is asked for all agents and contacts, and no more lines are made than the screen has.
Measured with 500 agents, 40 queues and 400 callers on a screen of 140 x 50: 9 ms of processor time a look, of
which Redis and its decoding take 2.4 and drawing 4, so 1 % of a core (`tests/rooms/test_watch.py` holds it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from callcenter.durations import clock
from callcenter.floor.agents import Activity, Agent, Presence
from callcenter.floor.contacts import Contact
from callcenter.reports.live import WAITING, QueueNow, queues_now

_MOST_CALLERS = 5  # of those who wait longest
_QUEUE_COLUMNS = (
    *(("queue", 16), ("waiting", 8), ("longest", 9), ("free", 6), ("ringing", 8), ("talking", 8)),
    *(("wrap-up", 8), ("elsewhere", 10), ("not ready", 10), ("level 1 h", 10)),
)
_AGENT_COLUMNS = (
    *(
        ("agent", 9),
        ("name", 18),
        ("team", 12),
        ("phone", 8),
        ("state", 22),
        ("for", 9),
        ("with", 16),
        ("calls", 6),
    ),
)
_STYLES = {
    Activity.TALKING: "green",
    Activity.HOLDING: "green",
    Activity.OFFERED: "yellow",
    Activity.WRAPUP: "cyan",
    Activity.ELSEWHERE: "magenta",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is shown: one team's agents, one queue, or all."""

    queues: Sequence[str]  # of the site file, in its order
    team: str = ""
    queue: str = ""
    long_break_seconds: int = 900


@dataclass(frozen=True, slots=True)
class Picture:
    """The floor at one moment. `levels`: service level of the last hour, by queue. `fault`: why it is old."""

    at: float
    agents: Sequence[Agent] = ()
    contacts: Sequence[Contact] = ()
    levels: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""


def picked(picture: Picture, chosen: Chosen) -> tuple[list[QueueNow], list[Agent], list[Contact]]:
    """Queues, agents who are logged in, most urgent first, and callers who wait, longest first."""
    here = [
        agent
        for agent in picture.agents
        if agent.presence is not Presence.LOGGED_OUT
        and chosen.team in ("", agent.team)
        and (not chosen.queue or chosen.queue in agent.queues)
    ]
    queues = [chosen.queue] if chosen.queue else list(chosen.queues)
    if chosen.team:
        served = {name for agent in here for name in agent.queues}
        queues = [name for name in queues if name in served]
    here.sort(key=lambda agent: (_urgency(agent, picture.at, chosen), agent.since))
    shown = set(queues)
    waiting = [each for each in picture.contacts if each.state in WAITING and each.queue in shown]
    waiting.sort(key=lambda each: each.queued_at or each.arrived_at)
    return queues_now(queues, picture.contacts, here, picture.at), here, waiting


def draw(picture: Picture, chosen: Chosen, width: int, height: int) -> Text:
    """The board as one text of at most `height` lines."""
    queues, agents, waiting = picked(picture, chosen)
    callers = {each.id: each.ani for each in picture.contacts}
    board = Text(no_wrap=True, overflow="crop", end="")
    _head(board, picture, agents, waiting)
    left = height - 4
    room = max(1, min(len(queues), left // 2))
    busiest = queues if room >= len(queues) else sorted(queues, key=lambda q: (-q.waiting, -q.talking))[:room]
    _row(board, [title.ljust(size) for title, size in _QUEUE_COLUMNS], "bold", width)
    for queue in busiest:
        _row(
            board,
            _queue_cells(queue, picture.levels.get(queue.queue)),
            "red" if queue.waiting and not queue.free else "",
            width,
        )
    left -= room
    longest = waiting[: min(_MOST_CALLERS, max(0, left - 2))]
    for contact in longest:
        waited = clock(picture.at - (contact.queued_at or contact.arrived_at))
        _row(
            board, [f"  {waited:>8}  {contact.ani} waits in {contact.queue} ({contact.id})"], "yellow", width
        )
    left -= len(longest)
    _row(board, [title.ljust(size) for title, size in _AGENT_COLUMNS], "bold", width)
    fitting = agents[: max(0, left - (len(agents) > left))]
    for agent in fitting:
        _row(board, _agent_cells(agent, picture.at, callers), _style(agent, picture.at, chosen), width)
    if len(agents) > len(fitting):
        _row(board, [f"… and {len(agents) - len(fitting)} more agents"], "dim", width)
    board.right_crop(1)
    return board


def _head(board: Text, picture: Picture, agents: Sequence[Agent], waiting: Sequence[Contact]) -> None:
    ready = sum(agent.presence is Presence.READY for agent in agents)
    talking = sum(agent.activity in (Activity.TALKING, Activity.HOLDING) for agent in agents)
    at_work = f"{len(agents)} agents logged in, {ready} ready, {talking} talking"
    board.append(f"{len(waiting)} waiting   {at_work}   Ctrl-C ends\n", "bold")
    board.append(f"{picture.fault}\n", "red" if picture.fault else "")


def _row(board: Text, cells: Sequence[str], style: str, width: int) -> None:
    board.append(" ".join(cells)[:width].rstrip() + "\n", style)


def _queue_cells(queue: QueueNow, level: float | None) -> list[str]:
    longest = clock(queue.longest_wait_seconds) if queue.waiting else ""
    values = (
        *(
            queue.queue,
            queue.waiting or "",
            longest,
            queue.free or "",
            queue.ringing or "",
            queue.talking or "",
        ),
        *(queue.wrapup or "", queue.elsewhere or "", queue.not_ready or ""),
        "" if level is None else f"{level:.0%}",
    )
    return [_fit(str(value), size) for value, (_, size) in zip(values, _QUEUE_COLUMNS, strict=True)]


def _agent_cells(agent: Agent, now: float, callers: Mapping[str, str]) -> list[str]:
    values = (
        *(agent.number, agent.name, agent.team, agent.phone, _state(agent), clock(now - agent.since)),
        *(callers.get(agent.contact, ""), str(agent.calls_taken)),
    )
    return [_fit(value, size) for value, (_, size) in zip(values, _AGENT_COLUMNS, strict=True)]


def _state(agent: Agent) -> str:
    if agent.activity is not Activity.IDLE:
        return str(agent.activity)
    return "ready" if agent.presence is Presence.READY else f"not ready ({agent.reason})"


def _style(agent: Agent, now: float, chosen: Chosen) -> str:
    if _is_long_break(agent, now, chosen):
        return "bold red"
    return _STYLES.get(agent.activity, "" if agent.presence is Presence.READY else "red")


def _urgency(agent: Agent, now: float, chosen: Chosen) -> int:
    if _is_long_break(agent, now, chosen):
        return 0
    if agent.activity is Activity.IDLE and agent.presence is Presence.NOT_READY:
        return 1
    order = (Activity.WRAPUP, Activity.ELSEWHERE, Activity.OFFERED, Activity.HOLDING, Activity.TALKING)
    return 2 + order.index(agent.activity) if agent.activity in order else 10


def _is_long_break(agent: Agent, now: float, chosen: Chosen) -> bool:
    idle = agent.activity is Activity.IDLE and agent.presence is Presence.NOT_READY
    return idle and now - agent.since > chosen.long_break_seconds


def _fit(text: str, size: int) -> str:
    """Exactly `size` columns wide; a Chinese letter takes two."""
    if text.isascii():
        return text[:size].ljust(size)
    piece = Text(text)
    piece.truncate(size, pad=True)
    return piece.plain
