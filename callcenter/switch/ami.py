"""Asterisk's Manager Interface for the few things that ARI lacks: pyst2's client behind a thread of its own.

pyst2 never reconnects, waits for ever and lets line breaks through; here it reconnects, gives every answer
a time-out and refuses control characters, and nothing of it ever runs on the event loop.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import structlog

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pyst2's own escapes in strings
    from asterisk.manager import Manager, ManagerException

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 5.0
RETRY_SECONDS = 1.0
IDLE_SECONDS = 5.0


class AmiError(Exception):
    """An action that was not carried out; `away`: it did not reach Asterisk, or no answer came."""

    def __init__(self, text: str, *, away: bool = False) -> None:
        super().__init__(text)
        self.away = away


@dataclass(frozen=True, slots=True)
class AmiLogin:
    host: str
    port: int
    user: str
    password: str


class Ami:
    """Carries out actions one by one, in order, in its own thread; each gives a Future.

    An action is made of plain values: any control character (CR, LF, NUL, …) is refused with ValueError
    before it comes near the socket. `on_login` runs in the thread after each connect that follows a loss.

    It logs in when there is something to do and leaves after IDLE_SECONDS: with anybody logged in, Asterisk
    makes a manager event of all that happens, though nobody reads it.
    """

    def __init__(self, login: AmiLogin, on_login: Callable[[], None] | None = None) -> None:
        self._login = login
        self._on_login = on_login
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._manager: Any = None
        self._left = True  # not connected by our own will
        self._lost = False  # the last try to connect failed
        self._closing = threading.Event()

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ami", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread; actions not yet carried out fail. Returns within a second or so."""
        self._closing.set()
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(ANSWER_SECONDS + 1)

    def action(self, name: str, **values: str) -> Future[Mapping[str, str]]:
        """Queue one action. The future gives the answer's headers, or AmiError."""
        return self._queue(name, values, once=False)

    def action_once(self, name: str, **values: str) -> Future[Mapping[str, str]]:
        """`action`, for one that must not be sent again when the connection breaks before its answer."""
        return self._queue(name, values, once=True)

    def _queue(self, name: str, values: Mapping[str, str], once: bool) -> Future[Mapping[str, str]]:
        for key, value in {"Action": name, **values}.items():
            if any(ord(character) < 32 for character in value):
                raise ValueError(f"the AMI value {key} of {name} holds a line break or control character")
        job = _Job({"Action": name, **values}, Future(), once)
        if self._closing.is_set():
            job.future.set_exception(AmiError("the connection to Asterisk's manager is closed", away=True))
        else:
            self._jobs.put(job)
        return job.future

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                job = self._jobs.get(timeout=self._patience())
            except queue.Empty:
                self._on_silence()
                continue
            if job is not None:
                self._carry_out(job)
        self._disconnect()
        self._fail_waiting(AmiError("the connection to Asterisk's manager is closed", away=True))

    def _patience(self) -> float | None:
        if self._lost:
            return RETRY_SECONDS
        return IDLE_SECONDS if self._manager is not None else None

    def _on_silence(self) -> None:
        """Nothing to do: leave; where the last try to connect failed, try again (`on_login` then tells)."""
        if self._lost:
            with contextlib.suppress(AmiError):
                self._connected()
        else:
            self._disconnect()
            self._left = True

    def _carry_out(self, job: _Job) -> None:
        for attempt in (1, 2):
            try:
                manager = self._connected()
            except AmiError as error:
                self._lost, self._left = True, False
                job.future.set_exception(error)
                self._fail_waiting(error)
                self._closing.wait(RETRY_SECONDS)
                return
            try:
                job.future.set_result(self._send(manager, job.values))
                return
            except AmiError as error:
                # `away`: the connection was an old one that had ended unseen. Once more on a new one: most
                # actions may be repeated (add, remove, pause, redirect).
                if not error.away or attempt == 2 or job.once:
                    job.future.set_exception(error)
                    return

    def _fail_waiting(self, error: AmiError) -> None:
        """Without a connection what waits must not pile up: it would hold up what matters later."""
        with contextlib.suppress(queue.Empty):
            while True:
                late = self._jobs.get_nowait()
                if late is not None:
                    late.future.set_exception(error)

    def _send(self, manager: Any, values: Mapping[str, str]) -> dict[str, str]:
        try:
            answer = manager.send_action(dict(values))
        except (ManagerException, OSError, queue.Empty) as error:
            self._disconnect()
            raise AmiError(f"{values['Action']}: {error or 'no answer'}", away=True) from None
        headers: dict[str, str] = dict(answer.headers)
        if headers.get("Response") == "Error":
            raise AmiError(headers.get("Message", f"{values['Action']} was refused"))
        return headers

    def _connected(self) -> Any:
        if self._manager is not None and self._manager.connected():
            return self._manager
        self._disconnect()
        manager = Manager()
        manager._response_queue = _ImpatientQueue()  # pyst2 would wait for ever
        try:
            manager.connect(self._login.host, self._login.port)
            answer = manager.send_action(
                {
                    "Action": "Login",
                    "Username": self._login.user,
                    "Secret": self._login.password,
                    "Events": "off",
                }
            )
        except (ManagerException, OSError, queue.Empty) as error:
            self._manager = manager
            self._disconnect()
            raise AmiError(f"no connection to Asterisk's manager: {error}", away=True) from None
        self._manager = manager
        if answer.get_header("Response") != "Success":
            self._disconnect()
            self._closing.wait(RETRY_SECONDS)
            raise AmiError(
                f"Asterisk's manager refused the log-in: {answer.get_header('Message')}", away=True
            )
        left, self._left, self._lost = self._left, False, False
        if self._on_login is not None and not left:
            self._on_login()
        return manager

    def _disconnect(self) -> None:
        """Cut the socket, which ends pyst2's threads."""
        manager, self._manager = self._manager, None
        if manager is None or manager._sock is None:
            return
        with contextlib.suppress(OSError, AttributeError):  # it had ended by itself
            manager._sock._sock.shutdown(socket.SHUT_RDWR)
        manager._running.clear()
        manager._message_queue.put(None)
        manager._event_queue.put(None)


@dataclass(frozen=True, slots=True)
class _Job:
    values: Mapping[str, str]
    future: Future[Mapping[str, str]]
    once: bool


class _ImpatientQueue(queue.Queue[Any]):
    """A queue whose `get` gives up after ANSWER_SECONDS (raises queue.Empty)."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        return super().get(block, ANSWER_SECONDS if timeout is None else timeout)
