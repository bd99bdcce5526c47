"""Set-up, as far as no fresh machine is needed: which Asterisk, deep paths, logs, mistakes at the CLI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from callcenter import asterisk, endpoints
from callcenter.paths import RunDirectory


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("22.10.1+dfsg+~cs6.17", True),
        ("22.10.1~dfsg-1", True),
        ("22.11.0", True),
        ("23.0.0", True),
        ("22.10.0", False),
        ("20.15.2", False),
        ("GIT-master", False),
    ],
)
def test_asterisk_is_recent_enough(version: str, enough: bool) -> None:
    assert asterisk.at_least(version) is enough


def test_an_old_asterisk_on_path_is_refused_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "asterisk"
    program.write_text("#!/bin/sh\necho Asterisk 18.1.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CALLCENTER_ASTERISK_ROOT", raising=False)
    monkeypatch.setattr(asterisk, "cached_roots", lambda: ())
    with pytest.raises(asterisk.AsteriskMissing, match=r"is 18\.1\.0, and 22\.10\.1 or later is needed"):
        asterisk.find_asterisk()


def test_a_root_without_asterisk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLCENTER_ASTERISK_ROOT", str(tmp_path))
    with pytest.raises(asterisk.AsteriskMissing, match="holds no Asterisk"):
        asterisk.find_asterisk()


def test_a_deep_run_directory_gets_a_short_private_one_for_sockets(tmp_path: Path) -> None:
    near = RunDirectory(Path("/srv/run"))
    assert endpoints.socket_directory(near.redis) == near.redis
    deep = RunDirectory(tmp_path / ("d" * 60) / ("e" * 60))
    short = endpoints.socket_directory(deep.postgres)
    try:
        assert len(os.fsencode(short / ".s.PGSQL.5432")) < 60
        assert short.stat().st_mode & 0o777 == 0o700
        assert endpoints.socket_directory(deep.postgres) == short
        assert endpoints.socket_directory(deep.redis) != short
        short.chmod(0o777)
        with pytest.raises(endpoints.SocketDirectoryRefused, match="is not this user's private directory"):
            endpoints.socket_directory(deep.postgres)
    finally:
        short.rmdir()
        endpoints.socket_directory(deep.redis).rmdir()


def test_a_log_line_is_json_without_secrets_or_local_variables(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
import structlog
from callcenter.logs import start_logging
from callcenter.paths import RunDirectory
start_logging(RunDirectory(Path(sys.argv[1])), "engine-a")
log = structlog.get_logger()
log.info("lease taken", epoch=4, password="4711-secret")
hidden = "4711-secret"
try:
    1 / 0
except ZeroDivisionError:
    log.exception("a contact was dropped")
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=_environment())
    text = (tmp_path / "log" / "engine-a.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0] | {"timestamp": ""} == {
        "event": "lease taken",
        "epoch": 4,
        "password": "(not logged)",
        "level": "info",
        "process": "engine-a",
        "timestamp": "",
    }
    assert lines[1]["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert "4711-secret" not in text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["quues", "show"], 2, "there is no command `quues`. Did you mean `queues`?"),
        (["--site", "/nonexistent/callcenter.toml", "status"], 1, "/nonexistent/callcenter.toml"),
    ],
)
def test_mistakes_are_a_line_and_no_traceback(words: list[str], code: int, said: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "callcenter.cli", *words], capture_output=True, text=True, env=_environment()
    )
    assert answer.returncode == code
    assert said in answer.stderr + answer.stdout
    assert "Traceback" not in answer.stderr


def test_set_up_without_a_verb_explains_itself() -> None:
    answer = subprocess.run(
        [sys.executable, "callcenter/bootstrap.py", "rnu"], capture_output=True, text=True, cwd=_CHECKOUT
    )
    assert answer.returncode == 2
    assert "bootstrap.py run -- COMMAND" in answer.stderr


_CHECKOUT = Path(__file__).resolve().parents[2]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_CHECKOUT)}
