"""PINs: what is refused, what is kept, what is accepted."""

from __future__ import annotations

import pytest

from callcenter.pins import PIN_DIGITS, generate_pin, hash_pin, verify, weakness


def test_a_pin_opens_its_own_hash_only() -> None:
    kept = hash_pin("739154")
    assert "739154" not in kept
    assert verify("739154", kept)
    assert not verify("739155", kept)
    assert not verify("", kept)
    assert kept != hash_pin("739154"), "salted"


@pytest.mark.parametrize(
    "kept",
    ["", "scrypt$", "scrypt$3$8$1$00$00", "md5$1$2$3$4$5", "scrypt$x$8$1$zz$00", "scrypt$-1$8$1$00$00"],
)
def test_a_hash_that_is_none_opens_for_nobody(kept: str) -> None:
    assert not verify("739154", kept)


@pytest.mark.parametrize(
    "pin", ["739", "", "7391a4", "٧٣٩١", "1" * 13, "0000", "1234", "9876", "7890", "1212", "12121"]
)
def test_weak_pins_are_refused_with_a_reason(pin: str) -> None:
    assert weakness(pin)


def test_the_agents_own_number_is_no_pin() -> None:
    assert weakness("7391", agent="7391")
    assert weakness("17391", agent="7391")
    assert not weakness("7391", agent="1001")


def test_a_generated_pin_may_be_used() -> None:
    pins = {generate_pin("1001") for _ in range(50)}
    assert len(pins) > 40
    assert all(len(pin) == PIN_DIGITS and not weakness(pin, "1001") for pin in pins)
