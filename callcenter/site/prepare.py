"""The first configuration of a machine, and where the others find what is in force."""

from __future__ import annotations

from pathlib import Path

from callcenter.asterisk import AsteriskInstall, find_asterisk
from callcenter.paths import RunDirectory
from callcenter.site import generations
from callcenter.site.credentials import ensure_secrets
from callcenter.site.layout import command, run_layout, site_ports
from callcenter.site.load import load, parse
from callcenter.site.model import Site
from callcenter.site.render import SITE_FILE, read_sources, render, sources_in
from callcenter.site.share import link_share


def prepare(site_path: Path, run: RunDirectory, install: AsteriskInstall | None = None) -> None:
    """Make secrets, directories and, when there is none yet, Asterisk's configuration.

    A configuration that exists stays in force, whatever the site file says by now: a machine must start in
    the middle of its admin's edit, and changing it is `callcenter site apply`'s. Only its directories are
    brought up to date: Asterisk or the checkout may have moved.
    """
    site = site_in_force(site_path, run)
    secrets = ensure_secrets(site, run)
    install = install or find_asterisk()
    layout = run_layout(run)
    layout.make_directories()
    with generations.locked(layout):
        link_share(layout, install, site_path.parent, site)
        number = generations.in_force(layout)
        if number is None:
            files = render(site, secrets, read_sources(site_path), install, layout, site_ports(site))
            generations.put_in_force(layout, generations.write(layout, files))
            return
        old = generations.read_files(layout, number)
        files = render(site, secrets, sources_in(old, site_path.parent), install, layout, site_ports(site))
        if files["asterisk.conf"] != old.get("asterisk.conf"):
            generations.put_in_force(layout, generations.write(layout, files))


def asterisk_command(run: RunDirectory, install: AsteriskInstall | None = None) -> tuple[str, ...]:
    """What the supervisor runs: Asterisk in the foreground on the configuration in force."""
    return command(install or find_asterisk(), run_layout(run))


def site_in_force(site_path: Path, run: RunDirectory) -> Site:
    """The site as it was last applied; before that, as its file says. The engine lives by this one."""
    applied = run_layout(run).etc / SITE_FILE
    if not applied.exists():
        return load(site_path)
    return parse(applied.read_text("utf-8"), site_path)  # folders are named from where the site file lies
