"""The secrets file `.run/secrets.toml`: made once, mode 0600, never printed, kept over every `apply`."""

from __future__ import annotations

import fcntl
import os
import secrets
import string
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from callcenter.paths import RunDirectory
from callcenter.site.errors import SiteError, SiteErrors
from callcenter.site.model import Site

_ALPHABET = string.ascii_letters + string.digits  # typed on phones and put into files: nothing special
_LENGTH = 20
ARI_USER = "callcenter"
AMI_USER = "callcenter"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passwords; never in a repr. `trunks` are the carriers' and written into the file by the admin."""

    ari_password: str = field(repr=False)
    ami_password: str = field(repr=False)
    phones: Mapping[str, str] = field(repr=False)
    trunks: Mapping[str, str] = field(repr=False, default_factory=lambda: MappingProxyType({}))
    ari_user: str = ARI_USER
    ami_user: str = AMI_USER

    def values(self) -> Iterable[str]:
        """Every password, to be blotted out of what is shown."""
        yield from (self.ari_password, self.ami_password)
        yield from self.phones.values()
        yield from self.trunks.values()


def load_secrets(run: RunDirectory) -> Secrets:
    """The secrets as they are; SiteErrors when the file is missing, readable by others or broken."""
    return _secrets(run, _read(run.secrets))


def ensure_secrets(site: Site, run: RunDirectory) -> Secrets:
    """The secrets of `site`, with what is missing made and saved. A password that exists never changes."""
    run.root.mkdir(parents=True, exist_ok=True)
    with (run.root / "secrets.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _read(run.secrets) if run.secrets.exists() else {}
        wanted = {
            "ari": {"password": _kept(known, "ari", "password")},
            "ami": {"password": _kept(known, "ami", "password")},
            # Phones that are gone keep their password: they may come back with the next edit of the file.
            "phones": {
                **_table(known, "phones"),
                **{name: _kept(known, "phones", name) for name in site.phone_names},
            },
            "trunks": _table(known, "trunks"),
        }
        if wanted != known:
            _write(run.secrets, wanted)
    made = _secrets(run, wanted)
    if missing := [trunk.name for trunk in site.trunks if trunk.username and trunk.name not in made.trunks]:
        raise SiteErrors(
            [
                SiteError(
                    str(run.secrets),
                    0,
                    f"trunks.{name}",
                    'is missing: add the carrier\'s password, NAME = "…"',
                )
                for name in missing
            ]
        )
    return made


def _kept(known: Mapping[str, Any], section: str, name: str) -> str:
    value = _table(known, section).get(name)
    return value or "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def _table(known: Mapping[str, Any], section: str) -> dict[str, str]:
    table = known.get(section, {})
    return dict(table) if isinstance(table, dict) else {}


def _secrets(run: RunDirectory, known: Mapping[str, Any]) -> Secrets:
    for section in ("ari", "ami", "phones", "trunks"):
        for name, value in _table(known, section).items():
            # They go into Asterisk's files, where a line break or `;` would say something else.
            if (
                not isinstance(value, str)
                or not value
                or any(c in value for c in ';\\"[]')
                or not value.isprintable()
            ):
                raise SiteErrors(
                    [
                        SiteError(
                            str(run.secrets),
                            0,
                            f"{section}.{name}",
                            'expected printable text without ; \\ " [ ]',
                        )
                    ]
                )
    try:
        ari, ami = known["ari"]["password"], known["ami"]["password"]
    except (KeyError, TypeError):
        raise SiteErrors(
            [SiteError(str(run.secrets), 0, "", "is incomplete: `callcenter site apply` completes it")]
        ) from None
    return Secrets(ari, ami, _table(known, "phones"), _table(known, "trunks"))


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().decode()
    except FileNotFoundError:
        raise SiteErrors(
            [SiteError(str(path), 0, "", "does not exist yet: `callcenter up` makes it")]
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SiteErrors([SiteError(str(path), 0, "", f"cannot be read: {error}")]) from None
    if mode & 0o077:
        raise SiteErrors([SiteError(str(path), 0, "", f"others may read it: `chmod 600 {path}`")])
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteErrors([SiteError(str(path), 0, "", f"this is no TOML: {error}")]) from None


def _write(path: Path, wanted: Mapping[str, Mapping[str, str]]) -> None:
    """All or nothing, and never readable by others, not for a moment."""
    lines = ['# Made by callcenter; keep it secret. Passwords of carriers go under [trunks]: NAME = "…"']
    for section, values in wanted.items():
        lines += ["", f"[{section}]", *(f'{name} = "{value}"' for name, value in sorted(values.items()))]
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
