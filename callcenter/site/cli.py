"""`callcenter site …`: check, diff, apply, rollback, init."""

from __future__ import annotations

import os
import pwd
import secrets
import sys
import time
from pathlib import Path
from typing import NoReturn

import click

from callcenter.accounts import become
from callcenter.cli_context import Context
from callcenter.endpoints import redis_url
from callcenter.site import apply as work
from callcenter.site.changes import Changes
from callcenter.site.errors import ApplyRefused, SiteErrors
from callcenter.site.model import Site
from callcenter.site.plan import floor_plan
from callcenter.site.prepare import site_in_force
from callcenter.site.skills import unknown_skills
from callcenter.site.start import start_site
from callcenter.state.client import FloorClient
from callcenter.state.errors import StateError
from callcenter.state.requests import PlanReloadRequested


@click.group(epilog="Example: callcenter site check && callcenter site diff && callcenter site apply")
@click.pass_context
def site(click_context: click.Context) -> None:
    """Check, compare, apply and roll back the site's configuration."""
    context = click_context.obj
    if isinstance(context, Context) and click_context.invoked_subcommand != "init":
        _become_owner(context)


@site.command()
@click.pass_obj
def check(context: Context) -> None:
    """Check the site file, the dialplans and what Asterisk says of them. Changes nothing.

    Every fault is told at once. Asterisk's verdict comes from a second, silent instance.

    Example: callcenter --site /etc/callcenter/callcenter.toml site check
    """
    try:
        checked = work.check(context.site_path, context.run)
    except (SiteErrors, ApplyRefused) as error:
        _refused(context, error)
    notes = _unknown_skills(context, checked)
    if context.json:
        context.print_json({"ok": True, "errors": [], "notes": notes})
    for note in notes:
        context.say(f"note: {note}")
    context.say(
        f"{context.site_path.name} is sound: {len(checked.numbers)} numbers, {len(checked.queues)} queues, "
        f"{len(checked.phone_names)} phones, {len(checked.trunks)} trunks; Asterisk takes it."
    )


@site.command()
@click.pass_obj
def diff(context: Context) -> None:
    """Show what `apply` would change, secrets blotted out, and whether a restart is needed.

    Exit code 0: nothing; 2: something differs; 1: the site is faulty.

    Example: callcenter site diff | less
    """
    try:
        step, text = work.diff(context.site_path, context.run)
    except (SiteErrors, ApplyRefused) as error:
        _refused(context, error)
    if context.json:
        context.print_json({**_as_json(step), "diff": text})
    elif not step:
        context.say("Nothing differs from what is in force.")
    else:
        sys.stdout.write(text)
        for line in _needs(step):
            context.say(line)
    sys.exit(2 if step else 0)


@site.command()
@click.option("--restart", is_flag=True, help="Allow changes that need a restart: as soon as no call is up.")
@click.pass_obj
def apply(context: Context, restart: bool) -> None:
    """Put the site in force: all or nothing, no call is dropped.

    Refused, with the reasons, when the site is faulty or Asterisk rejects it.

    Example: callcenter site apply
    """
    try:
        done = work.apply(context.site_path, context.run, restart=restart)
    except (SiteErrors, ApplyRefused) as error:
        _refused(context, error)
    if done is None:
        if context.json:
            context.print_json({"ok": True, "changed": False})
        context.say("Nothing to do: the site is in force as it is.")
        return
    _report(context, done, "in force")


@site.command()
@click.option("--restart", is_flag=True, help="Allow changes that need a restart: as soon as no call is up.")
@click.pass_obj
def rollback(context: Context, restart: bool) -> None:
    """Put the configuration before this one in force again. The site file itself is not touched.

    Example: callcenter site rollback
    """
    try:
        done = work.rollback(context.site_path, context.run, restart=restart)
    except (SiteErrors, ApplyRefused) as error:
        _refused(context, error)
    _report(context, done, "in force again")


@site.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def init(context: Context, folder: Path) -> None:
    """Write a fresh site into FOLDER: callcenter.toml and dialplans/, to be edited.

    Templates of Asterisk's own files can be overridden in FOLDER/asterisk_conf/, recordings put into
    FOLDER/sounds/custom/LANGUAGE/.

    Example: callcenter site init /etc/callcenter
    """
    try:
        written = start_site(folder)
    except ApplyRefused as error:
        _refused(context, error)
    if context.json:
        context.print_json({"ok": True, "written": [str(path) for path in written]})
    for path in written:
        context.say(f"wrote {path}")
    context.say(f"Next: edit {written[0]}, then `callcenter --site {written[0]} site check`.")


def announce_plan(context: Context) -> str:
    """Tell the floor's engine to read the site in force; what came of it, in one line."""
    in_force = site_in_force(context.site_path, context.run)
    try:
        with FloorClient(redis_url(in_force, context.run), in_force.floor.name) as floor:
            floor.post(PlanReloadRequested(at=time.time(), request=secrets.token_hex(8), by="site apply"))
    except StateError:
        return "No Redis answers: engines read the plan when they start."
    return "The engine was told and goes on under the new plan."


def _unknown_skills(context: Context, checked: Site) -> list[str]:
    """Skills are people's, not the site's: what no agent of the floor has is worth a note, as far as Redis
    can be asked."""
    try:
        with FloorClient(redis_url(checked, context.run), checked.floor.name) as floor:
            agents = floor.agents()
    except (StateError, FileNotFoundError):
        return []
    return unknown_skills(floor_plan(checked), agents) if agents else []


def _report(context: Context, done: work.Applied, state: str) -> None:
    told = announce_plan(context)
    if context.json:
        context.print_json(
            {
                "ok": True,
                "changed": True,
                "configuration": done.number,
                "asterisk_running": done.running,
                "restarting": done.restarting,
                **_as_json(done.changes),
            }
        )
        return
    context.say(f"Configuration {done.number} is {state}: {', '.join(done.changes.files)}.")
    if not done.running:
        context.say("Asterisk does not run: it reads the files when it starts.")
    elif done.restarting:
        context.say("Asterisk restarts as soon as no call is up.")
    elif done.changes.commands:
        context.say(f"Asterisk has done: {', '.join(done.changes.commands)}.")
    context.say(told)
    for key in done.changes.engine_restart:
        context.say(f"{key} takes effect when the engines restart.")


def _become_owner(context: Context) -> None:
    """As root: become whoever the centre runs as, or it could not read what root writes."""
    if os.geteuid() != 0 or "--help" in sys.argv:
        return
    place = next(folder for folder in (context.run.root, *context.run.root.parents) if folder.exists())
    owner = place.stat().st_uid
    if owner == 0:
        context.fail(
            "the centre does not run as root: run this as its account, or by "
            "`python3 -m callcenter.bootstrap run -- callcenter site …`"
        )
    become(pwd.getpwuid(owner))


def _needs(step: Changes) -> list[str]:
    lines = [
        f"needs a restart of Asterisk (`callcenter site apply --restart`): {why}" for why in step.restart
    ]
    return lines + [f"takes effect when the engines restart: {key}" for key in step.engine_restart]


def _as_json(step: Changes) -> dict[str, object]:
    return {
        "files": step.files,
        "commands": step.commands,
        "asterisk_restart": step.restart,
        "engine_restart": step.engine_restart,
    }


def _refused(context: Context, error: SiteErrors | ApplyRefused) -> NoReturn:
    """Every reason on a line of its own, then exit code 1."""
    if context.json:
        faults: list[object] = list(error.errors if isinstance(error, SiteErrors) else error.reasons)
        context.print_json({"ok": False, "errors": faults})
        sys.exit(1)
    lines = [str(fault) for fault in error.errors] if isinstance(error, SiteErrors) else list(error.reasons)
    for line in lines:
        sys.stderr.write(f"callcenter: {line}\n")
    if len(lines) > 1:
        sys.stderr.write(f"callcenter: {len(lines)} lines above; nothing was changed\n")
    sys.exit(1)
