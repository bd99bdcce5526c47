"""The processes of a centre under test: started as its account, killed, frozen and started again."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callcenter.supervisor import Process
from tests.servers import eventually

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass
class CentreProcess:
    """One process of the centre, to kill, freeze and start again."""

    process: Process
    directory: Path
    account: pwd.struct_passwd | None
    heartbeat: Path
    popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.popen is not None, f"{self.process.name} does not run"
        return self.popen.pid

    @property
    def runs(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def start(self, wait: bool = True) -> None:
        assert not self.runs, f"{self.process.name} runs already"
        with suppress(FileNotFoundError):
            self.heartbeat.unlink()
        self.popen = as_account(self.account, self.process.argv, self.directory / f"{self.process.name}.out")
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        def ready_or_dead() -> bool:
            assert self.popen is not None
            if self.popen.poll() is not None:
                raise AssertionError(
                    f"{self.process.name} ended with {self.popen.returncode}:\n{self.output()}"
                )
            return self.process.ready()

        eventually(ready_or_dead, f"{self.process.name} is ready", seconds=30)

    def stop(self) -> None:
        """As `down` would."""
        if self.popen is not None:
            self._end(signal.Signals(self.process.stop_signal))

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def output(self) -> str:
        """The end of what it printed and logged, for a failing test's message."""
        texts = []
        for path in (
            self.directory / f"{self.process.name}.out",
            self.directory / "run" / "log" / f"{self.process.name}.jsonl",
        ):
            with suppress(OSError):
                texts.append(f"--- {path.name}\n{path.read_text('utf-8', 'replace')[-4000:]}")
        return "\n".join(texts)

    def _end(self, number: signal.Signals) -> None:
        popen, self.popen = self.popen, None
        assert popen is not None, f"{self.process.name} does not run"
        if popen.poll() is None:
            popen.send_signal(number)
            if number != signal.SIGKILL:
                with suppress(ProcessLookupError):
                    popen.send_signal(signal.SIGCONT)
        try:
            popen.wait(20)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
            raise AssertionError(f"{self.process.name} did not end on {number.name}") from None


def as_account(
    account: pwd.struct_passwd | None, argv: tuple[str, ...], output: Path
) -> subprocess.Popen[bytes]:
    """Start a process as the account that servers run under, in its own session."""
    with output.open("ab") as log:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=output.parent, env=environment(),
            start_new_session=True, **identity(account),
        )  # fmt: skip


def environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONFAULTHANDLER": "1"}


def identity(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
