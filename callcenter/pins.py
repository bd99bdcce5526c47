"""Agents' PINs: keyed at a phone, so short digits; kept only as salted scrypt hashes.

A PIN of four digits does not withstand somebody who has the hashes; the cost below makes him pay some
30 ms for each guess. Against guessing by phone the floor counts wrong tries and locks.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from itertools import pairwise

PIN_DIGITS = 6  # of a generated PIN
LEAST_DIGITS = 4
MOST_DIGITS = 12

_N, _R, _P = 2**14, 8, 1  # 16 MB, some 30 ms
_MOST_MEMORY = 64 * 1024 * 1024
_DIGITS = "0123456789"


def hash_pin(pin: str) -> str:
    """`scrypt$N$R$P$SALT$HASH`, salt and hash in hex. Slow."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_scrypt(pin, salt, _N, _R, _P, 32).hex()}"


def verify(pin: str, pin_hash: str) -> bool:
    """Is it the PIN of this hash? Slow. False as well for a hash that is empty or none of ours."""
    kind, *parts = pin_hash.split("$")
    if kind != "scrypt" or len(parts) != 5:
        return False
    try:
        n, r, p = (int(part) for part in parts[:3])
        salt, expected = bytes.fromhex(parts[3]), bytes.fromhex(parts[4])
        found = _scrypt(pin, salt, n, r, p, len(expected))
    except (ValueError, TypeError, OverflowError, MemoryError):
        return False
    return hmac.compare_digest(found, expected)


def weakness(pin: str, agent: str = "") -> str:
    """Why this PIN is refused, "" when it may be used. `agent` is the number it must not be like."""
    if not (pin.isascii() and pin.isdigit() and LEAST_DIGITS <= len(pin) <= MOST_DIGITS):
        return f"expected {LEAST_DIGITS} to {MOST_DIGITS} digits"
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        return "too easy to guess: the same digit or digits in a row"
    if pin == pin[:2] * (len(pin) // 2) + pin[: len(pin) % 2]:
        return "too easy to guess: the same two digits over and over"
    if agent and (pin in agent or agent in pin):
        return "too easy to guess: it is the agent's number"
    return ""


def generate_pin(agent: str = "") -> str:
    """A new PIN of PIN_DIGITS digits that is not weak."""
    while True:
        pin = "".join(secrets.choice(_DIGITS) for _ in range(PIN_DIGITS))
        if not weakness(pin, agent):
            return pin


def _scrypt(pin: str, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MOST_MEMORY, dklen=length)
