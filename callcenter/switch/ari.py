"""An asyncio client for Asterisk's REST Interface: one WebSocket carries events and requests.

Needs Asterisk 22.4 or later (REST over WebSocket). It stands alone: nothing here knows of call centres.

    async def main() -> None:
        async with Ari("127.0.0.1", 8088, "user", "secret", app="hello") as ari:
            async for event in ari.events():
                if event["type"] == "StasisStart":
                    channel = event["channel"]["id"]
                    await ari.channels.answer(channel)
                    await ari.channels.play(channel, ["sound:hello-world"])

An operation returns a future at once. Requests leave in the order in which they were made, and Asterisk
serves one socket serially, so independent requests may be sent without waiting and awaited later:

    ringing = ari.channels.ring(channel)
    music = ari.channels.start_moh(channel)
    await asyncio.gather(ringing, music)

Errors are subclasses of AriError. The client reconnects by itself; after each connect it sets the event
filter and then calls `on_connected`. Events that happened while it was away are not sent again by Asterisk:
take `channels.list()` then.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx
import msgspec
from picows import WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from callcenter.switch.operations import (
    Applications,
    AriRequest,
    Asterisk,
    Bridges,
    Channels,
    Endpoints,
    Playbacks,
    Recordings,
)

Json = dict[str, Any]
Answer = asyncio.Future[Any]

LARGEST_MESSAGE = 64 * 1024 * 1024  # bytes; a list of channels is long
LARGEST_REQUEST = 65_535  # bytes; Asterisk closes the socket (1009) on anything longer
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 1.0


class AriError(Exception):
    """A request that was not carried out; `request` names it, `status` is HTTP's (0: no answer)."""

    def __init__(self, request: AriRequest, text: str, status: int = 0) -> None:
        super().__init__(f"{request.method} {request.uri.partition('?')[0]}: {text}")
        self.request = request
        self.text = text
        self.status = status


class NotFound(AriError):
    """The channel, bridge, playback or variable is not there (404)."""


class Conflict(AriError):
    """It exists already, or is in a state that forbids it (409, 412, 422)."""


class Refused(AriError):
    """The request itself is wrong or forbidden (other 4xx), or too long to send."""


class AsteriskFailing(AriError):
    """Asterisk could not do it (5xx)."""


class RequestTimedOut(AriError):
    """No answer in time: it may or may not have been done."""


class NotConnected(AriError):
    """No connection: not sent, or the connection broke before the answer (then it may have been done)."""

    def __init__(self, request: AriRequest, text: str, *, sent: bool) -> None:
        super().__init__(request, text)
        self.sent = sent


class Ari:
    """A client of one Asterisk for one Stasis application.

    `on_event` gets each event (Asterisk's JSON as a dict) in order and must be quick: it runs where the
    socket is read. Without it, events wait for `events()`. `on_connected` runs after every connect, before
    any later event is delivered; `on_lost` after every loss. `allowed_events` is the application's event
    filter (None: all events). An Asterisk that answers no ping, sent each `alive_seconds`, for as long again
    counts as lost. With `answers_seconds` a request's answer is read up to that much later, with others:
    for a connection whose answers nobody waits for, because each reading alone costs more than its answer.
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        *,
        app: str,
        on_event: Callable[[Json], None] | None = None,
        on_connected: Callable[[], None] | None = None,
        on_lost: Callable[[str], None] | None = None,
        allowed_events: Sequence[str] | None = None,
        request_seconds: float = 5.0,
        alive_seconds: float = 5.0,
        answers_seconds: float = 0.0,
    ) -> None:
        self.app = app
        self._origin = f"{host}:{port}"
        self._credentials = httpx.BasicAuth(user, password)
        self._url = f"ws://{self._origin}/ari/events?" + urlencode({"app": app})
        self._user, self._password = user, password
        self._inbox: asyncio.Queue[Json] = asyncio.Queue()
        self._on_event = on_event or self._inbox.put_nowait
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._allowed = None if allowed_events is None else sorted({*allowed_events, "RESTResponse"})
        self._seconds = request_seconds
        self._alive_seconds = alive_seconds
        self._answers_seconds = answers_seconds
        self._reading_later = False
        self._waiting: dict[str, _Waiting] = {}
        self._outbox: deque[bytes] = deque()
        self._sending = False  # somebody will flush
        self._connected = asyncio.Event()
        self._number = 0
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._socket: WSTransport | None = None
        self._http: httpx.AsyncClient | None = None
        self.last_error = ""  # why the last attempt to connect failed, for people
        self.channels: Channels[Answer] = Channels(self.request)
        self.bridges: Bridges[Answer] = Bridges(self.request)
        self.playbacks: Playbacks[Answer] = Playbacks(self.request)
        self.applications: Applications[Answer] = Applications(self.request)
        self.endpoints: Endpoints[Answer] = Endpoints(self.request)
        self.asterisk: Asterisk[Answer] = Asterisk(self.request)
        self.recordings: Recordings[Answer] = Recordings(self.request)

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    async def wait_connected(self, seconds: float | None = None) -> None:
        """Wait for the connection. Raises TimeoutError, which says why it failed so far."""
        try:
            async with asyncio.timeout(seconds):
                await self._connected.wait()
        except TimeoutError:
            raise TimeoutError(f"no connection to Asterisk at {self._origin}: {self.last_error}") from None

    def start(self) -> None:
        """Begin to connect, and stay connected until `close`."""
        if self._task is None:
            self._closing = False
            self._task = asyncio.create_task(self._stay_connected(), name=f"ari {self._origin}")

    async def close(self) -> None:
        self._closing = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def __aenter__(self) -> Self:
        self.start()
        await self.wait_connected()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def events(self) -> AsyncIterator[Json]:
        """The events as they come, across reconnects; only without `on_event`."""
        while True:
            yield await self._inbox.get()

    def request(self, request: AriRequest) -> Answer:
        """Send one request; the future gives the answer's JSON (None where there is none) or an AriError."""
        answer: Answer = asyncio.get_running_loop().create_future()

        def done(body: str, error: AriError | None) -> None:
            if answer.done():
                return  # cancelled
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(_decode(body) if body else None)

        self._post(request, done)
        return answer

    def tell(self, request: AriRequest, failed: Callable[[AriError], None]) -> None:
        """Send one request whose answer does not matter unless it is an error: `failed` gets that.

        A third cheaper than `request`. `failed` may be called before this returns.
        """
        self._post(request, lambda _, error: None if error is None else failed(error))

    def _post(self, request: AriRequest, done: Callable[[str, AriError | None], None]) -> None:
        if self._socket is None:
            done("", NotConnected(request, "not connected to Asterisk", sent=False))
            return
        self._number += 1
        number = str(self._number)
        line = _encode(
            _RestRequest(
                number, request.method, request.uri, request.body, "application/json" if request.body else ""
            )
        )
        if len(line) > LARGEST_REQUEST:
            text = f"{len(line)} bytes, and Asterisk takes {LARGEST_REQUEST} at most"
            done("", Refused(request, text))
            return
        self._waiting[number] = _Waiting(request, done, time.monotonic() + self._seconds)
        self._outbox.append(line)
        if not self._sending:
            self._sending = True
            asyncio.get_running_loop().call_soon(self.flush)

    def hold(self) -> None:
        """Gather requests until `flush`, which must follow before the loop goes on."""
        self._sending = True

    def flush(self) -> None:
        """Send what has gathered in one write: system calls cost the most."""
        self._sending = False
        if not self._outbox or self._socket is None:
            return
        transport = self._socket.underlying_transport
        while self._outbox:
            self._socket.send(WSMsgType.TEXT, self._outbox.popleft())
        if self._answers_seconds and not self._reading_later:
            self._reading_later = True
            transport.pause_reading()
            loop, every = asyncio.get_running_loop(), self._answers_seconds
            # Whole multiples, so that several connections are read in one pass of the loop.
            loop.call_at((loop.time() // every + 1) * every, self._read_again, transport)

    def _read_again(self, transport: asyncio.Transport) -> None:
        self._reading_later = False
        if not transport.is_closing():
            transport.resume_reading()

    async def get_by_http(self, path: str) -> Any:
        """A GET by plain HTTP: for long lists, which would hold up the requests on the socket."""
        return msgspec.json.decode(await self.download(path))

    async def download(self, path: str) -> bytes:
        """The bytes of `path` (e.g. `recordings/stored/NAME/file`) by plain HTTP."""
        if self._http is None:
            self._http = httpx.AsyncClient(
                base_url=f"http://{self._origin}/ari/", auth=self._credentials, timeout=self._seconds
            )
        request = AriRequest("GET", path)
        try:
            reply = await self._http.get(path)
        except httpx.TimeoutException:
            raise RequestTimedOut(request, f"no answer within {self._seconds:g} s") from None
        except httpx.HTTPError as error:
            raise NotConnected(request, str(error) or type(error).__name__, sent=True) from None
        if reply.status_code >= 400:
            raise _error(request, reply.status_code, reply.reason_phrase, reply.text)
        return reply.content

    async def _stay_connected(self) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                socket, messages = await ws_connect(
                    lambda: _Messages(self._read),
                    self._url,
                    extra_headers={"Authorization": _basic(self._user, self._password)},
                    disconnect_on_exception=False,
                    websocket_handshake_timeout=self._seconds,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=self._alive_seconds,
                    auto_ping_reply_timeout=self._alive_seconds,
                    max_frame_size=LARGEST_MESSAGE,
                    use_aiofastnet=False,  # uvloop's transport writes all frames of a pass at once
                )
                assert isinstance(messages, _Messages)
                pause = FIRST_RETRY_SECONDS
                try:
                    await self._converse(socket, messages)
                finally:
                    socket.disconnect(graceful=False)
            except WSHandshakeError as error:
                self.last_error = (
                    f"{error}; is the ARI user or password wrong?" if "401" in str(error) else str(error)
                )
            except (OSError, WSError, TimeoutError) as error:
                self.last_error = str(error) or type(error).__name__
            except Exception as error:
                self.last_error = f"a mistake in a callback: {error!r}"
                _report("a callback of the ARI client failed", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_RETRY_SECONDS)

    async def _converse(self, socket: WSTransport, messages: _Messages) -> None:
        """Read and write one connection until it ends."""
        self._socket = socket
        self._outbox.clear()
        self._connected.set()
        self._sending = self._reading_later = False
        clock = asyncio.create_task(self._watch_time())
        try:
            if self._allowed is not None:
                _forget(self.applications.filter(self.app, self._allowed))
            if self._on_connected:
                self._on_connected()
            messages.deliver()
            await socket.wait_disconnected()
            self.last_error = f"the connection to Asterisk broke: {_why_closed(socket)}"
        finally:
            self._connected.clear()
            self._socket = None
            clock.cancel()
            waiting, self._waiting = self._waiting, {}
            for entry in waiting.values():
                entry.done("", NotConnected(entry.request, "the connection to Asterisk broke", sent=True))
            if self._on_lost and not self._closing:
                self._on_lost(self.last_error)

    def _read(self, message: bytes) -> None:
        """One message. Nothing in it, nor in what a callback makes of it, may end the reading of others."""
        try:
            event = _decode(message)
            if event["type"] == "RESTResponse":
                self._answer(event)
            else:
                self._on_event(event)
        except Exception as error:
            _report("an ARI message could not be handled", error)

    def _answer(self, response: Json) -> None:
        entry = self._waiting.pop(response["request_id"], None)
        if entry is None:
            return  # too late
        status, body = response["status_code"], response.get("message_body", "")
        if status >= 400:
            entry.done("", _error(entry.request, status, response.get("reason_phrase", ""), body))
        else:
            entry.done(body, None)

    async def _watch_time(self) -> None:
        """Fail the requests that got no answer in time. They are in the order of their deadlines."""
        while True:
            await asyncio.sleep(self._seconds / 20)
            now = time.monotonic()
            late = []
            for number, entry in self._waiting.items():
                if entry.deadline > now:
                    break
                late.append(number)
            for number in late:
                entry = self._waiting.pop(number)
                entry.done("", RequestTimedOut(entry.request, f"no answer within {self._seconds:g} s"))


class _Messages(WSListener):
    """Hands each message over where it is read, in order; those that come before `deliver` wait for it."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._early: list[bytes] | None = []
        self._parts: list[bytes] = []  # of a message in several frames

    def deliver(self) -> None:
        """From now on the messages are delivered, at once those that came already."""
        early, self._early = self._early, None
        for message in early or ():
            self._deliver(message)

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT and frame.msg_type is not WSMsgType.CONTINUATION:
            return
        message = frame.get_payload_as_bytes()
        if self._parts or not frame.fin:
            self._parts.append(message)
            if not frame.fin:
                return
            message = b"".join(self._parts)
            self._parts.clear()
        if self._early is None:
            self._deliver(message)
        else:
            self._early.append(message)


class _Waiting(msgspec.Struct):
    request: AriRequest
    done: Callable[[str, AriError | None], None]  # the answer's body, or why there is none
    deadline: float  # of time.monotonic()


class _RestRequest(msgspec.Struct, tag="RESTRequest", tag_field="type", omit_defaults=True):
    request_id: str
    method: str
    uri: str
    message_body: str = ""
    content_type: str = ""
    transaction_id: str = "-"  # must be there; the request's own id is enough for us


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def _why_closed(socket: WSTransport) -> str:
    told = socket.close_handshake and socket.close_handshake.recv
    return f"{told.code} {told.reason}".strip() if told else "no word of why"


def _basic(user: str, password: str) -> str:
    """The Authorization header of HTTP's basic scheme."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _error(request: AriRequest, status: int, reason: str, body: str) -> AriError:
    text = reason
    with contextlib.suppress(msgspec.DecodeError):
        told = _decode(body) if body else None
        if isinstance(told, dict):
            text = str(told.get("message") or told.get("error") or reason)
    kind: type[AriError] = Refused
    if status == 404:
        kind = NotFound
    elif status in (409, 412, 422):
        kind = Conflict
    elif status >= 500:
        kind = AsteriskFailing
    return kind(request, text, status)


def _report(text: str, error: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": text, "exception": error})


def _forget(answer: Answer) -> None:
    """Nobody waits for this answer; take its error away so that asyncio does not complain."""
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())
