"""On which line of a TOML file each key stands: tomllib does not tell, and an error must.

Only headers and keys are read, the values are skipped; tomllib has accepted the text before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_QUOTES = ('"""', "'''", '"', "'")


def key_lines(text: str) -> Mapping[Path, int]:
    """The line (from 1) of every table, array element and key, by its path as pydantic's `loc` has it."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    at = 0
    while at < len(text):
        at = _skip_blank(text, at)
        if at >= len(text):
            break
        line = text.count("\n", 0, at) + 1
        if text[at] == "[":
            array = text.startswith("[[", at)
            names, at = _key(text, at + (2 if array else 1))
            table = _table(names, counts, array)
            lines.setdefault(table, line)
            at = text.find("\n", at) + 1 or len(text)
            continue
        names, at = _key(text, at)
        for depth in range(1, len(names) + 1):
            lines.setdefault(table + names[:depth], line)
        at = _value_end(text, text.find("=", at) + 1)
    return lines


def nearest_line(lines: Mapping[Path, int], path: Path) -> int:
    """The line of `path`, or of the nearest thing around it; 0 when nothing is known."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in lines:
            return lines[path[:depth]]
    return 0


def _table(names: tuple[str, ...], counts: dict[Path, int], array: bool) -> Path:
    """The path of a header, with the index of every array of tables that it passes through."""
    path: Path = ()
    for depth, name in enumerate(names):
        path = (*path, name)
        last = depth == len(names) - 1
        if last and array:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _skip_blank(text: str, at: int) -> int:
    while at < len(text):
        if text[at] == "#":
            at = text.find("\n", at)
            if at < 0:
                return len(text)
        elif not text[at].isspace():
            return at
        at += 1
    return at


def _key(text: str, at: int) -> tuple[tuple[str, ...], int]:
    """A possibly dotted, possibly quoted key from `at`; ends before its `=` or `]`."""
    names: list[str] = []
    while at < len(text) and text[at] not in "=]\n":
        if text[at] in "\"'":
            end = text.find(text[at], at + 1)
            names.append(text[at + 1 : end])
            at = end + 1
        elif bare := _BARE.match(text, at):
            names.append(bare.group())
            at = bare.end()
        else:
            at += 1
    return tuple(names), at


def _value_end(text: str, at: int) -> int:
    """The end of the line on which the value that starts at `at` is complete."""
    depth = 0
    while at < len(text):
        quote = next((mark for mark in _QUOTES if text.startswith(mark, at)), "")
        if quote:
            at = _string_end(text, at + len(quote), quote)
            continue
        letter = text[at]
        if letter == "#":
            at = text.find("\n", at)
            if at < 0:
                return len(text)
            continue
        if letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "\n" and depth <= 0:
            return at + 1
        at += 1
    return at


def _string_end(text: str, at: int, quote: str) -> int:
    while at < len(text) and not text.startswith(quote, at):
        at += 2 if text[at] == "\\" and quote[0] == '"' else 1
    return at + len(quote)
