"""Where one Asterisk instance of ours keeps what: its directories and ports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from callcenter.asterisk import AsteriskInstall
from callcenter.endpoints import socket_directory
from callcenter.paths import RunDirectory, shipped
from callcenter.site.model import Site


@dataclass(frozen=True, slots=True)
class Ports:
    """What one instance listens on. HTTP and AMI are on 127.0.0.1 always."""

    address: str
    sip: int
    http: int
    ami: int
    rtp: tuple[int, int]
    udptl: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of one instance. `etc` is a link to the configuration in force (`etc.N`)."""

    home: Path
    control: Path  # holds asterisk.ctl; a short path, see endpoints.socket_directory
    log: Path
    share: Path  # sounds of ours and the package's, music

    @property
    def etc(self) -> Path:
        return self.home / "etc"

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    @property
    def var(self) -> Path:
        return self.home / "var"

    @property
    def configuration(self) -> Path:
        return self.etc / "asterisk.conf"

    def make_directories(self) -> None:
        """Everything that Asterisk wants to exist: without spool/recording, ARI record answers 500."""
        for directory in (
            self.control,
            self.log,
            self.share,
            self.var,
            self.var / "keys",
            self.spool / "tmp",
        ):
            directory.mkdir(parents=True, exist_ok=True)
        for name in ("recording", "monitor", "fax", "outgoing", "voicemail"):
            (self.spool / name).mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)


def site_ports(site: Site) -> Ports:
    """The ports of the site file."""
    own = site.asterisk
    return Ports(own.address, own.sip_port, own.http_port, own.ami_port, _range(own.rtp), _range(own.udptl))


def run_layout(run: RunDirectory) -> Layout:
    """The layout of the centre's own Asterisk."""
    run.asterisk.mkdir(parents=True, exist_ok=True)
    return Layout(run.asterisk, socket_directory(run.asterisk), run.log, run.asterisk / "share")


def command(install: AsteriskInstall, layout: Layout) -> tuple[str, ...]:
    """The command that runs this instance in the foreground."""
    return (*install.argv, "-f", "-C", str(layout.configuration))


def link_share(layout: Layout, install: AsteriskInstall, site_folder: Path, site: Site) -> None:
    """Build `share/`: sounds by language and music, as links, ours over the package's.

    `sound:NAME` in language L is looked for as sounds/L/NAME: recordings of the site (sounds/custom/L) win
    over built ones (sounds/built/L), these over the package's.
    """
    layout.share.mkdir(parents=True, exist_ok=True)
    for name in ("documentation", "rest-api", "static-http", "firmware", "agi-bin", "keys"):
        if (install.data / name).is_dir():
            _relink(layout.share / name, install.data / name)
    package = {"en": next(iter(sorted((install.data / "sounds").glob("en*"))), None)}
    own = site_folder / "sounds"
    sounds = layout.share / "sounds"
    for language in {*site.site.languages, "en"}:
        target = sounds / language
        target.mkdir(parents=True, exist_ok=True)
        sources = (
            package.get(language),
            _built() / language,
            own / "built" / language,
            own / "custom" / language,
        )
        wanted = _by_name([source for source in sources if source is not None])
        for stale in target.iterdir():
            if stale.name not in wanted:
                stale.unlink()
        for name, entry in wanted.items():
            _relink(target / name, entry.resolve())
    music = install.data / "moh"
    if music.is_dir() and any(music.iterdir()):
        _relink(layout.share / "moh", music)


def _by_name(sources: Sequence[Path]) -> dict[str, Path]:
    """Sound files by file name. A later source hides an earlier one's whatever the endings: Asterisk would
    else choose by format."""
    found: dict[str, dict[str, Path]] = {}
    for source in sources:
        if not source.is_dir():
            continue
        own: dict[str, dict[str, Path]] = {}
        for entry in source.iterdir():
            own.setdefault(entry.stem, {})[entry.name] = entry
        found |= own
    return {name: entry for entries in found.values() for name, entry in entries.items()}


def _built() -> Path:
    try:
        return shipped("sounds") / "built"
    except FileNotFoundError:
        return Path("/nonexistent")


def _relink(link: Path, target: Path) -> None:
    """Point `link` at `target` without a moment in which there is none."""
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return int(low), int(high)
