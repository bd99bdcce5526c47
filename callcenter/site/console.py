"""Asterisk's control socket: a command in, its text out."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from dataclasses import dataclass

from callcenter.asterisk import AsteriskInstall
from callcenter.site.layout import Layout

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class AsteriskSilent(Exception):
    """The instance does not answer on its control socket."""


@dataclass(frozen=True, slots=True)
class Console:
    """The console of one instance. Commands are ours, never made from what people type."""

    install: AsteriskInstall
    layout: Layout

    def ask(self, command: str, timeout_seconds: float = 30) -> str:
        """What Asterisk prints for `command`; AsteriskSilent when it is not there or hangs."""
        argv = [*self.install.argv, "-C", str(self.layout.configuration), "-rx", command]
        try:
            answer = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise AsteriskSilent(
                f'Asterisk did not answer "{command}" within {timeout_seconds:g} s'
            ) from None
        if answer.returncode != 0:
            raise AsteriskSilent(f"Asterisk does not answer at {self.layout.control}/asterisk.ctl")
        return _COLOURS.sub("", answer.stdout)

    def stop_when_convenient(self) -> None:
        """Let Asterisk end as soon as no call is up; new calls are taken until then. Does not wait for it."""
        # The console answers only when Asterisk ends, and that may take hours: leaving it undoes nothing.
        with contextlib.suppress(AsteriskSilent):
            self.ask("core stop when convenient", 2)

    def runs(self) -> bool:
        """Whether this instance is up and answers."""
        socket = self.layout.control / "asterisk.ctl"
        if not socket.exists():
            return False
        try:
            return "fully booted" in self.ask("core waitfullybooted", 15)
        except AsteriskSilent:
            return False

    def wait_until_booted(self, process: subprocess.Popen[bytes], timeout_seconds: float) -> bool:
        """Wait for an instance that was just started; False when it ended or took too long."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return False
            if self.runs():
                return True
            time.sleep(0.05)
        return False
