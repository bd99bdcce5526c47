"""What every command gets: the site file, the run directory, how to print and how to give up."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from rich.console import Console
from rich.table import Table

from .paths import RunDirectory


@dataclass(frozen=True, slots=True)
class Context:
    """Taken by commands as `@click.pass_obj`: `def show(context: Context) -> None`."""

    site_path: Path
    run: RunDirectory
    json: bool = False  # `callcenter --json …`: one JSON document on standard output

    def fail(self, text: str) -> NoReturn:
        """End the command with one clear line and exit code 1."""
        fail(text)

    def print_json(self, value: Any) -> None:
        """Print dataclasses, dicts, lists, dates and so on as one JSON document."""
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")

    def print_table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None
    ) -> None:
        """Print rows as a table, or as a JSON list of objects keyed by the columns under `--json`."""
        if self.json:
            self.print_json([dict(zip(columns, row, strict=True)) for row in rows])
            return
        table = Table(*columns, title=title, title_justify="left")
        for row in rows:
            table.add_row(*("" if cell is None else str(cell) for cell in row))
        # A pipe has no width: give it enough, so that `grep` sees whole rows.
        Console(width=None if sys.stdout.isatty() else 200, markup=False).print(table)

    def say(self, text: str) -> None:
        """Print one line for people; nothing under `--json`."""
        if not self.json:
            sys.stdout.write(text + "\n")


def fail(text: str) -> NoReturn:
    """Print `callcenter: text` to standard error and end with exit code 1."""
    sys.stderr.write(f"callcenter: {text}\n")
    sys.exit(1)
