"""Recording a leg: AMI's MixMonitor, because ARI has nothing that keeps the two sides apart and is as cheap.

What the caller says and what he hears go to two files of 8 kHz samples without a header, so that whatever is
on the disk when Asterisk is killed can be read to its last byte (the last two seconds are still in Asterisk's
buffer then). Appended to, never cut off: a name used twice by mistake loses nothing.

Actions of AMI are carried out one by one, so silence never overtakes the recording that it is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import Future

from callcenter.floor.commands import SilenceRecording, StartRecording, StopRecording
from callcenter.floor.events import Failure
from callcenter.paths import recording_sides
from callcenter.switch.ami import Ami, AmiError

RecordingCommand = StartRecording | SilenceRecording | StopRecording

_NAME = re.compile(r"[A-Za-z0-9_.~-]{1,120}")


def record(ami: Ami, command: RecordingCommand) -> Future[Mapping[str, str]]:
    """Ask for it. Raises ValueError for a name that cannot be one."""
    match command:
        case StartRecording(leg, recording, beep_seconds):
            caller, agent = sides(recording)
            beep = f"B({beep_seconds})" if beep_seconds else ""
            # Not repeated after a broken connection: two at once would write into the same files.
            return ami.action_once("MixMonitor", Channel=leg, Options=f"ar({caller})t({agent}){beep}")
        case SilenceRecording(leg, silent):
            return ami.action("MixMonitorMute", Channel=leg, Direction="both", State="1" if silent else "0")
        case StopRecording(leg):
            return ami.action("StopMixMonitor", Channel=leg)


def sides(recording: str) -> tuple[str, str]:
    """The two files of a recording. Raises ValueError."""
    if not _NAME.fullmatch(recording):
        raise ValueError(f"{recording!r:.80} is no name of a recording")
    return recording_sides(recording)


def failure_of(error: AmiError) -> Failure:
    if error.away:
        return Failure.AWAY
    return Failure.NOT_FOUND if "no such channel" in str(error).lower() else Failure.FAILED
