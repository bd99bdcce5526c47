"""The simulated public network itself: two of them call each other, so that other tests can trust it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from callcenter.demo.network import (
    Answer,
    CallState,
    Ignore,
    NetworkFault,
    NetworkPlace,
    PhoneAccount,
    PublicAsterisk,
    PublicNetwork,
    Refuse,
)

pytestmark = pytest.mark.asterisk

Pair = tuple[PublicAsterisk, PublicAsterisk]
Play = Callable[[PublicNetwork, PublicNetwork], Awaitable[None]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    phones = [PhoneAccount(name, registers=False) for name in ("2001", "2002", "2003")]
    one = PublicAsterisk(
        tmp_path_factory.mktemp("one"), NetworkPlace("127.0.0.1", 25060, 25088, 25100, 25180, 25061), phones
    )
    two = PublicAsterisk(
        tmp_path_factory.mktemp("two"), NetworkPlace("127.0.0.1", 25061, 25089, 25200, 25280, 25060), phones
    )
    try:
        one.start()
        two.start()
        yield one, two
    finally:
        one.stop()
        two.stop()


def play(pair: Pair, script: Play) -> None:
    """Run `script` on a fresh connection to both; no channel may be left."""

    async def run() -> None:
        async with PublicNetwork(pair[0]) as one, PublicNetwork(pair[1]) as two:
            await script(one, two)
            await one.hang_up_all()
            assert await one.quiet() == []
            assert await two.quiet() == []

    asyncio.run(run())


def test_both_hear_each_other_and_only_what_is_played(pair: Pair) -> None:
    async def script(one: PublicNetwork, two: PublicNetwork) -> None:
        phone = two.phone("2001")
        phone.policy = Answer(0.2)
        call = await one.call("2001", ani="13800138000")
        await call.ringing()
        assert not call.answered_at
        await call.answered()
        far = await phone.rings()
        assert (far.ani, far.number) == ("13800138000", "2001")
        await call.hum(1300)
        assert await call.hears(phone.tone_hz)
        assert await far.hears(1300)
        assert not await far.hears(1200, within=0.7)
        await call.hush()
        assert not await far.hears(1300, within=0.7)
        assert not await far.hears_sound(within=0.7)
        assert await call.hears_sound()
        await phone.hang_up()
        assert await call.ended() == 16
        assert not call.hung_up_here
        assert far.hung_up_here

    play(pair, script)


def test_digits_arrive_in_order(pair: Pair) -> None:
    async def script(one: PublicNetwork, two: PublicNetwork) -> None:
        call = await one.call("2001", ani="1")
        await call.answered()
        await call.send_digits("*1#0987")
        far = two.phone("2001").current
        assert far is not None
        assert await far.hears_digits("*1#0987"), far.digits_heard

    play(pair, script)


def test_a_phone_refuses_ignores_and_has_one_line(pair: Pair) -> None:
    async def script(one: PublicNetwork, two: PublicNetwork) -> None:
        two.phone("2001").policy = Refuse(17)
        two.phone("2002").policy = Ignore()
        busy = await one.call("2001", ani="1")
        assert await busy.ended() == 17
        ringing = await one.call("2002", ani="1")
        await ringing.ringing()
        second = await one.call("2002", ani="2")
        assert await second.ended() == 17
        assert two.phone("2002").doubled == 1
        assert ringing.state is CallState.RINGING
        with pytest.raises(NetworkFault, match=r"was not answered within 0\.3 s"):
            await ringing.answered(within=0.3)
        await ringing.hang_up()
        await ringing.ended()
        await (await two.phone("2002").rings()).ended()
        assert two.phone("2002").current is None

    play(pair, script)


def test_a_phone_dials_and_a_stranger_answers(pair: Pair) -> None:
    async def script(one: PublicNetwork, two: PublicNetwork) -> None:
        call = await one.phone("2003").dial("110")
        with pytest.raises(NetworkFault, match="2003 is in a call"):
            await one.phone("2003").dial("120")
        await call.answered()
        assert [(stranger.number, stranger.ani) for stranger in two.strangers] == [("110", "2003")]

    play(pair, script)


def test_a_taken_port_is_one_clear_line(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(NetworkFault, match=r"^port 25060 on 127\.0\.0\.1 is taken"):
        PublicAsterisk(tmp_path, pair[0].place).start()


def test_stop_leaves_no_process(tmp_path: Path) -> None:
    asterisk = PublicAsterisk(tmp_path, NetworkPlace("127.0.0.1", 25070, 25098, 25300, 25320, 25061))
    asterisk.start()
    pid = asterisk.pid
    asterisk.stop()
    assert not Path(f"/proc/{pid}").exists()
    asterisk.stop()
