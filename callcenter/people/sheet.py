"""Agents from a CSV file, as spreadsheets write them: UTF-8 with or without BOM, UTF-16, GB18030; comma,
semicolon or tab; columns in any order, with English or Chinese names.

Every row that is refused is reported with its line and the reason; the others are taken. Taking the same
file again changes nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from callcenter.people.model import Allowed, Person, PersonRefused, accept, with_skills
from callcenter.pins import generate_pin, hash_pin, verify, weakness

COLUMNS: Mapping[str, str] = {
    **{"number": "number", "agent": "number", "工号": "number", "坐席工号": "number"},
    **{"name": "name", "姓名": "name", "名字": "name"},
    **{"queues": "queues", "queue": "queues", "队列": "queues", "技能组": "queues"},
    **{"language": "language", "语言": "language", "语种": "language"},
    **{"skills": "skills", "skill": "skills", "技能": "skills"},
    **{"pin": "pin", "密码": "pin", "pin码": "pin"},
}
MOST_BYTES = 16 * 1024 * 1024

_BETWEEN_QUEUES = re.compile(r"[\s;|、，,]+")


class SheetRefused(Exception):
    """The whole file is refused; the text says which file and why."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row as it was in the file. `line` is where it begins, the header being line 1."""

    line: int
    reason: str
    cells: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TakenRow:
    """An agent to be added or changed. `pin` is "" when the file gives none; without a column for skills
    (`skills_given`) he keeps those he has."""

    line: int
    person: Person
    skills_given: bool = False
    pin: str = field(default="", repr=False)


@dataclass(slots=True)
class Sheet:
    header: tuple[str, ...] = ()
    taken: list[TakenRow] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)


@dataclass(slots=True)
class Changes:
    """What taking a sheet comes to. `generated` are new agents' PINs by number, to be shown once."""

    added: list[Person] = field(default_factory=list)
    changed: list[Person] = field(default_factory=list)
    unchanged: int = 0
    generated: dict[str, str] = field(default_factory=dict, repr=False)


def read_sheet(path: Path, allowed: Allowed) -> Sheet:
    """Raises SheetRefused for a file that is no such table."""
    lines = _rows(path)
    _, first = next(lines, (1, []))
    header = tuple(cell.strip() for cell in first)
    places = _places(path, header)
    sheet = Sheet(header)
    seen: dict[str, int] = {}
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        try:
            sheet.taken.append(_take(line, cells, header, places, allowed, seen))
        except PersonRefused as refusal:
            sheet.refused.append(RefusedRow(line, str(refusal), tuple(cells)))
    return sheet


def changes(sheet: Sheet, known: Mapping[str, Person], *, dry: bool = False) -> Changes:
    """Compare with who is there. PINs are hashed here (slow), unless `dry`."""
    with ThreadPoolExecutor() as threads:
        settled = list(threads.map(lambda row: _settle(row, known.get(row.person.number), dry), sheet.taken))
    found = Changes()
    for row, (person, generated) in zip(sheet.taken, settled, strict=True):
        if person is None:
            found.unchanged += 1
        elif row.person.number in known:
            found.changed.append(person)
        else:
            found.added.append(person)
            if generated:
                found.generated[person.number] = generated
    return found


def write_refused(path: Path, sheet: Sheet) -> None:
    """The refused rows with line and reason, to be mended and imported again. Mode 0600: it may hold PINs."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    with path.open("w", encoding="utf-8-sig", newline="") as output:
        writer = csv.writer(output)
        writer.writerow((*sheet.header, "line", "reason"))
        for row in sheet.refused:
            cells = (*row.cells, *[""] * len(sheet.header))[: len(sheet.header)]
            writer.writerow((*cells, row.line, row.reason))


def _settle(row: TakenRow, known: Person | None, dry: bool) -> tuple[Person | None, str]:
    """The person to write (None: nothing changes) and the PIN that was made up for him."""
    if known is not None:
        row = replace(row, person=_keeping(row, known))
    if known is None:
        pin = row.pin or generate_pin(row.person.number)
        return replace(row.person, pin_hash="" if dry else hash_pin(pin)), "" if row.pin or dry else pin
    same_pin = not row.pin or verify(row.pin, known.pin_hash)
    if same_pin and replace(known, pin_hash="") == row.person:
        return None, ""
    return (row.person if same_pin or dry else replace(row.person, pin_hash=hash_pin(row.pin))), ""


def _keeping(row: TakenRow, known: Person) -> Person:
    """What the file does not speak of stays: weights, and skills where it has no column for them."""
    weights = {queue: weight for queue, weight in known.weights.items() if queue in row.person.queues}
    skills = row.person.skills if row.skills_given else known.skills
    return replace(row.person, skills=skills, weights=weights | dict(row.person.weights))


def _take(
    line: int,
    cells: Sequence[str],
    header: Sequence[str],
    places: Mapping[str, int],
    allowed: Allowed,
    seen: dict[str, int],
) -> TakenRow:
    if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
        raise PersonRefused(
            f"{len(cells)} columns: expected {len(header)} (quote texts that hold the separator)"
        )

    def cell(column: str) -> str:
        place = places.get(column, len(cells))
        return cells[place].strip() if place < len(cells) else ""

    queues = _BETWEEN_QUEUES.split(cell("queues"))
    person = accept(cell("number"), cell("name"), queues, cell("language"), allowed)
    skills = [text for text in _BETWEEN_QUEUES.split(cell("skills").replace(":", "=")) if text]
    person = with_skills(person, skills)
    if person.number in seen:
        raise PersonRefused(f"agent {person.number} is in line {seen[person.number]} already")
    pin = cell("pin")
    if pin and (why := weakness(pin, person.number)):
        raise PersonRefused(f"PIN: {why}")
    seen[person.number] = line
    return TakenRow(line, person, "skills" in places, pin)


def _places(path: Path, header: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        column = COLUMNS.get(name.lower())
        if column is None:
            raise SheetRefused(
                f"{path}: column {name!r} is unknown: expected number, name, queues, language, skills, pin"
            )
        if column in places:
            raise SheetRefused(f"{path}: column {name!r} is there twice")
        places[column] = place
    missing = [column for column in ("number", "name", "queues") if column not in places]
    if missing:
        raise SheetRefused(f"{path}: the first line must name the columns; missing: {', '.join(missing)}")
    return places


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    text = _text(path)
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise SheetRefused(f"{path} line {line}: {error}") from None
        if cells is None:
            return
        yield line, cells


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SheetRefused(f"{path}: more than {MOST_BYTES // 1024 // 1024} MB: is this the right file?")
        content = path.read_bytes()
    except OSError as error:
        raise SheetRefused(f"{path}: {(error.strerror or str(error)).lower()}") from None
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    raise SheetRefused(f"{path}: expected a CSV file in UTF-8, UTF-16 or GB18030")
