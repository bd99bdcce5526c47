"""`callcenter report dispositions` and `callcenter calls dispose`: what came of the calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import click

from callcenter.cli_context import Context
from callcenter.days import SiteDay, site_day
from callcenter.endpoints import database_url, redis_url
from callcenter.floor.events import DispositionRequested
from callcenter.history.database import Connection, connect, rows
from callcenter.reports import store
from callcenter.site import Site, site_in_force
from callcenter.state import FloorClient

NONE_GIVEN = "none given"


@dataclass(frozen=True, slots=True)
class Given:
    """How often one disposition was given in a queue, and its share of the queue's answered calls."""

    queue: str
    disposition: str
    calls: int
    share: float


def dispositions_of(connection: Connection, floor: str, day: SiteDay, queue: str = "") -> list[Given]:
    """By queue: each disposition of the answered contacts that arrived on this day and have ended, most given
    first; a contact without one counts as "none given". Of each contact the last one given by anybody counts.
    """
    found = rows(
        connection,
        """SELECT c.queue, coalesce(nullif(d.disposition, ''), %(none)s) AS disposition, count(*) AS calls
        FROM contacts AS c LEFT JOIN LATERAL (
            SELECT disposition FROM dispositions
            WHERE floor = c.floor AND contact = c.contact
            ORDER BY at DESC, epoch DESC, sequence DESC LIMIT 1) AS d ON true
        WHERE c.floor = %(floor)s AND c.arrived_at >= %(start)s AND c.arrived_at < %(end)s
            AND c.outcome = 'answered' AND (%(queue)s = '' OR c.queue = %(queue)s)
        GROUP BY c.queue, 2 ORDER BY c.queue, calls DESC, 2""",
        none=NONE_GIVEN,
        floor=floor,
        start=day.start,
        end=day.end,
        queue=queue,
    )
    answered: Counter[str] = Counter()
    for row in found:
        answered[row["queue"]] += row["calls"]
    return [Given(**row, share=row["calls"] / answered[row["queue"]]) for row in found]


@click.command("dispositions", epilog="Example: callcenter report dispositions --day yesterday --queue sales")
@click.option("--day", default="today", show_default=True, help="today, yesterday or YYYY-MM-DD.")
@click.option("--queue", default="", help="Only this queue.")
@click.pass_obj
def report_dispositions(context: Context, day: str, queue: str) -> None:
    """What came of the answered calls of a day, queue by queue.

    A call belongs to the day on which it arrived; of several dispositions of one call the last counts.
    """
    site = site_in_force(context.site_path, context.run)
    chosen = site_day(day, ZoneInfo(site.site.zone))
    names = _names(site)
    with connect(database_url(site, context.run)) as connection:
        found = dispositions_of(connection, site.floor.name, chosen, queue)
    if queue and queue not in names and not found:
        context.fail(f"queue {queue!r} is not in the site file: it has {', '.join(names)}")
    if context.json:
        context.print_json({"day": chosen.day, "zone": site.site.zone, "dispositions": found})
        return
    context.print_table(
        ("queue", "disposition", "calls", "share"),
        [(each.queue, each.disposition, each.calls, f"{each.share:.1%}") for each in found],
        title=f"{chosen.day} ({site.site.zone})",
    )
    context.say("share = calls with this disposition / answered calls of the queue")


@click.command("dispose", epilog="Example: callcenter calls dispose 1763712345.17 sold")
@click.argument("contact_id", metavar="ID")
@click.argument("disposition")
@click.pass_obj
def dispose_call(context: Context, contact_id: str, disposition: str) -> None:
    """Say what came of a call, or correct it: the last disposition given counts."""
    site = site_in_force(context.site_path, context.run)
    with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
        live = next((each for each in floor.contacts() if each.id == contact_id), None)
        if live is not None and live.agent and live.connected_at:
            agent, queue = live.agent, live.queue
        else:
            agent, queue = _answered(context, site, contact_id)
        known = _names(site).get(queue, ())
        if disposition not in known:
            expected = f"it has {', '.join(known)}" if known else "it has none"
            context.fail(f"queue {queue} has no disposition {disposition!r}: {expected}")
        reply = floor.ask(
            DispositionRequested, agent=agent, disposition=disposition, contact=contact_id, queue=queue
        )
    if context.json:
        context.print_json(reply)
    elif reply.ok:
        context.say(f"call {contact_id} has the disposition {disposition}")
    if not reply.ok:
        context.fail(reply.text)


def _answered(context: Context, site: Site, contact_id: str) -> tuple[str, str]:
    """Agent and queue of a call that has ended."""
    with connect(database_url(site, context.run)) as connection:
        closed = store.contact(connection, site.floor.name, contact_id)
    if closed is None:
        context.fail(f"there is no call {contact_id}: `callcenter calls list` shows their ids")
    if not closed.agent:
        context.fail(f"call {contact_id} was answered by nobody: there is nothing to say of it")
    return closed.agent, closed.queue


def _names(site: Site) -> dict[str, tuple[str, ...]]:
    return {queue.name: tuple(queue.dispositions.values()) for queue in site.queues}
