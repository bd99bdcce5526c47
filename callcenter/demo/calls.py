"""One call as its far end sees it: a caller's, or a phone's. Waits have deadlines; nothing is guessed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

from callcenter.demo.public_asterisk import TONES_HZ, NetworkFault
from callcenter.switch.ari import Ari, AriError, Conflict, NotFound


class CallState(StrEnum):
    DIALLING = "dialling"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class NetworkCall:
    """A call on the public network's side. `phone` is "" for a caller from the trunk.

    Times are seconds since the epoch, 0.0 where that has not happened. `cause` is Q.850's, 0 while it lives.
    """

    def __init__(
        self, ari: Ari, id: str, number: str, ani: str, phone: str = "", incoming: bool = False
    ) -> None:
        self.id = id
        self.number = number  # what was dialled
        self.ani = ani  # who calls; on a phone's incoming call: the number it displays
        self.phone = phone
        self.incoming = incoming
        self.state = CallState.DIALLING
        self.cause = 0
        self.hung_up_here = False
        self.started_at = time.time()
        self.ringing_at = self.answered_at = self.ended_at = 0.0
        self.digits_heard = ""
        self._ari = ari
        self._tones = self._sounds = 0
        self._asked_cause = 16
        self._waiters: list[asyncio.Future[None]] = []
        self._ear = asyncio.Lock()  # a channel has one detector

    def __repr__(self) -> str:
        way = (
            f"{self.phone} rung by {self.ani}"
            if self.incoming
            else f"{self.phone or self.ani} to {self.number}"
        )
        return f"<call {way}: {self.state}{f', cause {self.cause}' if self.cause else ''}>"

    async def ringing(self, within: float = 5.0) -> None:
        """Wait until it rings (or is answered at once). Raises NetworkFault when it does not."""
        await self._reach(lambda: bool(self.ringing_at or self.answered_at), "ringing", within)

    async def answered(self, within: float = 10.0) -> None:
        """Wait until it is answered. Raises NetworkFault when it is not."""
        await self._reach(lambda: bool(self.answered_at), "answered", within)

    async def ended(self, within: float = 10.0) -> int:
        """Wait until it is over; returns the cause. Raises NetworkFault at the deadline."""
        if not await self.over(within):
            raise NetworkFault(f"{self!r} had not ended after {within:g} s")
        return self.cause

    async def hang_up(self, cause: int | None = None) -> None:
        """Hang up; harmless when it is over."""
        if self.state is CallState.ENDED:
            return
        self.hung_up_here = True
        await self._unless_gone(self._ari.channels.hangup(self.id, reason_code=cause))

    async def send_digits(self, digits: str) -> None:
        """Press keys, at a person's fast pace (100 ms down, 60 ms up); returns when all were pressed."""
        await self._unless_gone(self._ari.channels.send_dtmf(self.id, digits, between=60, duration=100))
        # Asterisk answers when it has queued them.
        await self.over(0.16 * len(digits))

    async def hum(self, hz: int) -> None:
        """Play a tone of TONES_HZ to the other side until `hush` or the end."""
        if hz not in TONES_HZ:
            raise ValueError(f"{hz} Hz is none of {TONES_HZ}")
        await self._unless_gone(self._ari.channels.start_moh(self.id, moh_class=f"hum-{hz}"))

    async def breathe(self) -> None:
        """Send silence, as a telephone does all the time; without this a call that is mute sends nothing."""
        await self._unless_gone(self._ari.channels.start_silence(self.id))

    async def hush(self) -> None:
        await self._unless_gone(self._ari.channels.stop_moh(self.id))

    async def hears(self, hz: int, within: float = 5.0) -> bool:
        """Whether the other side's tone of `hz` arrives here within so many seconds."""
        async with self._ear:
            self._tones = 0
            await self._unless_gone(self._set(f"TONE_DETECT({hz},200,r)"))
            found = await self._until(lambda: self._tones > 0 or self.state is CallState.ENDED, within)
            heard = found and self._tones > 0
            await self._unless_gone(self._set(f"TONE_DETECT({hz},200,x)"))
            return heard

    async def hears_sound(self, within: float = 5.0) -> bool:
        """Whether any sound (voice, music, a tone) arrives here within so many seconds."""
        async with self._ear:
            self._sounds = 0
            await self._unless_gone(self._set("TALK_DETECT(set)"))
            await self._until(lambda: self._sounds > 0 or self.state is CallState.ENDED, within)
            await self._unless_gone(self._set("TALK_DETECT(remove)"))
            return self._sounds > 0

    async def over(self, within: float) -> bool:
        """Whether it is over by then."""
        return await self._until(lambda: self.state is CallState.ENDED, within)

    async def hears_digits(self, digits: str, within: float = 5.0) -> bool:
        """Whether the other side has pressed these keys by then."""
        return await self._until(lambda: digits in self.digits_heard, within)

    async def hold_key(self, held: bool) -> None:
        """The phone's own hold key: a re-INVITE."""
        channels = self._ari.channels
        await self._unless_gone(channels.hold(self.id) if held else channels.unhold(self.id))

    async def refer(self, uri: str) -> None:
        """The phone's own transfer key: a SIP REFER that sends the other side to `uri` ("sip:8002@…").

        A telephone hangs up when it is told that this was done; here the test does.
        """
        await self._unless_gone(self._ari.channels.redirect(self.id, f"PJSIP/{uri}"))

    async def answer(self) -> None:
        """Pick up (an incoming call)."""
        await self._unless_gone(self._ari.channels.answer(self.id))

    async def ring(self) -> None:
        """Tell the calling side that it rings (an incoming call)."""
        if self.state is CallState.ENDED:
            return
        self.state, self.ringing_at = CallState.RINGING, time.time()
        self._changed()
        await self._unless_gone(self._ari.channels.ring(self.id))

    def take(self, event: dict[str, Any]) -> None:
        """An ARI event about this call."""
        kind = event["type"]
        if kind == "ChannelDestroyed":
            self._end(int(event.get("cause", 0)))
        elif kind == "ChannelHangupRequest":
            self._asked_cause = int(event.get("cause", 0))
        elif kind == "StasisEnd":
            # Of an incoming call Asterisk says no more than this (its subscription ends with the app).
            if self.incoming:
                self._end(self._asked_cause)
        elif kind == "ChannelToneDetected":
            self._tones += 1
        elif kind == "ChannelTalkingStarted":
            self._sounds += 1
        elif kind == "ChannelDtmfReceived":
            self.digits_heard += event["digit"]
        elif kind in ("ChannelStateChange", "StasisStart"):
            self._moved(event["channel"]["state"], in_hand=self.incoming or kind == "StasisStart")
        self._changed()

    def _moved(self, state: str, in_hand: bool) -> None:
        """`in_hand`: in our application; before that an answered call of ours takes no digits and no hum."""
        if state == "Ringing" and self.state is CallState.DIALLING:
            self.state, self.ringing_at = CallState.RINGING, time.time()
        elif state == "Up" and in_hand and not self.answered_at and self.state is not CallState.ENDED:
            self.state, self.answered_at = CallState.ANSWERED, time.time()

    def _end(self, cause: int) -> None:
        self.state, self.cause, self.ended_at = CallState.ENDED, cause, time.time()

    async def _unless_gone(self, answer: Awaitable[Any]) -> None:
        """Pressing a key of a phone that was just hung up is no error; all else is."""
        try:
            await answer
        except AriError as error:
            over = isinstance(error, NotFound | Conflict)
            if not (over and await self.over(1.0)):
                raise NetworkFault(f"{self!r}: {error}") from error

    def _set(self, function: str) -> Awaitable[Any]:
        return self._ari.channels.set_channel_var(self.id, function, "")

    async def _reach(self, test: Callable[[], bool], wanted: str, within: float) -> None:
        await self._until(lambda: test() or self.state is CallState.ENDED, within)
        if not test():
            raise NetworkFault(f"{self!r} was not {wanted} within {within:g} s")

    async def _until(self, test: Callable[[], bool], within: float) -> bool:
        """Wait for `test` to hold, looked at after each event of this call."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while not test():
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.append(waiter)
            try:
                # Not wait_for: Python 3.11's loses a cancellation that comes together with the result.
                async with asyncio.timeout_at(until):
                    await waiter
            except TimeoutError:
                return test()
        return True

    def _changed(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
