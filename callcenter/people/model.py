"""An agent as the back office knows him, and what is accepted as one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from rapidfuzz import process

LONGEST_NAME = 80

_NUMBER = re.compile(r"[0-9]{1,12}")  # keyed at a phone
_TEAM = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LIKE_ENOUGH = 60  # of 100


class PersonRefused(Exception):
    """What somebody asked for about an agent is refused; the text is one line saying why."""


@dataclass(frozen=True, slots=True)
class Person:
    """`queues` in the order in which they were given; `language` "" for the phone's own."""

    number: str
    name: str
    queues: tuple[str, ...]
    language: str = ""
    pin_hash: str = field(default="", repr=False)
    team: str = ""
    leads: tuple[str, ...] = ()  # teams
    supervisor: bool = False  # of everybody


@dataclass(frozen=True, slots=True)
class Team:
    name: str
    title: str = ""
    leaders: tuple[str, ...] = ()  # agent numbers
    members: int = 0


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the site has to offer an agent."""

    queues: Collection[str]
    languages: Collection[str]


def accept_team(name: str, title: str) -> Team:
    """Raises PersonRefused for a name that is none."""
    if not _TEAM.fullmatch(name):
        raise PersonRefused(f"team {name!r}: expected a name of small letters, digits, - and _ (at most 32)")
    title = " ".join(title.split())
    if len(title) > LONGEST_NAME or any(unicodedata.category(c) in ("Cc", "Cs") for c in title):
        raise PersonRefused(f"title {title!r}: expected at most {LONGEST_NAME} readable characters")
    return Team(name, title)


def known_team(name: str, teams: Collection[str]) -> str:
    """Raises PersonRefused for a team that is not there; "" is no team."""
    if name and name not in teams:
        raise PersonRefused(f"there is no team {name!r}{_hint(name, teams) if teams else ': add it first'}")
    return name


def accept(
    number: str, name: str, queues: Iterable[str], language: str, allowed: Allowed, team: str = ""
) -> Person:
    """A person without a PIN yet. Raises PersonRefused naming the first thing that is wrong; whether there
    is such a team is for `known_team` to say."""
    number, name = number.strip(), " ".join(name.split())
    if not _NUMBER.fullmatch(number):
        raise PersonRefused(f"number {number!r}: expected 1 to 12 digits")
    if not name or len(name) > LONGEST_NAME or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        raise PersonRefused(f"name {name!r}: expected 1 to {LONGEST_NAME} readable characters")
    wanted = tuple(dict.fromkeys(queue.strip() for queue in queues if queue.strip()))
    for queue in wanted:
        if queue not in allowed.queues:
            raise PersonRefused(f"queue {queue!r} is not in the site file{_hint(queue, allowed.queues)}")
    language = language.strip().lower()
    if language and language not in allowed.languages:
        expected = ", ".join(sorted(allowed.languages))
        raise PersonRefused(f"language {language!r} is not in the site file: expected one of {expected}")
    return Person(number, name, wanted, language, team=team.strip())


def _hint(given: str, known: Collection[str]) -> str:
    best = process.extractOne(given, sorted(known), score_cutoff=_LIKE_ENOUGH)
    return f": did you mean {best[0]!r}?" if best else f": it has {', '.join(sorted(known))}"
