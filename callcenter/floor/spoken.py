"""Numbers, waits and agent numbers as lists of prompts, in English and in Chinese.

A prompt is a piece of a sentence (`sounds/prompts.toml`, in both languages); here is the order of the
pieces. Chinese differs where it must: 2 before a measure word is 两 ("两分钟"), else 二 ("第二位"); 105 has a
零 and 110 a second 一. Languages that begin with "zh" are Chinese, all others are spoken as English is.
"""

from __future__ import annotations

LARGEST = 999  # what is more is said as this


def cardinal(number: int, language: str, *, counted: bool = False) -> tuple[str, ...]:
    """A whole number from 0 to LARGEST; `counted`: a measure word (minutes, seconds) follows."""
    number = max(0, min(number, LARGEST))
    chinese = language.startswith("zh")
    if number == 2 and chinese and counted:
        return ("num-two-of",)
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    said = ["num-two-of" if hundreds == 2 and chinese and counted else f"num-{hundreds}", "num-hundred"]
    if chinese and 0 < rest < 10:
        said.append("num-0")
    elif chinese and 10 <= rest < 20:
        said.append("num-1")
    return (*said, *(_below_hundred(rest) if rest else ()))


def digits(text: str) -> tuple[str, ...]:
    """An agent's number, digit by digit; anything else in it is not spoken. The Chinese 1 is 幺 here."""
    return tuple(f"digit-{digit}" for digit in text if digit in "0123456789")


def position(place: int, language: str) -> tuple[str, ...]:
    """The place in the queue, from 1."""
    return ("position-before", *cardinal(place, language), "position-after")


def expected_wait(seconds: float, language: str) -> tuple[str, ...]:
    """In whole minutes, to the nearest: nobody believes more."""
    minutes = int(seconds / 60 + 0.5)
    if seconds < 45:
        return ("wait-under-minute",)
    if minutes >= 60:
        return ("wait-over-hour",)
    return ("wait-about", *_counted(minutes, "minute", language))


def waited(seconds: float, language: str) -> tuple[str, ...]:
    """How long a caller has waited: seconds, or minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return ("waited", "over-hour")
    said = ["waited", *(_counted(minutes, "minute", language) if minutes else ())]
    if rest or not minutes:
        said += _counted(rest, "second", language)
    return tuple(said)


def agent_number(number: str) -> tuple[str, ...]:
    """Who will serve the caller."""
    return ("agent-before", *digits(number), "agent-after")


def _counted(number: int, unit: str, language: str) -> tuple[str, ...]:
    return (*cardinal(number, language, counted=True), unit if number == 1 else f"{unit}s")


def _below_hundred(number: int) -> tuple[str, ...]:
    if number < 20:
        return (f"num-{number}",)
    tens, units = divmod(number, 10)
    return (f"num-{tens}0", f"num-{units}") if units else (f"num-{tens}0",)
