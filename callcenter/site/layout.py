"""Where one Asterisk instance of ours keeps what: its directories and ports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from callcenter.asterisk import AsteriskInstall
from callcenter.endpoints import socket_directory
from callcenter.paths import RunDirectory
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


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return int(low), int(high)
