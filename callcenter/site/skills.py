"""The site file's expressions of skills: `"chinese >= 3 and (loans or cards)"` into the floor's pieces.

Python's own parser reads them; of its language only names, NAME >= N, and, or, not and parentheses are let
in.
"""

from __future__ import annotations

import ast
import keyword
import unicodedata
from collections.abc import Iterable

from rapidfuzz import process

from callcenter.floor.agents import Agent
from callcenter.floor.plan import FloorPlan, Ring
from callcenter.floor.skills import (
    ANYBODY,
    HIGHEST,
    LOWEST,
    AllOf,
    AnyOf,
    Expression,
    Skill,
    Without,
    names_in,
)

LONGEST = 400

_EXPECTED = 'expected skills such as "chinese >= 3 and loans" (>=, and, or, not, parentheses)'


def skill_name(text: str) -> str:
    """A skill's name in the one form that we keep. Raises ValueError saying what was expected."""
    name = unicodedata.normalize("NFKC", text.strip()).lower()
    if not name.isidentifier() or keyword.iskeyword(name) or len(name) > 32:
        raise ValueError(
            f"expected the name of a skill (letters, digits and _, at most 32, beginning with a letter), "
            f'not "{text}"'
        )
    return name


def parse(text: str) -> Expression:
    """ANYBODY for "". Raises ValueError saying what was expected."""
    if not text.strip():
        return ANYBODY
    if len(text) > LONGEST:
        raise ValueError(f"expected at most {LONGEST} letters, not {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f'{_EXPECTED}, not "{text}"') from None
    return _expression(tree.body, text)


def unknown_skills(plan: FloorPlan, agents: Iterable[Agent]) -> list[str]:
    """A line for each skill that a queue or number asks for and no agent has."""
    known = {name for agent in agents for name in agent.skills}
    asked = {
        f"number {service.numbers[0]}": names_in(service.skills) for service in plan.services.values()
    } | {
        f"queue {queue.name}": names_in(queue.skills).union(queue.prefer, *map(_ring_names, queue.rings))
        for queue in plan.queues.values()
    }
    return [
        f'{where} asks for the skill "{name}", which no agent has{_hint(name, known)}'
        for where, names in asked.items()
        for name in sorted(names - known)
    ]


def _ring_names(ring: Ring) -> frozenset[str]:
    return names_in(ring.skills)


def _hint(name: str, known: Iterable[str]) -> str:
    best = process.extractOne(name, sorted(known), score_cutoff=60)
    return f'; did you mean "{best[0]}"?' if best else " (`callcenter agents skill` gives skills)"


def _expression(node: ast.expr, text: str) -> Expression:
    match node:
        case ast.Name(id=name):
            return Skill(skill_name(name))
        case ast.BoolOp(op=ast.And(), values=parts):
            return AllOf(tuple(_expression(part, text) for part in parts))
        case ast.BoolOp(op=ast.Or(), values=parts):
            return AnyOf(tuple(_expression(part, text) for part in parts))
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return Without(_expression(part, text))
        case ast.Compare(
            left=ast.Name(id=name), ops=[ast.GtE()], comparators=[ast.Constant(value=int(level))]
        ):
            if isinstance(level, bool) or not LOWEST <= level <= HIGHEST:
                raise ValueError(f"expected a level from {LOWEST} to {HIGHEST} for {name}, not {level}")
            return Skill(skill_name(name), level)
    piece = ast.get_source_segment(text.strip(), node) or text
    raise ValueError(f'{_EXPECTED}, not "{piece}"')
