"""What lives in one Asterisk: channels with our variables, and bridges."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from callcenter.floor.events import SeenLeg
from callcenter.switch.ari import Ari, NotFound
from callcenter.switch.translate import LEG_VARIABLES, Lines, is_our_leg, seen_leg

Json = Mapping[str, Any]

SETTLED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a survey found."""

    legs: tuple[SeenLeg, ...]
    bridges: tuple[str, ...]  # ids of those that ARI made
    started_at: float  # when this Asterisk started, seconds since the epoch


async def survey(ari: Ari, lines: Lines) -> Found:
    """All that lives in one Asterisk. Raises AriError."""
    status = (await ari.asterisk.get_info(only=["status"]))["status"]
    in_app = await _in_app(ari)
    bridges: Sequence[Json] = await ari.get_by_http("bridges")
    # Channels last: whoever hung up meanwhile is then in no list.
    channels: Sequence[Json] = await ari.get_by_http("channels")
    bridge_of = {channel: bridge["id"] for bridge in bridges for channel in bridge["channels"]}
    variables = await asyncio.gather(*[_variables(ari, channel["id"]) for channel in channels])
    legs = tuple(
        seen_leg(channel, found, lines, _is_in(channel, in_app), bridge_of.get(channel["id"], ""))
        for channel, found in zip(channels, variables, strict=True)
        if found is not None
    )
    ours = tuple(bridge["id"] for bridge in bridges if bridge.get("bridge_class") == "stasis")
    return Found(legs, ours, datetime.fromisoformat(status["startup_time"]).timestamp())


@dataclass(frozen=True, slots=True)
class Others:
    """Calls that are not in our application's hands."""

    phones: frozenset[str]
    held: tuple[SeenLeg, ...]  # callers whom app_queue holds and has not connected

    @property
    def any(self) -> bool:
        return bool(self.phones or self.held)


async def other_calls(ari: Ari, lines: Lines, now: float) -> Others:
    """The phones that are in calls which are not ours, and the fallback queue's waiting callers.

    A call younger than SETTLED_SECONDS does not count: it may be on its way to us. Raises AriError.
    """
    listed = _CHANNELS.decode(await ari.download("channels"))
    busy = set()
    queued: list[str] = []
    for channel in listed:
        phone, application = lines.phone_of(channel.name), channel.dialplan.app_name
        if phone:
            young = now - datetime.fromisoformat(channel.creationtime).timestamp() < SETTLED_SECONDS
            if application != "Stasis" and not young and not is_our_leg(channel.id):
                busy.add(phone)
        elif application == "Queue":
            queued.append(channel.id)
    return Others(frozenset(busy), await _held(ari, lines, queued) if queued else ())


async def _held(ari: Ari, lines: Lines, queued: Sequence[str]) -> tuple[SeenLeg, ...]:
    bridges: Sequence[Json] = await ari.get_by_http("bridges")
    talking = {channel for bridge in bridges for channel in bridge["channels"]}
    held = []
    for leg in queued:
        variables = await _variables(ari, leg) if leg not in talking else None
        if variables is not None:
            with contextlib.suppress(NotFound):  # he has hung up meanwhile
                held.append(seen_leg(await ari.channels.get(leg), variables, lines, False, ""))
    return tuple(held)


class _Dialplan(msgspec.Struct):
    app_name: str = ""


class _Listed(msgspec.Struct):
    """What a look at all channels needs of each: reading no more makes the look ten times cheaper."""

    id: str
    name: str
    creationtime: str
    dialplan: _Dialplan


_CHANNELS = msgspec.json.Decoder(list[_Listed])


async def _in_app(ari: Ari) -> frozenset[str]:
    application = await ari.applications.get(ari.app)
    return frozenset(application["channel_ids"])


def _is_in(channel: Json, in_app: frozenset[str]) -> bool:
    return channel["id"] in in_app and channel.get("dialplan", {}).get("app_name") == "Stasis"


async def _variables(ari: Ari, leg: str) -> Mapping[str, str] | None:
    """Our variables of one leg that are set; None when the leg has gone meanwhile."""
    answers = await asyncio.gather(
        *[ari.channels.get_channel_var(leg, name) for name in LEG_VARIABLES], return_exceptions=True
    )
    found = {}
    for name, answer in zip(LEG_VARIABLES, answers, strict=True):
        if isinstance(answer, NotFound):
            if "channel" in answer.text.lower():
                return None
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found[name] = answer["value"]
    return found
