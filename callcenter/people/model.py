"""An agent as the back office knows him, and what is accepted as one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from rapidfuzz import process

from callcenter.floor.skills import HIGHEST, LOWEST
from callcenter.site.skills import skill_name

LONGEST_NAME = 80
HEAVIEST = 100

_NUMBER = re.compile(r"[0-9]{1,12}")  # keyed at a phone
_LIKE_ENOUGH = 60  # of 100


class PersonRefused(Exception):
    """What somebody asked for about an agent is refused; the text is one line saying why."""


@dataclass(frozen=True, slots=True)
class Person:
    """`queues` in the order in which they were given; `language` "" for the phone's own. `weights` are by
    queue, only those that are not 1."""

    number: str
    name: str
    queues: tuple[str, ...]
    language: str = ""
    pin_hash: str = field(default="", repr=False)
    skills: Mapping[str, int] = field(default_factory=dict)  # name -> level, 1 to 10
    weights: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the site has to offer an agent."""

    queues: Collection[str]
    languages: Collection[str]


def accept(number: str, name: str, queues: Iterable[str], language: str, allowed: Allowed) -> Person:
    """A person without a PIN and skills yet. A queue may carry a weight: "sales=3". Raises PersonRefused
    naming the first thing that is wrong."""
    number, name = number.strip(), " ".join(name.split())
    if not _NUMBER.fullmatch(number):
        raise PersonRefused(f"number {number!r}: expected 1 to 12 digits")
    if not name or len(name) > LONGEST_NAME or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        raise PersonRefused(f"name {name!r}: expected 1 to {LONGEST_NAME} readable characters")
    weights: dict[str, int] = {}
    for given in (queue.strip() for queue in queues):
        if given:
            queue, weight = accept_weight(given) if "=" in given else (given, 1)
            weights.setdefault(queue, weight)
    for queue in weights:
        if queue not in allowed.queues:
            raise PersonRefused(f"queue {queue!r} is not in the site file{_hint(queue, allowed.queues)}")
    language = language.strip().lower()
    if language and language not in allowed.languages:
        expected = ", ".join(sorted(allowed.languages))
        raise PersonRefused(f"language {language!r} is not in the site file: expected one of {expected}")
    heavy = {queue: weight for queue, weight in weights.items() if weight != 1}
    return Person(number, name, tuple(weights), language, weights=heavy)


def accept_skill(text: str) -> tuple[str, int]:
    """`chinese=5` as name and level; level 0 takes the skill away. Raises PersonRefused."""
    given, equals, level = text.partition("=")
    try:
        name = skill_name(given)
    except ValueError as error:
        raise PersonRefused(f"skill {text!r}: {error}") from None
    if not equals or not re.fullmatch(r"[0-9]{1,2}", level.strip()) or int(level) > HIGHEST:
        raise PersonRefused(
            f"skill {text!r}: expected NAME=LEVEL, a level from {LOWEST} to {HIGHEST}, or 0 to take it away"
        )
    return name, int(level)


def accept_weight(text: str) -> tuple[str, int]:
    """`sales=3` as queue and weight. Raises PersonRefused."""
    queue, equals, weight = (part.strip() for part in text.partition("="))
    if not queue or not equals or not re.fullmatch(r"[0-9]{1,3}", weight) or not 1 <= int(weight) <= HEAVIEST:
        raise PersonRefused(f"weight {text!r}: expected QUEUE=WEIGHT with a weight from 1 to {HEAVIEST}")
    return queue, int(weight)


def with_skills(person: Person, given: Iterable[str]) -> Person:
    """Skills added, changed and taken away (level 0). Raises PersonRefused."""
    levels = dict(person.skills) | dict(accept_skill(text) for text in given)
    return replace(person, skills={name: levels[name] for name in sorted(levels) if levels[name]})


def with_weights(person: Person, given: Iterable[str]) -> Person:
    """Weights in queues that the agent serves. Raises PersonRefused."""
    weights = dict(person.weights)
    for text in given:
        queue, weight = accept_weight(text)
        if queue not in person.queues:
            raise PersonRefused(
                f"agent {person.number} does not serve queue {queue!r}{_hint(queue, person.queues)}"
            )
        weights[queue] = weight
    return replace(person, weights={queue: weight for queue, weight in weights.items() if weight != 1})


def in_pairs(levels: Mapping[str, int]) -> str:
    """`chinese=5 loans=2`, as they are given."""
    return " ".join(f"{name}={level}" for name, level in sorted(levels.items()))


def _hint(given: str, known: Collection[str]) -> str:
    best = process.extractOne(given, sorted(known), score_cutoff=_LIKE_ENOUGH)
    return f": did you mean {best[0]!r}?" if best else f": it has {', '.join(sorted(known))}"
