"""What differs between two configurations: as text without secrets, and what it takes to put it in force."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from callcenter.site.model import Site
from callcenter.site.render import SITE_FILE

# Which commands make Asterisk read a changed file; a file that is not here needs a restart.
_RELOADS = {
    "acl.conf": "module reload acl",
    "ari.conf": "module reload res_ari.so",
    "cdr.conf": "module reload cdr",
    "cel.conf": "module reload cel",
    "extensions.conf": "dialplan reload",
    "features.conf": "module reload features",
    "indications.conf": "module reload indications",
    "logger.conf": "logger reload",
    "manager.conf": "manager reload",
    "musiconhold.conf": "moh reload",
    "pjsip.conf": "module reload res_pjsip.so; module reload res_pjsip_authenticator_digest.so; "
    "module reload res_pjsip_endpoint_identifier_ip.so; module reload res_pjsip_outbound_registration.so",
    "queues.conf": "queue reload all",
    "res_fax.conf": "module reload res_fax.so",
    "rtp.conf": "module reload res_rtp_asterisk.so",
    "udptl.conf": "module reload udptl",
}
_RESTART_SECTIONS = {"pjsip.conf": ("global", "system", "udp", "tcp")}  # read once, when Asterisk starts
RESERVED_NAMES = (*_RESTART_SECTIONS["pjsip.conf"], "phone", "registering")  # no trunk may be named so

_SECRET_LINE = re.compile(r"^(.?\s*(?:password|secret)\s*=\s*).*$", re.M)
_URL_PASSWORD = re.compile(r"(://[^:/@\s\"]*:)[^@\s\"]*@")


@dataclass(frozen=True, slots=True)
class Changes:
    """From one configuration to another."""

    files: tuple[str, ...]
    commands: tuple[str, ...]  # for Asterisk's console, in order
    restart: tuple[str, ...]  # why Asterisk must be restarted; empty when a reload is enough
    engine_restart: tuple[str, ...]  # keys of the site file that the engines read only when they start

    def __bool__(self) -> bool:
        return bool(self.files)


def changes(old: Mapping[str, str], new: Mapping[str, str], old_site: Site | None, new_site: Site) -> Changes:
    """What the step from `old` to `new` needs."""
    changed = tuple(name for name in sorted({*old, *new}) if old.get(name) != new.get(name))
    if not old:  # nothing is in force, so nothing has to be told or restarted
        return Changes(changed, (), (), ())
    commands: list[str] = []
    restart: list[str] = []
    for name in changed:
        if name == SITE_FILE:
            continue
        read_as = "extensions.conf" if name.startswith("dialplans/") else name
        sections = _changed_sections(name, old.get(name, ""), new.get(name, ""))
        if sections:
            restart.append(f"{name}: {', '.join(f'[{section}]' for section in sections)}")
        if read_as in _RELOADS:
            commands += _RELOADS[read_as].split("; ")
        else:
            restart.append(name)
    return Changes(
        files=changed,
        commands=tuple(dict.fromkeys(commands)),
        restart=tuple(restart),
        engine_restart=_engine_keys(old_site, new_site) if old_site else (),
    )


def as_text(old: Mapping[str, str], new: Mapping[str, str], secrets: Iterable[str]) -> str:
    """A unified diff of all files, every secret blotted out."""
    pieces: list[str] = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before != after:
            pieces += difflib.unified_diff(
                (before or "").splitlines(keepends=True),
                (after or "").splitlines(keepends=True),
                "/dev/null" if before is None else f"in force/{name}",
                "/dev/null" if after is None else f"new/{name}",
            )
    return blotted("".join(piece if piece.endswith("\n") else piece + "\n" for piece in pieces), secrets)


def blotted(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret, known or only recognised by its place, made unreadable."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "******")
    return _URL_PASSWORD.sub(r"\1******@", _SECRET_LINE.sub(r"\1******", text))


def _changed_sections(name: str, old: str, new: str) -> list[str]:
    before, after = _sections(old), _sections(new)
    return [part for part in _RESTART_SECTIONS.get(name, ()) if before.get(part) != after.get(part)]


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^\[([^\]]+)\](?:\([^)]*\))?$", text, flags=re.M)
    found: dict[str, str] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        settings = [line.partition(";")[0].strip() for line in body.splitlines()]
        found[name] = found.get(name, "") + "\n".join(filter(None, settings)) + "\n"
    return found


def _engine_keys(old: Site, new: Site) -> tuple[str, ...]:
    values = {
        "floor.name": (old.floor.name, new.floor.name),
        "redis.url": (old.redis.url, new.redis.url),
        "postgres.url": (old.postgres.url, new.postgres.url),
        "asterisk.http_port": (old.asterisk.http_port, new.asterisk.http_port),
        "asterisk.ami_port": (old.asterisk.ami_port, new.asterisk.ami_port),
    }
    return tuple(key for key, (before, after) in values.items() if before != after)
