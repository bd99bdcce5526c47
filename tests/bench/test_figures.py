"""The benchmark's reading of a capture, and its figures, on a capture made by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.bench.capture import MARK, Captured, Offer, read_capture
from tests.bench.figures import call_figures
from tests.bench.report import BACKLOG, OURS, targets
from tests.bench.traffic import Run

CALLER, AGENT, CENTRE = 26_090, 26_080, 26_060


class Wire:
    """Datagrams, written down as tcpdump does."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    def sip(self, at: float, source: int, target: int, first: str, call_id: str, *lines: str) -> None:
        cseq = "CSeq: 1 INVITE" if "INVITE" in first or first.startswith("SIP") else "CSeq: 2 BYE"
        text = "\r\n".join([first, f"Call-ID: {call_id}", cseq, *lines, "", ""])
        self.put(at, source, target, text.encode())

    def put(self, at: float, source: int, target: int, payload: bytes) -> None:
        udp = struct.pack(">HHHH", source, target, 8 + len(payload), 0) + payload
        frame = bytes(12) + b"\x08\x00" + b"\x45" + bytes(19) + udp
        lead = struct.pack("<IIII", int(at), round(at % 1 * 1e6), len(frame), len(frame))
        self.records.append(lead + frame)

    def call(self, number: int, agent: str, arrives: float, offered: float, ends: float) -> None:
        """A caller who is offered to an agent, talks, and whom the agent leaves."""
        caller, leg = f"caller-{number}", f"agent-{number}"
        whose = f"From: <sip:5550{number}@127.0.0.1>;tag=x"
        port = 15_000 + 4 * number
        invite = "INVITE sip:4008001000@127.0.0.1 SIP/2.0"
        self.sip(arrives, CALLER, CENTRE, invite, caller, whose, f"m=audio {port} RTP/AVP 8")
        self.sip(offered, CENTRE, AGENT, f"INVITE sip:{agent}@127.0.0.1:26080 SIP/2.0", leg, whose)
        self.sip(offered + 0.1, AGENT, CENTRE, "SIP/2.0 200 OK", leg)
        self.sip(offered + 0.11, CENTRE, CALLER, "SIP/2.0 200 OK", caller)
        self.put(offered + 0.12, 40_000, port, b"\x80" + bytes(11) + MARK + bytes(20))
        self.sip(ends, AGENT, CENTRE, "BYE sip:centre SIP/2.0", leg)
        self.sip(ends + 0.01, CENTRE, CALLER, "BYE sip:caller SIP/2.0", caller)

    def read(self, folder: Path) -> Captured:
        path = folder / "run.pcap"
        in_order = sorted(self.records, key=lambda record: struct.unpack("<II", record[:8]))
        head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        path.write_bytes(head + b"".join(in_order))
        return read_capture(path, CALLER, AGENT)


def test_routing_and_bridging_are_measured_and_nobody_failed(tmp_path: Path) -> None:
    wire = Wire()
    wire.call(1, "1001", arrives=10.0, offered=10.004, ends=12.0)
    wire.call(2, "1002", arrives=10.5, offered=10.506, ends=12.5)
    figures = call_figures(wire.read(tmp_path))
    assert (figures.calls, figures.connected, figures.failures) == (2, 2, {})
    assert figures.routing is not None
    assert figures.bridging is not None
    assert (figures.routing.count, figures.routing.highest) == (2, 6.0)
    assert figures.bridging.p50 == pytest.approx(20.0, abs=0.1)
    assert figures.next_offer is None  # nobody waited
    assert figures.agents_seen == 2


def test_a_caller_who_is_never_offered_counts_as_failed(tmp_path: Path) -> None:
    wire = Wire()
    wire.call(1, "1001", arrives=10.0, offered=10.004, ends=12.0)
    wire.sip(11.0, CALLER, CENTRE, "INVITE sip:x SIP/2.0", "lost", "From: <sip:55502@h>", "m=audio 15008 R")
    wire.sip(12.0, CENTRE, CALLER, "SIP/2.0 503 Sorry", "lost")
    figures = call_figures(wire.read(tmp_path))
    assert (figures.calls, figures.connected) == (2, 1)
    assert figures.failures == {"caller got 503": 1}


def test_the_gap_to_the_next_offer_counts_only_while_callers_wait(tmp_path: Path) -> None:
    wire = Wire()
    wire.call(1, "1001", arrives=10.0, offered=10.004, ends=12.0)
    wire.call(2, "1001", arrives=11.0, offered=12.05, ends=13.0)  # waited: a gap of 50 ms
    wire.call(3, "1001", arrives=20.0, offered=20.004, ends=21.0)  # nobody waited before
    figures = call_figures(wire.read(tmp_path))
    assert figures.next_offer is not None
    assert figures.next_offer.count == 1
    assert figures.next_offer.highest == pytest.approx(50.0, abs=0.1)


def test_double_booking_overtaking_and_the_longest_idle(tmp_path: Path) -> None:
    wire = Wire()
    wire.call(1, "1001", arrives=10.0, offered=10.1, ends=11.0)
    wire.call(2, "1002", arrives=10.2, offered=10.3, ends=11.5)
    wire.call(3, "1002", arrives=12.0, offered=12.1, ends=14.0)  # 1001 was idle longer
    wire.call(4, "1002", arrives=12.2, offered=12.3, ends=14.1)  # and is in a call
    wire.call(5, "1001", arrives=12.1, offered=12.4, ends=14.2)  # came before 4, offered after
    figures = call_figures(wire.read(tmp_path))
    assert figures.double_booked == 1
    assert figures.overtaken == 1
    assert figures.longest_idle == 0.5


def test_a_target_is_missed_when_the_figure_is_worse() -> None:
    offers = [Offer("1001", 10.0, 10.1, 11.0), Offer("1001", 11.5, 11.6, 12.0)]
    captured = Captured([], offers)
    run = Run(
        OURS, "80/s", 1, call_figures(captured), {"engine": 1.2, "redis": 0.4}, 10.0, 1.0, 0.0, 0, False
    )
    reached = dict(targets([run]))
    assert [reached[text] for text in reached if text.startswith("engine and Redis")] == [False]
    assert not any(BACKLOG in text for text in reached)


def test_what_is_no_capture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no capture at all, yet long enough")
    with pytest.raises(ValueError, match="no capture"):
        read_capture(tmp_path / "x", CALLER, AGENT)
