"""The supervisor with real s6, Redis and PostgreSQL and a dummy: kills, adoption, hangs, taken ports."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from callcenter import keeper, ports
from callcenter.paths import RunDirectory

from ..servers import eventually, server_account, short_directory

# Runs under the servers' account, as the supervisor refuses root: `centre.py RUN VERB`.
_CENTRE = """
import json, os, signal, sys
from pathlib import Path
from callcenter import stores
from callcenter.paths import RunDirectory
from callcenter.supervisor import Process, Supervisor, SupervisorError

run = RunDirectory(Path(sys.argv[1]))
for directory in (run.root, run.log):
    directory.mkdir(exist_ok=True, mode=0o700)
stores.prepare_redis(run)
with_postgres = (run.root / "with-postgres").exists()
if with_postgres:
    stores.prepare_postgres(run)
beat = run.heartbeat / "dummy"
processes = (
    Process("redis", stores.redis_command(run), ready=lambda: stores.redis_answers(run)),
    Process("postgres", stores.postgres_command(run), ready=lambda: stores.postgres_answers(run),
            stop_signal=signal.SIGINT) if with_postgres else None,
    Process("dummy", (sys.executable, str(run.root / "dummy.py"), str(run.root)), ready=beat.exists, stage=1,
            beats=True, stop_seconds=1.0, ready_seconds=10.0,
            environment={"PYTHONPATH": os.environ["PYTHONPATH"]}),
)
supervisor = Supervisor(run, [process for process in processes if process])
try:
    if sys.argv[2] == "up":
        supervisor.start(print)
    elif sys.argv[2] == "down":
        supervisor.stop(print)
    else:
        print(json.dumps({each.name: each.state for each in supervisor.status()}))
except SupervisorError as error:
    sys.exit(f"callcenter: {error}")
"""
_DUMMY = """
import asyncio, sys
from pathlib import Path
from callcenter.heartbeats import Heartbeat
from callcenter.paths import RunDirectory
root = Path(sys.argv[1])
if (root / "broken").exists():
    sys.exit("dummy: the moon is in the wrong quarter")
if (root / "stubborn").exists():
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
async def block():
    while not (root / "block").exists():
        await asyncio.sleep(0.02)
    (root / "block").unlink()
    import time
    time.sleep(60)
async def main():
    await asyncio.gather(Heartbeat(RunDirectory(root), "dummy").beat(), block())
asyncio.run(main())
"""


class Centre:
    """A run directory with Redis, PostgreSQL and the dummy under the real supervisor."""

    def __init__(self, root: Path) -> None:
        self.run = RunDirectory(root)
        root.chmod(0o755)
        (root / "dummy.py").write_text(textwrap.dedent(_DUMMY))
        (root / "centre.py").write_text(textwrap.dedent(_CENTRE))

    def __call__(self, verb: str) -> subprocess.CompletedProcess[str]:
        account = server_account()
        return subprocess.run(
            [_python(), str(self.run.root / "centre.py"), str(self.run.root), verb],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": _pythonpath()},
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )

    def up(self) -> None:
        answer = self("up")
        assert answer.returncode == 0, answer.stderr

    def states(self) -> dict[str, str]:
        answer = self("status")
        assert answer.returncode == 0, answer.stderr
        states: dict[str, str] = json.loads(answer.stdout)
        return states

    def pid(self, name: str) -> int:
        found = keeper.read_alive(str(self.run.supervisor / "scan" / name / f"{name}.pid"))
        assert found is not None, f"{name} does not run"
        return found

    def keeper_pid(self, name: str) -> int:
        found = keeper.read_alive(str(self.run.supervisor / "scan" / name / "keeper.pid"))
        assert found is not None, f"{name} has no keeper"
        return found

    def pids(self) -> dict[str, int]:
        return {name: self.pid(name) for name in self.states()}

    def everything(self) -> list[psutil.Process]:
        """Every process that names our directory in its command or stands in it."""
        found = []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), process.cwd()]
            except psutil.Error:
                continue
            if process.pid != os.getpid() and any(str(self.run.root) in word for word in words):
                found.append(process)
        return found

    def supervisors(self) -> list[psutil.Process]:
        return [process for process in self.everything() if process.name() in ("s6-svscan", "s6-supervise")]

    def lines(self) -> list[str]:
        log = self.run.log / "keeper.jsonl"
        return [
            f"{line['process']} {line['event']}" for line in map(json.loads, log.read_text().splitlines())
        ]


def _python() -> str:
    return sys.executable


def _pythonpath() -> str:
    return str(Path(__file__).resolve().parents[2])


@pytest.fixture
def centre() -> Iterator[Centre]:
    if shutil.which("s6-svscan") is None:
        pytest.fail("s6 is not installed: `make test` installs it")
    root = short_directory("cc-up-")
    centre = Centre(root)
    yield centre
    centre("down")
    left = centre.everything()
    for process in left:
        process.kill()
    shutil.rmtree(root)
    assert not left, "processes were left after `down`"


def test_up_status_down(centre: Centre) -> None:
    (centre.run.root / "with-postgres").touch()
    centre.up()
    assert centre.states() == {"redis": "running", "postgres": "running", "dummy": "running"}
    pids = centre.pids()
    centre.up()
    assert centre.pids() == pids, "a second `up` changes nothing"
    assert centre("down").returncode == 0
    assert centre.everything() == []
    assert set(centre.states().values()) == {"down"}
    assert (centre.run.log / "postgres.json").exists()


def test_nothing_is_lost_when_the_supervisor_is_killed(centre: Centre) -> None:
    (centre.run.root / "with-postgres").touch()
    centre.up()
    pids = centre.pids()
    everyone = {process.pid for process in centre.everything()}
    own = set(pids.values()) | {
        child.pid for child in psutil.Process(pids["postgres"]).children(recursive=True)
    }
    for pid in everyone - own:  # s6-svscan, s6-supervise and keepers, all at once
        os.kill(pid, signal.SIGKILL)
    assert set(centre.states().values()) == {"unwatched"}
    centre.up()
    assert centre.pids() == pids
    assert set(centre.states().values()) == {"running"}
    os.kill(pids["dummy"], signal.SIGKILL)  # adopted, no child of the new keeper: still restarted
    eventually(
        lambda: centre.states()["dummy"] == "running" and centre.pid("dummy") != pids["dummy"], "restart"
    )


def test_down_without_a_supervisor_stops_what_runs(centre: Centre) -> None:
    centre.up()
    pids = centre.pids()
    for process in centre.supervisors():
        process.kill()
    for name in pids:
        os.kill(centre.keeper_pid(name), signal.SIGKILL)
    assert centre("down").returncode == 0
    assert centre.everything() == []


@pytest.mark.parametrize("victim", ["s6-svscan", "s6-supervise"])
def test_one_supervising_process_killed(centre: Centre, victim: str) -> None:
    centre.up()
    pids = centre.pids()
    for process in centre.supervisors():
        if process.name() == victim:
            process.kill()
    centre.up()
    eventually(lambda: set(centre.states().values()) == {"running"}, "all watched again")
    assert centre.pids() == pids
    assert len([each for each in centre.supervisors() if each.name() == "s6-svscan"]) == 1


def test_a_killed_keeper_is_replaced_and_adopts(centre: Centre) -> None:
    centre.up()
    pids = centre.pids()
    before = centre.keeper_pid("dummy")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: _keeper(centre) not in (None, before), "a new keeper")
    assert centre.pids() == pids
    assert "dummy adopted" in centre.lines()


def test_a_killed_process_is_back_at_once(centre: Centre) -> None:
    centre.up()
    before = centre.pid("dummy")
    eventually(lambda: _age(before) > 1.2, "it lived for over a second")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: _alive(centre) not in (None, before), "restarted", seconds=0.7, every=0.005)


def test_a_stopped_process_is_killed_and_restarted(centre: Centre) -> None:
    centre.up()
    before = centre.pid("dummy")
    os.kill(before, signal.SIGSTOP)
    eventually(lambda: _alive(centre) not in (None, before), "killed and restarted", seconds=6.0)
    assert "dummy killed: no heartbeat" in centre.lines()


def test_a_blocked_loop_ends_itself_and_says_where(centre: Centre) -> None:
    centre.up()
    before = centre.pid("dummy")
    (centre.run.root / "block").touch()
    eventually(lambda: _alive(centre) not in (None, before), "ended and restarted", seconds=6.0)
    assert "in block" in (centre.run.log / "dummy.out").read_text()


def test_a_frozen_store_is_left_alone(centre: Centre) -> None:
    centre.up()
    redis = centre.pid("redis")
    os.kill(redis, signal.SIGSTOP)
    assert centre.states()["redis"] == "starting"
    os.kill(redis, signal.SIGCONT)
    eventually(lambda: centre.states()["redis"] == "running", "Redis answers again")
    assert centre.pid("redis") == redis


def test_a_stubborn_process_is_killed_on_the_way_down(centre: Centre) -> None:
    (centre.run.root / "stubborn").touch()
    centre.up()
    assert centre("down").returncode == 0
    assert "dummy killed: did not stop in time" in centre.lines()


def test_a_process_that_cannot_start_is_one_line(centre: Centre) -> None:
    (centre.run.root / "broken").touch()
    answer = centre("up")
    assert answer.returncode == 1
    assert answer.stderr.startswith(
        "callcenter: dummy does not start: dummy: the moon is in the wrong quarter (more in"
    )
    assert len(answer.stderr.splitlines()) == 1


def test_taken_port_names_its_holder() -> None:
    with socket.socket() as listener, socket.socket(type=socket.SOCK_DGRAM) as bound:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        bound.bind(("127.0.0.1", 0))
        tcp, udp = listener.getsockname()[1], bound.getsockname()[1]
        with pytest.raises(ports.PortTaken) as refused:
            ports.require_free(
                [ports.Port(tcp, "tcp", "[asterisk] http_port"), ports.Port(udp, "udp", "sip")]
            )
    assert f"tcp port {tcp} ([asterisk] http_port) is taken by" in str(refused.value)
    assert f"(pid {os.getpid()})" in str(refused.value)
    assert f"udp port {udp} (sip)" in str(refused.value)
    ports.require_free([ports.Port(tcp, "tcp", "again")])


def _keeper(centre: Centre) -> int | None:
    return keeper.read_alive(str(centre.run.supervisor / "scan" / "dummy" / "keeper.pid"))


def _alive(centre: Centre) -> int | None:
    return keeper.read_alive(str(centre.run.supervisor / "scan" / "dummy" / "dummy.pid"))


def _age(pid: int) -> float:
    ticks = keeper.start_time(pid)
    assert ticks is not None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
