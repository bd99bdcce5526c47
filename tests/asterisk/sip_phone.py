"""A telephone in a few lines of SIP over UDP, for what Asterisk as a telephone cannot send.

It is always at one address, answers the call that comes on its first line, may dial on a second, and sends
requests inside its calls: hold, transfer (REFER), attended transfer (REFER with Replaces). It has no sound.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import quote

_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"


@dataclass
class Line:
    """One call of the phone. `ours` and `theirs` are From and To as they stand in a request of ours."""

    call_id: str
    ours: str
    theirs: str
    target: str
    up: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def replaces(self) -> str:
        """How the other side names this call (RFC 3891)."""
        return f"{self.call_id};to-tag={_tag(self.theirs)};from-tag={_tag(self.ours)}"


class SipPhone(asyncio.DatagramProtocol):
    """`phone = await SipPhone.open("1009", port, centre_port)`; its first line is `await phone.rung()`."""

    def __init__(self, name: str, port: int, centre_port: int) -> None:
        self.name, self.port = name, port
        self.notified: list[str] = []  # bodies of NOTIFY: how a transfer goes
        self._centre = ("127.0.0.1", centre_port)
        self._lines: dict[str, Line] = {}
        self._rung: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._answers: dict[str, asyncio.Future[tuple[int, dict[str, str]]]] = {}
        self._sequence = 100

    @classmethod
    async def open(cls, name: str, port: int, centre_port: int) -> SipPhone:
        loop = asyncio.get_running_loop()
        make = lambda: cls(name, port, centre_port)  # noqa: E731
        _, phone = await loop.create_datagram_endpoint(make, ("127.0.0.1", port))
        return phone

    def close(self) -> None:
        self._transport.close()

    async def rung(self, within: float = 10.0) -> Line:
        """The call that came in, once it is up."""
        async with asyncio.timeout(within):
            line = await asyncio.shield(self._rung)
            await line.up.wait()
        return line

    async def dial(self, number: str, within: float = 10.0) -> Line:
        """A call on another line, once it is answered."""
        me = f"<sip:{self.name}@127.0.0.1:{self.port}>;tag={secrets.token_hex(4)}"
        uri = f"sip:{number}@{self._centre[0]}:{self._centre[1]}"
        line = Line(secrets.token_hex(8), me, f"<{uri}>", uri)
        self._lines[line.call_id] = line
        status, headers = await self._ask(line, "INVITE", within=within, body=self._sdp)
        assert status == 200, f"{number}: {status}"
        line.theirs, line.target = headers["to"], _uri_of(headers["contact"])
        self._request(line, f"{headers['cseq'].split()[0]} ACK")
        line.up.set()
        return line

    async def refer(self, line: Line, uri: str, *headers: str) -> int:
        """The transfer key; the status that the phone is told."""
        return (await self._ask(line, "REFER", f"Refer-To: <{uri}>", *headers))[0]

    async def join(self, first: Line, second: Line) -> int:
        """The transfer key with two calls: the far ends shall talk with one another."""
        return await self.refer(first, f"{second.target}?Replaces={quote(second.replaces, safe='')}")

    async def bye(self, line: Line) -> None:
        """Hang up; harmless when the other side has."""
        if not line.over.is_set():
            await self._ask(line, "BYE")

    # What comes in.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # 3.11's own is no subclass

    def datagram_received(self, data: bytes, _address: tuple[str, int]) -> None:
        head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
        first, *rest = head.split("\r\n")
        pairs = (line.partition(":") for line in rest)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if first.startswith("SIP/2.0"):
            status, waiting = int(first.split()[1]), self._answers.get(headers["cseq"])
            if status >= 200 and waiting is not None and not waiting.done():
                waiting.set_result((status, headers))
            return
        method = first.split()[0]
        vias = [line for line in rest if line.lower().startswith("via:")]
        line = self._lines.get(headers["call-id"])
        if method == "INVITE" and line is None:
            me = f"{headers['to']};tag={secrets.token_hex(4)}"
            line = Line(headers["call-id"], me, headers["from"], _uri_of(headers["contact"]))
            self._lines[line.call_id] = line
            self._rung.set_result(line)
        if method == "ACK" and line is not None:
            line.up.set()
        elif method != "ACK":
            ours = line.ours if line is not None else headers["to"]
            self._answer(headers, vias, ours, self._sdp if method == "INVITE" else "")
        if method == "NOTIFY":
            self.notified.append(body.strip())
        elif method == "BYE" and line is not None:
            line.over.set()

    # What goes out.

    @property
    def _sdp(self) -> str:
        return _SDP.format(port=self.port + 1)

    async def _ask(
        self, line: Line, method: str, *headers: str, within: float = 5.0, body: str = ""
    ) -> tuple[int, dict[str, str]]:
        """Send a request and wait for its final answer."""
        self._sequence += 1
        number = f"{self._sequence} {method}"
        answer: asyncio.Future[tuple[int, dict[str, str]]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._request(line, number, *headers, body=body)
        async with asyncio.timeout(within):
            return await answer

    def _request(self, line: Line, number: str, *headers: str, body: str = "") -> None:
        lines = (
            f"{number.split()[1]} {line.target} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{secrets.token_hex(6)}",
            f"From: {line.ours}",
            f"To: {line.theirs}",
            f"Call-ID: {line.call_id}",
            f"CSeq: {number}",
            f"Contact: <sip:{self.name}@127.0.0.1:{self.port}>",
            "Max-Forwards: 70",
            *headers,
        )
        self._send(lines, body)

    def _answer(self, headers: dict[str, str], vias: list[str], ours: str, body: str) -> None:
        lines = ["SIP/2.0 200 OK", *vias, f"From: {headers['from']}", f"To: {ours}"]
        lines += [f"Call-ID: {headers['call-id']}", f"CSeq: {headers['cseq']}"]
        lines += [f"Contact: <sip:{self.name}@127.0.0.1:{self.port}>"]
        self._send(lines, body)

    def _send(self, lines: list[str] | tuple[str, ...], body: str) -> None:
        kind = ["Content-Type: application/sdp"] if body else []
        text = "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", body])
        self._transport.sendto(text.encode(), self._centre)


def _uri_of(contact: str) -> str:
    found = re.search(r"<(.+?)>", contact)
    assert found is not None, contact
    return found[1]


def _tag(address: str) -> str:
    return address.partition("tag=")[2].partition(";")[0]
