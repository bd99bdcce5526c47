"""A day of the site: from its local midnight to the next, whatever summer time does in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo


class DayRefused(Exception):
    """A day that is none; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class SiteDay:
    day: date
    zone: tzinfo

    @property
    def start(self) -> datetime:
        return datetime.combine(self.day, time.min, self.zone)

    @property
    def end(self) -> datetime:
        """The first moment that is no longer in it."""
        return datetime.combine(self.day + timedelta(days=1), time.min, self.zone)


def site_day(text: str, zone: tzinfo, now: Callable[[tzinfo], datetime] = datetime.now) -> SiteDay:
    """`today`, `yesterday` or YYYY-MM-DD. Raises DayRefused."""
    today = now(zone).date()
    if text in ("", "today"):
        return SiteDay(today, zone)
    if text == "yesterday":
        return SiteDay(today - timedelta(days=1), zone)
    try:
        day = date.fromisoformat(text)
        day + timedelta(days=1)  # the last day of the calendar has no next
    except (ValueError, OverflowError):
        raise DayRefused(f"day {text!r}: expected today, yesterday or a date like {today}") from None
    return SiteDay(day, zone)
