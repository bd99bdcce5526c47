"""Numbers in words: the prompts, and what they say when they are read one after the other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.floor import spoken

PROMPTS = tomllib.loads((Path(__file__).parents[2] / "sounds" / "prompts.toml").read_text(encoding="utf-8"))[
    "prompts"
]


def said(prompts: tuple[str, ...], language: str) -> str:
    joint = " " if language == "en" else ""
    return joint.join(PROMPTS[prompt][language] for prompt in prompts)


@pytest.mark.parametrize(
    ("number", "english", "chinese", "counted"),
    [
        (0, "zero", "零", "零"),
        (1, "one", "一", "一"),
        (2, "two", "二", "两"),
        (10, "ten", "十", "十"),
        (12, "twelve", "十二", "十二"),
        (20, "twenty", "二十", "二十"),
        (22, "twenty two", "二十二", "二十二"),
        (99, "ninety nine", "九十九", "九十九"),
        (100, "one hundred", "一百", "一百"),
        (102, "one hundred two", "一百零二", "一百零二"),
        (110, "one hundred ten", "一百一十", "一百一十"),
        (115, "one hundred fifteen", "一百一十五", "一百一十五"),
        (120, "one hundred twenty", "一百二十", "一百二十"),
        (200, "two hundred", "二百", "两百"),
        (222, "two hundred twenty two", "二百二十二", "两百二十二"),
        (999, "nine hundred ninety nine", "九百九十九", "九百九十九"),
        (1000, "nine hundred ninety nine", "九百九十九", "九百九十九"),
        (-1, "zero", "零", "零"),
    ],
)
def test_numbers(number: int, english: str, chinese: str, counted: str) -> None:
    assert said(spoken.cardinal(number, "en"), "en") == english
    assert said(spoken.cardinal(number, "en", counted=True), "en") == english
    assert said(spoken.cardinal(number, "zh"), "zh") == chinese
    assert said(spoken.cardinal(number, "zh", counted=True), "zh") == counted


@pytest.mark.parametrize(
    ("place", "english", "chinese"),
    [
        (1, "You are number one in line.", "您现在排在第一位。"),
        (2, "You are number two in line.", "您现在排在第二位。"),
        (12, "You are number twelve in line.", "您现在排在第十二位。"),
    ],
)
def test_places(place: int, english: str, chinese: str) -> None:
    assert said(spoken.position(place, "en"), "en") == english
    assert said(spoken.position(place, "zh_CN"), "zh") == chinese


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "less than one minute.", "不到一分钟。"),
        (44.9, "less than one minute.", "不到一分钟。"),
        (45, "about one minute", "大约一分钟"),
        (89, "about one minute", "大约一分钟"),
        (90, "about two minutes", "大约两分钟"),
        (12 * 60, "about twelve minutes", "大约十二分钟"),
        (59.4 * 60, "about fifty nine minutes", "大约五十九分钟"),
        (59.6 * 60, "more than one hour.", "超过一小时。"),
    ],
)
def test_expected_waits(seconds: float, english: str, chinese: str) -> None:
    assert said(spoken.expected_wait(seconds, "en"), "en").endswith(english)
    assert said(spoken.expected_wait(seconds, "zh"), "zh").endswith(chinese)


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "Waited zero seconds", "客户已等候零秒"),
        (1.9, "Waited one second", "客户已等候一秒"),
        (2, "Waited two seconds", "客户已等候两秒"),
        (60, "Waited one minute", "客户已等候一分钟"),
        (130, "Waited two minutes ten seconds", "客户已等候两分钟十秒"),
        (3600, "Waited more than one hour.", "客户已等候超过一小时。"),
    ],
)
def test_waits(seconds: float, english: str, chinese: str) -> None:
    assert said(spoken.waited(seconds, "en"), "en") == english
    assert said(spoken.waited(seconds, "zh"), "zh") == chinese


def test_an_agents_number_is_told_digit_by_digit() -> None:
    assert said(spoken.agent_number("2001"), "en") == "Agent number two zero zero one will serve you."
    assert said(spoken.agent_number("2001"), "zh") == "工号二零零幺为您服务。"
    assert spoken.digits("a-7") == ("digit-7",)


@given(st.integers(0, 5000), st.floats(0, 1e6), st.sampled_from(["en", "zh", "de"]))
def test_whatever_is_said_is_recorded(number: int, seconds: float, language: str) -> None:
    told = (
        *spoken.cardinal(number, language),
        *spoken.cardinal(number, language, counted=True),
        *spoken.position(number, language),
        *spoken.expected_wait(seconds, language),
        *spoken.waited(seconds, language),
        *spoken.agent_number(str(number)),
    )
    assert [prompt for prompt in told if prompt not in PROMPTS] == []


@given(st.integers(0, 999))
def test_chinese_numbers_read_back(number: int) -> None:
    """Against the other way round: the value of a spelled number."""
    digits = "零一二三四五六七八九"
    text = said(spoken.cardinal(number, "zh"), "zh")
    assert not re.search("零零|零$", text) or number == 0
    value, unit = 0, 0
    for letter in text:
        if letter == "百":
            value, unit = value + unit * 100, 0
        elif letter == "十":
            value, unit = value + (unit or 1) * 10, 0
        else:
            unit = digits.index(letter)
    assert value + unit == number
