"""Keeps the members of the fallback queues (app_queue) in step with the agents, and fetches callers back.

The queue of the site's `sales` is `fallback-sales` in Asterisk. Changes are gathered for a moment, because
an agent goes from free to busy and back with every call and Asterisk writes each change to its database.
All that runs here is on the event loop; answers of AMI come in AMI's thread and are only logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from callcenter.floor.commands import SetFallbackMember, TakeFromFallback
from callcenter.switch.ami import Ami

log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.5
PREFIX = "fallback-"
_SETTLED = ("already there", "not there", "interface not found")  # what Asterisk says when it is so already


@dataclass(frozen=True, slots=True)
class _Membership:
    agent: str
    queues: frozenset[str]
    paused: bool


class FallbackQueues:
    """`endpoints` maps phones to dial strings; in `context` a fetched caller enters the dialplan again."""

    def __init__(self, ami: Ami, endpoints: Mapping[str, str], context: str) -> None:
        self._ami = ami
        self.endpoints = endpoints
        self._context = context
        self._wanted: dict[str, _Membership] = {}  # by phone; the last word of the floor
        self._told: dict[str, _Membership] = {}  # what Asterisk was asked for last
        self._changed: dict[str, None] = {}  # phones, in order
        self._gathering: asyncio.TimerHandle | None = None

    def set_member(self, command: SetFallbackMember) -> None:
        queues = frozenset(command.queues)
        self._wanted[command.phone] = _Membership(
            command.agent, queues if command.present else frozenset(), command.paused
        )
        if command.phone not in self._told and not command.present:
            # Left over from an earlier run, perhaps: take it out of the queues that the floor names.
            self._told[command.phone] = _Membership(command.agent, queues, command.paused)
        self._changed[command.phone] = None
        self._gather()

    def take(self, command: TakeFromFallback) -> Future[Mapping[str, str]]:
        """Send the caller back to us. Raises ValueError for a channel name that cannot be one."""
        self.flush()  # members paused first, or app_queue would ring one for him meanwhile
        return self._ami.action(
            "Redirect", Channel=command.name, Context=self._context, Exten="s", Priority="1"
        )

    def tell_again(self) -> None:
        """Asterisk may have forgotten, or not have heard: ask for everything once more."""
        self._told.clear()
        self._changed.update(dict.fromkeys(self._wanted))
        self._gather()

    def flush(self) -> None:
        """Ask Asterisk for all changes gathered so far."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        changed, self._changed = self._changed, {}
        for phone in changed:
            interface = self.endpoints.get(phone)
            if interface is None:
                log.warning("fallback member has no such phone in the site", phone=phone)
                continue
            wanted = self._wanted[phone]
            self._tell(interface, self._told.get(phone), wanted)
            self._told[phone] = wanted
            if not wanted.queues:
                del self._wanted[phone]

    def _gather(self) -> None:
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)

    def _tell(self, interface: str, told: _Membership | None, wanted: _Membership) -> None:
        known = told.queues if told is not None else frozenset()
        for queue in sorted(known - wanted.queues):
            self._ask("QueueRemove", Queue=PREFIX + queue, Interface=interface)
        # Paused in all queues at once, and first: it may be a member of an earlier run, unknown to us.
        if wanted.queues and (told is None or told.paused != wanted.paused):
            self._ask("QueuePause", Interface=interface, Paused=_flag(wanted.paused))
        for queue in sorted(wanted.queues - known):
            self._ask(
                "QueueAdd",
                Queue=PREFIX + queue,
                Interface=interface,
                MemberName=wanted.agent,
                Paused=_flag(wanted.paused),
            )

    def _ask(self, action: str, **values: str) -> None:
        """One action whose failure is only logged, and not even that where all is as wanted already."""

        def answered(done: Future[Mapping[str, str]]) -> None:
            error = done.exception()
            if error is not None and not any(settled in str(error).lower() for settled in _SETTLED):
                log.warning("fallback queue not in step", action=action, error=str(error), **values)

        try:
            self._ami.action(action, **values).add_done_callback(answered)
        except ValueError as error:
            log.warning("fallback queue not in step", action=action, error=str(error))


def _flag(value: bool) -> str:
    return "true" if value else "false"
