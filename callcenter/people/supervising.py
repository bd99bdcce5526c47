"""`callcenter agents listen | whisper | barge | takeover`: a supervisor at an agent's conversation."""

from __future__ import annotations

import click

from callcenter.asking import AS_LEADER, ask
from callcenter.cli_context import Context
from callcenter.floor.events import SuperviseRequested
from callcenter.floor.supervision import Act

_PHONE = click.option("--phone", required=True, help="The supervisor's phone: it rings and is joined.")
_EPILOG = (
    "On that phone 4 listens, 5 whispers, 6 barges, 7 takes over. "
    "Example: callcenter agents {} 2001 --phone 1005"
)


def _command(name: str, act: Act, text: str) -> click.Command:
    @click.command(name, help=text, epilog=_EPILOG.format(name))
    @click.argument("number")
    @_PHONE
    @AS_LEADER
    @click.pass_obj
    def supervise(context: Context, number: str, phone: str, leader: str) -> None:
        ask(context, SuperviseRequested, agent=number, phone=phone, act=act.value, leader=leader)

    return supervise


COMMANDS = (
    _command("listen", Act.LISTEN, "Hear an agent and his customer, heard by neither."),
    _command("whisper", Act.WHISPER, "Speak to an agent; his customer does not hear it."),
    _command("barge", Act.BARGE, "Join an agent's conversation, heard by both."),
    _command(
        "takeover", Act.TAKE_OVER, "Take an agent's customer; somebody must be logged in at the phone for it."
    ),
)
