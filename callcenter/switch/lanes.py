"""Several connections to one Asterisk, so that calls do not wait for one another.

Asterisk serves each WebSocket one request after the other, and a call costs some 5 ms of that: one socket
is full before the machine is. Offers stay on the application's own socket, so that callers are offered in the
order the floor decided; what follows goes on a lane of the contact's, in its own order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from zlib import crc32

from callcenter.floor.commands import Command, HangUp, RingAgent, RingPhone
from callcenter.switch.ari import Ari, AriError
from callcenter.switch.operations import AriRequest

_KEYS: dict[type[Command], str] = {}  # command -> name of its first field: a leg, a bridge or a playback


class Lanes:
    """`main` and `others` connections. While one of the others is not there, `main` stands in for it."""

    def __init__(self, main: Ari, others: list[Ari]) -> None:
        self._main = main
        self._others = others

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
        ari = self._main
        if self._others and not _concerns_an_offer(command):
            lane = self._others[crc32(_contact(command).encode()) % len(self._others)]
            ari = lane if lane.connected else ari
        ari.tell(request, failed)


def _concerns_an_offer(command: Command) -> bool:
    """Ringing a phone, and giving it up: the second must never come before the first."""
    return isinstance(command, RingAgent | RingPhone) or (isinstance(command, HangUp) and "~" in command.leg)


def _contact(command: Command) -> str:
    """Ids of legs, bridges and playbacks begin with that of their contact: "1763.5~2001~1"."""
    kind = type(command)
    if kind not in _KEYS:
        _KEYS[kind] = fields(kind)[0].name
    name: str = getattr(command, _KEYS[kind])
    return name.partition("~")[0]
