"""Keeps one process running: started by s6 as `keeper.py SERVICE_DIRECTORY`; standard library, few imports.

s6 restarts what ends; the keeper adds what s6 has no means for, so that no kill of any supervising process
ends a call:

* the process runs in a session of its own and outlives its keeper. The next keeper finds it by pid *and*
  start time, adopts it and waits on its pidfd;
* an earlier keeper that still lives (its s6-supervise was killed) is ended first, its process is adopted;
* a process whose heartbeat file stops changing is killed: it hangs, or somebody stopped it (SIGSTOP);
* SIGTERM to the keeper is the process's own stop signal, then SIGKILL after its own time.

A process that ends after its first second is started again at once: s6 2.11 waits a second after every death
(measured), too long for callers. One that does not live for a second is left to s6 and its pause. What to run
is the service directory's `keep.json`, which callcenter/supervisor.py writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import Any

_LOOK_EVERY_SECONDS = 0.1  # at the heartbeat
_TOO_SHORT_SECONDS = 1.0  # a process that lives less is not started again at once
_STALLED_SECONDS = 1.0  # the keeper itself did not run for so long: the machine slept, judge nobody by it


def main(directory: str) -> int:
    """Keep the process running; 0 after an ordered stop, 1 when it ended too soon after its start."""
    with open(os.path.join(directory, "keep.json"), encoding="utf-8") as file:
        keep = json.load(file)
    stop_asked = _listen_for_stop()
    _replace_keeper(keep)
    pid = read_alive(keep["pidfile"])
    if pid is not None:
        _log(keep, "adopted", pid=pid)
    while True:
        began = time.monotonic()
        if pid is None:
            pid = _start(keep)
        pidfd = os.pidfd_open(pid)
        stopping = _wait(keep, pid, pidfd, stop_asked)
        os.close(pidfd)
        _clear_up(keep, pid)
        if stopping:
            return 0
        if time.monotonic() - began < _TOO_SHORT_SECONDS:
            return 1  # s6 starts us again, a second later
        pid = None


def read_alive(pidfile: str) -> int | None:
    """The pid in `PIDFILE` if that very process still lives: same start time, not a zombie."""
    try:
        with open(pidfile, encoding="ascii") as file:
            pid, started = file.read().split()
    except (OSError, ValueError):
        return None
    return int(pid) if started == start_time(int(pid)) else None


def start_time(pid: int) -> str | None:
    """When the process started, in clock ticks after boot: with the pid it names a process for ever."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def _listen_for_stop() -> int:
    """A file descriptor that becomes readable on SIGTERM or SIGINT."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return reading


def _replace_keeper(keep: dict[str, Any]) -> None:
    """End the keeper before us, if it lives, and be the keeper: one watches, not two."""
    before = read_alive(keep["keeper_pidfile"])
    if before is not None and before != os.getpid():
        os.kill(before, signal.SIGKILL)
        while start_time(before) is not None:
            time.sleep(0.005)
        _log(keep, "took over from another keeper", keeper=before)
    _write_pid(keep["keeper_pidfile"], os.getpid())


def _start(keep: dict[str, Any]) -> int:
    """Start the process; its pidfile is complete before the process itself runs."""
    if keep["heartbeat"]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(keep["heartbeat"])
    pid = os.fork()
    if pid == 0:
        _become(keep)
    _log(keep, "started", pid=pid)
    return pid


def _become(keep: dict[str, Any]) -> None:
    """In the child: never returns."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        _write_pid(keep["pidfile"], os.getpid())
        nothing = os.open(os.devnull, os.O_RDONLY)
        output = os.open(keep["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 256)
        os.umask(0o077)
        os.chdir(keep["cwd"])
        os.execve(keep["argv"][0], keep["argv"], keep["env"])  # noqa: S606 - argv is ours, no shell
    except OSError as error:
        os.write(2, f"{keep['argv'][0]}: {error}\n".encode())
    finally:
        os._exit(127)


def _wait(keep: dict[str, Any], pid: int, pidfd: int, stop_asked: int) -> bool:
    """Until the process has ended; whether that was asked for."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(stop_asked, select.POLLIN)
    kill_at: float | None = None
    pulse = _Pulse(keep)
    while True:
        watching = kill_at is not None or pulse.watched
        ready = dict(poll.poll(_LOOK_EVERY_SECONDS * 1000 if watching else None))
        if pidfd in ready:
            return kill_at is not None
        if stop_asked in ready:
            os.read(stop_asked, 64)
            if kill_at is None:
                kill_at = time.monotonic() + keep["stop_seconds"]
                _log(keep, "stopping", pid=pid)
                signal.pidfd_send_signal(pidfd, keep["stop_signal"])
                signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        elif kill_at is not None:
            if time.monotonic() > kill_at:
                _log(keep, "killed: did not stop in time", pid=pid)
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                kill_at = time.monotonic() + 1
        elif pulse.lost():
            _log(keep, "killed: no heartbeat", pid=pid)
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)


class _Pulse:
    """Whether the heartbeat file still changes. Ages are the keeper's own: wall clocks may jump."""

    def __init__(self, keep: dict[str, Any]) -> None:
        self.watched: bool = keep["heartbeat"] is not None
        self._file: str = keep["heartbeat"] or ""
        self._seconds: float = keep["hang_seconds"]
        self._start_seconds: float = keep["start_seconds"]
        self._seen: int | None = None  # the file's time, None before the first beat
        self._changed = self._looked = time.monotonic()

    def lost(self) -> bool:
        """True when the process is to be killed. No file after a first beat: it ends in an orderly way."""
        now = time.monotonic()
        if now - self._looked > _STALLED_SECONDS:
            self._changed = now
        self._looked = now
        try:
            beat = os.stat(self._file).st_mtime_ns
        except OSError:
            return self._seen is None and now - self._changed > self._start_seconds
        if beat != self._seen:
            self._seen, self._changed = beat, now
        return now - self._changed > self._seconds


def _clear_up(keep: dict[str, Any], pid: int) -> None:
    """End what the process left in its own group (AGI scripts), then reap it if it is our child."""
    try:
        status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # not yet reaped: the pid is still its own
    except ChildProcessError:
        status = None
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    _log(keep, "ended", pid=pid, **({} if status is None else {"status": status.si_status}))


def _write_pid(path: str, pid: int) -> None:
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(f"{pid} {start_time(pid)}")
    os.replace(f"{path}.new", path)


def _log(keep: dict[str, Any], event: str, **values: object) -> None:
    """One JSON line, in one write, so that keepers can share the file."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    line = {"timestamp": f"{now}Z", "level": "info", "process": keep["name"], "event": event, **values}
    try:
        log = os.open(keep["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(log, json.dumps(line).encode() + b"\n")
        os.close(log)
    except OSError:
        pass  # a full disk ends no call


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
