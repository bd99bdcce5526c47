"""Numbers as people write them in the site file: one, or a range such as "1001-1300"."""

from __future__ import annotations

import re

LONGEST_RANGE = 20_000

PHONE = re.compile(r"[0-9]{2,8}")
DIALLED = re.compile(r"\+?[0-9]{2,20}|\*")
OUTSIDE = re.compile(r"\+?[0-9]{2,20}")

_RANGE = re.compile(r"([0-9]{2,8})\s*-\s*([0-9]{2,8})")


_ANY = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]"}
_PART = re.compile(r"[0-9+XZN]|\[[0-9](?:-?[0-9])*\]")


def outside_pattern(text: str) -> str:
    """The regular expression of a pattern such as "13XXXXXXXXX" or "021.". ValueError says what is wrong."""
    body, dot = (text[:-1], "[0-9]+") if text.endswith(".") else (text, "")
    parts = _PART.findall(body)
    fixed = sum(part[0] in "0123456789[" for part in parts)
    if "".join(parts) != body or not parts or not fixed or "+" in body[1:]:
        raise ValueError(
            'expected a pattern with at least one digit, such as "13XXXXXXXXX" or "021." (X any digit, '
            f'N 2-9, Z 1-9, [13-5] one of these, a last . for one or more), not "{text}"'
        )
    made = "".join(_ANY.get(part, re.escape(part) if part == "+" else part) for part in parts) + dot
    try:
        return re.compile(made).pattern
    except re.error:
        raise ValueError(f'"{text}" has a range that runs backwards') from None


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
