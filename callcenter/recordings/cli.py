"""`callcenter recordings`: find, hear, copy and remove them. Whoever does is noted in the index."""

from __future__ import annotations

import csv
import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from callcenter.cli_context import Context
from callcenter.days import site_day
from callcenter.durations import clock
from callcenter.endpoints import database_url
from callcenter.history.database import Connection, connect
from callcenter.recordings import files, jobs, store
from callcenter.recordings.model import Folders, Recorded, RecordingName, RecordingRefused
from callcenter.site import Site, site_in_force

_INDEX = "index.csv"


def _search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--day", default="", help="today, yesterday or YYYY-MM-DD.  [default: all days]"),
            click.option("--queue", default="", help="Only of this queue."),
            click.option("--agent", default="", help="Only of this agent."),
            click.option("--number", default="", help="Only of calls from or to this number."),
            click.option("--call", "contact", default="", metavar="ID", help="Only of this call."),
            click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True),
        )
    ):
        command = option(command)
    return command


@click.group(epilog="Example: callcenter recordings list --day today --queue sales")
def recordings() -> None:
    """Recordings of conversations: the caller is on the left channel, the agent on the right."""


@recordings.command("list", epilog="Example: callcenter recordings list --day yesterday --agent 2001")
@_search_options
@click.pass_obj
def list_recordings(context: Context, /, **wanted: Any) -> None:
    """What was recorded, latest first; also what is missing or has been removed."""
    site = site_in_force(context.site_path, context.run)
    zone = ZoneInfo(site.site.zone)
    limit = wanted["limit"]
    with _index(context, site) as connection:
        found = store.search(connection, site.floor.name, _search(wanted, zone, limit + 1))
    shown = found[:limit]
    if context.json:
        context.print_json(shown)
        return
    context.print_table(
        ("recording", "began", "length", "queue", "agent", "from", "state", "paused", "consent", "fault"),
        [
            (
                *(each.recording, f"{each.began_at.astimezone(zone):%Y-%m-%d %H:%M:%S}", _length(each)),
                *(each.queue, each.agent, each.ani, each.state, _paused(each), each.consent, each.fault),
            )
            for each in shown
        ],
    )
    if len(found) > limit:
        context.say(f"only the last {limit} are shown: --limit shows more")


@recordings.command(epilog="Example: callcenter recordings show main-1763712345.17~r1763712350")
@click.argument("recording", metavar="RECORDING")
@click.option("--verify", is_flag=True, help="Read the file and compare its checksum.")
@click.pass_obj
def show(context: Context, recording: str, verify: bool) -> None:
    """All that is known of one recording, and who has heard it."""
    site = site_in_force(context.site_path, context.run)
    zone = ZoneInfo(site.site.zone)
    with _index(context, site) as connection:
        row = _find(connection, site, recording)
        used = store.uses(connection, site.floor.name, recording)
    whole = None
    if verify and row.state == "stored":
        file = Folders.of(site, context.run).file(row.path)
        whole = file.exists() and files.digest(file) == row.sha256
    if context.json:
        context.print_json({"recording": row, "uses": used, "whole": whole})
    else:
        lines = asdict(row) | {"pauses": _pauses(row), "seconds": _length(row)}
        context.print_table(("what", "value"), [(key, value) for key, value in lines.items() if value])
        context.print_table(
            ("at", "who", "did", "detail"),
            [(f"{e.at.astimezone(zone):%Y-%m-%d %H:%M:%S}", e.who, e.what, e.detail) for e in used],
            title="heard, copied, removed",
        )
    if whole is False:
        context.fail(f"{row.path}: the file is not there or not as it was stored")


@recordings.command(epilog="Example: callcenter recordings play main-1763712345.17~r1763712350")
@click.argument("recording", metavar="RECORDING")
@click.pass_obj
def play(context: Context, recording: str) -> None:
    """Play a recording here (by sox); into a pipe or a file, the WAV itself goes there.

    That it was heard, when and by whom is noted first.
    """
    site = site_in_force(context.site_path, context.run)
    with _index(context, site) as connection:
        row = _find(connection, site, recording)
        file = _stored_file(site, context, row)
        store.note_use(connection, site.floor.name, recording, _who(), "played")
    if not sys.stdout.isatty():
        with file.open("rb") as audio:
            shutil.copyfileobj(audio, sys.stdout.buffer)
        return
    program = shutil.which("play")
    if program is None:
        context.fail("sox's `play` is not installed here: `callcenter recordings play ID > FILE.wav`")
    done = subprocess.run([program, "-q", str(file)])
    if done.returncode != 0:
        context.fail("this machine could not play it: `callcenter recordings play ID > FILE.wav`")


@recordings.command(
    epilog="Example: callcenter recordings export /tmp/for-quality --day yesterday --queue sales"
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@_search_options
@click.pass_obj
def export(context: Context, /, folder: Path, **wanted: Any) -> None:
    """Copy recordings into FOLDER, with an index.csv; each copy is noted."""
    site = site_in_force(context.site_path, context.run)
    zone = ZoneInfo(site.site.zone)
    if (folder / _INDEX).exists():
        context.fail(f"{folder / _INDEX} is there already: choose a new folder")
    copied: list[Recorded] = []
    with _index(context, site) as connection:
        found = store.search(connection, site.floor.name, _search(wanted, zone, wanted["limit"]))
        stored = [each for each in found if each.state == "stored"]
        if not stored:
            context.fail(
                "no stored recording is among them: `callcenter recordings list` shows what is there"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in stored:
            target = folder / f"{each.recording}.wav"
            target.touch(0o600)
            shutil.copyfile(_stored_file(site, context, each), target)
            store.note_use(connection, site.floor.name, each.recording, _who(), "exported", str(folder))
            copied.append(replace(each, path=target.name))
    _write_index(folder / _INDEX, copied, zone)
    if context.json:
        context.print_json({"exported": len(copied), "folder": str(folder)})
    context.say(f"{len(copied)} recordings are in {folder}")


@recordings.command(epilog="Example: callcenter recordings remove main-1763712345.17~r1763712350")
@click.argument("names", nargs=-1, metavar="[RECORDING]...")
@click.option("--before", default="", metavar="DATE", help="All that began before this day.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(context: Context, names: tuple[str, ...], before: str, yes: bool) -> None:
    """Remove the audio; that there was a recording, and who removed it, stays in the index."""
    site = site_in_force(context.site_path, context.run)
    if bool(names) == bool(before):
        raise click.UsageError("give recordings, or --before DATE")
    folders = Folders.of(site, context.run)
    with _index(context, site) as connection:
        if before:
            limit = _midnight(before, ZoneInfo(site.site.zone))
            names = tuple(n for n, _, began in store.kept_since(connection, site.floor.name) if began < limit)
        for name in names:
            _find(connection, site, name)
    if names and not yes and not context.json:
        click.confirm(f"remove the audio of {len(names)} recordings for ever?", abort=True)
    removed = 0
    for name in names:
        with _index(context, site) as connection:  # each by itself: what is removed stays so
            removed += jobs.remove_one(connection, site.floor.name, folders, name, _who())
    if context.json:
        context.print_json({"removed": removed})
    context.say(f"{removed} recordings are removed")


def _index(context: Context, site: Site) -> Any:
    return connect(database_url(site, context.run), "callcenter-recordings")


def _search(wanted: dict[str, Any], zone: ZoneInfo, limit: int) -> store.Search:
    chosen = site_day(wanted["day"], zone) if wanted["day"] else None
    return store.Search(
        begin=chosen.start if chosen else None,
        end=chosen.end if chosen else None,
        queue=wanted["queue"],
        agent=wanted["agent"],
        number=wanted["number"],
        contact=wanted["contact"],
        limit=limit,
    )


def _find(connection: Connection, site: Site, recording: str) -> Recorded:
    row = store.find(connection, site.floor.name, RecordingName.read(recording).text)
    if row is None:
        raise RecordingRefused(f"there is no recording {recording}: `callcenter recordings list` shows them")
    return row


def _stored_file(site: Site, context: Context, row: Recorded) -> Path:
    if row.state != "stored":
        why = {
            "ended": "it is not joined yet: try again in a few seconds",
            "missing": f"it is missing: {row.fault}",
            "removed": "its audio has been removed",
        }
        raise RecordingRefused(f"{row.recording}: {why[row.state]}")
    file = Folders.of(site, context.run).file(row.path)
    if not file.exists():
        raise RecordingRefused(f"{file} is gone: somebody removed it by hand")
    return file


def _midnight(text: str, zone: ZoneInfo) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        today = datetime.now(zone).date()
        raise click.UsageError(
            f"--before {text!r}: expected a date like {today - timedelta(days=90)}"
        ) from None
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _write_index(path: Path, copied: list[Recorded], zone: ZoneInfo) -> None:
    path.touch(0o600)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            (
                "file",
                "call",
                "began",
                "seconds",
                "queue",
                "agent",
                "from",
                "number",
                "consent",
                "pauses",
                "sha256",
            )
        )
        for each in copied:
            began = each.began_at.astimezone(zone).isoformat(timespec="seconds")
            writer.writerow(
                (
                    *(
                        each.path,
                        each.contact,
                        began,
                        each.seconds,
                        each.queue,
                        each.agent,
                        each.ani,
                        each.dnis,
                    ),
                    *(each.consent, _pauses(each), each.sha256),
                )
            )


def _length(each: Recorded) -> str:
    return "" if each.seconds is None else clock(each.seconds)


def _paused(each: Recorded) -> str:
    return clock(sum(end - begin for begin, end in each.pauses)) if each.pauses else ""


def _pauses(each: Recorded) -> str:
    return " ".join(f"{begin:.1f}-{end:.1f}" for begin, end in each.pauses)


def _who() -> str:
    """Who sits at the terminal: behind sudo too, where the account is the centre's."""
    return os.environ.get("SUDO_USER") or getpass.getuser()
