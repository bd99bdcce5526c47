"""Where things are: the files shipped with us, and the run directory of one machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The shipped file or folder `name` ("asterisk_conf", "dialplans", "sounds", "callcenter.toml").

    Looked for in the installed package first, then beside it in a checkout.
    """
    for place in (_PACKAGE / "data" / name, _PACKAGE.parent / name):
        if place.exists():
            return place
    raise FileNotFoundError(f"{name} is missing from this installation of callcenter: install it again")


def recording_sides(recording: str) -> tuple[str, str]:
    """The names of the two files that Asterisk writes: what the caller says, and what he hears."""
    return f"{recording}-caller.sln", f"{recording}-agent.sln"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Everything that a running centre writes on one machine: sockets, data, logs, secrets (`.run/`)."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.toml"  # mode 0600

    @property
    def redis(self) -> Path:
        return self.root / "redis"  # redis.conf, redis.sock, appendonlydir

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"  # data/, and the socket .s.PGSQL.5432 (short path!)

    @property
    def asterisk(self) -> Path:
        return self.root / "asterisk"  # etc/ (rendered), spool/, var/, asterisk.ctl

    @property
    def raw_recordings(self) -> Path:
        return self.asterisk / "spool" / "monitor"  # two files each, until they are joined

    @property
    def recordings(self) -> Path:
        return self.root / "recordings"  # DATE/QUEUE/RECORDING.wav, unless the site names a folder

    @property
    def spool(self) -> Path:
        return self.root / "spool"  # records while Redis is away

    @property
    def heartbeat(self) -> Path:
        return self.root / "heartbeat"  # NAME: touched by each process of ours

    @property
    def supervisor(self) -> Path:
        return self.root / "supervisor"
