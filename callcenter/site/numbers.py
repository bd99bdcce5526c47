"""Numbers as people write them in the site file: one, or a range such as "1001-1300"."""

from __future__ import annotations

import re

LONGEST_RANGE = 20_000

PHONE = re.compile(r"[0-9]{2,8}")
DIALLED = re.compile(r"\+?[0-9]{2,20}|\*")
OUTSIDE = re.compile(r"\+?[0-9]{2,20}")

_RANGE = re.compile(r"([0-9]{2,8})\s*-\s*([0-9]{2,8})")


def expand(text: str) -> tuple[str, ...]:
    """Every number of "1001" or "1001-1300", leading zeros kept. ValueError says what is wrong."""
    text = text.strip()
    if PHONE.fullmatch(text):
        return (text,)
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f'expected a number of 2 to 8 digits or a range such as "1001-1300", not "{text}"')
    first, last = match.groups()
    if len(first) != len(last):
        raise ValueError(f'both ends of the range "{text}" must have the same number of digits')
    low, high = int(first), int(last)
    if low > high:
        raise ValueError(f'the range "{text}" ends before it begins')
    if high - low >= LONGEST_RANGE:
        raise ValueError(f'the range "{text}" has more than {LONGEST_RANGE} numbers')
    return tuple(f"{number:0{len(first)}d}" for number in range(low, high + 1))
