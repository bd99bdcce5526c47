"""What is wrong with a site, said so that its admin can mend it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class SiteError:
    """One fault: where it is, and what was expected there. `line` 0: the file as a whole."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class SiteErrors(Exception):
    """Every fault of a site at once, in the order of the file."""

    def __init__(self, errors: Sequence[SiteError]) -> None:
        self.errors = tuple(sorted(set(errors)))
        super().__init__("\n".join(str(error) for error in self.errors))


class ApplyRefused(Exception):
    """The new configuration was not put in force; nothing has changed. `reasons` are lines for people."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(self.reasons))
