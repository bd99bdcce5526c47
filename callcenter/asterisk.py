"""Finds the Asterisk to run. Standard library only: set-up uses it before anything is installed.

Order: the root named by CALLCENTER_ASTERISK_ROOT; an Asterisk on PATH that is recent enough; the root that
set-up extracted into a cache (the machine's, then the user's). A root is a Debian file system from which
Asterisk runs directly, through its own dynamic loader: no chroot and no special rights are needed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MINIMUM = (22, 10, 1)  # 20 security advisories were fixed in this release
MACHINE_CACHE = Path("/var/cache/callcenter")
_CACHED_ROOT = "asterisk-22"


class AsteriskMissing(Exception):
    """No usable Asterisk; the text is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class AsteriskInstall:
    """An Asterisk that can be started: `[*argv, "-f", "-C", "/path/asterisk.conf"]`."""

    argv: tuple[str, ...]
    version: str
    modules: Path  # for astmoddir
    data: Path  # for astdatadir: sounds, moh, rest-api, documentation
    root: Path | None  # the extracted root, None when it is the system's own


def find_asterisk() -> AsteriskInstall:
    """The Asterisk to use, or AsteriskMissing saying what to do."""
    named = os.environ.get("CALLCENTER_ASTERISK_ROOT")
    if named:
        return install_in_root(Path(named))
    refused = ""
    on_path = _which_asterisk()
    if on_path is not None:
        try:
            return _system_install(on_path)
        except AsteriskMissing as error:
            refused = f" ({error})"
    for cache in cached_roots():
        if (cache / "usr/sbin/asterisk").exists():
            return install_in_root(cache)
    raise AsteriskMissing(
        f"no Asterisk {_text(MINIMUM)} or later was found{refused}: install one, or run "
        f"`{Path(sys.executable).name} -m callcenter.bootstrap install`"
    )


def cached_roots() -> tuple[Path, ...]:
    """Where set-up may have put an extracted root, in order of preference."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (MACHINE_CACHE / _CACHED_ROOT, user_cache / "callcenter" / _CACHED_ROOT)


def install_in_root(root: Path) -> AsteriskInstall:
    """The Asterisk inside an extracted root; AsteriskMissing when it does not run or is too old."""
    root = root.resolve()
    loaders = sorted((root / "usr/lib64").glob("ld-linux*")) + sorted((root / "usr/lib").glob("ld-linux*"))
    moddirs = sorted((root / "usr/lib").glob("*/asterisk/modules"))
    program = root / "usr/sbin/asterisk"
    if not (loaders and moddirs and program.exists()):
        raise AsteriskMissing(f"{root} holds no Asterisk: remove it and run set-up again")
    argv = (
        str(loaders[0]),
        "--library-path",
        str(moddirs[0].parent.parent),
        "--argv0",
        "asterisk",
        str(program),
    )
    return AsteriskInstall(argv, _version_of(argv), moddirs[0], root / "usr/share/asterisk", root)


def at_least(version: str, minimum: tuple[int, ...] = MINIMUM) -> bool:
    """Whether a version text such as "22.10.1+dfsg" is `minimum` or later."""
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return numbers is not None and tuple(int(number or 0) for number in numbers.groups()) >= minimum


def _which_asterisk() -> str | None:
    """Asterisk on PATH or where administrators' programs live, which plain users often lack in PATH."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which("asterisk", path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")


def _system_install(program: str) -> AsteriskInstall:
    version = _version_of((program,))
    prefix = Path(program).resolve().parent.parent
    configured = _configured_directories(Path("/etc/asterisk/asterisk.conf"))
    modules = [configured.get("astmoddir"), *sorted((prefix / "lib").glob("*/asterisk/modules"))]
    modules += [prefix / "lib64/asterisk/modules", prefix / "lib/asterisk/modules"]
    data = [configured.get("astdatadir"), prefix / "share/asterisk", Path("/var/lib/asterisk")]
    return AsteriskInstall(
        (program,),
        version,
        _first(modules, "app_stack.so", f"modules of {program}"),
        _first(data, "rest-api", f"data of {program}"),
        None,
    )


def _version_of(argv: tuple[str, ...]) -> str:
    """What `asterisk -V` says; AsteriskMissing when it cannot run or is older than MINIMUM."""
    try:
        answer = subprocess.run([*argv, "-V"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AsteriskMissing(f"{argv[-1]} does not run: {error}") from None
    found = re.search(r"Asterisk (\S+)", answer.stdout)
    if answer.returncode != 0 or found is None:
        raise AsteriskMissing(f"{argv[-1]} does not run: {(answer.stderr or answer.stdout).strip()[:200]}")
    version = found.group(1)
    if not at_least(version):
        raise AsteriskMissing(f"{argv[-1]} is {version}, and {_text(MINIMUM)} or later is needed")
    return version


def _configured_directories(conf: Path) -> dict[str, Path]:
    """The directories that the system's asterisk.conf names; {} when it cannot be read."""
    try:
        text = conf.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = re.findall(r"^\s*(ast\w+dir)\s*=>?\s*([^;\s]+)", text, flags=re.MULTILINE)
    return {key: Path(value) for key, value in found}


def _first(places: list[Path | None], holding: str, what: str) -> Path:
    for place in places:
        if place is not None and (place / holding).exists():
            return place
    raise AsteriskMissing(f"the {what} were not found: set CALLCENTER_ASTERISK_ROOT to another installation")


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
