"""Is a service open? Pure: the zone and the holidays come with the plan."""

from __future__ import annotations

from datetime import datetime

from callcenter.floor.plan import HoursPlan, Span


def is_open(hours: HoursPlan, at: float) -> bool:
    """True when `at` (seconds since the epoch) lies inside the opening hours, in their own zone."""
    now = datetime.fromtimestamp(at, hours.zone)
    minute = now.hour * 60 + now.minute
    return any(span.start <= minute < span.end for span in spans_of(hours, now))


def spans_of(hours: HoursPlan, day: datetime) -> tuple[Span, ...]:
    """The opening hours of one local day: own days win over holidays, holidays over the week."""
    date = day.date()
    if (own := hours.days.get(date)) is not None:
        return own
    if date in hours.holidays:
        return ()
    return hours.week[date.weekday()]
