"""`callcenter demo run`: the whole centre, with callers and agents, in one terminal."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from callcenter import processes
from callcenter.cli_context import Context
from callcenter.demo.board import Board
from callcenter.demo.people import hire
from callcenter.demo.run import Demo, Verdict, network_for
from callcenter.endpoints import database_url
from callcenter.site import Site, load


@click.group(epilog="Example: callcenter demo run --calls 20")
def demo() -> None:
    """The centre beside a simulated public network, to watch and to try out."""


@demo.command(epilog="Example: callcenter demo run --calls 20")
@click.option(
    "--calls", type=click.IntRange(1, 10_000), help="End after so many calls. Default: Ctrl-C ends it."
)
@click.option("--seed", type=int, help="Repeat the chances of an earlier run.")
@click.pass_obj
def run(context: Context, calls: int | None, seed: int | None) -> None:
    """Start the centre, let agents work and callers call; at the end account for every call.

    Exit code 1 when a call was lost or is not accounted for. Everything is stopped at the end.
    """
    site = load(context.site_path)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # is a Ctrl-C: nothing is left behind
    try:
        processes.up(context.site_path, context.run, context.say)
        verdict = _play(context, site, calls, secrets.randbelow(10**6) if seed is None else seed)
        if not context.json:
            _day(context)
    finally:
        # A second Ctrl-C must not leave processes behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        context.say("stopping everything")
        processes.down(context.site_path, context.run, context.say)
    _tell(context, verdict)
    if verdict.faults:
        sys.exit(1)


def _play(context: Context, site: Site, calls: int | None, seed: int) -> Verdict:
    agents = hire(database_url(site, context.run), [queue.name for queue in site.queues])
    asterisk = network_for(site, context.run)
    context.say(f"the public network starts: a second Asterisk, port {asterisk.place.sip_port} (seed {seed})")
    console = Console(stderr=context.json, highlight=False)
    try:
        asterisk.start()
        with Board({queue.name: queue.title for queue in site.queues}, console) as board:
            return asyncio.run(Demo(site, context.run, board, agents, calls, seed).play(asterisk))
    finally:
        asterisk.stop()


def _day(context: Context) -> None:
    """The day's figures, as `callcenter report queue` gives them."""
    from callcenter.reports.cli import report

    report.main(args=["queue"], obj=context, prog_name="callcenter report", standalone_mode=False)


def _tell(context: Context, verdict: Verdict) -> None:
    """What became of each call: as the network saw it, and as the centre wrote it down."""
    if context.json:
        calls = [
            {
                "ani": account.caller.ani,
                "dnis": account.caller.dnis,
                "seen": account.caller.fate(),
                "written": [str(entry.outcome) for entry in account.entries],
                "faults": account.faults,
            }
            for account in verdict.accounts
        ]
        context.print_json({"calls": calls, "faults": verdict.faults})
        return
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    table = Table("caller", "dialled", "waited", "what the network saw", "what the centre wrote", "")
    for account in verdict.accounts:
        caller = account.caller
        written = ", ".join(
            f"{entry.outcome}{f' by {entry.agent}, {entry.talk_seconds:.0f} s' if entry.agent else ''}"
            for entry in account.entries
        )
        agree = "[green]agree[/]" if not account.faults else "[red]DIFFER[/]"
        seen = escape(caller.fate())
        table.add_row(
            caller.ani, caller.dnis, f"{caller.wait_seconds:.1f} s", seen, written or "nothing", agree
        )
    console.print(table)
    talked = sum(bool(account.caller.phone) for account in verdict.accounts)
    gave_up = sum(account.caller.gave_up for account in verdict.accounts)
    total = len(verdict.accounts)
    console.print(
        f"{total} calls: {talked} talked with an agent, {gave_up} gave up, {total - talked - gave_up} other"
    )
    for fault in verdict.faults:
        console.print(f"callcenter: {fault}", style="red", markup=False)
    if not verdict.faults:
        console.print("every call is accounted for")
