"""Ask the floor for something from the shell, and tell its answer; a refusal ends the command with code 1."""

from __future__ import annotations

from typing import Any

import click

from callcenter.cli_context import Context
from callcenter.endpoints import redis_url
from callcenter.floor.events import Request
from callcenter.site import site_in_force
from callcenter.state import FloorClient

# On commands that leaders may be given: the floor then asks whether he has the right.
AS_LEADER = click.option(
    "--as", "leader", metavar="AGENT", default="", help="Ask as this leader: refused where he has no right."
)


def ask(context: Context, request: type[Request], **fields: Any) -> None:
    site = site_in_force(context.site_path, context.run)
    with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
        reply = floor.ask(request, **fields)
    if context.json:
        context.print_json(reply)
    elif reply.ok:
        context.say(reply.text)
    else:
        context.fail(reply.text)
    if not reply.ok:
        raise SystemExit(1)
