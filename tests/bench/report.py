"""From runs to BENCHMARKS.md: medians over the repetitions, what was to be reached, and how it was taken."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from callcenter import __version__
from callcenter.asterisk import find_asterisk
from tests.bench.figures import CallFigures, Spread
from tests.bench.traffic import Load, Run

OURS, THEIRS = "callcenter", "app_queue"
BACKLOG = "backlog"
CROWD = "crowd"
SLOW_P99_MS = 15.0  # at 20 and 50 calls/s
NEXT_OFFER_P99_MS = 20.0
CROWD_P99_MS = 25.0  # hang-up to next offer
CPU_MS = 1.5  # engine and Redis together, per call at 80 calls/s
FOREIGN_CORES = 0.3  # above this a run is not to be trusted


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what a run shows of it, and how several runs become one."""

    title: str
    value: Callable[[Run], float | None]
    digits: int = 1
    total: bool = False  # the sum over all repetitions, not the median


def _of(spread: Callable[[CallFigures], Spread | None], name: str) -> Callable[[Run], float | None]:
    def value(run: Run) -> float | None:
        found = spread(run.figures)
        return None if found is None else float(getattr(found, name))

    return value


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _cpu(*parts: str) -> Callable[[Run], float | None]:
    def value(run: Run) -> float | None:
        found = [run.cpu_ms_per_call[part] for part in parts if part in run.cpu_ms_per_call]
        return sum(found) if found else None

    return value


ROUTING_P99 = Row("routing delay p99, ms", _of(lambda figures: figures.routing, "p99"))
NEXT_OFFER_P99 = Row("hang-up to next offer p99, ms", _of(lambda figures: figures.next_offer, "p99"))
DECIDING_CPU = Row("CPU of engine and Redis, ms per call", _cpu("engine", "redis"), 2)
LONGEST_IDLE = Row("longest idle picked, %", lambda run: _percent(run.figures.longest_idle))

ROWS = (
    Row("routing delay p50, ms", _of(lambda figures: figures.routing, "p50")),
    ROUTING_P99,
    Row("agent's answer to audio at caller p50, ms", _of(lambda figures: figures.bridging, "p50")),
    Row("CPU of Asterisk, ms per call", _cpu("asterisk"), 2),
    Row("CPU of the engine, ms per call", _cpu("engine"), 2),
    Row("CPU of Redis, ms per call", _cpu("redis"), 2),
    Row("CPU of back office and PostgreSQL, ms per call", _cpu("backoffice", "postgres"), 2),
    LONGEST_IDLE,
    Row("calls offered, all runs", lambda run: run.figures.calls, 0, total=True),
    Row("of these failed", lambda run: run.figures.calls - run.figures.connected, 0, total=True),
    Row("agents double booked", lambda run: run.figures.double_booked, 0, total=True),
    Row("callers overtaken", lambda run: run.figures.overtaken, 0, total=True),
    Row("cores busy with the whole run", lambda run: run.cores_busy, 2),
    Row("cores busy with something else", lambda run: run.cores_foreign, 2),
)
BACKLOG_ROWS = (
    Row("hang-up to next offer p50, ms", _of(lambda figures: figures.next_offer, "p50")),
    NEXT_OFFER_P99,
    Row("gaps seen, all runs", _of(lambda figures: figures.next_offer, "count"), 0, total=True),
    Row("most callers waiting", lambda run: run.figures.most_waiting, 0),
    *ROWS[7:],
)


CROWD_ROWS = tuple(row for row in BACKLOG_ROWS if row is not LONGEST_IDLE and "overtaken" not in row.title)


def markdown(runs: Sequence[Run], loads: Sequence[Load], agents: int, command: str, floor: str) -> str:
    """The whole of BENCHMARKS.md."""
    steady = [load for load in loads if load.name not in (BACKLOG, CROWD)]
    backlog = [load for load in loads if load.name == BACKLOG]
    crowd = [load for load in loads if load.name == CROWD]
    parts = [_HEAD.format(machine=_machine(), command=command, agents=agents, loads=_loads(loads))]
    if steady:
        parts += ["## Calls as they come\n", _table(runs, ROWS, steady)]
    if backlog:
        parts += ["## While callers wait\n", _table(runs, BACKLOG_ROWS, backlog)]
    if crowd:
        parts.append("## With skills: 500 agents, 40 queues, 20 skills\n")
        parts.append(_table(runs, CROWD_ROWS, crowd, (CROWD,)))
    parts += ["## What was to be reached\n", _targets(runs)]
    if floor:
        parts += ["## The floor alone\n", f"```\n{floor.strip()}\n```\n"]
    return "\n".join([*parts, _DEFINITIONS])


def summarised(runs: Sequence[Run], row: Row, system: str, load: str) -> float | None:
    """One figure over the repetitions: the median, or the sum."""
    found = [row.value(run) for run in runs if run.system == system and run.load == load]
    values = [value for value in found if value is not None]
    if not values:
        return None
    return sum(values) if row.total else median(values)


def targets(runs: Sequence[Run]) -> list[tuple[str, bool]]:
    """What was to be reached, each with the figures and whether it was."""
    loads = {run.load for run in runs}
    found: list[tuple[str, bool]] = []
    for load, limit in (("20/s", SLOW_P99_MS), ("50/s", SLOW_P99_MS), ("80/s", None), ("120/s", None)):
        ours, theirs = (summarised(runs, ROUTING_P99, system, load) for system in (OURS, THEIRS))
        if ours is not None and limit is not None:
            found.append((f"routing p99 at {load} under {limit:g} ms: {ours:.1f}", ours < limit))
        elif ours is not None and theirs is not None:
            text = f"routing p99 at {load} no worse than app_queue's {theirs:.1f} ms: {ours:.1f}"
            found.append((text, ours <= theirs))
    gap = summarised(runs, NEXT_OFFER_P99, OURS, BACKLOG)
    if gap is not None:
        found.append((f"next offer p99 under {NEXT_OFFER_P99_MS:g} ms: {gap:.1f}", gap < NEXT_OFFER_P99_MS))
    gap = summarised(runs, NEXT_OFFER_P99, CROWD, CROWD)
    if gap is not None:
        text = f"next offer p99 with skills and a crowd under {CROWD_P99_MS:g} ms: {gap:.1f}"
        found.append((text, gap < CROWD_P99_MS))
    spent = summarised(runs, DECIDING_CPU, OURS, "80/s")
    if spent is not None:
        text = f"engine and Redis at 80/s under {CPU_MS:g} ms CPU per call: {spent:.2f}"
        found.append((text, spent < CPU_MS))
    shares = [share for run in runs if run.system == OURS and (share := run.figures.longest_idle) is not None]
    if shares:
        text = f"longest idle picked in every offer: {100 * min(shares):.2f} % in the worst run"
        found.append((text, min(shares) >= 1.0))
    if loads:
        ours_runs = [run.figures for run in runs if run.system == OURS]
        bad = sum(each.calls - each.connected + each.double_booked for each in ours_runs)
        found.append((f"no call failed, no agent double booked: {bad}", bad == 0))
    return found


def _targets(runs: Sequence[Run]) -> str:
    lines = [f"- {'reached' if reached else '**missed**'}: {text}" for text, reached in targets(runs)]
    worst = max(run.cores_foreign for run in runs)
    if worst > FOREIGN_CORES:
        lines.append(
            f"- note: up to {worst:.1f} cores were busy with something else; repeat on a quiet machine"
        )
    if drops := sum(run.capture_drops for run in runs):
        lines.append(f"- note: the capture lost {drops} packets; figures may be off")
    if cut := sum(run.cut_short for run in runs):
        lines.append(f"- note: {cut} runs were cut short, calls still open")
    return "\n".join(lines) + "\n"


def _table(
    runs: Sequence[Run], rows: Sequence[Row], loads: Sequence[Load], systems: Sequence[str] = (OURS, THEIRS)
) -> str:
    columns = [(load, system) for load in loads for system in systems]
    lines = [
        "| | " + " | ".join(f"{load.name} {system}" for load, system in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for row in rows:
        cells = [_cell(summarised(runs, row, system, load.name), row.digits) for load, system in columns]
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _loads(loads: Sequence[Load]) -> str:
    return "; ".join(
        f"{load.name}: {load.calls} calls at {load.rate:g}/s, {load.talk_seconds:g} s of talk"
        for load in loads
    )


def _machine() -> str:
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    cpu = model.group(1).strip() if model else platform.machine()
    memory = round(psutil.virtual_memory().total / 2**30)
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    versions = [
        f"callcenter {__version__} ({_words('git', 'rev-parse', '--short', 'HEAD')})",
        f"Asterisk {find_asterisk().version}",
        f"Python {platform.python_version()}",
        "Redis " + _words("redis-server", "--version", pattern=r"v=(\S+)"),
        "SIPp " + _words("sipp", "-v", pattern=r"SIPp v?([\d.]+)"),
    ]
    return (
        f"- {when}\n- {cpu}, {os.cpu_count()} cores, {memory} GiB, Linux {platform.release()}\n"
        f"- {', '.join(versions)}"
    )


def _words(*argv: str, pattern: str = r"(\S+)") -> str:
    if shutil.which(argv[0]) is None:
        return "?"
    said = subprocess.run(argv, capture_output=True, text=True, cwd=Path(__file__).parent).stdout
    found = re.search(pattern, said)
    return found.group(1) if found else "?"


_HEAD = """\
# Benchmarks

Real calls by SIPp against our centre (Asterisk, engine, Redis, back office, PostgreSQL) and against
Asterisk's own app_queue (`leastrecent`, a second instance of the same Asterisk), in turns on the same
machine. This file is written by the command below; do not edit it.

{machine}
- `{command}`
- {agents} agents; {loads}

Callers, agents, capture and the measured system share the machine. Each figure is the median of the runs,
unless it says "all runs".
"""

_DEFINITIONS = """\
## How it is taken

All times come from one packet capture of the loopback, so they mean the same for both (`tests/bench`).

- Routing delay: a caller's INVITE to the first INVITE to an agent.
- Agent's answer to audio at caller: the agent's 200 to the agent's first audio at the caller; phones send a
  packet each 20 ms, which is its resolution.
- Hang-up to next offer: an agent's BYE to the next INVITE to the same agent, where callers waited all
  through it.
- Longest idle picked: share of the offers that took the agent idle longest; agents freed within 20 ms of one
  another count as equal.
- Double booked: an INVITE to an agent still in a call. Overtaken: callers offered after someone who came
  more than 50 ms later. Failed: callers who never heard an agent.
- CPU: user and system time of all threads and children over the run, by calls offered. "Something else" is
  what the machine did beside the measured system and the benchmark's own tools.
"""
