"""Makes one run: SIPp callers dial, SIPp agents answer, tcpdump writes down what the network saw."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.capture import MARK, PREFIX, Captured, read_capture
from tests.bench.figures import CallFigures, call_figures
from tests.bench.systems import CALLER_PORT, HOST, PHONE_PORT, SERVICE, BenchFault, System

SCENARIOS = Path(__file__).parent / "scenarios"
PACKET_SECONDS = 0.02
AUDIO_SECONDS = 0.3  # each side sends so much audio when connected, then a packet now and then
PATIENCE_SECONDS = 90.0  # a caller gives up after so long
GRACE_SECONDS = 20.0  # beyond the expected end of a run
CALLER_AUDIO_PORT = 15_000  # SIPp takes ten thousand ports from here, four a call
AGENT_AUDIO_PORT = 30_000
_AUDIO_PORTS = 10_000


@dataclass(frozen=True, slots=True)
class Load:
    """What one run offers: `rate` calls a second for `seconds`; agents answer after `answer_seconds`, talk
    for `talk_seconds` and hang up."""

    name: str
    rate: float
    seconds: float
    talk_seconds: float
    answer_seconds: float = 0.1
    numbers: tuple[str, ...] = (SERVICE,)  # dialled in turns
    audio_every_seconds: float = 0.1  # once they have heard one another
    waiting: int = 1  # so many who wait make sure that each agent has one he may take

    @property
    def calls(self) -> int:
        return max(1, round(self.rate * self.seconds))

    def expected_seconds(self, agents: int) -> float:
        """Until the last call is over."""
        held = self.talk_seconds + self.answer_seconds
        return max(self.seconds, self.calls * held / agents) + held


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one system. CPU is user and system time, in milliseconds per call offered."""

    system: str
    load: str
    repetition: int
    figures: CallFigures
    cpu_ms_per_call: dict[str, float]
    seconds: float
    cores_busy: float  # of the whole machine
    cores_foreign: float  # of these, what is neither the system's nor the benchmark's
    capture_drops: int
    cut_short: bool  # calls were still open at the deadline


def run_load(system: System, load: Load, repetition: int, agents: int, folder: Path) -> Run:
    """Offer `load` to `system`, which is up and idle. Raises BenchFault when the tools do not start."""
    _await_free_ports()
    folder.mkdir(parents=True)
    _write_scenarios(load, folder)
    with _Tools(folder) as tools:
        capture = tools.start_capture()
        phones = tools.start_sipp("agent", PHONE_PORT, AGENT_AUDIO_PORT, system)
        before, began = _Spent.now(system, tools.pids), time.monotonic()
        rate = ("-r", str(max(1, round(load.rate * 100))), "-rp", "100000")
        many = ("-m", str(load.calls), "-l", str(load.calls + 1), "-inf", "numbers.csv")
        callers = tools.start_sipp("caller", CALLER_PORT, CALLER_AUDIO_PORT, system, *rate, *many)
        deadline = began + load.expected_seconds(agents) + GRACE_SECONDS
        spent_by_callers, cut_short = tools.wait_for(callers, deadline)
        seconds = time.monotonic() - began
        after = _Spent.now(system, tools.pids)
        tools.stop(phones, signal.SIGUSR1)
        drops = tools.stop_capture(capture)
    captured = _read(folder)
    used = {name: after.system[name] - before.system[name] for name in before.system}
    bench = after.bench - before.bench + spent_by_callers
    busy = after.machine - before.machine
    return Run(
        system=system.name,
        load=load.name,
        repetition=repetition,
        figures=call_figures(captured, load.waiting),
        cpu_ms_per_call={name: round(1000 * value / load.calls, 3) for name, value in used.items()},
        seconds=round(seconds, 1),
        cores_busy=round(busy / seconds, 2),
        cores_foreign=round(max(0.0, busy - bench - sum(used.values())) / seconds, 2),
        capture_drops=drops,
        cut_short=cut_short,
    )


def require_tools() -> None:
    """BenchFault naming what is missing on this machine."""
    missing = [name for name in ("sipp", "tcpdump") if shutil.which(name) is None]
    if missing:
        raise BenchFault(f"{' and '.join(missing)} not found: apt-get install sip-tester tcpdump")
    if os.geteuid() != 0:
        raise BenchFault("tcpdump and SIPp's audio need raw sockets: run the benchmark as root (or by sudo)")


class _Tools:
    """SIPp and tcpdump of one run, all ended when the run is over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> _Tools:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._started]

    def start_capture(self) -> subprocess.Popen[bytes]:
        last = CALLER_AUDIO_PORT + _AUDIO_PORTS
        wanted = (
            f"udp and (port {CALLER_PORT} or port {PHONE_PORT} or "
            f"(dst portrange {CALLER_AUDIO_PORT}-{last} and udp[20:4]=0x{MARK.hex()}))"
        )
        process = self._start(
            "tcpdump", "-i", "lo", "-n", "-s", "1600", "-B", "65536", "-w", "run.pcap", wanted
        )
        words = self._folder / "tcpdump.log"
        self._await(lambda: "listening on" in words.read_text(), process, "tcpdump cannot capture")
        return process

    def start_sipp(
        self, side: str, port: int, audio_port: int, system: System, *words: str
    ) -> subprocess.Popen[bytes]:
        process = self._start(
            *("sipp", "-sf", f"{side}.xml", "-i", HOST, "-p", str(port), "-mi", HOST, "-mp", str(audio_port)),
            *("-nostdin", "-aa", "-max_recv_loops", "5000", "-deadcall_wait", "5000"),
            *(*words, f"{HOST}:{system.sip_port}"),
            log=f"sipp-{side}",
        )
        if side == "agent":
            self._await(lambda: _is_bound(port), process, f"SIPp's phones do not start on port {port}")
        return process

    def wait_for(self, callers: subprocess.Popen[bytes], deadline: float) -> tuple[float, bool]:
        """Until all callers are through; SIPp's CPU seconds, and whether it was cut short at `deadline`."""
        spent = 0.0
        watched = psutil.Process(callers.pid)
        while callers.poll() is None:
            if time.monotonic() > deadline:
                self.stop(callers, signal.SIGUSR1)
                return spent, True
            with suppress(psutil.Error):
                times = watched.cpu_times()
                spent = times.user + times.system
            time.sleep(0.02)
        return spent, False

    def stop(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        process.send_signal(number)
        try:
            process.wait(3.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_capture(self, capture: subprocess.Popen[bytes]) -> int:
        """The number of packets that the kernel could not keep for tcpdump."""
        self.stop(capture, signal.SIGTERM)
        said = (self._folder / "tcpdump.log").read_text()
        return sum(int(number) for number in re.findall(r"(\d+) packets? dropped by kernel", said))

    def _start(self, *argv: str, log: str = "") -> subprocess.Popen[bytes]:
        with (self._folder / f"{log or argv[0]}.log").open("wb") as output:
            process = subprocess.Popen(
                argv, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._started.append(process)
        return process

    def _await(self, check: object, process: subprocess.Popen[bytes], fault: str) -> None:
        assert callable(check)
        deadline = time.monotonic() + 10
        while not check():
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchFault(f"{fault} (see {self._folder})")
            time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class _Spent:
    """CPU seconds used so far: by each part of the system, by our own tools, by the machine."""

    system: dict[str, float]
    bench: float
    machine: float

    @classmethod
    def now(cls, system: System, tools: Sequence[int]) -> _Spent:
        machine = psutil.cpu_times()
        idle = machine.idle + machine.iowait
        parts = {name: sum(map(_cpu_seconds, pids)) for name, pids in system.pids().items()}
        return cls(parts, sum(map(_cpu_seconds, (*tools, os.getpid()))), sum(machine[:8]) - idle)


def _cpu_seconds(pid: int) -> float:
    """Of a process, all its threads and its ended children included."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _await_free_ports() -> None:
    """SIPp's ports of the run before are given back by the kernel in a moment."""
    deadline = time.monotonic() + 5
    while taken := [port for port in (CALLER_PORT, PHONE_PORT) if _is_bound(port)]:
        if time.monotonic() > deadline:
            raise BenchFault(f"udp port {taken[0]} is taken: does another benchmark run?")
        time.sleep(0.05)


def _is_bound(port: int) -> bool:
    """Asked of the kernel: trying to bind would get in the way of who is about to."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(int(line.split()[1].rpartition(":")[2], 16) == port for line in lines)


def _read(folder: Path) -> Captured:
    captured = read_capture(folder / "run.pcap", CALLER_PORT, PHONE_PORT)
    if not captured.calls:
        raise BenchFault(f"the capture shows no call: see {folder}")
    return captured


def _write_scenarios(load: Load, folder: Path) -> None:
    (folder / "numbers.csv").write_text("SEQUENTIAL\n" + "".join(f"{each};\n" for each in load.numbers))
    times = {
        "answer_ms": load.answer_seconds,
        "talk_ms": load.talk_seconds,
        "patience_ms": PATIENCE_SECONDS,
    }
    for side, mark, length in (("caller", b"", 0.0), ("agent", MARK, load.talk_seconds)):
        audio = folder / f"{side}.pcap"
        _write_audio(audio, mark, length, load.audio_every_seconds)
        text = (SCENARIOS / f"{side}.xml").read_text(encoding="utf-8")
        fills = {name: str(max(1, round(1000 * value))) for name, value in times.items()}
        for name, value in {**fills, "prefix": PREFIX, "audio": str(audio)}.items():
            text = text.replace(f"{{{{ {name} }}}}", value)
        (folder / f"{side}.xml").write_text(text, encoding="utf-8")


def _write_audio(path: Path, mark: bytes, until: float, every: float) -> None:
    """A capture for SIPp to play: A-law packets of 20 ms, then one now and then up to `until` seconds."""
    times = [PACKET_SECONDS * index for index in range(round(AUDIO_SECONDS / PACKET_SECONDS))]
    while times[-1] + every < until:
        times.append(times[-1] + every)
    address = socket.inet_aton(HOST)
    samples = round(8000 * PACKET_SECONDS)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for index, at in enumerate(times):
            payload = (mark + b"\xd5" * samples)[:samples]
            lead = struct.pack(">BBHII", 0x80, 0x88 if index == 0 else 8, index + 1, round(8000 * at), 1)
            rtp = lead + payload
            udp = struct.pack(">HHHH", 4000, 4000, 8 + len(rtp), 0) + rtp
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), index, 0, 64, 17, 0) + address * 2 + udp
            frame = bytes(12) + b"\x08\x00" + ip
            seconds, micro = divmod(round(1e6 * at), 1_000_000)
            file.write(struct.pack("<IIII", seconds, micro, len(frame), len(frame)) + frame)
