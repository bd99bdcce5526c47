"""`python -m tests.bench`: run the benchmark and write BENCHMARKS.md."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from callcenter.asterisk import AsteriskMissing
from tests.bench import crowd as crowds
from tests.bench.appqueue import AppQueue
from tests.bench.centre import Centre
from tests.bench.report import BACKLOG, CROWD, OURS, THEIRS, markdown, targets
from tests.bench.systems import BenchFault, System
from tests.bench.traffic import Load, Run, require_tools, run_load
from tests.servers import short_directory

CHECKOUT = Path(__file__).resolve().parents[2]
AGENTS = 300
TALK_SECONDS = 2.0  # 300 agents then carry 142 calls a second
BACKLOG_RATE = 50.0
BACKLOG_TALK_SECONDS = 8.0  # … and 37 a second: callers wait
MEASURE: dict[str, Callable[[Path, int], System]] = {OURS: Centre, THEIRS: AppQueue, CROWD: crowds.Crowd}


def _rates(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        rates = tuple(float(each) for each in value.split(",") if each)
    except ValueError:
        raise click.BadParameter("expected calls per second such as 20,50,80,120") from None
    if any(not 0 < rate <= 500 for rate in rates):
        raise click.BadParameter("a rate is more than 0 and at most 500 calls per second")
    return rates


@click.command(epilog="Example: python -m tests.bench --rates 80 --runs 3")
@click.option("--rates", default="20,50,80,120", callback=_rates, show_default=True, help="Calls a second.")
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1, 50), help="Repetitions.")
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(1, 600), help="Per run.")
@click.option("--agents", default=AGENTS, show_default=True, type=click.IntRange(2, 2000))
@click.option("--only", type=click.Choice(list(MEASURE)), help="Measure one system alone.")
@click.option("--backlog/--no-backlog", default=True, show_default=True, help="Also more calls than agents.")
@click.option("--crowd/--no-crowd", default=True, show_default=True, help="Also 500 agents with skills.")
@click.option("--quick", is_flag=True, help="One run of each, shorter: a look, no result (1-2 minutes).")
@click.option("--output", type=click.Path(path_type=Path), default=CHECKOUT / "BENCHMARKS.md",
              help="Where the tables go; with --quick nothing is written, only printed.")  # fmt: skip
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Append each run as a JSON line.")
@click.option("--keep", is_flag=True, help="Keep logs, captures and data; says where.")
def main(
    rates: tuple[float, ...],
    runs: int,
    seconds: float,
    agents: int,
    only: str | None,
    backlog: bool,
    crowd: bool,
    quick: bool,
    output: Path,
    json_path: Path | None,
    keep: bool,
) -> None:
    """Offer real calls to our centre and to Asterisk's app_queue, in turns, and compare them."""
    if quick:
        runs, seconds = 1, min(seconds, 8.0)
    loads = [Load(f"{rate:g}/s", rate, seconds, TALK_SECONDS) for rate in rates]
    if backlog:
        loads.append(Load(BACKLOG, BACKLOG_RATE, max(seconds, 15.0), BACKLOG_TALK_SECONDS))
    folder = short_directory("cc-bench-")
    try:
        require_tools()
        done: list[Run] = []
        if only != CROWD:
            done = _measure(folder, loads, runs, agents, [only] if only else [OURS, THEIRS], json_path)
        if only == CROWD or (crowd and not only):
            loads.append(crowds.LOAD)
            done += _measure(folder, [crowds.LOAD], min(runs, 3), crowds.AGENTS, [CROWD], json_path)
    except (BenchFault, AsteriskMissing) as fault:
        keep = True
        raise SystemExit(f"bench: {fault}; kept in {folder}") from None
    finally:
        if keep:
            click.echo(f"kept in {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    command = shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])
    text = markdown(done, loads, agents, command, _floor_figures())
    click.echo(text)
    if not quick and only is None:
        output.write_text(text, encoding="utf-8")
    raise SystemExit(0 if all(reached for _, reached in targets(done)) else 1)


def _measure(
    folder: Path, loads: list[Load], runs: int, agents: int, names: list[str], json_path: Path | None
) -> list[Run]:
    systems: list[System] = []
    done: list[Run] = []
    warm_up = Load("warm-up", 20, 5, TALK_SECONDS)
    try:
        for name in names:
            (folder / name).mkdir()
            system: System = MEASURE[name](folder / name, agents)
            systems.append(system)
            click.echo(f"starting {name}", err=True)
            system.start()
            run_load(system, warm_up, 0, agents, folder / f"{name}-warm-up")
        for repetition in range(1, runs + 1):
            for load in loads:
                # Who goes first changes, so that nobody always has the warmer machine.
                for system in systems if repetition % 2 else reversed(systems):
                    place = folder / f"{system.name}-{load.name.replace('/', '-')}-{repetition}"
                    done.append(run_load(system, load, repetition, agents, place))
                    (place / "run.pcap").unlink()
                    _tell(done[-1], runs)
                    if json_path is not None:
                        with json_path.open("ab") as file:
                            file.write(msgspec.json.encode(done[-1]) + b"\n")
    finally:
        for system in systems:
            system.stop()
    return done


def _tell(run: Run, runs: int) -> None:
    figures = run.figures
    routing, gap = figures.routing, figures.next_offer
    parts = [
        f"{run.repetition}/{runs} {run.load:>8} {run.system:<10}",
        f"{figures.connected}/{figures.calls} connected",
        f"routing p50 {routing.p50:.1f} p99 {routing.p99:.1f} ms" if routing else "nobody was offered",
        f"next offer p99 {gap.p99:.1f} ms" if gap else "",
        "CPU ms/call " + " ".join(f"{name} {value:.2f}" for name, value in run.cpu_ms_per_call.items()),
        f"others {run.cores_foreign:.2f} cores",
        ", ".join(f"{count} {why}" for why, count in figures.failures.items()),
    ]
    click.echo("; ".join(part for part in parts if part), err=True)


def _floor_figures() -> str:
    """What the floor's own benchmarks print: plain, and with skills."""
    parts = []
    for module in ("tests.bench.floor", "tests.bench.skills"):
        argv = [sys.executable, "-m", module]
        answer = subprocess.run(argv, capture_output=True, text=True, cwd=CHECKOUT, timeout=600)
        parts.append((answer.stdout or answer.stderr[-500:]).strip())
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
