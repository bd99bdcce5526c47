"""The `callcenter` command: gathers the rooms' commands; each room is imported only when it is used."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import pwd
import sys
from pathlib import Path

import click

from . import __version__, accounts
from .cli_context import Context
from .paths import RunDirectory

# NAME of the command: (module, attribute, what `callcenter --help` says). Explicit, so that one sees it all.
_COMMANDS: dict[str, tuple[str, str, str]] = {
    "up": ("callcenter.supervisor_cli", "up", "Start the centre on this machine, or take over what runs."),
    "down": ("callcenter.supervisor_cli", "down", "Stop the centre on this machine."),
    "status": ("callcenter.supervisor_cli", "status", "Show the processes of this machine."),
    "systemd": ("callcenter.supervisor_cli", "systemd", "Write systemd units for production."),
    "site": ("callcenter.site.cli", "site", "Check, compare, apply and roll back the site's configuration."),
    "agents": ("callcenter.people.cli", "agents", "Add, import and list agents; log them in and out."),
    "teams": ("callcenter.people.teams_cli", "teams_cli", "Teams: members, leaders, how they stand now."),
    "floor": ("callcenter.reports.floor_cli", "floor", "Watch the floor live, in the terminal."),
    "calls": ("callcenter.reports.cli", "calls", "List calls and show the time line of one."),
    "queues": ("callcenter.reports.cli", "queues", "Show the queues live; explain who takes a call."),
    "recordings": ("callcenter.recordings.cli", "recordings", "List, hear, export and remove recordings."),
    "report": ("callcenter.reports.cli", "report", "Figures of a day, with their formulas named."),
    "history": ("callcenter.history.cli", "history", "Migrate the records' database and check it for gaps."),
    "sounds": ("callcenter.sounds", "sounds", "Build and check the prompts."),
    "demo": ("callcenter.demo.cli", "demo", "Run the centre with a simulated public network."),
}


_FOR_ROOT = ("systemd", "sounds")  # write where root wants them to
_AS_PROGRAM = object()  # run by `main`: the process is ours, not a test's


class _Rooms(click.Group):
    """A group whose commands are imported when asked for: `--help` is fast, rooms stay apart."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{attribute} is no click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS:
            import rapidfuzz.process  # only on a mistake

            best = rapidfuzz.process.extractOne(name, list(_COMMANDS), score_cutoff=60)
            hint = f" Did you mean `{best[0]}`?" if best else ""
            ctx.fail(f"there is no command `{name}`.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group(
    cls=_Rooms,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: callcenter --site /etc/callcenter/callcenter.toml queues show",
)
@click.option(
    "--site",
    "site_path",
    envvar="CALLCENTER_SITE",
    type=click.Path(path_type=Path),
    default=Path("callcenter.toml"),
    show_default=True,
    help="The site file.",
)
@click.option(
    "--run",
    "run_path",
    envvar="CALLCENTER_RUN",
    type=click.Path(path_type=Path),
    help="The run directory: sockets, data, logs.  [default: .run beside the site file]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.version_option(__version__, prog_name="callcenter")
@click.pass_context
def callcenter(ctx: click.Context, site_path: Path, run_path: Path | None, as_json: bool) -> None:
    """An open-source call centre on Asterisk."""
    as_program = ctx.obj is _AS_PROGRAM
    site_path = Path(os.path.abspath(site_path))  # noqa: PTH100 - keeps symlinks, unlike resolve()
    run_root = Path(os.path.abspath(run_path)) if run_path else site_path.parent / ".run"  # noqa: PTH100
    if as_program and ctx.invoked_subcommand not in _FOR_ROOT:
        _become_owner(run_root)
    ctx.obj = Context(site_path, RunDirectory(run_root), as_json)


def _become_owner(run_root: Path) -> None:
    """As root: go on as the account whose run directory it is, or its next command could not write there."""
    if os.geteuid() != 0 or not run_root.is_dir() or (owner := run_root.stat().st_uid) == 0:
        return
    with contextlib.suppress(KeyError):
        accounts.become(pwd.getpwuid(owner))


def main() -> None:
    """Entry point: mistakes of people and of the world are one line and exit code 1, never a traceback."""
    # `callcenter calls list --json` reads as well as `callcenter --json calls list`: both are accepted.
    args = sys.argv[1:]
    if "--json" in args and "--" not in args:
        args = ["--json", *(arg for arg in args if arg != "--json")]
    try:
        callcenter.main(args=args, prog_name="callcenter", obj=_AS_PROGRAM)
    except Exception as error:
        line = _line(error)
        if line is None:
            raise
        sys.stderr.write(f"callcenter: {line}\n")
        sys.exit(1)


def _line(error: Exception) -> str | None:
    """What to tell about an error that is no bug of ours; None when it is one."""
    if _is_ours(error):
        return str(error)
    if isinstance(error, PermissionError):
        return f"{error.filename}: permission denied{_whose(error.filename)}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return f"{error.filename or 'the disk'}: {(error.strerror or str(error)).lower()}"
    if isinstance(error, FileNotFoundError | FileExistsError | NotADirectoryError):
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    origin = type(error).__module__.split(".")[0]
    if origin == "redis" and type(error).__name__ in ("ConnectionError", "TimeoutError", "BusyLoadingError"):
        return "Redis does not answer: is the centre up? (`callcenter status`)"
    if origin == "psycopg" and type(error).__name__ in (
        "OperationalError",
        "PoolTimeout",
        "ConnectionTimeout",
    ):
        return "PostgreSQL does not answer: is the centre up? (`callcenter status`)"
    return None


def _whose(filename: object) -> str:
    """Who owns what may not be touched, as far as it can be seen."""
    for place in (Path(str(filename)), *Path(str(filename)).parents):
        with contextlib.suppress(OSError, KeyError):
            owner = place.stat().st_uid
            return "" if owner == os.geteuid() else f": it belongs to {pwd.getpwuid(owner).pw_name}"
    return ""


def _is_ours(error: Exception) -> bool:
    """Our own error classes carry one clear text. A KeyError or TypeError raised in our code is a bug."""
    return type(error).__module__.split(".")[0] == "callcenter"


if __name__ == "__main__":
    main()
