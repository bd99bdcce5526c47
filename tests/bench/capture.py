"""Reads the capture of one run: which caller was offered to which agent, and when.

The legs of a call are paired by the caller's number, which the system under test hands on to the agent (From
or P-Asserted-Identity); the user part of an agent's address names the agent. Agents' audio starts with MARK,
which passes through as it is (A-law on both sides), so the moment of hearing one another is seen as well.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MARK = bytes.fromhex("a55a3cc3")  # the first bytes of an agent's audio
PREFIX = "5550"  # callers' numbers: this and the number of the call

_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
_LINK_HEADERS = {1: 14, 12: 0, 101: 0, 113: 16, 276: 20}  # bytes before IP, by libpcap's link type

_CALL_ID = re.compile(rb"^(?:Call-ID|i):\s*(\S+)", re.M | re.I)
_DIALLED = re.compile(rb"^INVITE sips?:([^@;>\s]+)@?")
_TO_TAG = re.compile(rb"^(?:To|t):[^\r\n]*;tag=", re.M | re.I)
_METHOD = re.compile(rb"^CSeq:\s*\d+\s+(\w+)", re.M | re.I)
_AUDIO_PORT = re.compile(rb"^m=audio (\d+)", re.M)
_CALLER = re.compile(rb"sips?:\+?" + PREFIX.encode() + rb"(\d+)@")


@dataclass(slots=True, eq=False)
class Offer:
    """One INVITE to an agent. Times are seconds since the epoch, None for what never happened."""

    agent: str
    invited_at: float
    answered_at: float | None = None
    bye_at: float | None = None  # either side's BYE
    ended_at: float | None = None
    status: int = 0  # the final answer to the INVITE

    @property
    def free_at(self) -> float | None:
        """When the agent could take the next call."""
        return self.bye_at or self.ended_at


@dataclass(slots=True, eq=False)
class Call:
    """One caller."""

    number: int
    invited_at: float
    offers: list[Offer] = field(default_factory=list)
    agent_answered_at: float | None = None
    answered_at: float | None = None  # the caller got 200
    heard_at: float | None = None  # the agent's first audio reached the caller
    ended_at: float | None = None
    ended_by: str = ""  # "caller" or "centre"
    status: int = 0


@dataclass(slots=True)
class Captured:
    """All of one run."""

    calls: list[Call] = field(default_factory=list)  # by arrival
    offers: list[Offer] = field(default_factory=list)  # by time
    unmatched_offers: int = 0  # to an agent, without a caller's number of ours
    reinvites: int = 0
    retransmitted: int = 0


def read_capture(path: Path, caller_port: int, agent_port: int) -> Captured:
    """Read what tcpdump wrote at `path`. Raises ValueError when that is no capture."""
    reading = _Reading(caller_port, agent_port)
    for at, source, target, payload in _datagrams(path):
        reading.take(at, source, target, payload)
    return reading.captured


class _Reading:
    def __init__(self, caller_port: int, agent_port: int) -> None:
        self.captured = Captured()
        self._caller_port = caller_port
        self._agent_port = agent_port
        self._calls: dict[bytes, Call] = {}  # by Call-ID of the caller's leg
        self._by_number: dict[int, Call] = {}
        self._offers: dict[bytes, tuple[Offer, Call | None]] = {}  # by Call-ID of the agent's leg
        self._listeners: dict[int, Call] = {}  # by the port where the caller hears

    def take(self, at: float, source: int, target: int, payload: bytes) -> None:
        if payload[:1] == b"\x80" and payload[12:16] == MARK:
            call = self._listeners.get(target)
            if call is not None and call.heard_at is None:
                call.heard_at = at
            return
        found = _CALL_ID.search(payload)
        if found is None:
            return
        if self._caller_port in (source, target):
            self._callers_side(at, source == self._caller_port, found.group(1), payload)
        elif self._agent_port in (source, target):
            self._agents_side(at, source == self._agent_port, found.group(1), payload)

    def _callers_side(self, at: float, from_caller: bool, call_id: bytes, payload: bytes) -> None:
        call = self._calls.get(call_id)
        if payload.startswith(b"INVITE "):
            if not from_caller:
                self.captured.reinvites += 1
            elif call is not None:
                self.captured.retransmitted += 1
            else:
                self._arrived(at, call_id, payload)
        elif call is None or call.ended_at is not None:
            return
        elif (status := _final_status(payload)) and not from_caller and not call.status:
            call.status = status
            if status < 300:
                call.answered_at = at
            else:
                call.ended_at, call.ended_by = at, "centre"
        elif payload.startswith((b"BYE ", b"CANCEL ")):
            call.ended_at, call.ended_by = at, "caller" if from_caller else "centre"

    def _arrived(self, at: float, call_id: bytes, payload: bytes) -> None:
        number = _CALLER.search(payload)
        port = _AUDIO_PORT.search(payload)
        if number is None or port is None:
            return
        call = Call(int(number.group(1)), at)
        self._calls[call_id] = self._by_number[call.number] = self._listeners[int(port.group(1))] = call
        self.captured.calls.append(call)

    def _agents_side(self, at: float, from_agent: bool, call_id: bytes, payload: bytes) -> None:
        offer, call = self._offers.get(call_id, (None, None))
        if payload.startswith(b"INVITE ") and not from_agent:
            if offer is None:
                self._offered(at, call_id, payload)
            elif _TO_TAG.search(payload):
                self.captured.reinvites += 1
            else:
                self.captured.retransmitted += 1
        elif offer is None:
            return
        elif (status := _final_status(payload)) and from_agent and not offer.status:
            offer.status = status
            if status >= 300:
                offer.ended_at = at
                return
            offer.answered_at = at
            if call is not None and call.agent_answered_at is None:
                call.agent_answered_at = at
        elif payload.startswith(b"BYE ") and offer.bye_at is None:
            offer.bye_at = at

    def _offered(self, at: float, call_id: bytes, payload: bytes) -> None:
        number, agent = _CALLER.search(payload), _DIALLED.match(payload)
        call = self._by_number.get(int(number.group(1))) if number else None
        offer = Offer(agent.group(1).decode() if agent else "?", at)
        self._offers[call_id] = (offer, call)
        self.captured.offers.append(offer)
        if call is None:
            self.captured.unmatched_offers += 1
        else:
            call.offers.append(offer)


def _final_status(payload: bytes) -> int:
    """The status of a final answer to an INVITE, 0 for anything else."""
    if not payload.startswith(b"SIP/2.0 "):
        return 0
    status = int(payload[8:11])
    method = _METHOD.search(payload)
    return status if status >= 200 and method is not None and method.group(1) == b"INVITE" else 0


def _datagrams(path: Path) -> Iterator[tuple[float, int, int, bytes]]:
    """Time, source port, target port and payload of each UDP datagram (IPv4)."""
    with path.open("rb") as file:
        head = file.read(24)
        if head[:4] not in _MAGIC:
            raise ValueError(f"{path} is no capture of tcpdump")
        order, fraction = _MAGIC[head[:4]]
        (link,) = struct.unpack(order + "I", head[20:24])
        skip = _LINK_HEADERS[link]
        record = struct.Struct(order + "IIII")
        while len(lead := file.read(16)) == 16:
            seconds, parts, length, _ = record.unpack(lead)
            frame = file.read(length)
            if len(frame) < skip + 28:
                continue
            udp = skip + (frame[skip] & 15) * 4
            source, target = struct.unpack_from(">HH", frame, udp)
            yield seconds + parts * fraction, source, target, frame[udp + 8 :]
