"""The switch as the engine knows it: commands in, events out, one Asterisk behind it.

`send` never waits; what fails comes back as CommandFailed. After every (re)connect the floor first hears
SwitchSurveyed, all that lives in Asterisk, and only then the events that came since; one of these may tell
again what the survey told already. `AsteriskSwitch` keeps no state of calls beyond what it needs to read
the end of a leg.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from callcenter.floor.commands import (
    AddLeg,
    Command,
    ConnectLegs,
    DestroyBridge,
    HangUp,
    IndicateRinging,
    RemoveLeg,
    RingAgent,
    RingOutside,
    RingPhone,
    SendDigits,
    SendOutside,
    SetFallbackMember,
    StartRecording,
    StopMusic,
    StopPlayback,
    TagLeg,
    TakeFromFallback,
)
from callcenter.floor.events import (
    CommandFailed,
    Event,
    Failure,
    LegHungUp,
    LegLeft,
    PhonesSeen,
    RecordingStarted,
    SwitchLost,
    SwitchSurveyed,
)
from callcenter.switch import translate
from callcenter.switch.ami import Ami, AmiError, AmiLogin
from callcenter.switch.ari import (
    Answer,
    Ari,
    AriError,
    AsteriskFailing,
    Conflict,
    Json,
    NotConnected,
    NotFound,
    Refused,
    RequestTimedOut,
)
from callcenter.switch.fallback import FallbackQueues
from callcenter.switch.lanes import Lanes
from callcenter.switch.operations import AriRequest
from callcenter.switch.recorder import RecordingCommand, failure_of, record
from callcenter.switch.survey import other_calls, survey
from callcenter.switch.translate import (
    AppReplaced,
    HalfTransferred,
    LegEnds,
    LegGoing,
    LegStrayed,
    LegTookPlace,
    LegWentSomewhere,
    Lines,
    Untranslatable,
)

log = structlog.get_logger(__name__)

LANES = 3  # connections for requests: one for offers, two for the rest
LANE_ANSWERS_SECONDS = 0.1  # nobody waits for them, but a refusal must become known soon
POLL_SECONDS = 1.0  # phones in calls that are not ours, while there are any
SLOW_POLL_SECONDS = 10.0  # the same, while there are none: a look at 400 channels is work for both
SURVEY_RETRY_SECONDS = 0.2
DESTROYED_SECONDS = 1.0  # a leg of ours that left hung up, and no ChannelDestroyed came: it counts as gone

_HARMLESS = (
    IndicateRinging,
    RemoveLeg,
    SendDigits,
    StopMusic,
    StopPlayback,
    TagLeg,
)  # their failure changes nothing for the floor
_GONE_IS_FINE = (DestroyBridge, HangUp)


@dataclass(frozen=True, slots=True)
class SwitchSettings:
    """Where one Asterisk is and how the site names things in it."""

    node: str
    host: str
    http_port: int
    ari_user: str
    ari_password: str = field(repr=False)
    app: str
    endpoints: Mapping[str, str]  # phone -> dial string
    ami_port: int
    ami_user: str
    ami_password: str = field(repr=False)
    fallback_context: str = "from-fallback"
    outside_context: str = "outside"
    transfer_context: str = "transferred"
    request_seconds: float = 5.0


class AsteriskSwitch:
    """One Asterisk. `on_event` is called on the event loop and must be quick; `on_replaced` when another
    engine took the application over, after which no event comes any more: stop at once."""

    def __init__(
        self,
        settings: SwitchSettings,
        on_event: Callable[[Event], None],
        on_replaced: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._on_event = on_event
        self._on_replaced = on_replaced
        self._clock = clock
        self._lines = _lines(settings)
        self._ends = LegEnds()
        self._leaving: set[str] = set()  # legs that we sent to the dialplan
        self._held: list[Json] | None = None  # events while a survey is under way
        self._tasks: set[asyncio.Task[None]] = set()
        self._surveying: asyncio.Task[None] | None = None
        self.ari = Ari(
            settings.host,
            settings.http_port,
            settings.ari_user,
            settings.ari_password,
            app=settings.app,
            on_event=self._heard,
            on_connected=self._connected,
            on_lost=self._lost,
            allowed_events=translate.ALLOWED_EVENTS,
            request_seconds=settings.request_seconds,
        )
        self._lanes = Lanes(self.ari, [self._lane(number) for number in range(2, LANES + 1)])
        login = AmiLogin(settings.host, settings.ami_port, settings.ami_user, settings.ami_password)
        self._ami = Ami(login, self._ami_logged_in)
        self._fallback = FallbackQueues(self._ami, settings.endpoints, settings.fallback_context)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def connected(self) -> bool:
        """Whether commands reach Asterisk at this moment."""
        return self.ari.connected

    async def start(self) -> None:
        """Begin to connect; returns at once. The first SwitchSurveyed tells that Asterisk is there."""
        self._loop = asyncio.get_running_loop()
        self._ami.start()
        self._lanes.start()

    async def close(self) -> None:
        """Let go of Asterisk: its calls live on."""
        for task in [*self._tasks, *([self._surveying] if self._surveying else [])]:
            task.cancel()
        await self._lanes.close()
        await asyncio.to_thread(self._ami.close)

    def set_endpoints(self, endpoints: Mapping[str, str]) -> None:
        """The site's phones have changed."""
        self._lines = Lines(
            endpoints,
            self._lines.app,
            self._lines.node,
            self._lines.outside_context,
            self._lines.transfer_context,
        )
        self._fallback.endpoints = endpoints

    def beat(self) -> None:
        """Tell Asterisk's dialplan that we live: CC_HEARTBEAT, seconds since the epoch."""
        if self.ari.connected:
            _forget(self.ari.asterisk.set_global_var("CC_HEARTBEAT", str(int(self._clock()))))

    def send(self, commands: Sequence[Command]) -> None:
        """Carry commands out, in order. Never waits."""
        with self._lanes.together():
            for command in commands:
                try:
                    self._send(command)
                except (Untranslatable, ValueError) as error:
                    self._failed(command, Failure.REFUSED, str(error))

    def _send(self, command: Command) -> None:
        if isinstance(command, SetFallbackMember):
            self._fallback.set_member(command)
            return
        if isinstance(command, TakeFromFallback):
            self._fallback.take(command).add_done_callback(partial(self._took, command))
            return
        if isinstance(command, RecordingCommand):
            record(self._ami, command).add_done_callback(partial(self._recorded, command))
            return
        requests = translate.requests(command, self._lines)
        if not self.ari.connected:
            if not isinstance(command, _HARMLESS):
                self._failed(command, Failure.AWAY, "no connection to Asterisk")
            return
        if isinstance(command, RingAgent | RingOutside | RingPhone):
            self._ends.originated.add(command.leg)
        elif isinstance(command, SendOutside):
            self._leaving.add(command.leg)
        if isinstance(command, ConnectLegs):
            self._connect_legs(command, requests)
            return
        failed = _ignore if isinstance(command, _HARMLESS) else partial(self._refused, command)
        for request in requests:
            self._lanes.tell(command, request, failed)

    def _refused(self, command: Command, error: AriError) -> None:
        if isinstance(error, NotFound) and isinstance(command, _GONE_IS_FINE):
            return
        if isinstance(error, Conflict) and isinstance(command, DestroyBridge):
            return  # it is being destroyed at this moment
        if isinstance(command, SendOutside):
            self._leaving.discard(command.leg)
        if isinstance(command, RingAgent | RingPhone):
            if isinstance(error, Conflict):
                self._spawn(self._doubted(command))
                return
            if not isinstance(error, RequestTimedOut | NotConnected):
                self._ends.forget(command.leg)
            if isinstance(error, AsteriskFailing):  # a phone that is not registered
                self._failed(command, Failure.REFUSED, f"phone {command.phone} cannot be reached")
                return
        if isinstance(command, RingOutside) and not isinstance(error, RequestTimedOut | NotConnected):
            self._ends.forget(command.leg)
        if isinstance(command, AddLeg):
            self._failed(command, _not_added(error), error.text)
            return
        self._failed(command, _failure(error), error.text)

    async def _doubted(self, command: RingAgent | RingPhone) -> None:
        """Asterisk says "already exists" of a channel that does, and of a phone that cannot be reached."""
        try:
            await self.ari.channels.get(command.leg)
        except NotFound:
            self._ends.forget(command.leg)
            self._failed(command, Failure.REFUSED, f"phone {command.phone} cannot be reached")
        except AriError as error:
            self._failed(command, _failure(error), error.text)
        else:
            self._failed(command, Failure.CONFLICT, "the leg exists already")

    def _connect_legs(self, command: ConnectLegs, requests: Sequence[AriRequest]) -> None:
        """Bridge, caller, agent: one CommandFailed at most, for the first error that matters."""
        told = False

        def failed(error: AriError, making_the_bridge: bool = False) -> None:
            nonlocal told
            if told or (making_the_bridge and isinstance(error, Conflict)):
                return  # the bridge was made before a crash; adding its legs again is harmless
            told = True
            gone = isinstance(error, Refused) and error.status == 400  # "Channel not found" is a 400 here
            self._failed(command, Failure.NOT_FOUND if gone else _failure(error), error.text)

        making, *adding = requests
        self._lanes.tell(command, making, partial(failed, making_the_bridge=True))
        for request in adding:
            self._lanes.tell(command, request, failed)

    def _took(self, command: TakeFromFallback, answer: Future[Mapping[str, str]]) -> None:
        """In AMI's thread."""
        error = answer.exception()
        if isinstance(error, AmiError) and self._loop is not None:
            failure = Failure.AWAY if error.away else Failure.NOT_FOUND
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._failed, command, failure, str(error))

    def _recorded(self, command: RecordingCommand, answer: Future[Mapping[str, str]]) -> None:
        """In AMI's thread. Only of a begin must the floor know what became of it."""
        if not isinstance(command, StartRecording) or self._loop is None:
            return
        error = answer.exception()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            if isinstance(error, AmiError):
                told = (command, failure_of(error), str(error))
                self._loop.call_soon_threadsafe(self._failed, *told)
            else:
                self._loop.call_soon_threadsafe(
                    lambda: self._on_event(RecordingStarted(self._clock(), command.leg, command.recording))
                )

    def _failed(self, command: Command, failure: Failure, text: str) -> None:
        self._on_event(CommandFailed(self._clock(), command, failure, text))

    def _lane(self, number: int) -> Ari:
        """A connection for requests alone, under an application of its own that no channel ever enters."""
        return Ari(
            self._settings.host,
            self._settings.http_port,
            self._settings.ari_user,
            self._settings.ari_password,
            app=f"{self._settings.app}-lane{number}",
            on_event=_ignore_event,
            on_lost=self._lane_lost,
            allowed_events=(),
            request_seconds=self._settings.request_seconds,
            answers_seconds=LANE_ANSWERS_SECONDS,
        )

    def _lane_lost(self, why: str) -> None:
        """Nobody knows what became of the requests on it: look at all that lives, as after a loss."""
        if self.ari.connected:
            self._lost(why)
            self._connected()

    # What Asterisk tells.

    def _connected(self) -> None:
        self._held = []
        self._ends = LegEnds()
        self._leaving.clear()
        self._fallback.tell_again()
        self._surveying = asyncio.create_task(self._survey())
        self._surveying.add_done_callback(_complain)

    def _lost(self, why: str) -> None:
        if self._surveying is not None:
            self._surveying.cancel()
            self._surveying = None
        log.warning("connection to Asterisk lost", node=self._settings.node, why=why)
        self._held = None
        self._on_event(SwitchLost(self._clock(), self._settings.node))

    async def _survey(self) -> None:
        """Tell all that lives in Asterisk, then what was heard meanwhile; then watch other calls."""
        while True:
            try:
                found = await survey(self.ari, self._lines)
                break
            except AriError as error:
                log.warning("survey of Asterisk failed, trying again", error=str(error))
                await asyncio.sleep(SURVEY_RETRY_SECONDS)
        # Without a subscription a leg that still rings would end unseen.
        ours = [leg.leg for leg in found.legs if leg.agent or leg.made_by_us or translate.is_our_leg(leg.leg)]
        self._ends.originated.update(ours)
        for leg in ours:
            _forget(self.ari.applications.subscribe(self._settings.app, [f"channel:{leg}"]))
        self._on_event(
            SwitchSurveyed(self._clock(), found.legs, found.bridges, self._settings.node, found.started_at)
        )
        self._fallback.tell_again()
        held, self._held = self._held or [], None
        for ari_event in held:
            self._heard(ari_event)
        await self._watch_other_calls()

    async def _watch_other_calls(self) -> None:
        told = True  # the survey may have
        while True:
            await asyncio.sleep(POLL_SECONDS if told else SLOW_POLL_SECONDS)
            try:
                others = await other_calls(self.ari, self._lines, self._clock())
            except AriError as error:
                log.warning("could not list the calls that are not ours", error=str(error))
            else:
                if others.any or told:
                    self._on_event(PhonesSeen(self._clock(), others.phones, self._settings.node, others.held))
                told = others.any

    def _heard(self, ari_event: Json) -> None:
        """One event from the socket, in order."""
        if self._held is not None and ari_event.get("type") != "ApplicationReplaced":
            self._held.append(ari_event)
            return
        match translate.event(ari_event, self._clock(), self._lines, self._ends):
            case None:
                pass
            case LegWentSomewhere(leg):
                self._went_somewhere(leg)
            case LegGoing(leg):
                self._await_destroyed(leg)
            case LegStrayed(leg, text):
                log.warning("a channel strayed into the application, hung up", leg=leg, text=text)
                _forget(self.ari.channels.hangup(leg))
            case LegTookPlace(leg, replaced):
                self._on_event(replaced)
                _forget(self.ari.channels.hangup(leg))
            case HalfTransferred(leg):
                _forget(self.ari.channels.hangup(leg))
            case AppReplaced():
                log.error("another client took the application over", app=self._settings.app)
                self._on_replaced()
            case LegHungUp(leg=leg) as told:
                self._leaving.discard(leg)
                self._lanes.forget(leg)
                self._on_event(told)
            case Event() as told:
                self._on_event(told)

    def _went_somewhere(self, leg: str) -> None:
        if leg in self._leaving:
            self._leaving.discard(leg)
            self._on_event(LegLeft(self._clock(), leg))
        else:
            self._spawn(self._look_for(leg))

    async def _look_for(self, leg: str) -> None:
        """A leg left our hands and nobody of ours sent it away: ask Asterisk whether it lives."""
        try:
            await self.ari.channels.get(leg)
        except NotFound:
            self._ends.forget(leg)
            self._on_event(LegHungUp(self._clock(), leg))
        except AriError:
            pass  # the connection broke: the next survey tells
        else:
            self._on_event(LegLeft(self._clock(), leg))

    def _await_destroyed(self, leg: str) -> None:
        ends = self._ends

        def late() -> None:
            if leg in ends.originated and ends is self._ends:
                cause = ends.hanging.get(leg, 16)
                ends.forget(leg)
                self._on_event(LegHungUp(self._clock(), leg, cause))

        asyncio.get_running_loop().call_later(DESTROYED_SECONDS, late)

    def _ami_logged_in(self) -> None:
        """In AMI's thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._fallback.tell_again)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_complain)


def _complain(task: asyncio.Task[None]) -> None:
    """A task of ours never fails, unless it holds a mistake: then that must be seen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a mistake in the switch", task=task.get_name(), exc_info=error)


def _lines(settings: SwitchSettings) -> Lines:
    return Lines(
        settings.endpoints, settings.app, settings.node, settings.outside_context, settings.transfer_context
    )


def _ignore_event(_event: Json) -> None:
    """A lane has no events but answers."""


def _ignore(_error: AriError) -> None:
    """Its failure changes nothing for the floor."""


def _not_added(error: AriError) -> Failure:
    """Asterisk says 400 of a channel that is gone, 404 of a bridge that is."""
    if isinstance(error, Refused) and error.status == 400:
        return Failure.NOT_FOUND
    return Failure.FAILED if isinstance(error, NotFound) else _failure(error)


def _failure(error: AriError) -> Failure:
    match error:
        case NotFound():
            return Failure.NOT_FOUND
        case Conflict():
            return Failure.CONFLICT
        case Refused():
            return Failure.REFUSED
        case AsteriskFailing():
            return Failure.FAILED
        case NotConnected():
            return Failure.AWAY  # done or not, the survey after the reconnect tells
    return Failure.TIMED_OUT


def _forget(answer: Answer) -> None:
    """Nobody waits for this answer; an error in it is of no consequence."""
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())
