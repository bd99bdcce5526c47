"""`callcenter history`: the records' database."""

from __future__ import annotations

import click

from callcenter.cli_context import Context
from callcenter.endpoints import database_url
from callcenter.history.check import check
from callcenter.history.database import connect
from callcenter.history.migrate import migrate as bring_up_to_date
from callcenter.site import site_in_force


@click.group(epilog="Example: callcenter history check")
def history() -> None:
    """The records' database: migrate it, check it for gaps."""


@history.command(epilog="Example: callcenter history migrate")
@click.pass_obj
def migrate(context: Context) -> None:
    """Create or update the tables; a second run changes nothing."""
    done = bring_up_to_date(database_url(site_in_force(context.site_path, context.run), context.run))
    if context.json:
        context.print_json({"applied": done})
    for name in done:
        context.say(f"applied {name}")
    if not done:
        context.say("the database is up to date")


@history.command("check", epilog="Example: callcenter history check --json")
@click.pass_obj
def check_command(context: Context) -> None:
    """Show gaps in the records, contacts closed twice and records nobody could read; exit 1 if there are."""
    with connect(database_url(site_in_force(context.site_path, context.run), context.run)) as connection:
        verdict = check(connection)
    if context.json:
        context.print_json(verdict)
    elif verdict.gaps:
        context.print_table(
            ("floor", "epoch", "missing from", "to"),
            [(gap.floor, gap.epoch, gap.first, gap.last) for gap in verdict.gaps],
        )
    for contact in verdict.closed_twice:
        context.say(f"contact {contact} was closed more than once")
    if verdict.unread:
        context.say(f"{verdict.unread} records could not be read: see the table records_other")
    context.say(
        f"{verdict.records} records of {verdict.epochs} epochs: {'whole' if verdict.whole else 'NOT WHOLE'}"
    )
    if not verdict.whole:
        raise SystemExit(1)
