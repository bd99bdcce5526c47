"""The demo: the centre as `callcenter up` starts it, eight agents, and a public network that calls it."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from callcenter.demo.board import Board, Picture, look
from callcenter.demo.callers import Caller, next_caller
from callcenter.demo.desks import Desk, Habit
from callcenter.demo.ledger import Account, Entry, entries_since, settle
from callcenter.demo.network import (
    TONES_HZ,
    NetworkFault,
    NetworkPlace,
    PhoneAccount,
    PublicAsterisk,
    PublicNetwork,
)
from callcenter.demo.people import DEMO_AGENTS, DemoAgent
from callcenter.endpoints import database_url, redis_url
from callcenter.floor.agents import Presence
from callcenter.floor.events import AgentLogoutRequested
from callcenter.paths import RunDirectory
from callcenter.site import Site, floor_plan
from callcenter.site.credentials import load_secrets
from callcenter.state.client import FloorClient
from callcenter.state.errors import StateError

PAUSE_SECONDS = 1.6  # between two callers, on average
BOARD_SECONDS = 0.5
PEOPLE_SECONDS = 15.0
RECORDS_SECONDS = 20.0
HANG_UP_SECONDS = 10.0
LAST_CALL_SECONDS = 120.0  # after the last caller came; his patience, his talk and more
END_SECONDS = 60.0  # for everybody to hang up and log out
DEAF_SECONDS = 15  # everybody in the demo makes a sound, and so does the centre
_LOOPBACK = "127."


@dataclass(slots=True)
class Verdict:
    """How the demo ended: every call with what was written of it, and everything that does not fit."""

    accounts: list[Account] = field(default_factory=list)
    strays: list[Entry] = field(default_factory=list)  # records of calls that nobody made
    troubles: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        found = [f"{account.caller.ani}: {fault}" for account in self.accounts for fault in account.faults]
        found += [
            f"{entry.ani}: the centre has a record ({entry.outcome}), nobody called" for entry in self.strays
        ]
        return found + self.troubles


def network_for(site: Site, run: RunDirectory) -> PublicAsterisk:
    """The public network that suits this site. Raises NetworkFault when the site is not one for the demo."""
    trunk = next(iter(site.trunks), None)
    if trunk is None or not trunk.host.startswith(_LOOPBACK):
        raise NetworkFault(
            "the demo plays the public network itself: the site's first trunk must have host 127.0.0.1"
        )
    secrets = load_secrets(run)
    phones = [PhoneAccount(name, secrets.phones[name]) for group in site.phones if not group.contact
              for name in group.names][: len(DEMO_AGENTS)]  # fmt: skip
    if len(phones) < len(DEMO_AGENTS):
        raise NetworkFault(f"the demo needs {len(DEMO_AGENTS)} registering phones in the site file")
    highest = int(site.asterisk.rtp.partition("-")[2])
    start = highest + 1 if highest < 60_000 else 20_000
    place = NetworkPlace(
        trunk.host, trunk.port, _free_port(trunk.host), start, start + 999, site.asterisk.sip_port
    )
    return PublicAsterisk(run.root / "demo", place, phones, DEAF_SECONDS)


def dialled_numbers(site: Site) -> list[str]:
    """Numbers whose queue is open at any hour, else all."""
    named = [(number, entry.hours) for entry in site.numbers for number in entry.number if number != "*"]
    open_now = [number for number, hours in named if hours in ("", "always")]
    numbers = open_now or [number for number, _ in named]
    if not numbers:
        raise NetworkFault("the demo needs a [[numbers]] entry with a number in the site file")
    return numbers


class Demo:
    """One run. `calls` is how many callers there will be; None: until `stop` is set."""

    def __init__(
        self,
        site: Site,
        run: RunDirectory,
        board: Board,
        agents: Sequence[DemoAgent],
        calls: int | None,
        seed: int,
    ) -> None:
        self._site = site
        self._urls = redis_url(site, run), database_url(site, run)
        self._board = board
        self._agents = agents
        self._calls = calls
        self._chance = random.Random(seed)  # noqa: S311 - for a play, not for secrets
        self._callers: dict[str, Caller] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._troubles: list[str] = []
        self.began_at = time.time()
        self.stop = asyncio.Event()

    async def play(self, asterisk: PublicAsterisk) -> Verdict:
        """Everybody logs in, calls, talks and leaves; then the two accounts are compared.

        Raises NetworkFault when it cannot begin. What does not end in order is a trouble of the verdict.
        """
        with FloorClient(self._urls[0], self._site.floor.name, by="demo") as floor:
            await self._published(floor)
            await self._cleared(floor)
            async with PublicNetwork(asterisk) as network, self._drawing(floor), self._signals():
                await network.registered()
                desks = self._desks(network)
                working = [self._spawn(self._at_work(desk, after)) for after, desk in enumerate(desks)]
                await self._callers_come(network)
                try:
                    async with asyncio.timeout(END_SECONDS):
                        await self._end(network, floor, desks, working)
                except TimeoutError:
                    self._trouble(f"the demo did not end in order within {END_SECONDS:g} s")
                await self._leave_no_task()
            return await self._verdict(desks)

    async def _cleared(self, floor: FloorClient) -> None:
        """A demo that was killed left agents at their phones and callers on the line: all leave now."""
        until = time.time() + PEOPLE_SECONDS
        while True:
            with suppress(StateError):
                agents, contacts = await asyncio.to_thread(lambda: (floor.agents(), floor.contacts()))
                present = [agent for agent in agents if agent.presence is not Presence.LOGGED_OUT]
                if not present and not contacts:
                    return
                for agent in present:
                    await asyncio.to_thread(floor.ask, AgentLogoutRequested, agent=agent.number)
            if time.time() > until:
                raise NetworkFault("the centre has calls or agents of before: `callcenter down` first")
            await asyncio.sleep(0.2)

    async def _end(
        self,
        network: PublicNetwork,
        floor: FloorClient,
        desks: Sequence[Desk],
        working: Sequence[asyncio.Task[None]],
    ) -> None:
        """Callers hang up, agents stop, everybody logs out."""
        await network.hang_up_all()
        if callers := [task for task in self._tasks if task not in working]:
            _, late = await asyncio.wait(callers, timeout=END_SECONDS / 2)
            self._troubles += ["a caller did not hang up"] * len(late)
        for task in working:
            task.cancel()
        await asyncio.wait(working, timeout=HANG_UP_SECONDS)
        await network.hang_up_all()
        await self._close(network, floor, desks)

    async def _leave_no_task(self) -> None:
        """A task that overheard its cancellation hears it again: nothing may hold up the end."""
        for _ in range(5):
            for task in self._tasks:
                task.cancel()
            if not self._tasks or not (await asyncio.wait(self._tasks, timeout=1))[1]:
                return

    async def _published(self, floor: FloorClient) -> None:
        """Wait until the floor has our agents with their new PINs."""
        wanted = {(agent.number, agent.pin_hash) for agent in self._agents}
        until = time.time() + PEOPLE_SECONDS
        while True:
            with suppress(StateError):
                known = await asyncio.to_thread(floor.agents)
                if wanted <= {(agent.number, agent.pin_hash) for agent in known}:
                    return
            if time.time() > until:
                raise NetworkFault("the floor was not told of the demo's agents: see `callcenter status`")
            await asyncio.sleep(0.1)

    def _desks(self, network: PublicNetwork) -> list[Desk]:
        plan = floor_plan(self._site)
        digit = next(iter(plan.reasons), "")
        habits = {1: Habit.SLOW, 4: Habit.BREAKS}
        return [
            Desk(
                agent.number,
                agent.name,
                agent.pin,
                phone,
                plan.features,
                digit,
                habits.get(index, Habit.DILIGENT),
                self._chance,
                self._callers.get,
                self._board.say,
            )
            for index, (agent, phone) in enumerate(zip(self._agents, network.phones.values(), strict=True))
        ]

    async def _at_work(self, desk: Desk, after: float) -> None:
        await asyncio.sleep(after * 0.7)
        try:
            await desk.log_in()
        except NetworkFault as fault:
            self._trouble(str(fault))
            return
        await desk.work()

    async def _callers_come(self, network: PublicNetwork) -> None:
        """Start callers at random moments until there were enough or somebody stops the demo."""
        numbers = dialled_numbers(self._site)
        tones = list(TONES_HZ[len(network.phones) :])
        start = self._chance.randrange(10_000)
        for number in itertools.islice(itertools.count(start), self._calls):
            caller = next_caller(self._chance, number, numbers, tones)
            self._callers[caller.ani] = caller
            self._spawn(self._one(caller, network))
            if await self._stopped(self._chance.expovariate(1 / PAUSE_SECONDS)):
                return
        until = time.monotonic() + LAST_CALL_SECONDS
        while late := [caller.ani for caller in self._callers.values() if not caller.over]:
            if await self._stopped(0.2):
                return
            if time.monotonic() > until:
                self._trouble(f"still calling {LAST_CALL_SECONDS:g} s after the last came: {', '.join(late)}")
                return

    async def _stopped(self, seconds: float) -> bool:
        """Let so much time pass, or less when somebody ends the demo."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stop.wait()
        return self.stop.is_set()

    async def _one(self, caller: Caller, network: PublicNetwork) -> None:
        self._board.tally["calls"] += 1
        self._board.say(f"{caller.ani} calls {caller.dnis}")
        await caller.live(network)
        self._board.tally["talked" if caller.phone else "gave up" if caller.gave_up else "other"] += 1
        self._board.say(f"{caller.ani} {caller.fate()}")

    async def _close(self, network: PublicNetwork, floor: FloorClient, desks: Sequence[Desk]) -> None:
        """Agents log out; nothing may be left on the line."""
        if left := await network.quiet(HANG_UP_SECONDS):
            self._trouble(f"calls that did not end: {', '.join(left)}")
        for desk in desks:
            self._troubles += desk.troubles
            with suppress(StateError):
                await asyncio.to_thread(floor.ask, AgentLogoutRequested, agent=desk.number)
            self._troubles += [f"phone {desk.phone.name} was rung while in a call"] * desk.phone.doubled
            self._troubles += [
                f"agent {desk.number} was given an unknown caller {call.ani}" for call in desk.unknown
            ]
        until = time.time() + HANG_UP_SECONDS
        while contacts := (await asyncio.to_thread(look, floor)).contacts:
            if time.time() > until:
                self._trouble(f"the floor still has {', '.join(contact.ani for contact in contacts)}")
                return
            await asyncio.sleep(0.1)

    async def _verdict(self, desks: Sequence[Desk]) -> Verdict:
        """Wait until every call is written down, or for long enough."""
        until = time.time() + RECORDS_SECONDS
        agents_at = {desk.phone.name: desk.number for desk in desks}
        while True:
            entries = await asyncio.to_thread(entries_since, self._urls[1], self.began_at)
            if {entry.ani for entry in entries} >= self._callers.keys() or time.time() > until:
                break
            await asyncio.sleep(0.2)
        accounts, strays = settle(list(self._callers.values()), entries, agents_at)
        return Verdict(accounts, strays, self._troubles)

    @asynccontextmanager
    async def _drawing(self, floor: FloorClient) -> AsyncIterator[None]:
        """Keep the board fresh meanwhile."""

        async def draw() -> None:
            while True:
                picture: Picture = await asyncio.to_thread(look, floor)
                self._board.show(picture)
                await asyncio.sleep(BOARD_SECONDS)

        task = asyncio.create_task(draw())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def _signals(self) -> AsyncIterator[None]:
        """The first Ctrl-C (or SIGTERM) ends the demo in order; a second one breaks it off."""
        loop = asyncio.get_running_loop()
        both = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def as_before() -> None:
            for number, before in both.items():
                if loop.remove_signal_handler(number):
                    signal.signal(number, before)

        def end() -> None:
            as_before()
            self._board.say("ending: everybody hangs up")
            self.stop.set()

        for number in both:
            loop.add_signal_handler(number, end)
        try:
            yield
        finally:
            as_before()

    def _trouble(self, text: str) -> None:
        self._troubles.append(text)
        self._board.say(text)

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
