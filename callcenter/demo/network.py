"""The public network and the phones, to play with: callers call, phones ring and are answered or not.

    async with PublicNetwork(asterisk) as network:
        phone = network.phone("1001")
        phone.policy = Answer(after_seconds=1.0)
        call = await network.call("4000", ani="13800138000")
        await call.answered()
        assert await call.hears(phone.tone_hz)

Used by the demo and by the tests. A phone has one line: rung twice at once it is busy, and
remembers that in `doubled` (a call centre must never do that).
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from callcenter.demo.calls import CallState, NetworkCall
from callcenter.demo.public_asterisk import (
    APP,
    TONES_HZ,
    USER,
    NetworkFault,
    NetworkPlace,
    PhoneAccount,
    PublicAsterisk,
)
from callcenter.switch.ari import Ari, AriError

__all__ = [
    "TONES_HZ", "Answer", "CallState", "Ignore", "NetworkCall", "NetworkFault", "NetworkPhone",
    "NetworkPlace", "PhoneAccount", "PublicAsterisk", "PublicNetwork", "Refuse",
]  # fmt: skip

_EVENTS = (
    "StasisStart", "ChannelStateChange", "ChannelDestroyed", "ChannelToneDetected", "ChannelTalkingStarted",
    "ChannelDtmfReceived", "ChannelHangupRequest", "StasisEnd",
)  # fmt: skip
_BUSY = 17
_BREATH_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Answer:
    """Pick up after so many seconds of ringing. `hum`: play the phone's own tone from then on."""

    after_seconds: float = 0.0
    hum: bool = True


@dataclass(frozen=True, slots=True)
class Ignore:
    """Let it ring."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Turn the call down at once, with a Q.850 cause (17 busy, 21 rejected, 20 absent)."""

    cause: int = _BUSY


Policy = Answer | Ignore | Refuse


class NetworkPhone:
    """A telephone: what it does when it rings (`policy`), and what one can do with it."""

    def __init__(self, network: PublicNetwork, account: PhoneAccount, tone_hz: int) -> None:
        self.name = account.name
        self.account = account
        self.tone_hz = tone_hz
        self.policy: Policy = Answer()
        self.current: NetworkCall | None = None
        self.rung: list[NetworkCall] = []  # every incoming call, oldest first
        self.doubled = 0  # times it was rung while another call was ringing or talking there
        self.missed = 0  # times it was rung while its user was dialling: busy, nobody's fault
        self._network = network
        self._came = asyncio.Condition()

    async def rings(self, within: float = 10.0, after: int = 0) -> NetworkCall:
        """Wait for the incoming call number `after` (from 0) and return it. Raises NetworkFault."""
        try:
            async with self._came, asyncio.timeout(within):
                await self._came.wait_for(lambda: len(self.rung) > after)
        except TimeoutError:
            raise NetworkFault(f"phone {self.name} did not ring within {within:g} s") from None
        return self.rung[after]

    async def dial(self, number: str) -> NetworkCall:
        """Dial from this phone. Raises NetworkFault when it is in a call."""
        if self.current is not None:
            raise NetworkFault(f"phone {self.name} is in a call: {self.current!r}")
        self.current = call = self._network.lift(number, ani=self.name, phone=self.name)
        try:
            await self._network.place(call)
        except NetworkFault:
            self.current = None
            raise
        return call

    async def feature(
        self, code: str, *entries: str, pause_seconds: float = 0.3, within: float = 15.0
    ) -> NetworkCall:
        """Dial a feature code, enter each of `entries` ("2001#", "4711#"), wait until the centre hangs up."""
        call = await self.dial(code)
        await call.answered()
        for entry in entries:
            await asyncio.sleep(pause_seconds)  # a person's pause between two entries
            await call.send_digits(entry)
        try:
            await call.ended(within)
        finally:
            await call.hang_up()
        return call

    async def hang_up(self) -> None:
        if self.current is not None:
            call = self.current
            await call.hang_up()
            await call.ended()

    async def unregister(self) -> None:
        """Tell the centre that this phone is gone; wait until it knows."""
        await self._registration("send unregister", "Unregistered")

    async def register(self) -> None:
        """Tell the centre where this phone is; wait until it knows."""
        await self._registration("send register", "Registered")

    async def came_in(self, call: NetworkCall) -> None:
        """An incoming call: do as the policy says."""
        # The end of the last call and the next ring may come in one breath, and Asterisk tells them by two
        # threads: only a call that goes on is a call.
        if self.current is not None and not await self.current.over(_BREATH_SECONDS):
            if self.current.incoming:
                self.doubled += 1
            else:
                self.missed += 1
            await call.hang_up(_BUSY)
            return
        self.current = call
        policy = self.policy  # as it was when the phone rang
        if isinstance(policy, Refuse):
            await call.hang_up(policy.cause)
        else:
            await call.ring()
        async with self._came:
            self.rung.append(call)
            self._came.notify_all()
        if isinstance(policy, Answer):
            await asyncio.sleep(policy.after_seconds)
            if call.state is CallState.RINGING:
                await call.answer()
                if policy.hum:
                    await call.hum(self.tone_hz)

    async def _registration(self, command: str, wanted: str, within: float = 10.0) -> None:
        await asyncio.to_thread(self._network.asterisk.command, f"pjsip {command} {self.name}")
        await self._network.registrations({self.name}, wanted, within)


class PublicNetwork:
    """The connection to a running PublicAsterisk, and all calls and phones on it."""

    def __init__(self, asterisk: PublicAsterisk) -> None:
        self.asterisk = asterisk
        tones = itertools.cycle(TONES_HZ)
        self.phones = {account.name: NetworkPhone(self, account, next(tones)) for account in asterisk.phones}
        self.strangers: list[NetworkCall] = []  # calls from the centre to a number that is no phone: outside
        self.calls: dict[str, NetworkCall] = {}  # that live, by channel
        self._run = secrets.token_hex(3)
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ari = Ari(
            asterisk.place.host, asterisk.place.http_port, USER, asterisk.password,
            app=APP, on_event=self._take, allowed_events=_EVENTS,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        self._ari.start()
        await self._ari.wait_connected(10)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._ari.connected:
            await asyncio.gather(*(call.hang_up() for call in self.calls.values()), return_exceptions=True)
        await self._ari.close()

    def phone(self, name: str) -> NetworkPhone:
        return self.phones[name]

    async def call(self, dnis: str, ani: str) -> NetworkCall:
        """A caller from outside dials `dnis`; the call comes to the centre by its trunk."""
        call = self.lift(dnis, ani)
        await self.place(call)
        return call

    def lift(self, number: str, ani: str, phone: str = "") -> NetworkCall:
        """A call to `number`, from `phone` or from the trunk, that is not placed yet."""
        id = f"net-{self._run}-{next(self._numbers)}"
        call = self.calls[id] = NetworkCall(self._ari, id, number, ani, phone)
        return call

    async def place(self, call: NetworkCall) -> None:
        """Send it to the centre. Raises NetworkFault when our own Asterisk cannot."""
        place = self.asterisk.place
        uri = f"sip:{call.number.replace('#', '%23')}@{place.host}:{place.centre_sip_port}"
        try:
            await self._ari.channels.originate(
                f"PJSIP/{call.phone or 'centre'}/{uri}", channel_id=call.id, app=APP, app_args="outgoing",
                caller_id=f"{call.ani} <{call.ani}>", timeout=600,
            )  # fmt: skip
        except AriError as error:
            self.calls.pop(call.id, None)
            raise NetworkFault(f"the public network could not call {call.number}: {error}") from error

    async def registered(self, names: Sequence[str] = (), within: float = 15.0) -> None:
        """Wait until these phones (all that register, without names) are registered at the centre."""
        wanted = set(names) or {account.name for account in self.asterisk.phones if account.registers}
        await self.registrations(wanted, "Registered", within)

    async def registrations(self, names: set[str], wanted: str, within: float) -> None:
        """Wait until all `names` are `wanted`, as Asterisk words it. Raises NetworkFault naming the rest."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while missing := names - await self._registrations_in(wanted):
            if loop.time() > until:
                raise NetworkFault(
                    f"phones {', '.join(sorted(missing))} were not {wanted.lower()} in {within:g} s"
                )
            await asyncio.sleep(0.1)

    async def channels(self) -> list[str]:
        """Names of all channels of the second Asterisk: [] when every call is over."""
        return [str(channel["name"]) for channel in await self._ari.channels.list()]

    async def quiet(self, within: float = 5.0) -> list[str]:
        """Wait until no channel is left; what is still there at the deadline."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        # Asked again and again: Asterisk sends no event when nothing is left.
        while (left := await self.channels()) and loop.time() < until:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.05)
        return left

    async def hang_up_all(self) -> None:
        """Everybody hangs up."""
        for channel in await self._ari.channels.list():
            call = self.calls.get(channel["id"])
            if call is not None:
                await call.hang_up()

    async def _registrations_in(self, wanted: str) -> set[str]:
        """The phones whose registration is in this state, as Asterisk's console shows it."""
        shown = await asyncio.to_thread(self.asterisk.command, "pjsip show registrations")
        rows = (line.split() for line in shown.splitlines() if "/sip:" in line)
        return {row[0].partition("/")[0] for row in rows if wanted in row}

    def _take(self, event: dict[str, Any]) -> None:
        channel = event.get("channel")
        if channel is None:
            return
        id = channel["id"]
        if event["type"] == "StasisStart" and event["args"][:1] == ["incoming"]:
            self._incoming(id, event["args"][1], channel["caller"]["number"])
            return
        call = self.calls.get(id)
        if call is None:
            return
        call.take(event)
        if call.state is CallState.ENDED:
            del self.calls[id]
            phone = self.phones.get(call.phone)
            if phone is not None and phone.current is call:
                phone.current = None

    def _incoming(self, id: str, number: str, ani: str) -> None:
        phone = self.phones.get(number)
        call = self.calls[id] = NetworkCall(
            self._ari, id, number, ani, phone.name if phone else "", incoming=True
        )
        if phone is None:  # a number outside: somebody there picks up at once
            self.strangers.append(call)
            self._spawn(call.answer())
        else:
            self._spawn(phone.came_in(call))

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
