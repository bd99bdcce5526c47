"""`make states`: the machines' pictures (Mermaid), printed from the very tables that drive them."""

from __future__ import annotations

from collections.abc import Iterator

from callcenter.floor import talks
from callcenter.floor.agents import MOVES
from callcenter.floor.journey import BEGINNINGS, ROWS


def contact_picture() -> Iterator[str]:
    yield "stateDiagram-v2"
    for first, how in BEGINNINGS.items():
        yield f"    [*] --> {first}: {how}"
    for (state, cue), row in ROWS.items():
        for target in row.leads_to:
            if target is not state:
                yield f"    {state} --> {target or '[*]'}: {cue}"


def talk_picture() -> Iterator[str]:
    yield "stateDiagram-v2"
    yield "    [*] --> together: an agent has answered"
    for (talk, what), row in talks.ROWS.items():
        for target in row.leads_to:
            yield f"    {talk} --> {target}: {what}"


def agent_picture() -> Iterator[str]:
    yield "stateDiagram-v2"
    yield "    [*] --> idle: logs in"
    for (activity, move), target in MOVES.items():
        yield f"    {activity} --> {target}: {move}"
    yield "    idle --> [*]: logs out"


def main() -> None:
    print("A contact\n")
    print("\n".join(contact_picture()))
    print("\nA talk, while the contact is talking; where it ends is a state of the contact\n")
    print("\n".join(talk_picture()))
    print("\nAn agent's activity (presence is chosen beside it)\n")
    print("\n".join(agent_picture()))


if __name__ == "__main__":
    main()
