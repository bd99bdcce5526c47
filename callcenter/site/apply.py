"""`check`, `diff`, `apply` and `rollback`: what stands behind the commands.

`apply` is all or nothing: checked by us, judged by a second Asterisk, written beside the configuration in
force, switched by one rename; then only the modules whose files changed read them again. No call is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from callcenter.asterisk import AsteriskInstall, find_asterisk
from callcenter.paths import RunDirectory
from callcenter.site import generations
from callcenter.site.changes import Changes, as_text, changes
from callcenter.site.console import AsteriskSilent, Console
from callcenter.site.credentials import Secrets, ensure_secrets
from callcenter.site.errors import ApplyRefused, SiteErrors
from callcenter.site.layout import Layout, run_layout, site_ports
from callcenter.site.load import load, parse
from callcenter.site.model import Site
from callcenter.site.render import SITE_FILE, Sources, read_sources, render
from callcenter.site.share import link_share, missing_prompts
from callcenter.site.verdict import have_room, verdict


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` or `rollback` did. `number` is the configuration now in force."""

    number: int
    changes: Changes
    running: bool  # Asterisk was up and has read the files
    restarting: bool = False  # it ends as soon as no call is up, and its supervisor starts it again


@dataclass(frozen=True, slots=True)
class _Bench:
    """Everything that one run of a command works with."""

    site: Site
    secrets: Secrets
    sources: Sources
    install: AsteriskInstall
    layout: Layout

    def render(self) -> dict[str, str]:
        return render(self.site, self.secrets, self.sources, self.install, self.layout, site_ports(self.site))

    def judge(self) -> tuple[str, ...]:
        share = self.layout.share
        silent = tuple(missing_prompts(self.site, share))
        return silent + verdict(self.site, self.secrets, self.sources, self.install, share)


def check(site_path: Path, run: RunDirectory) -> Site:
    """Check the site file, then have Asterisk judge what is made of it. SiteErrors, ApplyRefused."""
    bench = _bench(site_path, run)
    if against := bench.judge():
        raise ApplyRefused(against)
    return bench.site


def diff(site_path: Path, run: RunDirectory) -> tuple[Changes, str]:
    """What `apply` would change in what is in force, and the text of it, without secrets."""
    bench = _bench(site_path, run)
    number = generations.in_force(bench.layout)
    old = {} if number is None else generations.read_files(bench.layout, number)
    new = bench.render()
    return _changes(old, new, site_path, bench.site), as_text(old, new, bench.secrets.values())


def apply(site_path: Path, run: RunDirectory, *, restart: bool = False) -> Applied | None:
    """Put the site's files in force; None when they are. After SiteErrors or ApplyRefused nothing changed."""
    bench = _bench(site_path, run)
    if not have_room(bench.layout.home):
        raise ApplyRefused([f"less than 50 MB are free at {bench.layout.home}: make room first"])
    with generations.locked(bench.layout):
        before = generations.in_force(bench.layout)
        old = {} if before is None else generations.read_files(bench.layout, before)
        new = bench.render()
        step = _changes(old, new, site_path, bench.site)
        if not step:
            return None
        console = Console(bench.install, bench.layout)
        running = console.runs()
        _refuse_unasked_restart(step, running, restart)
        if against := bench.judge():
            raise ApplyRefused(against)
        number = generations.write(bench.layout, new)
        try:
            return _switch(bench.layout, console if running else None, before, number, step)
        except ApplyRefused:
            generations.drop(bench.layout, number)
            raise
        finally:
            generations.prune(bench.layout)


def rollback(site_path: Path, run: RunDirectory, *, restart: bool = False) -> Applied:
    """Go back to the configuration before this one; a second rollback comes forward again. ApplyRefused."""
    layout = run_layout(run)
    with generations.locked(layout):
        before, number = generations.in_force(layout), generations.previous(layout)
        if before is None or number is None or number == before:
            raise ApplyRefused(["there is no earlier configuration to go back to"])
        old, new = generations.read_files(layout, before), generations.read_files(layout, number)
        site = parse(new[SITE_FILE], site_path)
        step = _changes(old, new, site_path, site)
        console = Console(find_asterisk(), layout)
        running = console.runs()
        _refuse_unasked_restart(step, running, restart)
        return _switch(layout, console if running else None, before, number, step)


def _bench(site_path: Path, run: RunDirectory) -> _Bench:
    site = load(site_path)
    sources = read_sources(site_path)
    secrets = ensure_secrets(site, run)
    install = find_asterisk()
    layout = run_layout(run)
    layout.make_directories()
    with generations.locked(layout):
        link_share(layout, install, site_path.parent, site)
    return _Bench(site, secrets, sources, install, layout)


def _changes(old: dict[str, str], new: dict[str, str], site_path: Path, site: Site) -> Changes:
    try:
        old_site = parse(old[SITE_FILE], site_path)
    except (KeyError, SiteErrors):  # none yet, or written by an older version of ours
        old_site = None
    return changes(old, new, old_site, site)


def _refuse_unasked_restart(step: Changes, running: bool, restart: bool) -> None:
    if running and step.restart and not restart:
        raise ApplyRefused(
            [
                "these changes need a restart of Asterisk:",
                *(f"  {reason}" for reason in step.restart),
                "`callcenter site apply --restart` restarts it as soon as no call is up",
            ]
        )


def _switch(
    layout: Layout, console: Console | None, before: int | None, number: int, step: Changes
) -> Applied:
    """Put `number` in force; when a reload fails, everything is put back and ApplyRefused tells why."""
    generations.put_in_force(layout, number)
    failed = _reload(console, step) if console else ""
    if failed and console and before is not None:
        generations.put_in_force(layout, before)
        _reload(console, step)
        raise ApplyRefused([failed, "the configuration from before is in force again"])
    generations.remember_previous(layout, before)
    restarting = bool(console and step.restart)
    if console and restarting:
        console.stop_when_convenient()
    return Applied(number, step, console is not None, restarting)


def _reload(console: Console, step: Changes) -> str:
    """Make Asterisk read what changed; what went wrong, or ""."""
    for command in step.commands:
        try:
            answer = console.ask(command)
        except AsteriskSilent as error:
            return str(error)
        if "fail" in answer.lower() or "no such" in answer.lower():
            return f'Asterisk answered "{command}" with: {" ".join(answer.split())}'
    return ""
