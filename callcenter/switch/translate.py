"""Pure translation between ARI and the floor's words, both ways. Nothing else in the project sees ARI's JSON.

How a leg's end looks (measured on Asterisk 22.10.1): a leg that came in by the dialplan ends with
ChannelHangupRequest and StasisEnd, and no ChannelDestroyed follows; a leg that we originated gives
ChannelDestroyed as well, and only that when it never was answered. A leg that goes on in the dialplan
gives StasisEnd alone. So StasisEnd needs the memory of a ChannelHangupRequest: `LegEnds` keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from callcenter.floor import commands as do
from callcenter.floor import events as seen
from callcenter.switch.operations import AriRequest, Bridges, Channels, Playbacks

Json = Mapping[str, Any]

ALLOWED_EVENTS = (
    "ApplicationReplaced",
    "BridgeAttendedTransfer",
    "BridgeBlindTransfer",
    "ChannelDestroyed",
    "ChannelDtmfReceived",
    "ChannelHangupRequest",
    "ChannelHold",
    "ChannelUnhold",
    "PlaybackFinished",
    "StasisEnd",
    "StasisStart",
)
# CC_LEG is ours, set on every leg that we ring or that waits: one variable, because Asterisk tells all the
# world of each that is set. The others are the dialplan's, on its way to the fallback queue.
LEG_VARIABLES = ("CC_LEG", "CC_DNIS", "CC_ARRIVAL")
NUMBER_LENGTH = 64

_NOT_IN_NUMBERS = re.compile(r"[^0-9+*#A-Za-z_-]")
_PROMPT = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
_WORD = re.compile(r"[A-Za-z0-9_.+-]*")
_CLEARED = 16  # Q.850: normal call clearing
_CAUSES = range(1, 128)
_DIGITS = frozenset("0123456789*#ABCD")

_channels: Channels[AriRequest] = Channels(lambda request: request)
_bridges: Bridges[AriRequest] = Bridges(lambda request: request)
_playbacks: Playbacks[AriRequest] = Playbacks(lambda request: request)


class Untranslatable(ValueError):
    """A command that cannot be asked of Asterisk as it stands; the text says why."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Which phone is reached how: phone to dial string ("1001" to "PJSIP/1001"), and where calls leave to."""

    endpoints: Mapping[str, str]
    app: str
    node: str = ""
    outside_context: str = "outside"
    transfer_context: str = "transferred"
    phones: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_resource = {_resource(dial): phone for phone, dial in self.endpoints.items()}
        object.__setattr__(self, "phones", by_resource)

    def phone_of(self, channel_name: str) -> str:
        """The phone that a channel belongs to: "PJSIP/1001-0000abcd" is 1001; "" for a trunk."""
        return self.phones.get(channel_name.rpartition("-")[0], "")


@dataclass(slots=True)
class LegEnds:
    """What must be remembered of legs to tell their end: hang-up requests, and the legs we originated."""

    hanging: dict[str, int] = field(default_factory=dict)  # leg -> cause
    originated: set[str] = field(default_factory=set)

    def forget(self, leg: str) -> None:
        self.hanging.pop(leg, None)
        self.originated.discard(leg)


@dataclass(frozen=True, slots=True)
class LegWentSomewhere:
    """StasisEnd without a hang-up request: gone or in the dialplan, Asterisk must be asked."""

    leg: str


@dataclass(frozen=True, slots=True)
class LegStrayed:
    """A channel entered our application with arguments that nobody here understands."""

    leg: str
    text: str


@dataclass(frozen=True, slots=True)
class AppReplaced:
    """Another client took the application over: this one is deaf from now on."""


@dataclass(frozen=True, slots=True)
class LegGoing:
    """A leg that we originated left, hung up; ChannelDestroyed follows, only then the phone is free."""

    leg: str


@dataclass(frozen=True, slots=True)
class LegTookPlace:
    """A channel that is not ours took the place of a leg of ours (a phone's own transfer): it must go."""

    leg: str
    replaced: seen.LegReplaced


@dataclass(frozen=True, slots=True)
class HalfTransferred:
    """The other half of such a channel came in by the dialplan: it must go too."""

    leg: str


Translated = (
    seen.Event
    | LegWentSomewhere
    | LegGoing
    | LegStrayed
    | LegTookPlace
    | HalfTransferred
    | AppReplaced
    | None
)


def event(ari: Json, at: float, lines: Lines, ends: LegEnds) -> Translated:
    """What one ARI event means to the floor; None when nothing."""
    try:
        return _event(ari, at, lines, ends)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # not as ARI describes it: nothing to act on


def requests(command: do.Command, lines: Lines) -> tuple[AriRequest, ...]:
    """The ARI requests that carry out a command, in order. Raises Untranslatable."""
    match command:
        case do.RingAgent():
            return (_ring_agent(command, lines),)
        case do.RingPhone():
            return (_ring_phone(command, lines),)
        case do.ConnectLegs():
            return _connect(command)
        case do.AddLeg(bridge, leg, absorb):
            return (_bridges.add_channel(bridge, [leg], absorb_dtmf=absorb or None),)
        case do.SnoopLeg(snoop, leg):
            return (
                _channels.snoop_channel(
                    leg, lines.app, snoop_id=snoop, spy="both", whisper="out", app_args="tap"
                ),
            )
        case do.MuteLeg(leg, muted):
            change = _channels.mute if muted else _channels.unmute
            return (change(leg, direction="in"),)
        case do.AnswerLeg(leg):
            return (_channels.answer(leg),)
        case do.IndicateRinging(leg):
            return (_channels.ring(leg),)
        case do.PlayPrompts():
            return (_play(command),)
        case do.StopPlayback(playback):
            return (_playbacks.stop(playback),)
        case do.StartMusic(leg, music):
            if not music:
                return (_channels.start_silence(leg),)
            return (_channels.start_moh(leg, moh_class=_word(music, "music class")),)
        case do.StopMusic(leg):
            return (_channels.stop_moh(leg),)
        case do.AddLeg(bridge, leg, absorb):
            return (_bridges.add_channel(bridge, [leg], absorb_dtmf=True if absorb else None),)
        case do.RemoveLeg(bridge, leg):
            return (_bridges.remove_channel(bridge, [leg]),)
        case do.SendDigits(leg, digits):
            return (_channels.send_dtmf(leg, _digits(digits)),)
        case do.RingOutside():
            return (_ring_outside(command, lines),)
        case do.DestroyBridge(bridge):
            return (_bridges.destroy(bridge),)
        case do.HangUp(leg, cause):
            return (_channels.hangup(leg, reason_code=cause if cause in _CAUSES else _CLEARED),)
        case do.SendOutside():
            return (_send_outside(command, lines),)
        case do.TagLeg():
            return (_tag(command),)
    raise Untranslatable(f"{type(command).__name__} is no command for the switch")


def seen_leg(
    channel: Json, variables: Mapping[str, str], lines: Lines, in_app: bool, bridge: str
) -> seen.SeenLeg:
    """One entry of `GET /channels` with its variables as the survey reports it."""
    plan = channel.get("dialplan", {})
    told = _Told.read(variables.get("CC_LEG", ""))
    arrived_at = _seconds(told.arrival, 0.0) or _seconds(variables.get("CC_ARRIVAL", ""), 0.0)
    return seen.SeenLeg(
        leg=channel["id"],
        name=channel["name"],
        up=channel.get("state") == "Up",
        in_app=in_app,
        application=plan.get("app_name", ""),
        phone=told.phone or lines.phone_of(channel["name"]),
        ani=number(channel.get("caller", {}).get("number", "")),
        dnis=number(told.dnis or variables.get("CC_DNIS", "") or plan.get("exten", "")),
        arrived_at=arrived_at or _creation(channel),
        bridge=bridge,
        contact=told.contact,
        agent=told.agent,
        queue=told.queue,
        language=told.language,
        head_start=_head_start(told.head_start),
    )


def is_our_leg(leg: str) -> bool:
    """Whether a leg's id is one that we gave: the floor makes it of contact, agent and offer."""
    return "~" in leg


def number(text: str) -> str:
    """A number from outside, reduced to what may reach a dial string: strange characters are dropped."""
    return _NOT_IN_NUMBERS.sub("", text)[:NUMBER_LENGTH]


def _event(ari: Json, at: float, lines: Lines, ends: LegEnds) -> Translated:
    match ari["type"]:
        case "StasisStart":
            if (replaced := ari.get("replace_channel")) is not None:
                return LegTookPlace(ari["channel"]["id"], seen.LegReplaced(at, replaced["id"]))
            return _stasis_start(ari["channel"], ari["args"], at, lines, ends)
        case "ChannelHangupRequest":
            # A soft request carries Asterisk's internal flag (32) instead of a cause.
            ends.hanging[ari["channel"]["id"]] = _CLEARED if ari.get("soft") else _cause(ari)
            return None
        case "StasisEnd":
            return _stasis_end(ari["channel"]["id"], at, ends)
        case "ChannelDestroyed":
            leg = ari["channel"]["id"]
            ends.forget(leg)
            return seen.LegHungUp(at, leg, _cause(ari))
        case "ChannelDtmfReceived":
            digit = ari["digit"]
            return seen.DigitPressed(at, ari["channel"]["id"], digit) if digit in _DIGITS else None
        case "ChannelHold":
            return seen.PhoneHeld(at, ari["channel"]["id"])
        case "ChannelUnhold":
            return seen.PhoneUnheld(at, ari["channel"]["id"])
        case "BridgeBlindTransfer":
            return _blind_transfer(ari, at)
        case "PlaybackFinished":
            playback = ari["playback"]
            return seen.PlaybackFinished(at, playback["id"], failed=playback.get("state") == "failed")
        case "ApplicationReplaced":
            return AppReplaced()
    return None


def _blind_transfer(ari: Json, at: float) -> Translated:
    """A phone's own transfer key (SIP REFER): the core has taken the phone out and put a Local channel in."""
    if ari.get("result") != "Success":
        return None  # the phone is told, and its call goes on
    return seen.PhoneTransferred(at, ari["channel"]["id"], number(ari["exten"]))


def _stasis_start(channel: Json, args: list[str], at: float, lines: Lines, ends: LegEnds) -> Translated:
    leg: str = channel["id"]
    match args:
        case ["inbound", dnis, ani, arrival, *_]:
            return seen.CallArrived(
                at,
                contact=leg,
                ani=number(ani),
                dnis=number(dnis),
                arrived_at=_seconds(arrival, at),
                node=lines.node,
                answered=channel.get("state") == "Up",
            )
        case ["phone", dialled, *_]:
            phone = lines.phone_of(channel["name"])
            if not phone:
                return LegStrayed(leg, f"{channel['name']} came in as a phone, but is none of the site's")
            return seen.PhoneDialled(at, leg, phone, number(dialled), lines.node)
        case ["agent", *_]:
            ends.originated.add(leg)
            return seen.LegAnswered(at, leg)
        case ["tap", *_]:
            return seen.LegAnswered(at, leg)
        case ["transferred", *_] if channel["name"].startswith("Local/"):
            return HalfTransferred(leg)
    return LegStrayed(leg, f"{channel['name']} came in with the unknown arguments {args!r:.100}")


def _stasis_end(leg: str, at: float, ends: LegEnds) -> Translated:
    if leg not in ends.hanging:
        return LegWentSomewhere(leg)
    if leg in ends.originated:
        return LegGoing(leg)
    cause = ends.hanging[leg]
    ends.forget(leg)
    return seen.LegHungUp(at, leg, cause)


def _cause(ari: Json) -> int:
    cause = ari.get("cause", 0)
    return cause if cause in _CAUSES else _CLEARED


def _head_start(text: str) -> float:
    """Seconds, below 0 for a caller who was put further back."""
    return -_seconds(text[1:], 0.0) if text.startswith("-") else _seconds(text, 0.0)


def _seconds(text: str, otherwise: float) -> float:
    """Seconds since the epoch out of a channel variable; anything that is no such time gives `otherwise`."""
    if not re.fullmatch(r"\d{1,11}(\.\d{1,9})?", text):
        return otherwise
    return float(text)


# The floor's commands.


def _play(command: do.PlayPrompts) -> AriRequest:
    if not command.prompts:
        raise Untranslatable("there is no prompt to play")
    for prompt in command.prompts:
        if not _PROMPT.fullmatch(prompt):
            raise Untranslatable(f"{prompt!r:.80} is no name of a prompt: letters, digits, _ - and / only")
    media = [f"sound:{prompt}" for prompt in command.prompts]
    lang = _word(command.language, "language")
    return _channels.play(command.leg, media, playback_id=command.playback, lang=lang)


def _ring_agent(command: do.RingAgent, lines: Lines) -> AriRequest:
    endpoint = lines.endpoints.get(command.phone)
    if endpoint is None:
        raise Untranslatable(f"phone {number(command.phone)!r} is not in the site file")
    told = _Told(
        contact=command.contact,
        agent=command.agent,
        queue=command.queue,
        phone=command.phone,
        arrival=_moment(command.arrived_at),
        language=_word(command.language, "language"),
        dnis=number(command.dnis),
    )
    return _channels.originate(
        endpoint,
        channel_id=command.leg,
        app=lines.app,
        app_args="agent",
        caller_id=number(command.ani),
        timeout=max(1, command.ring_seconds),
        variables={"CC_LEG": told.text(), "__TRANSFER_CONTEXT": lines.transfer_context},
    )


def _ring_phone(command: do.RingPhone, lines: Lines) -> AriRequest:
    endpoint = lines.endpoints.get(command.phone)
    if endpoint is None:
        raise Untranslatable(f"phone {number(command.phone)!r} is not in the site file")
    return _channels.originate(
        endpoint,
        channel_id=command.leg,
        app=lines.app,
        app_args="agent",
        caller_id=number(command.ani),
        timeout=max(1, command.ring_seconds),
        variables={"__TRANSFER_CONTEXT": lines.transfer_context},
    )


def _ring_outside(command: do.RingOutside, lines: Lines) -> AriRequest:
    # Two halves, /n: never optimised away, for ours must stay the leg that we know.
    told = _Told(
        contact=command.contact,
        queue=command.queue,
        arrival=_moment(command.arrived_at),
        language=_word(command.language, "language"),
    )
    return _channels.originate(
        f"Local/{_dialled(command.number)}@{lines.outside_context}/n",
        channel_id=command.leg,
        other_channel_id=f"{command.leg}~2",
        app=lines.app,
        app_args="agent",
        timeout=max(1, command.ring_seconds),
        variables={"CC_LEG": told.text()},
        formats="alaw",  # without it 192 kHz, and the far end hears nothing after half a second
    )


def _connect(command: do.ConnectLegs) -> tuple[AriRequest, ...]:
    # Not a plain mixing bridge: that becomes native RTP and swallows digits.
    return (
        _bridges.create(bridge_id=command.bridge, type="mixing,dtmf_events"),
        _bridges.add_channel(command.bridge, [command.caller]),
        _bridges.add_channel(command.bridge, [command.agent], absorb_dtmf=True),
    )


def _send_outside(command: do.SendOutside, lines: Lines) -> AriRequest:
    return _channels.continue_in_dialplan(
        command.leg, context=lines.outside_context, extension=_dialled(command.number), priority=1
    )


def _dialled(text: str) -> str:
    if not text or number(text) != text:
        raise Untranslatable(f"{number(text)!r} is no number that may be dialled")
    return text


def _digits(text: str) -> str:
    if not text or not _DIGITS.issuperset(text):
        raise Untranslatable("these are no digits")  # not told which: it may be a card number
    return text


def _tag(command: do.TagLeg) -> AriRequest:
    told = _Told(
        contact=command.contact,
        queue=command.queue,
        arrival=_moment(command.arrived_at),
        language=command.language,
        agent=command.agent,
        phone=command.phone,
        head_start=_moment(command.head_start) if command.head_start else "",
    )
    return _channels.set_channel_var(command.leg, "CC_LEG", told.text())


@dataclass(frozen=True, slots=True)
class _Told:
    """What a leg carries in its variable CC_LEG, so that a floor can be rebuilt from Asterisk alone."""

    contact: str = ""
    agent: str = ""
    queue: str = ""
    phone: str = ""
    arrival: str = ""
    language: str = ""
    dnis: str = ""
    head_start: str = ""  # may be missing: legs from before an upgrade

    def text(self) -> str:
        parts = (self.contact, self.agent, self.queue, self.phone, self.arrival, self.language, self.dnis)
        return ";".join((*parts, self.head_start) if self.head_start else parts)

    @classmethod
    def read(cls, text: str) -> _Told:
        parts = text.split(";")
        return cls(*parts) if len(parts) in (len(fields(cls)) - 1, len(fields(cls))) else cls()


def _creation(channel: Json) -> float:
    try:
        return datetime.fromisoformat(channel.get("creationtime", "")).timestamp()
    except ValueError:
        return 0.0


def _moment(at: float) -> str:
    return f"{at:.3f}"


def _word(text: str, what: str) -> str:
    if not _WORD.fullmatch(text):
        raise Untranslatable(f"{text!r:.80} is no {what}: letters, digits, _ . + - only")
    return text


def _resource(dial: str) -> str:
    """The part of a dial string that channel names carry: "PJSIP/1001/sip:…" is "PJSIP/1001"."""
    return "/".join(dial.split("/")[:2])
