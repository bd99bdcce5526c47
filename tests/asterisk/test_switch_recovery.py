"""The switch when Asterisk itself freezes, ends and comes back; and the manager interface by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest

from callcenter.floor.commands import SetFallbackMember
from callcenter.floor.events import Event, SwitchLost, SwitchSurveyed
from callcenter.switch.ami import Ami, AmiError, AmiLogin
from callcenter.switch.ari import Ari
from callcenter.switch.asterisk import AsteriskSwitch
from tests.asterisk.switchbox import Box, lone_centre, start
from tests.servers import eventually

pytestmark = pytest.mark.asterisk


@pytest.fixture(scope="module")
def centre() -> Iterator[Box]:
    with lone_centre() as started:
        yield started


async def until(true: object, what: str, seconds: float = 15.0) -> float:
    """Wait for a callable to be true; gives the moment (time.monotonic())."""
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.005)
    return time.monotonic()


def test_a_frozen_asterisk_counts_as_lost(centre: Box) -> None:
    settings = centre.settings()
    lost: list[str] = []

    async def run() -> None:
        async with Ari(
            settings.host,
            settings.http_port,
            settings.ari_user,
            settings.ari_password,
            app="frozen",
            on_lost=lost.append,
            request_seconds=0.5,
            alive_seconds=0.3,
        ) as ari:
            os.kill(centre.process.pid, signal.SIGSTOP)
            try:
                await until(lambda: lost, "the loss", 5)
                assert not ari.connected
            finally:
                os.kill(centre.process.pid, signal.SIGCONT)
            await ari.wait_connected(10)
            assert (await ari.asterisk.ping())["ping"] == "pong"

    asyncio.run(run())
    assert lost


def test_asterisk_restarts(centre: Box) -> None:
    """A new survey within a second of Asterisk being there, with its new start; members told again."""
    heard: list[Event] = []

    def surveys() -> list[SwitchSurveyed]:
        return [event for event in heard if isinstance(event, SwitchSurveyed)]

    async def run() -> None:
        switch = AsteriskSwitch(centre.settings(), heard.append, lambda: None)
        await switch.start()
        await until(surveys, "the first survey")
        switch.send([SetFallbackMember("1001", "501", ("sales",), present=True)])
        await asyncio.to_thread(
            eventually, lambda: "PJSIP/1001" in centre.console("queue show"), "the member"
        )
        centre.process.kill()
        centre.process.wait()
        await until(lambda: any(isinstance(event, SwitchLost) for event in heard), "the loss")
        switch.send([SetFallbackMember("1002", "502", ("sales",), present=True)])
        await asyncio.sleep(2.5)  # long enough for the longest pause between attempts
        object.__setattr__(centre, "process", start(centre.etc))
        booted = asyncio.create_task(asyncio.to_thread(eventually, centre.booted, "boot", 60))
        back = await until(lambda: len(surveys()) == 2, "the second survey", 60)
        await booted
        assert time.monotonic() - back < 1.5
        assert surveys()[1].started_at > surveys()[0].started_at
        await asyncio.to_thread(
            eventually, lambda: "PJSIP/1002" in centre.console("queue show"), "told while it was away"
        )
        await switch.close()

    asyncio.run(run())


def test_the_manager_refuses_line_breaks_and_reconnects(centre: Box) -> None:
    settings = centre.settings()
    ami = Ami(AmiLogin(settings.host, settings.ami_port, settings.ami_user, settings.ami_password))
    ami.start()
    try:
        for bad in ("a\r\nAction: Originate", "a\nb", "a\0b", "a\rb"):
            with pytest.raises(ValueError, match="control character"):
                ami.action("Redirect", Channel=bad)
        assert ami.action("Ping").result(10)["Response"] == "Success"
        centre.console("manager kick session 1")
        ami._manager._sock._sock.shutdown(2)  # as if the network had cut it
        assert ami.action("Ping").result(10)["Response"] == "Success"
        with pytest.raises(AmiError) as caught:
            ami.action("Redirect", Channel="PJSIP/none", Context="x", Exten="s", Priority="1").result(10)
        assert not caught.value.away
    finally:
        ami.close()
    with pytest.raises(AmiError) as caught:
        ami.action("Ping").result(1)
    assert caught.value.away


def test_a_manager_that_is_not_there(centre: Box) -> None:
    settings = centre.settings()
    for login, text in (
        (AmiLogin(settings.host, 23999, "floor", "x"), "no connection"),
        (AmiLogin(settings.host, settings.ami_port, "floor", "wrong"), "refused the log-in"),
    ):
        ami = Ami(login)
        ami.start()
        waiting = [ami.action("Ping") for _ in range(50)]
        for each in waiting:  # all fail at once: nothing piles up
            with pytest.raises(AmiError, match=text) as caught:
                each.result(5)
            assert caught.value.away
        ami.close()
