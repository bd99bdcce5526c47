"""What set-up takes from Debian: packages, with no service started, and Asterisk. Standard library only."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from callcenter.asterisk import AsteriskMissing, at_least, install_in_root

Execute = Callable[..., None]  # execute(what, argv, env=…): runs with progress, SetUpFailed when it fails
_POLICY = Path("/usr/sbin/policy-rc.d")
_CREATE_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
_WANTS = Path("/etc/systemd/system/multi-user.target.wants")
_RUN_LEVEL = Path("/etc/rc2.d")
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "LC_ALL": "C.UTF-8"}
_INCLUDED = (
    "ca-certificates",
    "asterisk",
    "asterisk-modules",
    "asterisk-dahdi",
    "dahdi",
    "asterisk-core-sounds-en-gsm",
    "asterisk-moh-opsound-gsm",
)
# Of the root, never used to run Asterisk: sources, headers, compilers' parts, papers.
_USELESS = ("usr/src", "usr/include", "usr/libexec/gcc", "usr/share/doc", "usr/share/man", "usr/share/locale")


class DebianRefused(Exception):
    """One clear line: what cannot be had, and what to do."""


def as_root() -> list[str]:
    """The words before a command that needs root: none for root, sudo for others; DebianRefused without."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        raise DebianRefused(
            "packages are missing, and this is neither root nor is there sudo: ask an administrator"
        )
    return ["sudo", "--"]


def install_packages(packages: Sequence[str], execute: Execute) -> None:
    """Install packages; no service of theirs is started or enabled and no database cluster is created."""
    sudo = as_root()
    apt = [*sudo, "env", *(f"{key}={value}" for key, value in _QUIET.items()), "apt-get", "-q", "-y"]
    # One foreign source that does not answer is no reason to stop: installing will tell.
    with contextlib.suppress(DebianRefused):
        execute("reading Debian's package lists", [*apt, "update"])
    install = [*apt, "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "install"]
    with _left_disabled(sudo, execute), _no_service_starts(sudo):
        if any(package.startswith("postgresql") for package in packages):
            execute("installing postgresql-common", [*install, "postgresql-common"])
        with _no_cluster_is_created(sudo):
            execute(f"installing {' '.join(packages)}", [*install, *packages])


def packaged_asterisk() -> bool:
    """Whether the system's own package of Asterisk is recent enough."""
    if shutil.which("apt-cache") is None:
        return False
    words = ["apt-cache", "policy", "asterisk"]
    text = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **_QUIET}).stdout
    candidate = re.search(r"Candidate: (?:\d+:)?(\S+)", text)
    return candidate is not None and at_least(candidate.group(1))


def extract_asterisk(root: Path, execute: Execute) -> None:
    """Put the root with Debian's Asterisk at `root` in one move: whole, or not at all."""
    new = root.with_name(f"{root.name}.new")
    sudo = as_root()
    execute(f"clearing {new}", [*sudo, "rm", "-rf", "--one-file-system", str(new)])
    execute(f"making {root.parent}", [*sudo, "mkdir", "-p", "-m", "755", str(root.parent)])
    # A mirror's forky index may be older than its Valid-Until; its signature is checked all the same.
    fetch = ["mmdebstrap", "--variant=extract", '--aptopt=Acquire::Check-Valid-Until "false"']
    fetch += [f"--include={','.join(_INCLUDED)}", "forky", str(new), _mirror()]
    execute(f"extracting Debian's Asterisk into {root} (about 200 MB)", [*sudo, *fetch])
    useless = [str(new / name) for name in _USELESS]
    execute("dropping what is never used", [*sudo, "rm", "-rf", "--one-file-system", *useless])
    execute("making it readable", [*sudo, "chmod", "-R", "a+rX", str(new)])
    try:
        install_in_root(new)
    except AsteriskMissing as error:
        raise DebianRefused(f"the extracted Asterisk is of no use: {error}") from None
    execute(f"moving it to {root}", [*sudo, "rm", "-rf", "--one-file-system", str(root)])
    execute(f"moving it to {root}", [*sudo, "mv", "-T", str(new), str(root)])


def _mirror() -> str:
    """The Debian mirror that this system's own apt uses; CALLCENTER_DEBIAN_MIRROR names another."""
    named = os.environ.get("CALLCENTER_DEBIAN_MIRROR")
    if named:
        return named
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(CREATED_BY)"]
    text = subprocess.run(words, capture_output=True, text=True).stdout
    for line in text.splitlines():
        uri, release, component, made_by = line.split("|")
        security = "security" in release or "-security" in uri
        if made_by == "Packages" and component == "main" and not security and "/debian" in uri:
            return uri
    raise DebianRefused(
        "apt names no Debian mirror to take Asterisk from: set CALLCENTER_DEBIAN_MIRROR to one, or install "
        "Asterisk 22.10.1 or later yourself"
    )


@contextlib.contextmanager
def _no_service_starts(sudo: list[str]) -> Iterator[None]:
    """policy-rc.d forbids packages to start services; what was there before is there again afterwards."""
    with _replaced(_POLICY, "#!/bin/sh\nexit 101\n", "755", sudo):
        yield


@contextlib.contextmanager
def _left_disabled(sudo: list[str], execute: Execute) -> Iterator[None]:
    """Services that the packages enable for the next boot are disabled again; the others are not touched."""
    # Works where systemd does not run; it wants to know for which package it is called.
    disable = [*sudo, "env", "DPKG_MAINTSCRIPT_PACKAGE=callcenter", "deb-systemd-helper", "disable"]
    units, scripts = _enabled()
    try:
        yield
    finally:
        new_units, new_scripts = _enabled()
        for unit in sorted(new_units - units):
            execute(f"leaving {unit} disabled", [*disable, unit])
        for script in sorted(new_scripts - scripts):
            execute(f"leaving init script {script} disabled", [*sudo, "update-rc.d", script, "disable"])


@contextlib.contextmanager
def _no_cluster_is_created(sudo: list[str]) -> Iterator[None]:
    """PostgreSQL's package makes a cluster and a service for it, unless its own configuration says no."""
    if not _CREATE_CLUSTER.exists():
        yield
        return
    text = _CREATE_CLUSTER.read_text(encoding="utf-8")
    with _replaced(_CREATE_CLUSTER, f"{text}\ncreate_main_cluster = false\n", "644", sudo):
        yield


@contextlib.contextmanager
def _replaced(path: Path, text: str, mode: str, sudo: list[str]) -> Iterator[None]:
    kept = path.with_name(f"{path.name}.before-callcenter")
    if kept.exists():  # an earlier set-up was killed in the middle: that one is the original
        _plain([*sudo, "mv", "-f", str(kept), str(path)])
    existed = path.exists() or path.is_symlink()
    if existed:
        _plain([*sudo, "cp", "-a", str(path), str(kept)])
    try:
        _plain([*sudo, "rm", "-f", str(path)])  # a symlink's target stays as it is
        _plain([*sudo, "tee", str(path)], text)
        _plain([*sudo, "chmod", mode, str(path)])
        yield
    finally:
        _plain([*sudo, "mv", "-f", str(kept), str(path)] if existed else [*sudo, "rm", "-f", str(path)])


def _plain(words: list[str], text: str | None = None) -> None:
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise DebianRefused(f"{' '.join(words)} failed: {done.stderr.strip()}")


def _enabled() -> tuple[set[str], set[str]]:
    """Units and System V scripts that start at boot."""
    units = {entry.name for entry in _WANTS.iterdir()} if _WANTS.is_dir() else set()
    scripts = {entry.name[3:] for entry in _RUN_LEVEL.glob("S[0-9][0-9]*")}
    return units, scripts
