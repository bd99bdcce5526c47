"""The real switch on a real Asterisk pair keeps the contract, and what only it can show."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from callcenter.floor.commands import Command, SetFallbackMember, TagLeg
from callcenter.floor.events import CallArrived, Event, LegHungUp, SwitchLost, SwitchSurveyed
from callcenter.switch.ari import Ari, AriError, NotConnected, NotFound, Refused, RequestTimedOut
from callcenter.switch.asterisk import AsteriskSwitch
from callcenter.switch.operations import AriRequest
from callcenter.testing.contract import CHECKS, Stage, caller
from tests.asterisk.switchbox import Pair, pair
from tests.servers import eventually

E = TypeVar("E", bound=Event)
pytestmark = pytest.mark.asterisk
SECONDS = 10.0
SETTLED_SECONDS = 0.4  # long enough for an event that must not come


class Door:
    """A TCP relay to Asterisk's HTTP port that a test can shut, which cuts what went through it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        out: asyncio.StreamWriter | None = None
        try:
            back, out = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(_copy(reader, out), _copy(back, writer))
        except (OSError, asyncio.CancelledError):
            pass  # shut
        finally:
            for each in (writer, out):
                if each is not None:
                    each.transport.abort()
            self._tasks.discard(task)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(65536):
        writer.write(block)
        await writer.drain()
    raise ConnectionResetError


class AsteriskStage:
    def __init__(self, asterisks: Pair) -> None:
        self.pair = asterisks
        self.heard: list[Event] = []
        self.replaced = 0
        self.door = Door(asterisks.centre.http_port)
        self.switch: AsteriskSwitch | None = None
        self._rivals: list[Ari] = []

    def send(self, *commands: Command) -> None:
        assert self.switch is not None
        self.switch.send(commands)

    async def start(self) -> None:
        await self.door.open()
        seen = sum(isinstance(event, SwitchSurveyed) for event in self.heard)
        if self.switch is None:
            settings = self.pair.centre.settings(http_port=self.door.port)
            self.switch = AsteriskSwitch(settings, self.heard.append, self._count)
            await self.switch.start()
        await self._until(lambda: sum(isinstance(e, SwitchSurveyed) for e in self.heard) > seen, "a survey")

    def _count(self) -> None:
        self.replaced += 1

    async def lose(self) -> None:
        await self.door.shut()
        await self.hear(SwitchLost)

    async def another_engine(self) -> None:
        box = self.pair.centre.settings()
        rival = Ari(box.host, box.http_port, box.ari_user, box.ari_password, app=box.app)
        self._rivals.append(rival)
        await rival.__aenter__()

    async def hear(
        self, kind: type[E], true: Callable[[E], bool] = lambda _: True, seconds: float = SECONDS
    ) -> E:
        found: list[E] = []

        def look() -> bool:
            found[:] = [event for event in self.heard if isinstance(event, kind)]
            return any(true(event) for event in found)

        await self._until(look, f"{kind.__name__} among {self.heard}", seconds)
        return next(event for event in found if true(event))

    async def _until(self, true: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert asyncio.get_running_loop().time() < deadline, (
                f"not within {seconds:g} s: {what}; {self.heard}"
            )
            await asyncio.sleep(0.01)

    async def settle(self) -> None:
        await asyncio.sleep(SETTLED_SECONDS)

    async def phones(self, how: str) -> None:
        await asyncio.to_thread(self.pair.phones_answer, how)

    async def call(self, dnis: str, ani: str, digits: str = "") -> None:
        await asyncio.to_thread(self.pair.call, dnis, ani, digits=digits)

    async def dial(self, phone: str, number: str) -> None:
        await asyncio.to_thread(self.pair.phone_calls, phone, number)

    async def everybody_hangs_up(self) -> None:
        await asyncio.to_thread(self.pair.hang_up_network)

    async def close(self) -> None:
        for rival in self._rivals:
            await rival.close()
        if self.switch is not None:
            await self.switch.close()
        await self.door.shut()


@pytest.fixture(scope="module")
def asterisks() -> Iterator[Pair]:
    with pair() as started:
        yield started


@pytest.fixture
def quiet(asterisks: Pair) -> Iterator[Pair]:
    """The pair; whatever a test leaves is cleared away, and a test that leaves a stuck channel fails."""
    yield asterisks
    asterisks.hang_up_network()
    asterisks.centre.console("channel request hangup all")
    for box in (asterisks.network, asterisks.centre):
        eventually(lambda box=box: box.channels() == 0, "no channel left")  # type: ignore[misc]


def play(asterisks: Pair, script: Callable[[AsteriskStage], Awaitable[None]]) -> None:
    async def run() -> None:
        stage = AsteriskStage(asterisks)
        try:
            await script(stage)
        finally:
            await stage.close()

    asyncio.run(run())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(quiet: Pair, check: Callable[[Stage], Awaitable[None]]) -> None:
    play(quiet, check)


def test_nobody_answers_in_time(quiet: Pair) -> None:
    async def script(stage: AsteriskStage) -> None:
        from callcenter.testing.contract import ring

        await stage.start()
        await stage.phones("ring")
        contact = await caller(stage)
        stage.send(ring("leg-1", contact, seconds=1))
        event = await stage.hear(LegHungUp)
        assert (event.leg, event.cause) == ("leg-1", 19)

    play(quiet, script)


def test_an_operator_takes_a_caller_away(quiet: Pair) -> None:
    from callcenter.floor.events import LegLeft

    async def script(stage: AsteriskStage) -> None:
        await stage.start()
        contact = await caller(stage)
        name = await asyncio.to_thread(quiet.centre.console, "core show channels concise")
        channel = name.split("!")[0]
        await asyncio.to_thread(quiet.centre.console, f"channel redirect {channel} outside,123,1")
        assert (await stage.hear(LegLeft)).leg == contact
        assert not [event for event in stage.heard if isinstance(event, LegHungUp)]

    play(quiet, script)


def test_a_stray_channel_is_hung_up(quiet: Pair) -> None:
    async def script(stage: AsteriskStage) -> None:
        await stage.start()
        said = await asyncio.to_thread(
            quiet.centre.console,
            "channel originate Local/123@outside application Stasis floor-main,what,ever",
        )
        assert "rror" not in said
        await asyncio.to_thread(eventually, lambda: quiet.centre.channels() == 0, "the stray is gone")
        assert not [event for event in stage.heard if isinstance(event, CallArrived)]

    play(quiet, script)


def test_fallback_members_follow_the_floor(quiet: Pair) -> None:
    async def becomes(true: Callable[[str], bool], what: str) -> None:
        await asyncio.to_thread(eventually, lambda: true(quiet.centre.console("queue show")), what)

    async def script(stage: AsteriskStage) -> None:
        await stage.start()
        stage.send(SetFallbackMember("1001", "501", ("sales", "service"), present=True))
        await becomes(lambda text: text.count("PJSIP/1001") == 2 and "paused" not in text, "in both")
        stage.send(SetFallbackMember("1001", "501", ("sales", "service"), present=True, paused=True))
        await becomes(lambda text: text.count("paused") == 2, "paused in both")
        stage.send(SetFallbackMember("1001", "501", ("sales",), present=True, paused=True))
        await becomes(lambda text: text.count("PJSIP/1001") == 1, "out of one")
        await stage.close()
        stage.switch = None
        await stage.start()  # another engine, which knows nothing of the members
        stage.send(SetFallbackMember("1001", "502", ("sales",), present=True, paused=False))
        await becomes(lambda text: "PJSIP/1001" in text and "paused" not in text, "already there, unpaused")
        stage.send(SetFallbackMember("1001", "502", ("sales",), present=False))
        await becomes(lambda text: "PJSIP/1001" not in text, "out")
        stage.send(SetFallbackMember("1002", "503", ("sales\r\nAction: Originate",), present=True))
        await stage.settle()

    play(quiet, script)


def test_the_heartbeat_reaches_the_dialplan(quiet: Pair) -> None:
    async def script(stage: AsteriskStage) -> None:
        await stage.start()
        assert stage.switch is not None
        stage.switch.beat()
        await asyncio.to_thread(
            eventually, lambda: "CC_HEARTBEAT=" in quiet.centre.console("dialplan show globals"), "beat"
        )

    play(quiet, script)


def test_coming_back_is_quick(quiet: Pair) -> None:
    """From Asterisk being reachable again to the survey: under a second, also after a long absence."""

    async def script(stage: AsteriskStage) -> None:
        await stage.start()
        contact = await caller(stage)
        stage.send(TagLeg(contact, contact, "sales", 12.5, "en"))
        await stage.settle()
        await stage.lose()
        await asyncio.sleep(2.5)  # the back-off is at its longest
        del stage.heard[:]
        before = asyncio.get_running_loop().time()
        await stage.start()
        assert asyncio.get_running_loop().time() - before < 1.5

    play(quiet, script)


def test_the_ari_client_by_itself(quiet: Pair) -> None:
    """As a stranger uses it: events by iteration, errors by class, answers in order."""
    box = quiet.centre.settings()

    async def run() -> None:
        async with Ari(
            box.host, box.http_port, box.ari_user, box.ari_password, app="floor-main", request_seconds=2
        ) as ari:
            assert (await ari.asterisk.ping())["ping"] == "pong"
            with pytest.raises(NotFound, match="Channel not found"):
                await ari.channels.get("nobody")
            with pytest.raises(Refused, match="65535 at most"):
                await ari.channels.set_channel_vars("c", {"LONG": "x" * 70_000})
            with pytest.raises(ValueError, match="not empty"):
                ari.channels.answer("")
            sent = [ari.asterisk.set_global_var("ORDER", str(number)) for number in range(200)]
            await asyncio.gather(*sent)
            assert (await ari.asterisk.get_global_var("ORDER"))["value"] == "199"
            with pytest.raises(NotFound):
                await ari.download("recordings/stored/none/file")
            await asyncio.to_thread(quiet.call, "4001")
            async with asyncio.timeout(SECONDS):
                async for event in ari.events():
                    if event["type"] == "StasisStart":
                        break
            assert event["args"][0] == "inbound"
            strange = "a/b c?d&e"
            with pytest.raises(NotFound):
                await ari.channels.get(strange)
        with pytest.raises(NotConnected):
            await ari.asterisk.ping()

    asyncio.run(run())


def test_a_wrong_password_is_told(quiet: Pair) -> None:
    box = quiet.centre.settings()

    async def run() -> None:
        ari = Ari(box.host, box.http_port, box.ari_user, "wrong", app="x")
        ari.start()
        with pytest.raises(TimeoutError, match="user or password"):
            await ari.wait_connected(1)
        await ari.close()

    asyncio.run(run())


def test_what_a_callback_raises_ends_nothing() -> None:
    """Junk, unknown answers and a failing callback: the next event is heard all the same."""
    from websockets.asyncio.server import ServerConnection, serve

    heard: list[str] = []
    complaints: list[dict[str, object]] = []

    def on_event(event: dict[str, object]) -> None:
        heard.append(str(event["type"]))
        if event["type"] == "Bad":
            raise RuntimeError("a mistake")

    async def speak(socket: ServerConnection) -> None:
        for line in ("{", "[]", "3", '{"type":"RESTResponse"}', '{"type":"Bad"}', '{"type":"Good"}'):
            await socket.send(line)
        await socket.wait_closed()

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with serve(speak, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with Ari("127.0.0.1", port, "u", "p", app="x", on_event=on_event):
                deadline = time.monotonic() + SECONDS
                while "Good" not in heard:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.01)

    asyncio.run(run())
    assert heard == ["Bad", "Good"]
    assert len(complaints) == 5


def test_answers_nobody_waits_for_are_read_later_and_not_lost(quiet: Pair) -> None:
    box = quiet.centre.settings()

    async def run() -> None:
        ari = Ari(box.host, box.http_port, box.ari_user, box.ari_password, app="slow", answers_seconds=0.2)
        refused: list[AriError] = []
        async with ari:
            for number in range(5):
                ari.tell(AriRequest("DELETE", f"bridges/none-{number}"), refused.append)
            began = time.monotonic()
            while len(refused) < 5:
                assert time.monotonic() < began + SECONDS
                await asyncio.sleep(0.005)
            assert all(isinstance(error, NotFound) for error in refused)
            await asyncio.sleep(0.25)  # it reads again as things come
            await ari.asterisk.ping()

    asyncio.run(run())


def test_no_answer_in_time() -> None:
    """A server that accepts the WebSocket and then says nothing."""
    from websockets.asyncio.server import ServerConnection, serve

    async def silent(socket: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            async for _ in socket:
                pass

    async def run() -> None:
        async with serve(silent, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with Ari("127.0.0.1", port, "u", "p", app="x", request_seconds=0.2) as ari:
                with pytest.raises(RequestTimedOut):
                    await ari.asterisk.ping()
                sent = [ari.asterisk.ping() for _ in range(3)]
                answers = await asyncio.gather(*sent, return_exceptions=True)
                assert all(isinstance(answer, AriError) for answer in answers)

    asyncio.run(run())
