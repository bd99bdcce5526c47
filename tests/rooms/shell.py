"""The `callcenter` command in this process, on a small site with the tests' own Redis and PostgreSQL."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from callcenter.cli import main

SITE = """
[site]
name = "Test"
zone = "Asia/Shanghai"
languages = ["zh", "en"]

[[trunks]]
name = "carrier"
host = "127.0.0.1"
port = 24080

[[queues]]
name = "sales"
service_level_seconds = 10
dispositions = {{ 1 = "sold", 2 = "call back" }}

[[queues]]
name = "repair"

[[phones]]
range = "8001-8009"

[reasons]
1 = "lunch"
2 = "break"

[redis]
url = "{redis}"

[postgres]
url = "{postgres}"
"""


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Shell:
    directory: Path

    @classmethod
    def at(cls, directory: Path, redis: str, postgres: str) -> Shell:
        (directory / "callcenter.toml").write_text(SITE.format(redis=redis, postgres=postgres))
        return cls(directory)

    def __call__(self, *words: str, typed: str = "") -> Said:
        """`callcenter WORDS…`; what is read from the keyboard is `typed`."""
        argv = ["callcenter", "--site", str(self.directory / "callcenter.toml"), *words]
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with (
            patch.object(sys, "argv", argv),
            patch.object(sys, "stdin", io.StringIO(typed)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Said(code, out.getvalue(), err.getvalue())
