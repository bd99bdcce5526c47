"""Opening hours as people write them: "09:00-12:00 13:30-18:00", "mon-fri"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from callcenter.floor.plan import Span

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MIDNIGHT = 24 * 60
_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})")


def spans(text: str) -> tuple[Span, ...]:
    """The spans of one day, in order; "" or "closed" for none. ValueError says what is wrong."""
    if text.strip() in ("", "closed"):
        return ()
    found: list[Span] = []
    for part in re.split(r"[,;]\s*|(?<=\d)\s+(?=\d)", text.strip()):
        match = _SPAN.fullmatch(part.strip())
        if match is None:
            raise ValueError(f'expected hours such as "09:00-12:00 13:30-18:00" or "closed", not "{text}"')
        hour, minute, to_hour, to_minute = (int(group) for group in match.groups())
        start, end = hour * 60 + minute, to_hour * 60 + to_minute
        if minute > 59 or to_minute > 59 or end > _MIDNIGHT:
            raise ValueError(f'"{part}" is no time of day: the day ends at 24:00')
        if start >= end:
            raise ValueError(f'"{part}" ends before it begins; split hours over midnight into two days')
        if found and start < found[-1].end:
            raise ValueError(f'"{part}" begins before the hours in front of it end')
        found.append(Span(start, end))
    return tuple(found)


def weekdays(names: str) -> range:
    """The days of "mon-fri" or "sat", Monday is 0. ValueError says what is wrong."""
    first, _, last = names.partition("-")
    if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
        raise ValueError(f'"{names}" is no day: expected {", ".join(WEEKDAYS)} or a span such as mon-fri')
    start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    if start > end:
        raise ValueError(f'"{names}" ends before it begins: the week starts with mon')
    return range(start, end + 1)


def week(days: Mapping[str, str]) -> tuple[tuple[Span, ...], ...]:
    """Monday first, seven entries, from "mon-fri" and "sat" keys. A day that is not named is closed."""
    result: list[tuple[Span, ...] | None] = [None] * 7
    for names, text in days.items():
        for day in weekdays(names):
            if result[day] is not None:
                raise ValueError(f'{WEEKDAYS[day]} is given twice (again by "{names}")')
            result[day] = spans(text)
    return tuple(day or () for day in result)
