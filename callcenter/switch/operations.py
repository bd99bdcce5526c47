"""ARI's operations under ARI's own names, in snake case (`originate`, `continue_in_dialplan`, …).

Each class only builds requests and hands them to `send`. The client (`callcenter.switch.ari`) passes its
own `request` as `send`, so that an operation gives an awaitable; whoever only wants the request (to keep,
compare or test it) passes a function that gives it back:

    >>> Channels(lambda request: request).answer("c1")
    AriRequest(method='POST', uri='channels/c1/answer', body='')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

T = TypeVar("T")

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


class AriRequest(msgspec.Struct, frozen=True):
    """One ARI request: `uri` is relative to `/ari/`, query included; `body` is JSON or empty."""

    method: str
    uri: str
    body: str = ""


Send = Callable[[AriRequest], T]


class _Group(Generic[T]):
    def __init__(self, send: Send[T]) -> None:
        self._send = send

    def _request(self, method: str, path: str, body: object = None, **query: object) -> T:
        return self._send(AriRequest(method, _uri(path, query), _json(body)))


class Channels(_Group[T]):
    """Operations on channels."""

    def list(self) -> T:
        return self._request("GET", "channels")

    def get(self, channel_id: str) -> T:
        return self._request("GET", f"channels/{_id(channel_id)}")

    def originate(
        self,
        endpoint: str,
        *,
        channel_id: str = "",
        app: str = "",
        app_args: str = "",
        context: str = "",
        extension: str = "",
        priority: int | None = None,
        caller_id: str = "",
        timeout: int | None = None,
        variables: Mapping[str, str] | None = None,
        other_channel_id: str = "",
        originator: str = "",
        formats: str = "",
    ) -> T:
        """Call `endpoint`; once answered the channel enters `app` (or `context`, `extension`).

        `channel_id` makes a repetition a Conflict instead of a second call. `timeout` is in seconds.
        """
        return self._request(
            "POST",
            f"channels/{_id(channel_id)}" if channel_id else "channels",
            {"variables": variables} if variables else None,
            endpoint=endpoint,
            app=app,
            appArgs=app_args,
            context=context,
            extension=extension,
            priority=priority,
            callerId=caller_id,
            timeout=timeout,
            otherChannelId=other_channel_id,
            originator=originator,
            formats=formats,
        )

    def answer(self, channel_id: str) -> T:
        return self._request("POST", f"channels/{_id(channel_id)}/answer")

    def ring(self, channel_id: str) -> T:
        return self._request("POST", f"channels/{_id(channel_id)}/ring")

    def ring_stop(self, channel_id: str) -> T:
        return self._request("DELETE", f"channels/{_id(channel_id)}/ring")

    def progress(self, channel_id: str) -> T:
        return self._request("POST", f"channels/{_id(channel_id)}/progress")

    def hangup(self, channel_id: str, *, reason_code: int | None = None) -> T:
        """Hang up; `reason_code` is a Q.850 cause."""
        return self._request("DELETE", f"channels/{_id(channel_id)}", reason_code=reason_code)

    def play(
        self,
        channel_id: str,
        media: Sequence[str],
        *,
        playback_id: str = "",
        lang: str = "",
        offsetms: int | None = None,
    ) -> T:
        """Play media URIs (`sound:NAME`, `tone:NAME`, `digits:12`, …) one after the other as one playback."""
        tail = f"/{_id(playback_id)}" if playback_id else ""
        return self._request(
            "POST",
            f"channels/{_id(channel_id)}/play{tail}",
            media=",".join(media),
            lang=lang,
            offsetms=offsetms,
        )

    def record(
        self,
        channel_id: str,
        name: str,
        *,
        format: str = "wav",
        max_duration_seconds: int | None = None,
        max_silence_seconds: int | None = None,
        if_exists: str = "",
        beep: bool | None = None,
        terminate_on: str = "",
    ) -> T:
        return self._request(
            "POST",
            f"channels/{_id(channel_id)}/record",
            name=name,
            format=format,
            maxDurationSeconds=max_duration_seconds,
            maxSilenceSeconds=max_silence_seconds,
            ifExists=if_exists,
            beep=beep,
            terminateOn=terminate_on,
        )

    def start_moh(self, channel_id: str, *, moh_class: str = "") -> T:
        return self._request("POST", f"channels/{_id(channel_id)}/moh", mohClass=moh_class)

    def stop_moh(self, channel_id: str) -> T:
        return self._request("DELETE", f"channels/{_id(channel_id)}/moh")

    def start_silence(self, channel_id: str) -> T:
        """Send silence: to the far end a call without any audio looks dead."""
        return self._request("POST", f"channels/{_id(channel_id)}/silence")

    def stop_silence(self, channel_id: str) -> T:
        return self._request("DELETE", f"channels/{_id(channel_id)}/silence")

    def hold(self, channel_id: str) -> T:
        return self._request("POST", f"channels/{_id(channel_id)}/hold")

    def unhold(self, channel_id: str) -> T:
        return self._request("DELETE", f"channels/{_id(channel_id)}/hold")

    def mute(self, channel_id: str, *, direction: str = "both") -> T:
        return self._request("POST", f"channels/{_id(channel_id)}/mute", direction=direction)

    def unmute(self, channel_id: str, *, direction: str = "both") -> T:
        return self._request("DELETE", f"channels/{_id(channel_id)}/mute", direction=direction)

    def send_dtmf(
        self, channel_id: str, dtmf: str, *, between: int | None = None, duration: int | None = None
    ) -> T:
        """Send digits; `between` and `duration` are milliseconds."""
        return self._request(
            "POST", f"channels/{_id(channel_id)}/dtmf", dtmf=dtmf, between=between, duration=duration
        )

    def continue_in_dialplan(
        self,
        channel_id: str,
        *,
        context: str = "",
        extension: str = "",
        priority: int | None = None,
        label: str = "",
    ) -> T:
        """Leave the application; without arguments the dialplan goes on after `Stasis()`."""
        return self._request(
            "POST",
            f"channels/{_id(channel_id)}/continue",
            context=context,
            extension=extension,
            priority=priority,
            label=label,
        )

    def move(self, channel_id: str, app: str, *, app_args: str = "") -> T:
        """Hand a live call to another application."""
        return self._request("POST", f"channels/{_id(channel_id)}/move", app=app, appArgs=app_args)

    def redirect(self, channel_id: str, endpoint: str) -> T:
        return self._request("POST", f"channels/{_id(channel_id)}/redirect", endpoint=endpoint)

    def snoop_channel(
        self,
        channel_id: str,
        app: str,
        *,
        snoop_id: str = "",
        spy: str = "",
        whisper: str = "",
        app_args: str = "",
    ) -> T:
        """Listen (`spy`) to or speak (`whisper`) into a channel: "in", "out", "both" or "none"."""
        tail = f"/{_id(snoop_id)}" if snoop_id else ""
        return self._request(
            "POST",
            f"channels/{_id(channel_id)}/snoop{tail}",
            app=app,
            spy=spy,
            whisper=whisper,
            appArgs=app_args,
        )

    def get_channel_var(self, channel_id: str, variable: str) -> T:
        """One channel variable or function: `{"value": …}`; NotFound where it is unset."""
        return self._request("GET", f"channels/{_id(channel_id)}/variable", variable=variable)

    def set_channel_var(self, channel_id: str, variable: str, value: str) -> T:
        return self._request("POST", f"channels/{_id(channel_id)}/variable", variable=variable, value=value)

    def get_channel_vars(self, channel_id: str, variables: Sequence[str]) -> T:
        return self._request("GET", f"channels/{_id(channel_id)}/variables", variables=",".join(variables))

    def set_channel_vars(self, channel_id: str, variables: Mapping[str, str]) -> T:
        return self._request("POST", f"channels/{_id(channel_id)}/variables", {"variables": variables})


class Bridges(_Group[T]):
    """Operations on bridges."""

    def list(self) -> T:
        return self._request("GET", "bridges")

    def get(self, bridge_id: str) -> T:
        return self._request("GET", f"bridges/{_id(bridge_id)}")

    def create(self, *, bridge_id: str = "", type: str = "mixing", name: str = "") -> T:
        tail = f"/{_id(bridge_id)}" if bridge_id else ""
        return self._request("POST", f"bridges{tail}", type=type, name=name)

    def destroy(self, bridge_id: str) -> T:
        return self._request("DELETE", f"bridges/{_id(bridge_id)}")

    def add_channel(
        self,
        bridge_id: str,
        channel: Sequence[str],
        *,
        role: str = "",
        absorb_dtmf: bool | None = None,
        mute: bool | None = None,
    ) -> T:
        """Add channels; with `absorb_dtmf` their digits are events and the others do not hear them."""
        return self._request(
            "POST",
            f"bridges/{_id(bridge_id)}/addChannel",
            channel=",".join(channel),
            role=role,
            absorbDTMF=absorb_dtmf,
            mute=mute,
        )

    def remove_channel(self, bridge_id: str, channel: Sequence[str]) -> T:
        return self._request("POST", f"bridges/{_id(bridge_id)}/removeChannel", channel=",".join(channel))

    def play(self, bridge_id: str, media: Sequence[str], *, playback_id: str = "", lang: str = "") -> T:
        tail = f"/{_id(playback_id)}" if playback_id else ""
        return self._request("POST", f"bridges/{_id(bridge_id)}/play{tail}", media=",".join(media), lang=lang)

    def start_moh(self, bridge_id: str, *, moh_class: str = "") -> T:
        return self._request("POST", f"bridges/{_id(bridge_id)}/moh", mohClass=moh_class)

    def stop_moh(self, bridge_id: str) -> T:
        return self._request("DELETE", f"bridges/{_id(bridge_id)}/moh")


class Playbacks(_Group[T]):
    """Operations on playbacks."""

    def get(self, playback_id: str) -> T:
        return self._request("GET", f"playbacks/{_id(playback_id)}")

    def stop(self, playback_id: str) -> T:
        return self._request("DELETE", f"playbacks/{_id(playback_id)}")

    def control(self, playback_id: str, operation: str) -> T:
        return self._request("POST", f"playbacks/{_id(playback_id)}/control", operation=operation)


class Applications(_Group[T]):
    """Operations on Stasis applications."""

    def list(self) -> T:
        return self._request("GET", "applications")

    def get(self, application_name: str) -> T:
        return self._request("GET", f"applications/{_id(application_name)}")

    def filter(self, application_name: str, allowed: Sequence[str]) -> T:
        """Let only events of these types through. Keep `RESTResponse` among them, or answers vanish too."""
        body = {"allowed": [{"type": name} for name in allowed]}
        return self._request("PUT", f"applications/{_id(application_name)}/eventFilter", body)

    def subscribe(self, application_name: str, event_source: Sequence[str]) -> T:
        return self._request(
            "POST", f"applications/{_id(application_name)}/subscription", eventSource=",".join(event_source)
        )

    def unsubscribe(self, application_name: str, event_source: Sequence[str]) -> T:
        return self._request(
            "DELETE", f"applications/{_id(application_name)}/subscription", eventSource=",".join(event_source)
        )


class Endpoints(_Group[T]):
    """Operations on endpoints (phones and trunks)."""

    def list(self) -> T:
        return self._request("GET", "endpoints")

    def get(self, tech: str, resource: str) -> T:
        return self._request("GET", f"endpoints/{_id(tech)}/{_id(resource)}")


class Asterisk(_Group[T]):
    """Operations on Asterisk itself."""

    def get_info(self, *, only: Sequence[str] = ()) -> T:
        """What Asterisk is: `only` some of "build", "system", "config", "status"."""
        return self._request("GET", "asterisk/info", only=",".join(only))

    def ping(self) -> T:
        return self._request("GET", "asterisk/ping")

    def get_global_var(self, variable: str) -> T:
        return self._request("GET", "asterisk/variable", variable=variable)

    def set_global_var(self, variable: str, value: str) -> T:
        return self._request("POST", "asterisk/variable", variable=variable, value=value)

    def reload_module(self, module_name: str) -> T:
        return self._request("PUT", f"asterisk/modules/{_id(module_name)}")


class Recordings(_Group[T]):
    """Operations on recordings; a file itself comes by `Ari.download`."""

    def list_stored(self) -> T:
        return self._request("GET", "recordings/stored")

    def delete_stored(self, recording_name: str) -> T:
        return self._request("DELETE", f"recordings/stored/{_id(recording_name)}")

    def stop(self, recording_name: str) -> T:
        return self._request("POST", f"recordings/live/{_id(recording_name)}/stop")


def _id(text: str) -> str:
    """One path segment, escaped; an id with a slash stays one segment."""
    if not text:
        raise ValueError("an ARI request needs an id that is not empty")
    return _quoted(text)


def _uri(path: str, query: Mapping[str, object]) -> str:
    given = [f"{name}={_quoted(_text(value))}" for name, value in query.items() if value not in (None, "")]
    return f"{path}?{'&'.join(given)}" if given else path


def _quoted(text: str) -> str:
    return text if _PLAIN(text) else quote(text, safe="")  # most are plain, and `quote` is slow


def _text(value: object) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)


def _json(body: Any) -> str:
    return "" if body is None else msgspec.json.encode(body).decode()
