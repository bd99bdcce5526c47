"""Runs processes under s6: one `s6-svscan` for a run directory, one keeper (callcenter/keeper.py) a process.

Layout: `.run/supervisor/scan/NAME/` is s6's service directory of NAME (run, keep.json, NAME.pid, keeper.pid).
Killing s6-svscan, an s6-supervise or a keeper ends no process; the next `up` takes over what still runs.

Known sharp edges:
- Linux alone: /proc and pidfd tell whether a process is the one that was started.
- A process that hangs before its first heartbeat is killed only after its `ready_seconds`.
- The stores and Asterisk have no heartbeat: frozen, they stay so until somebody looks at `status`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import keeper
from .heartbeats import HANG_SECONDS
from .paths import RunDirectory

Say = Callable[[str], None]
_FAILED_STARTS = 3  # a process that ends so often while `up` waits for it will not come
_MISSING = "s6 is not installed: run `make demo` once, or `apt-get install s6`"


class SupervisorError(Exception):
    """One clear line: what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the machine: how it is started, known to be ready, watched and stopped."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]  # never raises, answers within a second or two
    stage: int = 0  # processes of one stage start together; the next stage waits until all are ready
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10.0  # then SIGKILL
    ready_seconds: float = 30.0
    beats: bool = False  # touches its heartbeat file: it is killed and restarted when it hangs
    environment: Mapping[str, str] = field(default_factory=dict)
    uses: str = ""  # for `status` and systemd: what it is


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What `status` shows of one process."""

    name: str
    state: str  # running, starting, down, or unwatched: runs, but nobody would restart it
    pid: int | None
    up_seconds: float | None
    use: str


class Supervisor:
    """The processes of one run directory, in start order; they stop in the opposite order."""

    def __init__(self, run: RunDirectory, processes: Sequence[Process]) -> None:
        self._run = run
        self._processes = tuple(processes)
        self._scan = run.supervisor / "scan"

    def start(self, say: Say, between: Mapping[int, Callable[[], None]] | None = None) -> None:
        """Start what does not run, adopt what does, wait until all is ready. Idempotent.

        `between[n]` is called when stage n is ready. SupervisorError when a process does not come up.
        """
        self.refuse_root()
        for directory in (
            self._run.root,
            self._run.log,
            self._run.heartbeat,
            self._run.supervisor,
            self._scan,
        ):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            for process in self._processes:
                self._write_service(process)
            self._start_scanner(say)
            for stage in sorted({process.stage for process in self._processes}):
                self._start_stage([process for process in self._processes if process.stage == stage], say)
                if between and stage in between:
                    between[stage]()

    def refuse_root(self) -> None:
        """SupervisorError for uid 0: nothing of ours runs as root."""
        if os.geteuid() == 0:
            raise SupervisorError(
                "the centre does not run as root: run this as another account, or by "
                "`python3 -m callcenter.bootstrap run -- callcenter up`, which drops to one"
            )

    def stop(self, say: Say) -> None:
        """Stop everything in order, the supervisor last: no process is left. Idempotent."""
        if not self._scan.is_dir():
            return
        with self._alone():
            known = [process.name for process in reversed(self._processes)]
            # Also what an older version of the list started.
            others = sorted(entry.name for entry in self._scan.iterdir() if (entry / "keep.json").exists())
            for name in [name for name in others if name not in known] + known:
                if (self._scan / name / "keep.json").exists():
                    self._stop_one(name, say)
            self._stop_scanner()

    def status(self) -> list[ProcessStatus]:
        """The processes as they are now."""
        return [self._status_of(process) for process in self._processes]

    def supervised(self) -> bool:
        """Whether s6-svscan runs for this run directory."""
        return self._scan.is_dir() and _s6("s6-svscanctl", "-a", str(self._scan))

    def pid(self, name: str) -> int | None:
        """The pid of a running process."""
        return keeper.read_alive(str(self._scan / name / f"{name}.pid"))

    # --- one service ---

    def _write_service(self, process: Process) -> None:
        """s6's directory of the process. It begins `down`, so that stages start in order."""
        directory = self._scan / process.name
        directory.mkdir(mode=0o700, exist_ok=True)
        beat = str(self._run.heartbeat / process.name) if process.beats else None
        keep = {
            "name": process.name,
            "argv": list(process.argv),
            "env": {**_environment(), **process.environment},
            "cwd": str(self._run.root.parent),
            "pidfile": str(directory / f"{process.name}.pid"),
            "keeper_pidfile": str(directory / "keeper.pid"),
            "output": str(self._run.log / f"{process.name}.out"),
            "log": str(self._run.log / "keeper.jsonl"),
            "heartbeat": beat,
            "hang_seconds": HANG_SECONDS,
            "start_seconds": process.ready_seconds,
            "stop_signal": int(process.stop_signal),
            "stop_seconds": process.stop_seconds,
        }
        _write(directory / "keep.json", json.dumps(keep, indent=1), 0o600)
        words = [sys.executable, "-I", "-S", "-E", str(Path(keeper.__file__).resolve()), str(directory)]
        _write(directory / "run", f"#!/bin/sh\nexec {shlex.join(words)}\n", 0o700)
        if self.pid(process.name) is None:
            (directory / "down").touch()

    def _start_stage(self, stage: Sequence[Process], say: Say) -> None:
        waiting = {process.name: process for process in stage}
        starts: dict[str, set[int]] = {process.name: set() for process in stage}
        began = time.monotonic()
        for process in stage:
            directory = self._scan / process.name
            self._eventually(lambda d=directory: _s6("s6-svok", str(d)), f"s6 takes {process.name}")  # type: ignore[misc]
            (directory / "down").unlink(missing_ok=True)
            if self.pid(process.name) is None:
                say(f"starting {process.name}: {process.uses}")
            _s6("s6-svc", "-u", str(directory))
        while waiting:
            for name, process in list(waiting.items()):
                pid = self.pid(name)
                if pid is not None:
                    starts[name].add(pid)
                if pid is not None and process.ready():
                    del waiting[name]
                elif len(starts[name]) > _FAILED_STARTS or time.monotonic() - began > process.ready_seconds:
                    raise SupervisorError(self._why(name))
            time.sleep(0.02)

    def _stop_one(self, name: str, say: Say) -> None:
        directory = self._scan / name
        keep = json.loads((directory / "keep.json").read_text())
        (directory / "down").touch()
        pid = self.pid(name)
        if pid is not None:
            say(f"stopping {name}")
        watched = _s6("s6-svok", str(directory)) and _s6("s6-svc", "-d", str(directory))
        deadline = time.monotonic() + keep["stop_seconds"] + 2.0
        if not watched:
            _kill(keeper.read_alive(str(directory / "keeper.pid")), signal.SIGKILL)
            _kill(pid, keep["stop_signal"])
            _kill(pid, signal.SIGCONT)
        while (pid := self.pid(name)) is not None or (
            watched and keeper.read_alive(str(directory / "keeper.pid")) is not None
        ):
            if time.monotonic() > deadline:
                _kill(pid, signal.SIGKILL)
                _kill(keeper.read_alive(str(directory / "keeper.pid")), signal.SIGKILL)
            time.sleep(0.01)

    def _status_of(self, process: Process) -> ProcessStatus:
        pid = self.pid(process.name)
        if pid is None:
            return ProcessStatus(process.name, "down", None, None, process.uses)
        watched = keeper.read_alive(str(self._scan / process.name / "keeper.pid")) is not None
        state = "unwatched" if not watched else "running" if process.ready() else "starting"
        return ProcessStatus(process.name, state, pid, _age(pid), process.uses)

    def _why(self, name: str) -> str:
        """Why a process does not come up, by its own last words."""
        output = self._run.log / f"{name}.out"
        words = ""
        with contextlib.suppress(OSError):
            lines = output.read_text(errors="replace")[-4000:].strip().splitlines()
            words = f": {lines[-1].strip()[:300]}" if lines else ""
        return f"{name} does not start{words} (more in {output} and {self._run.log})"

    # --- s6-svscan ---

    def _start_scanner(self, say: Say) -> None:
        if shutil.which("s6-svscan") is None:
            raise SupervisorError(_MISSING)
        if self.supervised():
            return
        for pid in self._supervisors():  # of an s6-svscan that was killed: theirs are adopted
            _kill(pid, signal.SIGKILL)
        if any(self.pid(process.name) for process in self._processes):
            say("taking over what still runs")
        with (self._run.log / "supervisor.out").open("ab") as output:
            # A session of its own and no child of ours: whoever called `up` may go, or live on.
            subprocess.run(
                ["setsid", "--fork", "s6-svscan", "-c", "64", str(self._scan)],  # noqa: S607 - Debian's, on PATH
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                check=True,
            )
        self._eventually(self.supervised, "s6-svscan starts")

    def _stop_scanner(self) -> None:
        if self.supervised():
            _s6("s6-svscanctl", "-t", str(self._scan))
        deadline = time.monotonic() + 5.0
        while self.supervised() or self._supervisors():
            if time.monotonic() > deadline:
                for pid in self._supervisors():
                    _kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _supervisors(self) -> list[int]:
        """The pids of every s6-supervise whose service directory is one of ours."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    ours = (entry / "cwd").readlink().parent == self._scan.resolve()
                    if ours and (entry / "comm").read_text().strip() == "s6-supervise":
                        found.append(int(entry.name))
        return found

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two `up` or `down` at once: the second waits for the first."""
        with (self._run.supervisor / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _eventually(self, check: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                raise SupervisorError(
                    f"{what}: not within {seconds:g} s (see {self._run.log / 'supervisor.out'})"
                )
            time.sleep(0.01)


def _environment() -> dict[str, str]:
    """What our processes inherit: little, and the same whoever starts them."""
    kept = ("HOME", "LANG", "LC_ALL", "TZ", "CALLCENTER_ASTERISK_ROOT", "XDG_CACHE_HOME")
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "PYTHONUNBUFFERED": "1"} | {
        key: os.environ[key] for key in kept if key in os.environ
    }


def _s6(program: str, *args: str) -> bool:
    try:
        return subprocess.run([program, *args], capture_output=True, timeout=10).returncode == 0
    except FileNotFoundError:
        raise SupervisorError(_MISSING) from None


def _write(path: Path, text: str, mode: int) -> None:
    new = path.with_name(f"{path.name}.new")
    new.touch(mode)
    new.chmod(mode)
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _kill(pid: int | None, number: int) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _age(pid: int) -> float | None:
    ticks = keeper.start_time(pid)
    if ticks is None:
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
