"""The one list of our processes on a machine: for `up`, `down`, `status` and the systemd units.

`up(site_path, run)` brings the whole centre up and returns when it answers; `down` leaves nothing behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import ports, stores
from .asterisk import find_asterisk
from .endpoints import database_url
from .heartbeats import HANG_SECONDS
from .paths import RunDirectory
from .supervisor import Process, ProcessStatus, Say, Supervisor

if TYPE_CHECKING:
    from .site import Site

ENGINES = ("engine-a", "engine-b")  # whichever has the floor's lease works, the other stands by
_STORES, _ASTERISK, _ENGINES, _BACK_OFFICE = range(4)  # the stages


def up(site_path: Path, run: RunDirectory, say: Say = lambda _: None) -> None:
    """Start the centre, or take over what still runs of it; return when every process is ready.

    Raises SiteErrors, AsteriskMissing, PortTaken or SupervisorError: each is a clear line.
    """
    from .history import migrate
    from .site import prepare, site_in_force

    os.umask(0o077)
    site = site_in_force(site_path, run)
    processes = machine_processes(site_path, site, run)
    supervisor = Supervisor(run, processes)
    supervisor.refuse_root()
    if supervisor.pid("asterisk") is None:
        ports.require_free(asterisk_ports(site))
    run.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    run.log.mkdir(mode=0o700, exist_ok=True)
    if not site.redis.url:
        stores.prepare_redis(run)
    if not site.postgres.url:
        stores.prepare_postgres(run)
    prepare(site_path, run)

    def migrate_database() -> None:
        migrate(database_url(site, run))

    supervisor.start(say, {_STORES: migrate_database})


def down(site_path: Path, run: RunDirectory, say: Say = lambda _: None) -> None:
    """Stop the centre in order: back office, engines, Asterisk, then the stores. Needs no site file."""
    Supervisor(run, machine_processes(site_path, None, run)).stop(say)


def status(site_path: Path, run: RunDirectory) -> list[ProcessStatus]:
    """The processes of this machine as they are."""
    from .site import site_in_force

    return Supervisor(run, machine_processes(site_path, site_in_force(site_path, run), run)).status()


def machine_processes(site_path: Path, site: Site | None, run: RunDirectory) -> tuple[Process, ...]:
    """Every process of a machine, in start order. Without a site: names and order only matter (`down`)."""
    listed = []
    if site is None or not site.redis.url:
        listed.append(
            Process(
                "redis",
                stores.redis_command(run),
                ready=lambda: stores.redis_answers(run),
                stage=_STORES,
                uses="the floor's state (private Redis)",
            )
        )
    if site is None or not site.postgres.url:
        listed.append(
            Process(
                "postgres",
                stores.postgres_command(run),
                ready=lambda: stores.postgres_answers(run),
                stage=_STORES,
                stop_signal=signal.SIGINT,  # the fast stop: connections are closed, data is whole
                stop_seconds=30.0,
                ready_seconds=60.0,  # after a power cut it replays its journal first
                uses="records, people (private PostgreSQL)",
            )
        )
    listed.append(_asterisk(site, run))
    listed += [
        _python(name, "callcenter.engine", ("--name", name), site_path, run, _ENGINES, use)
        for name, use in zip(
            ENGINES, ("decides who serves whom", "stands by for the other engine"), strict=True
        )
    ]
    listed.append(
        _python(
            "backoffice",
            "callcenter.backoffice",
            (),
            site_path,
            run,
            _BACK_OFFICE,
            "keeps records and people",
        )
    )
    listed.append(_python("worker", "callcenter.worker", (), site_path, run, _BACK_OFFICE, "does slow work"))
    return tuple(listed)


def asterisk_ports(site: Site) -> list[ports.Port]:
    """The fixed ports of our Asterisk. Of the RTP range it takes what is free by itself."""
    own = site.asterisk
    return [
        ports.Port(own.sip_port, "udp", "[asterisk] sip_port"),
        *([ports.Port(own.sip_port, "tcp", "[asterisk] sip_port")] if own.tcp else []),
        ports.Port(own.http_port, "tcp", "[asterisk] http_port"),
        ports.Port(own.ami_port, "tcp", "[asterisk] ami_port"),
    ]


def _asterisk(site: Site | None, run: RunDirectory) -> Process:
    conf = str(run.asterisk / "etc" / "asterisk.conf")
    if site is None:
        return Process("asterisk", ("asterisk",), ready=lambda: False, stage=_ASTERISK)
    from .site import asterisk_command

    install = find_asterisk()
    argv = install.argv
    http_port = site.asterisk.http_port

    def fully_booted() -> bool:
        if not ports.answers(http_port):
            return False
        asked = [*argv, "-C", conf, "-rx", "core waitfullybooted"]
        try:
            answer = subprocess.run(asked, capture_output=True, text=True, timeout=5)
        except subprocess.TimeoutExpired:
            return False
        return "fully booted" in answer.stdout

    return Process(
        "asterisk",
        asterisk_command(run, install),
        ready=fully_booted,
        stage=_ASTERISK,
        stop_seconds=20.0,  # it hangs up what is left and waits up to 15 s
        uses="the switch",
    )


def _python(
    name: str, module: str, words: tuple[str, ...], site_path: Path, run: RunDirectory, stage: int, use: str
) -> Process:
    """A process of our own: beats, and runs the code that `up` runs."""
    package = Path(__file__).resolve().parent
    installed = package.parent == Path(sysconfig.get_path("purelib")).resolve()
    return Process(
        name,
        (sys.executable, "-m", module, "--site", str(site_path), "--run", str(run.root), *words),
        ready=lambda: _beats(run.heartbeat / name),
        stage=stage,
        beats=True,
        environment={} if installed else {"PYTHONPATH": str(package.parent)},
        uses=use,
    )


def _beats(heartbeat: Path) -> bool:
    try:
        return time.time() - heartbeat.stat().st_mtime < HANG_SECONDS
    except OSError:
        return False
