"""The demo as a person runs it: in a terminal, ended by Ctrl-C; and a demo whose calls are lost must fail."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from callcenter.paths import shipped
from tests.asterisk.centre_process import CHECKOUT
from tests.servers import eventually, server_account, short_directory

pytestmark = pytest.mark.asterisk

_PORTS = {
    "port = 5080": "port = 25803",
    "sip_port = 5060": "sip_port = 25800",
    "http_port = 8088": "http_port = 25801",
    "ami_port = 5038": "ami_port = 25802",
    'rtp = "10000-14999"': 'rtp = "27000-27499"',
    'udptl = "4000-4199"': 'udptl = "27500-27599"',
}


def as_server(folder: Path, more: dict[str, str]) -> dict[str, Any]:
    """How a command is run for this folder: as the account that servers run under."""
    account = server_account()
    found: dict[str, Any] = {"env": {**os.environ, "PYTHONPATH": str(CHECKOUT), "HOME": str(folder), **more}}
    if account:
        found |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return found


class Terminal:
    """`callcenter demo run` in a terminal of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.shown = ""
        self._near, far = pty.openpty()
        command = [sys.executable, "-m", "callcenter.cli", "--site", str(folder / "callcenter.toml")]
        size = {"TERM": "xterm-256color", "COLUMNS": "140", "LINES": "60"}
        self.process = subprocess.Popen(
            [*command, "demo", "run", *words], stdin=far, stdout=far, stderr=far, cwd=folder,
            start_new_session=True, **as_server(folder, size),
        )  # fmt: skip
        os.close(far)

    def read_until(self, pattern: str, seconds: float) -> None:
        """Read what is shown until `pattern` is there."""
        until = time.monotonic() + seconds
        while not re.search(pattern, self.shown):
            assert time.monotonic() < until, f"{pattern!r} not shown in {seconds:g} s:\n{self.shown[-4000:]}"
            assert self._read(0.2) or self.process.poll() is None, (
                f"ended without {pattern!r}:\n{self.shown[-4000:]}"
            )

    def finish(self, seconds: float) -> int:
        """Read to the end; the exit code."""
        until = time.monotonic() + seconds
        while self.process.poll() is None or self._read(0):
            assert time.monotonic() < until, f"still runs after {seconds:g} s:\n{self.shown[-4000:]}"
            self._read(0.2)
        return self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.finish(60)
            except AssertionError:
                self.process.kill()
                self.process.wait()
        os.close(self._near)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._near], [], [], seconds)[0]:
            return False
        try:
            text = os.read(self._near, 65536).decode("utf-8", "replace")
        except OSError:  # the other side is closed
            return False
        self.shown += text
        return bool(text)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with the sample site on ports of its own."""
    folder = short_directory("cc-demo-")
    text = shipped("callcenter.toml").read_text("utf-8")
    for old, new in _PORTS.items():
        assert f"\n{old}" in text
        text = text.replace(f"\n{old}", f"\n{new}")
    (folder / "callcenter.toml").write_text(text, "utf-8")
    yield folder
    if processes_of(folder):  # a failed test: leave nothing behind
        callcenter(folder, "down")
    shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder: Path) -> list[str]:
    """Every process that has this folder on its command line."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(str(folder) in word for word in words):
            found.append(" ".join(words)[:150])
    return found


def test_ctrl_c_ends_the_demo_with_every_call_accounted_for(folder: Path) -> None:
    terminal = Terminal(folder)
    try:
        terminal.read_until(r"talked with phone \d+", 90)
        for title in ("Queues", "Agents", "Contacts", "王芳", "销售"):
            assert title in terminal.shown
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish(60) == 0, terminal.shown[-4000:]
    finally:
        terminal.close()
    assert "every call is accounted for" in terminal.shown
    assert "Traceback" not in terminal.shown
    assert "service level" in terminal.shown
    eventually(lambda: not processes_of(folder), f"no process is left: {processes_of(folder)}")


def test_sigterm_while_the_centre_starts_leaves_nothing(folder: Path) -> None:
    terminal = Terminal(folder)
    try:
        terminal.read_until("starting engine-a", 60)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.finish(60) == 1, terminal.shown[-4000:]
    finally:
        terminal.close()
    assert "Traceback" not in terminal.shown
    eventually(lambda: not processes_of(folder), f"no process is left: {processes_of(folder)}")


@pytest.mark.long
def test_a_demo_after_a_killed_one_accounts_for_its_calls(folder: Path) -> None:
    first = Terminal(folder)
    try:
        first.read_until(r"\x1b\[32mtalking", 90)
        first.process.kill()
        first.finish(10)
    finally:
        first.close()
    second = Terminal(folder, "--calls", "3")
    try:
        second.read_until(r"talked with phone \d+", 90)
        second.process.send_signal(signal.SIGTERM)  # as Ctrl-C: in order
        assert second.finish(90) == 0, second.shown[-4000:]
    finally:
        second.close()
    assert "every call is accounted for" in second.shown
    eventually(lambda: not processes_of(folder), f"no process is left: {processes_of(folder)}")


@pytest.mark.long
def test_a_demo_whose_calls_are_cut_off_fails(folder: Path) -> None:
    terminal = Terminal(folder, "--calls", "12")
    try:
        terminal.read_until(r"\x1b\[32mtalking", 90)
        os.kill(pid_of(folder, "asterisk"), signal.SIGKILL)
        assert terminal.finish(150) == 1, terminal.shown[-4000:]
    finally:
        terminal.close()
    assert re.search(r"callcenter: 13\d+: ", terminal.shown)
    assert "every call is accounted for" not in terminal.shown
    eventually(lambda: not processes_of(folder), f"no process is left: {processes_of(folder)}")


def pid_of(folder: Path, name: str) -> int:
    """As `callcenter status` says."""
    entries = json.loads(callcenter(folder, "status", "--json"))
    return next(int(entry["pid"]) for entry in entries if entry["process"] == name)


def callcenter(folder: Path, *words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "callcenter.cli", "--site", str(folder / "callcenter.toml")]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [*command, *words], capture_output=True, text=True, check=False, cwd=folder, **as_server(folder, {})
    )
    return done.stdout
