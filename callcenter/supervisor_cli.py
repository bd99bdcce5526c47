"""`callcenter up | down | status | systemd`: the processes of one machine."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from . import processes
from .cli_context import Context


@click.command(epilog="Example: callcenter --site callcenter.toml up")
@click.pass_obj
def up(context: Context) -> None:
    """Start the centre on this machine, or take over what still runs of it."""
    before = _running(context)
    processes.up(context.site_path, context.run, context.say)
    context.say("the centre runs: `callcenter status`" if not before else "the centre runs already")


@click.command(epilog="Example: callcenter down")
@click.pass_obj
def down(context: Context) -> None:
    """Stop the centre on this machine, in order: no process is left."""
    processes.down(context.site_path, context.run, context.say)
    context.say("nothing runs any more")


@click.command(epilog="Example: callcenter status --json")
@click.pass_obj
def status(context: Context) -> None:
    """Show the processes of this machine; exit code 1 when one does not run as it should."""
    found = processes.status(context.site_path, context.run)
    context.print_table(
        ["process", "state", "pid", "up", "what"],
        [(each.name, each.state, each.pid, _duration(each.up_seconds), each.use) for each in found],
    )
    recording = _recording_warning(context)
    if recording:
        click.echo(f"callcenter: {recording}", err=True)
    if recording or any(each.state != "running" for each in found):
        raise SystemExit(1)


@click.group(epilog="Example: callcenter systemd units /etc/systemd/system --user callcenter")
def systemd() -> None:
    """systemd units for production, from the same list of processes."""


@systemd.command(epilog="Example: callcenter systemd units /etc/systemd/system --user callcenter")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--user", "account", default="callcenter", show_default=True, help="The account they run under."
)
@click.pass_obj
def units(context: Context, directory: Path, account: str) -> None:
    """Write the units into DIRECTORY: `callcenter.target` and one service for each process."""
    from .systemd import write_units

    for path in write_units(context.site_path, context.run, directory, account):
        context.say(str(path))
    context.say("then: systemctl daemon-reload && systemctl enable --now callcenter.target")


def _recording_warning(context: Context) -> str:
    """Why nothing is recorded, "" while there is room on the disk."""
    from .recordings import disk
    from .recordings.model import Folders
    from .site import site_in_force

    site = site_in_force(context.site_path, context.run)
    room = disk.room(Folders.of(site, context.run), site.recording.min_free_mb)
    return "" if room.enough else room.warning


def _running(context: Context) -> bool:
    found = processes.status(context.site_path, context.run)
    return bool(found) and all(each.state == "running" for each in found)


def _duration(seconds: float | None) -> str | None:
    return None if seconds is None else str(timedelta(seconds=int(seconds)))
