"""A change of people from the shell: one transaction, then the floor is told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from callcenter.cli_context import Context
from callcenter.endpoints import database_url, redis_url
from callcenter.history.database import Connection, connect
from callcenter.people.jobs import publish
from callcenter.site import Site
from callcenter.state import FloorClient, StateAway


def change_people(
    context: Context, site: Site, change: Callable[[Connection], Any], tell: bool = True
) -> Any:
    """Change people in one transaction, then tell the floor at once; the back office does if we cannot."""
    with connect(database_url(site, context.run)) as connection:
        done = change(connection)
        connection.commit()
        if tell:
            try:
                with FloorClient(redis_url(site, context.run), site.floor.name) as floor:
                    publish(connection, floor)
            except StateAway:
                warn("Redis does not answer: the floor learns of it when it is back")
    return done


def warn(text: str) -> None:
    click.echo(f"callcenter: {text}", err=True)
