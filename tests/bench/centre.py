"""Our side: a whole centre, started from its own list of processes, without the supervisor.

Agents have phones with fixed contacts; callers hear ringing until an agent answers, as on the other side.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from callcenter.endpoints import database_url, redis_url
from callcenter.floor.agents import Presence
from callcenter.floor.events import AgentDefinition, AgentLoginRequested, PeoplePublished
from callcenter.paths import RunDirectory
from callcenter.processes import machine_processes
from callcenter.site import Site, load
from callcenter.state import FloorClient, StateError
from tests.bench.systems import (
    CALLER_PORT,
    HOST,
    PHONE_PORT,
    SERVICE,
    BenchFault,
    agent_numbers,
    family,
    give,
    popen,
)

SIP_PORT = 26_060
CHECKOUT = Path(__file__).resolve().parents[2]
_SITE = """\
[site]
name = "Benchmark"
zone = "UTC"
languages = ["en"]

[floor]
name = "bench"

[[trunks]]
name = "carrier"
host = "{host}"
port = {caller_port}
codecs = ["alaw"]
qualify_seconds = 0

[[phones]]
range = "{first}-{last}"
contact = "sip:{{number}}@{host}:{phone_port}"
password = false
codecs = ["alaw"]

[asterisk]
address = "{host}"
sip_port = {sip_port}
http_port = 26088
ami_port = 26038
rtp = "40000-49999"
udptl = "26200-26299"
"""
_ONE_QUEUE = """
[[numbers]]
number = "{service}"
queue = "bench"

[[queues]]
name = "bench"
answer_after_seconds = 120
"""
# What is counted as what.
_PARTS = {"engine-a": "engine", "engine-b": "engine"}


class Centre:
    """Our centre with `agents` agents logged in and ready, its files below `folder`."""

    name = "callcenter"
    sip_port = SIP_PORT

    def __init__(self, folder: Path, agents: int) -> None:
        self._folder = folder
        self._agents = agent_numbers(agents)
        self._run = RunDirectory(folder / "run")
        self._site_path = folder / "callcenter.toml"
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Write the site, start every process and log all agents in."""
        places = {"host": HOST, "caller_port": CALLER_PORT, "phone_port": PHONE_PORT, "sip_port": SIP_PORT}
        text = _SITE.format(first=self._agents[0], last=self._agents[-1], **places)
        self._site_path.write_text(text + self.numbers_and_queues(), encoding="utf-8")
        self._run.log.mkdir(parents=True, exist_ok=True)
        give(self._folder)
        site = load(self._site_path)
        self._as_account("stores.prepare_redis(run); stores.prepare_postgres(run); prepare(site_path, run)")
        for process in machine_processes(self._site_path, site, self._run):
            if process.name == "backoffice":
                if importlib.util.find_spec("callcenter.backoffice") is None:
                    continue
                self._as_account("migrate(database_url(site, run))")
                self._write_agents(site)
            out = self._run.log / f"{process.name}.out"
            words = popen(list(process.argv), out, self._folder, PYTHONPATH=str(CHECKOUT))
            self._running[process.name] = words
            self._await(process.ready, f"{process.name} is ready", process.ready_seconds)
        self._log_in(site)

    def numbers_and_queues(self) -> str:
        """That part of the site file."""
        return _ONE_QUEUE.format(service=SERVICE)

    def queues_of(self, _agent: str) -> list[str]:
        return ["bench"]

    def skills_of(self, _agent: str) -> dict[str, int]:
        return {}

    def stop(self) -> None:
        while self._running:
            _, process = self._running.popitem()
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()
                process.wait()

    def pids(self) -> dict[str, list[int]]:
        parts: dict[str, list[int]] = {}
        for name, process in self._running.items():
            parts.setdefault(_PARTS.get(name, name), []).extend(family(process.pid))
        return parts

    def _log_in(self, site: Site) -> None:
        people = tuple(
            AgentDefinition(each, f"Agent {each}", tuple(self.queues_of(each)), skills=self.skills_of(each))
            for each in self._agents
        )
        with FloorClient(redis_url(site, self._run), site.floor.name, by="bench") as floor:
            self._await(lambda: (e := floor.engine()) is not None and e.alive, "an engine owns the floor")
            if "backoffice" not in self._running:
                floor.post(PeoplePublished(time.time(), 1, people))
            self._await(lambda: len(floor.agents()) == len(people), "the floor knows its agents")
            for number in self._agents:
                reply = floor.ask(AgentLoginRequested, agent=number, phone=number)
                if not reply.ok:
                    raise BenchFault(reply.text)
            self._await(
                lambda: all(agent.presence is Presence.READY for agent in floor.agents()), "all are ready"
            )

    def _write_agents(self, site: Site) -> None:
        with psycopg.connect(database_url(site, self._run)) as database, database.cursor() as rows:
            rows.executemany(
                "INSERT INTO agents (number, name, pin_hash) VALUES (%s, %s, '')",
                [(number, f"Agent {number}") for number in self._agents],
            )
            rows.executemany(
                "INSERT INTO agent_queues VALUES (%s, %s, %s)",
                [
                    (number, queue, position)
                    for number in self._agents
                    for position, queue in enumerate(self.queues_of(number))
                ],
            )
            rows.executemany(
                "INSERT INTO agent_skills VALUES (%s, %s, %s)",
                [(each, *skill) for each in self._agents for skill in self.skills_of(each).items()],
            )

    def _as_account(self, line: str) -> None:
        """Run a line of Python as the centre's account, with `site`, `site_path` and `run` at hand."""
        text = (
            "import os, sys; from pathlib import Path; os.umask(0o077); from callcenter import stores; "
            "from callcenter.endpoints import database_url; from callcenter.history import migrate; "
            "from callcenter.paths import RunDirectory; from callcenter.site import load, prepare; "
            "site_path = Path(sys.argv[1]); run = RunDirectory(Path(sys.argv[2])); site = load(site_path); "
        )
        log = self._run.log / "prepare.out"
        argv = [sys.executable, "-c", text + line, str(self._site_path), str(self._run.root)]
        if popen(argv, log, self._folder, PYTHONPATH=str(CHECKOUT)).wait(60) != 0:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise BenchFault(f"our centre could not be prepared: {' '.join(last)} (see {log})")

    def _await(self, check: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with suppress(StateError):
                if check():
                    return
            ended = [name for name, process in self._running.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                why = f"{ended[0]} has ended" if ended else f"not within {seconds:g} s"
                raise BenchFault(f"{what}: {why} (see {self._run.log})")
            time.sleep(0.05)
