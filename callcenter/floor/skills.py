"""Skills: what an agent can do, how well (1 to 10), and what a call asks for.

An expression comes from the site file ("chinese >= 3 and loans"), already parsed into the frozen pieces here.
A plain name asks for level 1 or more; whoever lacks a skill has it at level 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

LOWEST, HIGHEST = 1, 10

Skills: TypeAlias = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Skill:
    """At least `level` of the skill `name`."""

    name: str
    level: int = LOWEST


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Without:
    part: Expression


Expression: TypeAlias = Skill | AllOf | AnyOf | Without

ANYBODY = AllOf(())


def meets(expression: Expression, skills: Skills) -> bool:
    """Whether somebody with these skills may take a call that asks for `expression`."""
    match expression:
        case Skill(name, level):
            return skills.get(name, 0) >= level
        case AllOf(parts):
            return all(meets(part, skills) for part in parts)
        case AnyOf(parts):
            return any(meets(part, skills) for part in parts)
        case Without(part):
            return not meets(part, skills)


def both(one: Expression, other: Expression) -> Expression:
    """What asks for `one` and for `other`."""
    if one == other or other == ANYBODY:
        return one
    if one == ANYBODY:
        return other
    parts = (each.parts if isinstance(each, AllOf) else (each,) for each in (one, other))
    return AllOf(tuple(dict.fromkeys(part for group in parts for part in group)))


def lacking(expression: Expression, skills: Skills) -> tuple[Expression, ...]:
    """The parts of `expression` that these skills do not meet; () when they meet it."""
    if meets(expression, skills):
        return ()
    if isinstance(expression, AllOf):
        return tuple(lack for part in expression.parts for lack in lacking(part, skills))
    return (expression,)


def preference(names: tuple[str, ...], skills: Skills) -> float:
    """A number that is smaller, the better these skills are: by the first of `names`, then the next, …"""
    value = 0
    for name in names:
        value = value * (HIGHEST + 1) + skills.get(name, 0)
    return -float(value)


def names_in(expression: Expression) -> frozenset[str]:
    """Every skill that an expression mentions."""
    match expression:
        case Skill(name):
            return frozenset((name,))
        case AllOf(parts) | AnyOf(parts):
            return frozenset(name for part in parts for name in names_in(part))
        case Without(part):
            return names_in(part)


def in_words(expression: Expression) -> str:
    """As the site file writes it; "" for anybody."""
    match expression:
        case Skill(name, level):
            return name if level == LOWEST else f"{name} >= {level}"
        case AllOf(parts):
            return " and ".join(_part(part, AnyOf) for part in parts)
        case AnyOf(parts):
            return " or ".join(_part(part, AllOf) for part in parts)
        case Without(part):
            return f"not {_part(part, AllOf, AnyOf)}"


def _part(part: Expression, *bracketed: type[Expression]) -> str:
    words = in_words(part)
    return f"({words})" if isinstance(part, bracketed) else words
