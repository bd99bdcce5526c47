"""systemd units for production, from callcenter/processes.py's list: systemd takes the supervisor's place."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from .heartbeats import HANG_SECONDS
from .paths import RunDirectory
from .processes import machine_processes
from .supervisor import Process, SupervisorError

_TARGET = "callcenter.target"


def write_units(site_path: Path, run: RunDirectory, directory: Path, account: str) -> list[Path]:
    """Write `callcenter.target` and `callcenter-NAME.service` for each process; the paths written."""
    from .site import site_in_force

    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", account):
        raise SupervisorError(f"{account!r} is no account name")
    directory.mkdir(parents=True, exist_ok=True)
    processes = machine_processes(site_path, site_in_force(site_path, run), run)
    texts = {_TARGET: _target(processes)}
    texts |= {_unit_name(process): _service(process, processes, run, account) for process in processes}
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    return [directory / name for name in texts]


def _target(processes: tuple[Process, ...]) -> str:
    wants = " ".join(map(_unit_name, processes))
    return f"""\
# Written by `callcenter systemd units`: write it again instead of changing it.
[Unit]
Description=The call centre
Wants={wants}

[Install]
WantedBy=multi-user.target
"""


def _service(process: Process, processes: tuple[Process, ...], run: RunDirectory, account: str) -> str:
    # Started after, never bound to: one that is away stops no other.
    earlier = " ".join(_unit_name(other) for other in processes if other.stage < process.stage)
    watchdog = (
        f"Type=notify\nNotifyAccess=main\nWatchdogSec={HANG_SECONDS:g}s" if process.beats else "Type=exec"
    )
    environment = "".join(
        f"Environment={_quoted(f'{key}={value}')}\n" for key, value in process.environment.items()
    )
    return f"""\
# Written by `callcenter systemd units`: write it again instead of changing it.
[Unit]
Description=The call centre: {process.uses} ({process.name})
After=network.target {earlier}
PartOf={_TARGET}
StartLimitIntervalSec=0

[Service]
{watchdog}
User={account}
UMask=0077
WorkingDirectory={_escaped(str(run.root.parent))}
{environment}ExecStart={" ".join(map(_quoted, process.argv))}
Restart=always
RestartSec=100ms
KillSignal={signal.Signals(process.stop_signal).name}
TimeoutStopSec={process.stop_seconds:g}s
TimeoutStartSec={process.ready_seconds:g}s
NoNewPrivileges=yes
ProtectSystem=full
PrivateDevices={"no" if process.name == "asterisk" else "yes"}

[Install]
WantedBy={_TARGET}
"""


def _unit_name(process: Process) -> str:
    return f"callcenter-{process.name}.service"


def _quoted(word: str) -> str:
    """A word of ExecStart or Environment; % and $ are systemd's own signs."""
    return '"' + _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") + '"'


def _escaped(word: str) -> str:
    if "\n" in word:
        raise SupervisorError(f"{word!r} holds a line break")
    return word.replace("%", "%%")
