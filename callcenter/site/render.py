"""Asterisk's files from the site: text in, text out, nothing is written here.

The templates are `asterisk_conf/*.j2`; one of the same name beside the site file wins over the shipped one.
The admin's `dialplans/*.conf` go in as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError

from callcenter.asterisk import AsteriskInstall
from callcenter.floor.plan import ANY_NUMBER
from callcenter.paths import shipped
from callcenter.site.credentials import Secrets
from callcenter.site.errors import SiteError, SiteErrors
from callcenter.site.layout import Layout, Ports
from callcenter.site.model import Site, Trunk
from callcenter.site.numbers import expand

SITE_FILE = "callcenter.toml"  # goes along into each configuration: what is in force, plan included

_TONES = {"CN": "cn", "HK": "uk", "GB": "uk", "DE": "de", "JP": "jp"}  # others: us


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a site: its file's text, and the dialplans by file name."""

    folder: Path
    site_text: str
    dialplans: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Phone:
    name: str
    language: str
    codecs: tuple[str, ...]
    contact: str
    address: str  # of the contact
    password: str  # "" for none


def read_sources(site_path: Path) -> Sources:
    """The site's files as they lie there; without a folder `dialplans/` of its own, the shipped ones."""
    own = site_path.parent / "dialplans"
    folder = own if own.is_dir() else shipped("dialplans")
    faults: list[SiteError] = []
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("*.conf")):
        try:
            texts[path.name] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(
                SiteError(f"dialplans/{path.name}", 0, "", f"cannot be read as UTF-8 text: {error}")
            )
        if not path.name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            faults.append(
                SiteError(f"dialplans/{path.name}", 0, "", "expected a file name of letters, digits, - _")
            )
    if not texts:
        faults.append(
            SiteError(str(folder), 0, "", "holds no *.conf: `callcenter site init DIR` writes first ones")
        )
    if faults:
        raise SiteErrors(faults)
    return Sources(site_path.parent, site_path.read_text("utf-8-sig"), texts)


def sources_in(files: Mapping[str, str], folder: Path) -> Sources:
    """The files of a site as they went into a configuration; `folder` is where the site lies."""
    dialplans = {
        name.removeprefix("dialplans/"): text for name, text in files.items() if name.startswith("dialplans/")
    }
    return Sources(folder, files[SITE_FILE], dialplans)


def render(
    site: Site,
    secrets: Secrets,
    sources: Sources,
    install: AsteriskInstall,
    layout: Layout,
    ports: Ports,
    *,
    silent: bool = False,
) -> dict[str, str]:
    """Every file of one configuration, by its path under `etc`. SiteErrors when a template is faulty.

    `silent`: for an instance that only judges the files; it asks nothing of the world (no registration).
    """
    for place in (layout.home, layout.log, layout.share, install.modules):
        if any(letter in str(place) for letter in ';[]{}"$\\\n'):
            raise SiteErrors(
                [SiteError(str(place), 0, "", 'Asterisk takes no path with one of ;[]{}"$\\ in it')]
            )
    own = sources.folder / "asterisk_conf"
    folders = [folder for folder in (own, shipped("asterisk_conf")) if folder.is_dir()]
    environment = Environment(  # noqa: S701 - these files are no HTML; the values are checked by the model
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values = _values(site, secrets, sources) | {
        "layout": layout,
        "ports": ports,
        "modules": install.modules,
        "silent": silent,
    }
    files: dict[str, str] = {}
    for name in sorted({path.name for folder in folders for path in folder.glob("*.j2")}):
        try:
            files[name.removesuffix(".j2")] = environment.get_template(name).render(values)
        except TemplateError as error:
            line = getattr(error, "lineno", 0) or 0
            raise SiteErrors([SiteError(f"asterisk_conf/{name}", line, "", f"template: {error}")]) from None
    files |= {f"dialplans/{name}": text for name, text in sources.dialplans.items()}
    files[SITE_FILE] = sources.site_text
    return files


def _values(site: Site, secrets: Secrets, sources: Sources) -> dict[str, object]:
    phones = _phones(site, secrets)
    names = [trunk.name for trunk in site.trunks]
    fallback = [name for text in site.site.fallback_phones for name in expand(text)]
    return {
        "made_from": "Made by `callcenter site apply` from callcenter.toml: edit that, not this.",
        "site": site,
        "secrets": secrets,
        "trunks": site.trunks,
        "sources": {trunk.name: _sources(trunk, site, phones) for trunk in site.trunks},
        "queues": site.queues,
        "phones": phones,
        "fallback_phones": fallback or [phone.name for phone in phones],
        "tones": _TONES.get(site.site.country, "us"),
        "nat": _nat(site),
        "music": [(name, (sources.folder / place).resolve()) for name, place in site.music.items()],
        "fallback_numbers": [
            ("_[+0-9]!" if dialled == ANY_NUMBER else dialled, entry.queue, entry.language or site.language)
            for entry in site.numbers
            for dialled in entry.number
        ],
        "any_number": any(ANY_NUMBER in entry.number for entry in site.numbers),
        "emergency_trunks": site.emergency.trunks or names,
        "emergency_numbers": emergency_dialled(site),
        "dialplans": list(sources.dialplans),
    }


def emergency_dialled(site: Site) -> list[tuple[str, str]]:
    """What a phone may dial for an emergency, with the number that is called."""
    prefixes = ("", *site.emergency.prefixes)
    return [(prefix + number, number) for number in site.emergency.numbers for prefix in prefixes]


def _phones(site: Site, secrets: Secrets) -> list[Phone]:
    return [
        Phone(
            name=name,
            language=phones.language or site.language,
            codecs=phones.codecs,
            contact=phones.contact.replace("{number}", name),
            address=_contact_address(phones.contact),
            password=secrets.phones[name] if phones.password else "",
        )
        for phones in site.phones
        for name in phones.names
    ]


def _sources(trunk: Trunk, site: Site, phones: list[Phone]) -> tuple[str, ...]:
    """Where the trunk's calls come from: with its port where phones share the address, as on one machine."""
    if trunk.match:
        return trunk.match
    host = ip_address(trunk.host)
    shared = host.is_loopback or trunk.host in {site.asterisk.address, *(phone.address for phone in phones)}
    return (f"{host}:{trunk.port}" if shared and host.version == 4 else str(host),)


def _contact_address(contact: str) -> str:
    host = contact.partition("@")[2].partition(";")[0].partition(":")[0]
    return str(ip_address(host)) if host else ""


def _nat(site: Site) -> str:
    own = site.asterisk
    lines = [f"local_net = {network}" for network in own.local_networks]
    if own.external_address:
        lines += [
            f"external_media_address = {own.external_address}",
            f"external_signaling_address = {own.external_address}",
        ]
    return "\n".join(lines)
