"""The process that runs one floor: inbox -> floor -> state -> switch.

One turn of its loop takes all events that have come, gives them to the floor one by one, saves what
changed in one round trip, and only then carries the commands out. So a crash at any point loses no
decision: what was saved and not done is put right by the survey of Asterisk after the restart. A turn that
leads to no command (a caller's leg is gone after the call) is saved with the next one, soon: each save costs
engine and Redis as much as several events.

While Redis is away the turns go on from memory and records go to the spool; when it is back the whole
floor is written first. Records are kept in memory until PostgreSQL has them.

    python -m callcenter.engine --site callcenter.toml --run .run --name engine-a
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import heapq
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import random
from typing import Protocol

import click
import structlog
import uvloop

from callcenter.changes import UNSAVED_SECONDS, Changes
from callcenter.endpoints import redis_url
from callcenter.floor.commands import CheckPin, Command, Reply, RingAgent, StartTimer, StopTimer
from callcenter.floor.contacts import ContactState
from callcenter.floor.events import Event, PinChecked, PlanApplied, TimerFired
from callcenter.floor.floor import Floor
from callcenter.floor.plan import FloorPlan
from callcenter.heartbeats import Heartbeat
from callcenter.logs import start_logging
from callcenter.paths import RunDirectory
from callcenter.pins import verify
from callcenter.site import Site, floor_plan, phone_endpoints, site_in_force
from callcenter.site.credentials import load_secrets
from callcenter.state import (
    FloorStore,
    LeaseLost,
    Owner,
    PlanReloadRequested,
    Posted,
    Saved,
    Spool,
    StateAway,
    Turn,
    encode,
    record_id,
)
from callcenter.switch.asterisk import AsteriskSwitch, SwitchSettings

EVENTS_PER_TURN = 256
LEASE_TRY_SECONDS = 0.25
LEASE_GRACE_SECONDS = 0.75
LEASE_RENEW_SECONDS = 0.5
BEAT_SECONDS = 1.0
MEND_SECONDS = 0.25  # between tries while Redis is away
SNAPSHOT_SECONDS = 1.0  # the longest a turn waits for a snapshot to be written
TIDY_SECONDS = 2.0
STUCK_SECONDS = 2.0  # a turn that takes so long counts as hung: no heartbeat to Asterisk

log = structlog.get_logger()


class Switch(Protocol):
    """What the engine needs of an Asterisk (`AsteriskSwitch`, or `FakeSwitch` in tests)."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    def send(self, commands: Sequence[Command]) -> None: ...
    def beat(self) -> None: ...
    def set_endpoints(self, endpoints: Mapping[str, str]) -> None: ...


SwitchMaker = Callable[[Callable[[Event], None], Callable[[], None]], Switch]


@dataclass(frozen=True, slots=True)
class Configured:
    """What an engine takes from the site file: the floor's plan, and each phone's dial string."""

    plan: FloorPlan
    endpoints: Mapping[str, str]


class Engine:
    """Runs the floor of `plan` from the moment it gets the lease until it loses it or is stopped.

    `configure` gives the site in force, the same object as long as that is the same; it may raise anything
    with a one-line text.
    """

    def __init__(
        self,
        plan: FloorPlan,
        store: FloorStore,
        spool: Spool,
        make_switch: SwitchMaker,
        configure: Callable[[], Configured],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.floor = Floor(plan)
        self._store = store
        self._spool = spool
        self._configure = configure
        self._clock = clock
        self._switch = make_switch(self._take, self._replaced)
        self._arrived: deque[tuple[Event, str]] = deque()  # with the inbox position, "" for none
        self._wake = asyncio.Event()
        self._changes = Changes()
        self._timers: dict[str, float] = {}
        self._due: list[tuple[float, str]] = []  # heap; an entry counts only while _timers agrees
        self._meta: dict[str, str] = {}
        self._inbox = ""
        self._epoch = 0
        self._sequence = 0
        self._kept: deque[tuple[str, bytes]] = deque()  # records that PostgreSQL may lack
        self._away = False  # Redis
        self._redis_answers = asyncio.Event()  # set by the prober while away
        self._turn_began = 0.0  # 0.0 between turns
        self._stopped = asyncio.Event()
        self._why = ""
        self._slow = ThreadPoolExecutor(2, "slow")
        self._slow_tasks: set[asyncio.Task[None]] = set()

    async def run(self, owner: Owner) -> str:
        """Wait for the lease, then run the floor; returns why it ended."""
        if not await self._wait_for_lease(owner):
            return self._why
        saved = await self._load()
        self._take_site()
        self._restore(saved)
        log.info("floor taken", epoch=self._epoch, contacts=len(saved.contacts), agents=len(saved.agents))
        for line in saved.unreadable:
            log.error("saved entry left out", entry=line)
        await self._switch.start()
        jobs: list[Awaitable[None]] = [
            *(self._turns(), self._renew(), self._beat(), self._read_inbox(), self._mend(), self._tidy())
        ]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task is not stopped and (error := task.exception()) is not None:
                    raise error
        finally:
            stopped.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._switch.close()
            with contextlib.suppress(StateAway, LeaseLost):
                await self._save_rest()
                await self._store.release(self._epoch)
            self._spool.close()
            self._slow.shutdown(wait=False, cancel_futures=True)
        return self._why

    def stop(self, why: str) -> None:
        """End: calls live on in Asterisk, the next owner takes them over."""
        if not self._why:
            self._why = why
        self._stopped.set()

    # The loop.

    async def _turns(self) -> None:
        while True:
            if not self._arrived and not self._timer_is_due():
                await self._wait()
            if self._away and self._redis_answers.is_set():
                await self._write_snapshot()
            self._turn_began = self._clock()
            await self._turn()
            self._turn_began = 0.0

    async def _turn(self) -> None:
        acts = self._decide(self._batch())
        changes = self._changes
        if not acts and not changes.is_due(self._clock()):
            return
        self._changes = Changes()
        await self._save(changes.turn(self.floor.scene))
        self._act(acts)

    def _decide(self, batch: Sequence[tuple[Event, str]]) -> list[Command]:
        """Give the events to the floor; keep what it changed, return what is to be done."""
        acts: list[Command] = []
        changes = self._changes
        for event, position in batch:
            if position:
                self._inbox = changes.inbox = position
            try:
                outcome = self.floor.receive(event, random())  # noqa: S311 - a share of calls, no secret
            except Exception:
                # One bad contact never stops the floor: what the event did so far is kept.
                log.exception("the floor failed on an event", kind=type(event).__name__)
                outcome = self.floor.scene.outcome
            changes.contacts |= outcome.contacts
            changes.agents |= outcome.agents
            changes.meta.update(outcome.meta)
            self._meta.update(outcome.meta)
            for record in outcome.records:
                self._sequence += 1
                changes.records.append((record_id(self._epoch, self._sequence), encode(record)))
                self._kept.append(changes.records[-1])
            for command in outcome.commands:
                match command:
                    case StartTimer(timer, due_at):
                        self._timers[timer] = changes.timers[timer] = due_at
                        heapq.heappush(self._due, (due_at, timer))
                    case StopTimer(timer):
                        self._timers.pop(timer, None)
                        changes.timers[timer] = None
                    case Reply():
                        changes.replies.append(command)
                    case _:
                        acts.append(command)
            if isinstance(event, TimerFired):
                changes.timers.setdefault(event.timer, None)
            for oddity in outcome.oddities:
                log.warning("nothing to be done", what=oddity, event=type(event).__name__)
        if not changes.since and changes.anything:
            changes.since = self._clock()
        return acts

    def _batch(self) -> list[tuple[Event, str]]:
        """Due timers and all that arrived, up to a bound; timers only while Asterisk is there."""
        batch: list[tuple[Event, str]] = []
        now = self._clock()
        while self._timer_is_due() and len(batch) < EVENTS_PER_TURN:
            due_at, timer = heapq.heappop(self._due)
            if self._timers.get(timer) == due_at:
                del self._timers[timer]
                batch.append((TimerFired(max(now, due_at), timer), ""))
        while self._arrived and len(batch) < EVENTS_PER_TURN:
            batch.append(self._arrived.popleft())
        return batch

    def _timer_is_due(self) -> bool:
        return bool(self._due) and self.floor.scene.connected and self._due[0][0] <= self._clock()

    async def _wait(self) -> None:
        """Until something arrives, a timer is due, changes are to be saved, or Redis is back."""
        self._wake.clear()
        until = self._changes.since + UNSAVED_SECONDS if self._changes.since else None
        if self._due and self.floor.scene.connected:
            until = min(until or self._due[0][0], self._due[0][0])
        if until is None:
            await self._wake.wait()
            return
        # Cheaper than asyncio.timeout, and this is waited for on every turn.
        alarm = asyncio.get_running_loop().call_later(max(0.0, until - self._clock()), self._wake.set)
        await self._wake.wait()
        alarm.cancel()

    def _take(self, event: Event, position: str = "") -> None:
        self._arrived.append((event, position))
        self._wake.set()

    def _replaced(self) -> None:
        self.stop("another engine has taken the application over")

    # Saving.

    async def _save(self, turn: Turn) -> None:
        if not self._away:
            try:
                await self._store.commit(turn)
                return
            except StateAway as error:
                log.error("Redis is away: going on from memory", why=str(error))
                self._away = True
                self._redis_answers.clear()
            except LeaseLost as error:
                self.stop(str(error))
                await asyncio.sleep(3600)  # nothing of this turn may be done any more
        if turn.records:
            try:
                self._spool.append(self._epoch, turn.records)
            except OSError as error:
                log.error("records could not be spooled: they are in memory only", why=str(error))

    async def _save_rest(self) -> None:
        """At the end: what no turn has saved yet."""
        changes, self._changes = self._changes, Changes()
        if changes.since and not self._away:
            await self._store.commit(changes.turn(self.floor.scene))
        elif changes.records:
            self._spool.append(self._epoch, changes.records)

    async def _write_snapshot(self) -> None:
        """Redis answers again: give it the whole floor and the records it may lack."""
        scene = self.floor.scene
        snapshot = Saved(
            contacts=scene.contacts,
            agents=scene.agents,
            timers=self._timers,
            meta=self._meta,
            inbox=self._inbox,
        )
        self._redis_answers.clear()
        try:
            async with asyncio.timeout(SNAPSHOT_SECONDS):
                await self._store.write_snapshot(snapshot)
        except (StateAway, TimeoutError):
            return
        except LeaseLost as error:
            self.stop(str(error))
            await asyncio.sleep(3600)
        self._away = False
        log.info("Redis is back: the floor is saved", contacts=len(scene.contacts))
        self._in_background(self._readd(list(self._kept)))

    async def _readd(self, records: list[tuple[str, bytes]]) -> None:
        """Until it has succeeded: a connection from before Redis went away fails once."""
        while not self._away:  # if it goes away again, the next snapshot does this anew
            try:
                done = await self._store.drained(self._epoch)  # most, when Redis was late and no more
                await self._store.readd([each for each in records if _sequence(each) > done])
            except StateAway as error:
                log.warning("records are still to be added again", why=str(error))
                await asyncio.sleep(MEND_SECONDS)
            else:
                return

    async def _mend(self) -> None:
        """While Redis is away, ask whether it answers; the turn loop then writes the snapshot."""
        while True:
            await asyncio.sleep(MEND_SECONDS)
            if self._away and not self._redis_answers.is_set():
                with contextlib.suppress(StateAway):
                    await self._store.drained(self._epoch)
                    self._redis_answers.set()
                    self._wake.set()

    async def _tidy(self) -> None:
        """Forget the records that PostgreSQL has."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            if self._away:
                continue
            with contextlib.suppress(StateAway):
                done = await self._store.drained(self._epoch)
                while self._kept and _sequence(self._kept[0]) <= done:
                    self._kept.popleft()
                await self._spool.tidy(self._store)

    # Acting.

    def _act(self, acts: list[Command]) -> None:
        for_switch = []
        for command in acts:
            if isinstance(command, CheckPin):
                self._in_background(self._check_pin(command))
            else:
                for_switch.append(command)
        if for_switch:
            # Asterisk serves requests one by one: a phone that shall ring waits for no other call's bridge.
            # Its leg is new, so whatever else this turn does to it comes after anyway.
            for_switch.sort(key=lambda command: not isinstance(command, RingAgent))
            self._switch.send(for_switch)

    async def _check_pin(self, command: CheckPin) -> None:
        loop = asyncio.get_running_loop()
        ok = await loop.run_in_executor(self._slow, verify, command.pin, command.pin_hash)
        self._take(PinChecked(self._clock(), command.leg, command.agent, ok))

    def _in_background(self, job: Awaitable[None]) -> None:
        task = asyncio.ensure_future(job)
        self._slow_tasks.add(task)
        task.add_done_callback(self._slow_tasks.discard)

    async def _beat(self) -> None:
        """Tell Asterisk every second that we are there; not while a turn hangs."""
        while True:
            if not self._turn_began or self._clock() - self._turn_began < STUCK_SECONDS:
                self._switch.beat()
            await asyncio.sleep(BEAT_SECONDS)

    # Requests.

    async def _read_inbox(self) -> None:
        after = self._inbox
        while True:
            try:
                posted = await self._store.read_inbox(after, block_ms=1000)
            except StateAway:
                await asyncio.sleep(MEND_SECONDS)
                continue
            for entry in posted:
                after = entry.position
                await self._take_posted(entry)

    async def _take_posted(self, entry: Posted) -> None:
        if entry.event is None:
            log.warning("request left out", why=entry.refused)
        elif isinstance(entry.event, PlanReloadRequested):
            await self._reload(entry.event, entry.position)
        else:
            # The floor's time is the engine's: the poster's clock may differ.
            self._take(replace(entry.event, at=self._clock()), entry.position)

    async def _reload(self, request: PlanReloadRequested, position: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            configured = await loop.run_in_executor(self._slow, self._configure)
        except Exception as error:
            log.error("the site could not be read again", why=str(error))
            return
        self._switch.set_endpoints(configured.endpoints)
        self._take(PlanApplied(self._clock(), configured.plan), position)
        log.info("plan applied", by=request.by)

    # Owning.

    async def _wait_for_lease(self, owner: Owner) -> bool:
        """A dead predecessor's floor is taken at once. One whose lease merely ran out has LEASE_GRACE_SECONDS
        to show that it lives: when Redis comes back, the owner who went on without it comes first."""
        free_since = 0.0
        waiting = False
        while not self._stopped.is_set():
            try:
                held, last = await self._store.holder()
                gone = last is None or last.surely_dead()
                now = time.monotonic()
                if held and not gone:
                    free_since = 0.0
                elif gone or (free_since and now - free_since >= LEASE_GRACE_SECONDS):
                    epoch = await self._store.acquire(owner)
                    if epoch is not None:
                        self._epoch = epoch
                        return True
                elif not free_since:
                    free_since = now
            except StateAway:
                free_since = 0.0
            if not waiting:
                log.info("standing by")
                waiting = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEASE_TRY_SECONDS):
                    await self._stopped.wait()
        return False

    async def _load(self) -> Saved:
        while True:
            try:
                saved = await self._store.load()
                for line in await self._spool.give_back(self._store):
                    log.error("spooled record left out", line=line)
                self._end_closed(saved)
                return saved
            except StateAway as error:
                log.warning("the saved state cannot be read yet", why=str(error))
                await asyncio.sleep(MEND_SECONDS)

    def _end_closed(self, saved: Saved) -> None:
        """Redis was away when an engine died: who was closed meanwhile must not be closed again."""
        for contact_id in self._spool.closed():
            if (contact := saved.contacts.get(contact_id)) is not None:
                contact.state = ContactState.ENDING

    def _take_site(self) -> None:
        """The site as it is in force now: it may have been applied since this engine began to stand by."""
        configured = self._configure()
        if configured.plan is not self.floor.scene.plan:
            self.floor = Floor(configured.plan)
            self._switch.set_endpoints(configured.endpoints)

    def _restore(self, saved: Saved) -> None:
        self._timers = dict(saved.timers)
        self._due = [(due_at, timer) for timer, due_at in saved.timers.items()]
        heapq.heapify(self._due)
        self._meta = dict(saved.meta)
        self._inbox = saved.inbox
        self.floor.restore(saved.contacts, saved.agents, saved.timers, saved.meta)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_RENEW_SECONDS)
            try:
                await self._store.renew(self._epoch)
            except LeaseLost as error:
                self.stop(str(error))
                return
            except StateAway as error:
                if not self._away:
                    log.error("Redis is away: going on from memory", why=str(error))
                    self._away = True


def _sequence(record: tuple[str, bytes]) -> int:
    return int(record[0].rpartition("-")[2])


async def _main(site_path: Path, run: RunDirectory, name: str) -> int:
    site = site_in_force(site_path, run)
    store = FloorStore(redis_url(site, run), site.floor.name)
    beating = asyncio.create_task(Heartbeat(run, name).beat())
    settings = _switch_settings(site, run)

    read: dict[Path, Configured] = {}  # by the configuration in force: reading takes too long at a takeover

    def configure() -> Configured:
        in_force = (run.asterisk / "etc").readlink()
        if in_force not in read:
            fresh = site_in_force(site_path, run)
            read.clear()
            read[in_force] = Configured(floor_plan(fresh), phone_endpoints(fresh))
        return read[in_force]

    engine = Engine(
        configure().plan,
        store,
        Spool(run.spool, site.floor.name),
        lambda on_event, on_replaced: AsteriskSwitch(settings, on_event, on_replaced),
        configure,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.stop, "asked to stop")
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # calls leave little garbage in cycles; pauses would be heard
    try:
        why = await engine.run(Owner.here())
    finally:
        beating.cancel()
        await store.close()
    log.info("engine ended", why=why)
    return 0


def _switch_settings(site: Site, run: RunDirectory) -> SwitchSettings:
    secrets = load_secrets(run)
    return SwitchSettings(
        node="",
        host="127.0.0.1",
        http_port=site.asterisk.http_port,
        ari_user=secrets.ari_user,
        ari_password=secrets.ari_password,
        app=site.application,
        endpoints=phone_endpoints(site),
        ami_port=site.asterisk.ami_port,
        ami_user=secrets.ami_user,
        ami_password=secrets.ami_password,
    )


@click.command()
@click.option("--site", "site_path", type=click.Path(path_type=Path), required=True)
@click.option("--run", "run_path", type=click.Path(path_type=Path), required=True)
@click.option("--name", default="engine-a", show_default=True, help="Name of this process in logs.")
def main(site_path: Path, run_path: Path, name: str) -> None:
    """Run one engine in the foreground (`callcenter up` does it for you)."""
    run = RunDirectory(run_path)
    start_logging(run, name)
    raise SystemExit(uvloop.run(_main(site_path, run, name)))


if __name__ == "__main__":
    main()
