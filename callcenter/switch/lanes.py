"""Several connections to one Asterisk, so that calls do not wait for one another.

Asterisk serves each WebSocket one request after the other, and a call costs some 5 ms of that: one socket
is full before the machine is. Offers stay on the application's own socket, so that callers are offered in the
order the floor decided; what follows goes on a lane of the contact's, in its own order. A leg that outlives
its contact (an always-connected agent's) stays on the lane of the contact it was joined with last: what it
hears next must come after that bridge's end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from zlib import crc32

from callcenter.floor.commands import (
    Command,
    ConnectLegs,
    HangUp,
    RingAgent,
    RingOutside,
    RingPhone,
)
from callcenter.switch.ari import Ari, AriError
from callcenter.switch.operations import AriRequest

_KEYS: dict[type[Command], str] = {}  # command -> name of its first field: a leg, a bridge or a playback


class Lanes:
    """`main` and `others` connections. While one of the others is not there, `main` stands in for it."""

    def __init__(self, main: Ari, others: list[Ari]) -> None:
        self._main = main
        self._others = others
        self._last_contact: dict[str, str] = {}  # standing leg -> the contact it was joined with last

    def start(self) -> None:
        for ari in (*self._others, self._main):
            ari.start()

    async def close(self) -> None:
        await asyncio.gather(*[ari.close() for ari in (self._main, *self._others)])

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is told inside leaves at its end, in one write to each connection."""
        for ari in (self._main, *self._others):
            ari.hold()
        try:
            yield
        finally:
            for ari in (self._main, *self._others):
                ari.flush()

    def tell(self, command: Command, request: AriRequest, failed: Callable[[AriError], None]) -> None:
        """Send one request of `command` on its contact's lane; see `Ari.tell`."""
        if isinstance(command, ConnectLegs) and _prefix(command.agent) != _prefix(command.caller):
            self._last_contact[command.agent] = _prefix(command.caller)
        ari = self._main
        if self._others and not _concerns_an_offer(command):
            lane = self._others[crc32(self._contact(command).encode()) % len(self._others)]
            ari = lane if lane.connected else ari
        ari.tell(request, failed)

    def forget(self, leg: str) -> None:
        """This leg is gone."""
        self._last_contact.pop(leg, None)

    def _contact(self, command: Command) -> str:
        kind = type(command)
        if kind not in _KEYS:
            _KEYS[kind] = fields(kind)[0].name
        name: str = getattr(command, _KEYS[kind])
        return self._last_contact.get(name) or _prefix(name)


def _concerns_an_offer(command: Command) -> bool:
    """Ringing a phone, and giving it up: the second must never come before the first."""
    return isinstance(command, RingAgent | RingOutside | RingPhone) or (
        isinstance(command, HangUp) and "~" in command.leg
    )


def _prefix(name: str) -> str:
    """Ids of legs, bridges and playbacks begin with that of their contact: "1763.5~2001~1"."""
    return name.partition("~")[0]
