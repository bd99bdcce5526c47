"""What the READMEs and the `--help` pages tell people to type is a command, with options that exist."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from callcenter import cli
from callcenter.cli import callcenter
from tests.servers import server_account, short_directory

CHECKOUT = Path(__file__).resolve().parents[2]
_ALTERNATIVES = re.compile(r"[\w-]+( \| [\w-]+)+")


def typed(text: str) -> Iterator[str]:
    """Every `callcenter …` of a README: lines of its code blocks, and words in backquotes."""
    for block in re.findall(r"```\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            for part in re.split(r"&&|\s{3,}|#", line):
                if part.strip().startswith("callcenter "):
                    yield part.strip()
    for words in re.findall(r"`(callcenter [^`]+)`", text):
        match = _ALTERNATIVES.search(words)
        if match is None:
            yield words


def examples(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every command with its example, "" for none."""
    help_page = f"{command.help}\n{command.epilog or ''}"
    found = re.search(r"Example: (callcenter [^\n&|]*)", help_page)
    if words:
        yield " ".join(words), found[1].strip() if found else ""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from examples(child, (*words, name))


def parse(line: str) -> None:
    """As click would, without doing it."""
    args = [word for word in shlex.split(line)[1:] if word != "--json"]
    command: click.Command = callcenter
    parent: click.Context | None = None
    while isinstance(command, click.Group):
        parent = command.make_context(command.name, args, parent)
        name, found, args = command.resolve_command(parent, [*parent._protected_args, *parent.args])
        assert name is not None
        assert found is not None
        command = found
    command.make_context(command.name, args, parent)


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_what_the_readme_says_to_type_can_be_typed(name: str) -> None:
    lines = list(typed((CHECKOUT / name).read_text("utf-8")))
    assert len(lines) >= 9
    for line in lines:
        try:
            parse(line)
        except click.UsageError as error:
            if "Missing" not in error.format_message():
                raise AssertionError(f"{line}: {error.format_message()}") from None


@pytest.mark.parametrize(("words", "example"), list(examples(callcenter)))
def test_every_command_has_an_example_that_can_be_typed(words: str, example: str) -> None:
    assert example.startswith("callcenter "), f"callcenter {words} --help shows no example"
    try:
        parse(example)
    except click.BadParameter as error:  # a file that is not there
        if "exist" not in error.format_message():
            raise


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_root_goes_on_as_the_owner_of_the_run_directory() -> None:
    """Else `down` by root would leave files that the centre's own account cannot change."""
    account = server_account()
    assert account is not None
    run = short_directory("cc-root-")
    words = ["--run", str(run), "--site", str(run / "callcenter.toml"), "down"]
    script = "import atexit, os; atexit.register(lambda: print(os.getuid(), os.getgid(), os.getgroups())); "
    script += "from callcenter import cli; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False, cwd=CHECKOUT
    )
    shutil.rmtree(run)
    assert done.stdout.splitlines()[-1].startswith(f"{account.pw_uid} {account.pw_gid} "), done.stderr
    assert " 0" not in done.stdout.splitlines()[-1]


def test_a_full_disk_and_a_foreign_file_are_one_line_each(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"))
    assert cli._line(full) == f"{tmp_path / 'x'}: no space left on device"
    denied = PermissionError(errno.EACCES, "Permission denied", "/proc/1/no-such")
    assert cli._line(denied) in (
        "/proc/1/no-such: permission denied: it belongs to root",
        "/proc/1/no-such: permission denied",
    )
