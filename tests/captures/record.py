"""Records what a real Asterisk sends during one queued call: `python -m tests.captures.record`.

The call: greeting, music, a busy agent, another agent who answers and presses *12, then both hang up.
Each line of queued_call.jsonl is one ARI event as it came, beside the time of its arrival.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec

from callcenter.floor.commands import (
    AnswerLeg,
    ConnectLegs,
    DestroyBridge,
    HangUp,
    PlayPrompts,
    StartMusic,
    StopMusic,
    TagLeg,
)
from callcenter.floor.events import DigitPressed, LegAnswered, LegHungUp, PlaybackFinished
from callcenter.testing.contract import caller, ring
from tests.asterisk.switchbox import pair
from tests.asterisk.test_switch_contract import AsteriskStage

CAPTURE = Path(__file__).parent / "queued_call.jsonl"


async def one_call(stage: AsteriskStage) -> None:
    await stage.phones("busy")
    contact = await caller(stage)
    stage.send(TagLeg(contact, contact, "sales", 12.5, "en"), AnswerLeg(contact))
    stage.send(PlayPrompts(contact, f"{contact}-p1", ("hello-world",), "en_US_f_Allison"))
    await stage.hear(PlaybackFinished)
    stage.send(StartMusic(contact, "default"), ring("leg-1", contact, "1001"))
    await stage.hear(LegHungUp, lambda event: event.leg == "leg-1")
    await stage.phones("digits")
    stage.send(ring("leg-2", contact, "1002"))
    await stage.hear(LegAnswered)
    stage.send(StopMusic(contact), ConnectLegs("bridge-1", contact, "leg-2"))
    await stage.hear(DigitPressed, lambda event: event.digit == "2")
    await asyncio.to_thread(stage.pair.network.console, "channel request hangup all")
    await stage.hear(LegHungUp, lambda event: event.leg == "leg-2")
    stage.send(HangUp(contact), DestroyBridge("bridge-1"))
    await stage.hear(LegHungUp, lambda event: event.leg == contact)


async def record(stage: AsteriskStage) -> list[dict[str, Any]]:
    await stage.start()
    assert stage.switch is not None
    ari, lines = stage.switch.ari, []
    heard = ari._on_event

    def tap(event: dict[str, Any]) -> None:
        lines.append({"at": round(time.time(), 6), "event": {**event, "asterisk_id": "02:00:00:00:00:01"}})
        heard(event)

    ari._on_event = tap
    try:
        await one_call(stage)
    finally:
        await stage.close()
    return lines


def main() -> None:
    with pair() as asterisks:
        lines = asyncio.run(record(AsteriskStage(asterisks)))
    CAPTURE.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    print(f"{len(lines)} events in {CAPTURE}")


if __name__ == "__main__":
    main()
