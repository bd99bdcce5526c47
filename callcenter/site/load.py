"""Reading a site file: every fault at once, each with its line, its key and what was expected."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from rapidfuzz import process

from callcenter.site.checks import cross_check
from callcenter.site.errors import SiteError, SiteErrors
from callcenter.site.model import Centre, Section, Site
from callcenter.site.places import Path as KeyPath
from callcenter.site.places import key_lines, nearest_line

_LIKE_ENOUGH = 60  # of 100: under it a suggestion misleads more than it helps


def load(path: Path) -> Site:
    """The checked site of the file `path`; SiteErrors carries everything that is wrong with it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SiteErrors(
            [
                SiteError(
                    str(path), 0, "", "there is no such file: `callcenter site init DIR` writes a first one"
                )
            ]
        ) from None
    except OSError as error:
        raise SiteErrors([SiteError(str(path), 0, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise SiteErrors(
            [SiteError(path.name, line, "", "expected text in UTF-8: save the file as UTF-8")]
        ) from None
    return parse(text, path)


def parse(text: str, path: Path) -> Site:
    """The checked site of the text of a file; `path` is for messages and to find folders beside it."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(match.group(1)) if match else text.count("\n") + 1
        what = re.sub(r"\s*\(at [^)]*\)", "", str(error))
        raise SiteErrors([SiteError(path.name, line, "", f"this is no TOML: {what}")]) from None
    lines = key_lines(text)
    faults: list[tuple[KeyPath, str]] = []
    try:
        site = Site.model_validate(raw)
    except ValidationError as error:
        faults += _of_pydantic(error)
        site = _readable_part(raw)
    faults += cross_check(site, raw, path.parent)
    if faults:
        raise SiteErrors(
            [SiteError(path.name, nearest_line(lines, at), _dotted(at), what) for at, what in faults]
        )
    return site


def _of_pydantic(error: ValidationError) -> Iterator[tuple[KeyPath, str]]:
    unions: dict[KeyPath, list[str]] = {}
    for fault in error.errors(include_url=False):
        at = tuple(part for part in fault["loc"] if part != "[key]")
        kind, context, given = fault["type"], fault.get("ctx", {}), fault["input"]
        fields = _fields_at(at[:-1])
        if kind == "extra_forbidden":
            yield at, _unknown_key(str(at[-1]), fields)
        elif kind == "missing":
            yield at, "is missing and must be given"
        elif kind == "value_error":
            text = str(context["error"])
            named = re.match(r"`(\w+)", text)  # a check over several keys names the one to mend
            at = (*at, named.group(1)) if named else at
            unions.setdefault(_without_union_tags(at), []).append(text)
        elif kind in ("literal_error", "enum"):
            unions.setdefault(_without_union_tags(at), []).append(
                _choice(str(given), str(context["expected"]))
            )
        else:
            shown = "" if isinstance(given, dict | list | tuple) else f", not {given!r}"
            what = fault["msg"].replace("Input should be", "expected").replace("should have", "must have")
            unions.setdefault(_without_union_tags(at), []).append(what[:1].lower() + what[1:] + shown)
    for at, texts in unions.items():
        # A value such as "a number, or nothing" fails once for each: the first says what is wanted.
        yield at, next((text for text in texts if "expected ''" not in text), texts[0])


def _without_union_tags(at: KeyPath) -> KeyPath:
    """pydantic puts the failed member of a union ("function-after[...]", "literal['']") into the path."""
    return tuple(part for part in at if not (isinstance(part, str) and ("[" in part or part == "str")))


def _choice(given: str, expected: str) -> str:
    best = process.extractOne(given, re.findall(r"'([^']+)'", expected), score_cutoff=_LIKE_ENOUGH)
    hint = f'; did you mean "{best[0]}"?' if best else ""
    return f'expected {expected}, not "{given}"{hint}'


def _unknown_key(name: str, fields: list[str]) -> str:
    best = process.extractOne(name, fields, score_cutoff=_LIKE_ENOUGH)
    if best:
        return f'unknown key; did you mean "{best[0]}"?'
    return f"unknown key; expected one of {', '.join(fields)}" if fields else "unknown key"


def _fields_at(at: KeyPath) -> list[str]:
    """The keys that the section at `at` knows."""
    section: Any = Site
    in_table_of_tables = False
    for part in at:
        if isinstance(part, int) or in_table_of_tables:  # an element of an array, a name of [hours.NAME]
            in_table_of_tables = False
        elif isinstance(section, type) and issubclass(section, BaseModel):
            annotation = {
                field.alias or name: field.annotation for name, field in section.model_fields.items()
            }.get(part)
            in_table_of_tables = get_origin(annotation) is dict
            section = _section_in(annotation)
    if isinstance(section, type) and issubclass(section, BaseModel):
        return [field.alias or name for name, field in section.model_fields.items()]
    return []


def _section_in(annotation: Any) -> Any:
    """The Section inside `tuple[X, ...]`, `dict[str, X]` or `X | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, dict, Union, UnionType):
        return next(filter(None, (_section_in(inner) for inner in get_args(annotation))), None)
    return None


def _dotted(at: KeyPath) -> str:
    """`queues[2].ring_seconds`; arrays count from 1, as people do."""
    text = ""
    for part in at:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _readable_part(raw: Mapping[str, Any]) -> Site:
    """What can be read of a faulty file, so that the faults between sections are told as well.

    Faulty elements become None in arrays (their places in the file must stay), faulty tables their default.
    """
    values: dict[str, Any] = {}
    for name, field in Site.model_fields.items():
        section, given = _section_in(field.annotation), raw.get(name)
        if section is None:
            values[name] = given if isinstance(given, dict) else {}
        elif get_origin(field.annotation) is tuple:
            given = given if isinstance(given, list) else []
            values[name] = tuple(_read(section, element) for element in given)
        elif get_origin(field.annotation) is dict:
            given = given if isinstance(given, dict) else {}
            values[name] = {key: _read(section, element) for key, element in given.items()}
        else:
            values[name] = (_read(section, given) if given is not None else None) or _default(section)
    return Site.model_construct(**values)


def _read(section: type[Section], given: Any) -> Section | None:
    """The section without its faulty keys; None when it cannot be read even so."""
    if not isinstance(given, dict):
        return None
    try:
        return section.model_validate(given)
    except ValidationError as error:
        faulty = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
    try:
        return section.model_validate({key: value for key, value in given.items() if key not in faulty})
    except ValidationError:
        return None


def _default(section: type[Section]) -> Section:
    try:
        return section()
    except ValidationError:  # only [site] has keys that must be given
        return Centre(name="?", zone="UTC")
