"""Is every record here? Gaps in the sequences of each epoch, and contacts that were closed twice."""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.history.database import Connection, rows


@dataclass(frozen=True, slots=True)
class Gap:
    """Records `first` to `last` of an epoch are not here (yet: look again while the drain is behind)."""

    floor: str
    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`epochs` and `records` that were looked at, and what is wrong with them."""

    epochs: int
    records: int
    gaps: tuple[Gap, ...]
    closed_twice: tuple[str, ...]  # ids of contacts
    unread: int  # records nobody could read, kept in records_other

    @property
    def whole(self) -> bool:
        return not (self.gaps or self.closed_twice or self.unread)


def check(connection: Connection) -> Verdict:
    """Look at all that the database has. A record lost at the very end of an epoch leaves no gap: the
    engine keeps that part until it is here, see `state.store`."""
    gaps = rows(
        connection,
        """SELECT floor, epoch, lower(gap) AS first, upper(gap) - 1 AS last
        FROM records_seen, unnest(int8multirange(int8range(1, upper(seen))) - seen) AS gap
        WHERE epoch > 0 ORDER BY floor, epoch, lower(gap)""",
    )
    totals = rows(
        connection,
        """SELECT count(DISTINCT (floor, epoch)) AS epochs,
            coalesce(sum(upper(part) - lower(part)), 0) AS records
        FROM records_seen, unnest(seen) AS part""",
    )[0]
    twice = rows(
        connection,
        """SELECT contact FROM contacts GROUP BY floor, contact HAVING count(*) > 1 ORDER BY contact""",
    )
    unread = rows(connection, "SELECT count(*) AS unread FROM records_other")[0]["unread"]
    return Verdict(
        totals["epochs"],
        int(totals["records"]),
        tuple(Gap(**gap) for gap in gaps),
        tuple(each["contact"] for each in twice),
        unread,
    )
