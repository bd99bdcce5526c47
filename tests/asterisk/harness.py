"""A whole centre for a test: our Asterisk, an engine, the back office; beside it the public network.

    def test_something(centre: Centre) -> None:
        async def script(world: World) -> None:
            call = await world.network.call("4000", ani="13800138000")
            ...
        centre.play(script)

Processes are started directly from `callcenter.processes`' own list, without the supervisor: faster,
and nobody restarts what a test kills. `play` fails when a channel, a bridge or a contact is left on either
side. Ports are 25400-25799 for signalling, 30000 and up for audio; each centre claims a block of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from callcenter.demo.network import NetworkPlace, PhoneAccount, PublicAsterisk, PublicNetwork
from callcenter.floor.agents import Agent, Presence
from callcenter.floor.contacts import Contact
from callcenter.floor.events import AgentLogoutRequested
from callcenter.paths import RunDirectory
from callcenter.processes import machine_processes
from callcenter.site import Site, load
from callcenter.site.credentials import load_secrets
from callcenter.state.client import FloorClient
from tests.asterisk.centre_process import CentreProcess, environment, identity
from tests.servers import PostgresServer, RedisServer, eventually, server_account, short_directory

AGENTS = ("2001", "2002", "2003", "2004")
PIN = "4711"
PHONES = ("1001", "1002", "1003", "1004", "1005", "1006")
_BASE_PORT, _BASE_RTP, _BLOCKS = 25_400, 30_000, 40
_numbers = itertools.count()

SITE = """\
[site]
name = "Test"
zone = "Asia/Shanghai"
languages = ["en", "zh"]
fallback_phones = ["1005"]

[floor]
name = "{floor}"

[[trunks]]
name = "carrier"
host = "127.0.0.1"
port = {network_sip}

[[numbers]]
number = "4000"
queue = "greeted"

[[numbers]]
number = "4001"
queue = "quick"

[[numbers]]
number = "4002"
queue = "limited"

[[numbers]]
number = "4003"
queue = "quick"
service = "never"
hours = "never"

[hours.never]
week = {{ mon-sun = "closed" }}
holidays = ""

[[queues]]
name = "greeted"
greeting = ["greeting"]
music = "default"
wrapup_seconds = 1
ring_seconds = 5

[[queues]]
name = "quick"
ring_seconds = 5

[[queues]]
name = "limited"
number = "8002"
music = "default"
ring_seconds = 5
overflow = [
  {{ when = "length", count = 1, prompts = ["queue-full"] }},
  {{ when = "wait", seconds = 3, prompts = ["max-wait"] }},
]

[[phones]]
range = "1001-1006"

[[phones]]
range = "1009"                       # a SipPhone, where a test opens one
contact = "sip:{{number}}@127.0.0.1:{sip_phone}"
password = false

[transfers]
outside = ["139XXX"]

[reasons]
1 = "break"

[redis]
url = "{redis}"

[postgres]
url = "{postgres}"

[asterisk]
address = "127.0.0.1"
sip_port = {sip}
http_port = {http}
ami_port = {ami}
rtp = "{rtp_from}-{rtp_to}"
udptl = "{udptl_from}-{udptl_to}"
"""


@dataclass
class World:
    """What a script plays with."""

    centre: Centre
    network: PublicNetwork
    floor: FloorClient

    async def log_in(self, agent: str, phone: str, pin: str = PIN) -> None:
        """By feature code, as an agent does; then wait until the floor says so."""
        await self.network.phone(phone).feature("*11", f"{agent}#", f"{pin}#")
        await self.sees(lambda: self.agent(agent).presence is Presence.READY, f"agent {agent} is ready")

    def agent(self, number: str) -> Agent:
        for agent in self.floor.agents():
            if agent.number == number:
                return agent
        raise AssertionError(f"the floor knows no agent {number}")

    def contacts(self) -> list[Contact]:
        return self.floor.contacts()

    async def record(self, ani: str, within: float = 10.0) -> dict[str, Any]:
        """The one closed contact of this caller, from PostgreSQL."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = self.centre.rows("SELECT * FROM contacts WHERE ani = %s", ani)
            return bool(found)

        await self.sees(there, f"a record of the call from {ani}", within)
        assert len(found) == 1, f"{len(found)} records of the call from {ani}"
        return found[0]

    async def sees(self, check: Callable[[], Any], what: str, within: float = 10.0) -> None:
        """Poll until `check` is true; fails naming `what`."""
        until = time.monotonic() + within
        while not await asyncio.to_thread(check):
            assert time.monotonic() < until, f"{what}: not within {within:g} s\n{self.centre.story()}"
            await asyncio.sleep(0.03)


Script = Callable[[World], Awaitable[None]]


@dataclass
class Centre:
    """One centre and its public network. `start` once, `play` often, `stop` at the end."""

    redis: RedisServer
    postgres: PostgresServer
    site_text: str = SITE
    directory: Path = field(default_factory=lambda: short_directory("cc-centre-"))
    processes: dict[str, CentreProcess] = field(default_factory=dict)
    audio: tuple[tuple[int, int], tuple[int, int]] | None = None  # ports: ours, theirs; else of the block
    claim: socket.socket | None = None  # holds our block of ports against other runs of the tests
    outside: PublicAsterisk = field(init=False)
    site: Site = field(init=False)
    database_url: str = field(init=False)

    def start(self) -> None:
        number = next(_numbers)
        floor = f"t{number}"
        port, rtp = self._claim_ports()
        self.database_url = self.postgres.create_database(f"centre_{number}_{os.getpid()}")
        if self.audio is None:
            ours, theirs = (rtp, rtp + 299), (rtp + 500, rtp + 799)
        else:
            ours, theirs = self.audio
        network = NetworkPlace("127.0.0.1", port + 3, port + 4, *theirs, port)
        self.site_path.write_text(
            self.site_text.format(
                floor=floor, network_sip=network.sip_port, sip_phone=port + 6,
                redis=self.redis.url, postgres=self.database_url,
                sip=port, http=port + 1, ami=port + 2, rtp_from=ours[0], rtp_to=ours[1],
                udptl_from=rtp + 300, udptl_to=rtp + 399,
            ),
            "utf-8",
        )  # fmt: skip
        self.site = load(self.site_path)
        self._as_account("from callcenter.site import prepare; prepare(site_path, run)")
        self._as_account("from callcenter.history import migrate; migrate(site.postgres.url)")
        self._list_processes()
        for name in ("asterisk", "engine-a", "backoffice"):
            self.processes[name].start(wait=False)
        secrets = load_secrets(self.run)
        registering = (name for group in self.site.phones if not group.contact for name in group.names)
        phones = [PhoneAccount(name, secrets.phones[name]) for name in registering]
        self.outside = PublicAsterisk(self.directory / "network", network, phones)
        self.outside.start()
        for name in ("asterisk", "engine-a", "backoffice"):
            self.processes[name].wait_ready()
        self.wait_engine()
        for number_, queues in ((agent, "greeted,quick,limited") for agent in AGENTS):
            self.add_agent(number_, queues)
        with self.floor() as client:
            eventually(lambda: len(client.agents()) >= len(AGENTS), "the floor knows its agents")

    def stop(self) -> None:
        for name in reversed(self.processes):
            if self.processes[name].runs:
                with suppress(AssertionError):
                    self.processes[name].stop()
        if hasattr(self, "outside"):
            self.outside.stop()
        if self.claim is not None:
            self.claim.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def play(self, script: Script, clean: bool = True) -> None:
        """Run `script` in a fresh connection to the network; then everything must be over and gone.

        `clean`: afterwards agents are logged out, and nothing may be left on either side.
        """

        async def run() -> None:
            with self.floor() as floor:
                async with PublicNetwork(self.outside) as network:
                    await network.registered()
                    world = World(self, network, floor)
                    try:
                        await script(world)
                    except BaseException:
                        with suppress(Exception):  # the script's own failure is the one to tell
                            await self._leave(world)
                        raise
                    if clean:
                        await self._clean(world)

        asyncio.run(run())

    def mend(self) -> None:
        """Bring back what a test has killed or frozen."""
        for name in ("asterisk", "engine-a", "backoffice"):
            process = self.processes[name]
            if process.runs:
                process.thaw()
            else:
                process.start()
        for name, process in self.processes.items():
            if name == "engine-b" and process.runs:
                process.stop()
        self.wait_engine()

    def wait_engine(self, within: float = 15.0) -> None:
        """Until an engine owns the floor, Asterisk has its application and hears its heartbeat."""
        with self.floor() as client:
            eventually(
                lambda: (e := client.engine()) is not None and e.alive, "an engine owns the floor", within
            )
        path = f"applications/{self.site.application}"
        eventually(lambda: self.ari(path) is not None, "the engine is connected to Asterisk", within)

        def beats() -> bool:
            known = self.ari("asterisk/variable?variable=CC_HEARTBEAT")
            return bool(known and known["value"]) and time.time() - float(known["value"]) < 2

        eventually(beats, "Asterisk hears the engine's heartbeat", within)

    def floor(self) -> FloorClient:
        return FloorClient(self.redis.url, self.site.floor.name, by="test")

    def ari(self, path: str) -> Any:
        """What our Asterisk's ARI says; None when there is no such thing."""
        secrets = load_secrets(self.run)
        url = f"http://127.0.0.1:{self.site.asterisk.http_port}/ari/{path}"
        with suppress(httpx.TransportError):
            answer = httpx.get(url, auth=(secrets.ari_user, secrets.ari_password), timeout=5)
            return answer.json() if answer.status_code < 400 else None
        return None

    def console(self, line: str) -> str:
        """A line for our Asterisk's console."""
        argv = [*self.processes["asterisk"].process.argv, "-rx", line]
        argv.remove("-f")
        return subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False).stdout

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def add_agent(self, number: str, queues: str, pin: str = PIN) -> None:
        hashed = self._as_account(f"from callcenter.pins import hash_pin; print(hash_pin({pin!r}))").strip()
        with psycopg.connect(self.database_url) as connection:
            connection.execute(
                "INSERT INTO agents (number, name, pin_hash) VALUES (%s, %s, %s)",
                (number, f"Agent {number}", hashed),
            )
            for position, queue in enumerate(queues.split(",")):
                connection.execute("INSERT INTO agent_queues VALUES (%s, %s, %s)", (number, queue, position))

    def callcenter(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command line, on this centre."""
        command = [sys.executable, "-m", "callcenter.cli", "--site", str(self.site_path)]
        command += ["--run", str(self.run.root), *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False,
            env=environment(), cwd=self.directory, **identity(self._account),
        )  # fmt: skip

    def story(self) -> str:
        """The ends of all logs, for a failing test's message."""
        asterisk = self.console("core show channels verbose") if self.processes["asterisk"].runs else ""
        return "\n".join([asterisk, *(process.output() for process in self.processes.values())])

    @property
    def site_path(self) -> Path:
        return self.directory / "callcenter.toml"

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.directory / "run")

    @property
    def _account(self) -> pwd.struct_passwd | None:
        return server_account()

    @property
    def sip_phone_port(self) -> int:
        """Where phone 1009 is; the port after it is its sound's."""
        return self.site.asterisk.sip_port + 6

    def _claim_ports(self) -> tuple[int, int]:
        """The first port of a free block for signalling, and of one for audio."""
        for block in range(_BLOCKS):
            port = _BASE_PORT + 10 * block
            claim = socket.socket()
            try:
                claim.bind(("127.0.0.1", port + 9))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as left_over:
                    left_over.bind(("127.0.0.1", port + 3))
            except OSError:
                claim.close()
                continue
            self.claim = claim
            return port, _BASE_RTP + 800 * block
        raise AssertionError(f"no free block of ports from {_BASE_PORT}")

    def _list_processes(self) -> None:
        for process in machine_processes(self.site_path, self.site, self.run):
            heartbeat = self.run.heartbeat / process.name
            self.processes[process.name] = CentreProcess(process, self.directory, self._account, heartbeat)

    def _as_account(self, line: str) -> str:
        """Run a line of Python with `site` and `run` as the centre's account; what it prints."""
        text = (
            "from pathlib import Path; from callcenter.paths import RunDirectory; "
            "from callcenter.site import load; "
            f"site_path = Path({str(self.site_path)!r}); run = RunDirectory(Path({str(self.run.root)!r})); "
            "site = load(site_path); " + line
        )
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False,
            env=environment(), cwd=self.directory, **identity(self._account),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def _leave(self, world: World) -> None:
        """Everybody hangs up and logs out."""
        await world.network.hang_up_all()
        for agent in world.floor.agents():
            if agent.presence is not Presence.LOGGED_OUT:
                await asyncio.to_thread(world.floor.ask, AgentLogoutRequested, agent=agent.number)

    async def _clean(self, world: World) -> None:
        await self._leave(world)
        assert await world.network.quiet() == []
        await world.sees(lambda: self.ari("channels") == [], "no channel is left in our Asterisk")
        await world.sees(lambda: self.ari("bridges") == [], "no bridge is left in our Asterisk")
        await world.sees(lambda: world.contacts() == [], "no contact is left on the floor")
        doubled = {name: phone.doubled for name, phone in world.network.phones.items() if phone.doubled}
        assert not doubled, f"phones were rung while in a call: {doubled}"
