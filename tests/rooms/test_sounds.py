"""The prompts: complete in every language, level, reproducible; faults are one clear line each."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import wave
from array import array
from itertools import pairwise
from pathlib import Path

import pytest

from callcenter import sounds
from callcenter.floor.agents import Refusal
from callcenter.paths import shipped

# What the floor and the dialplans say. A prompt that goes missing is heard as silence.
NEEDED = {
    "greeting", "closed", "queue-full", "max-wait", "goodbye", "enter-agent-number", "enter-pin", "logged-in",
    "logged-out", "wrong-pin", "try-again", "login-locked", "ready", "not-ready", "enter-reason",
    "unknown-reason", "wrapup-ended", "not-logged-in", "phone-in-use", "agent-elsewhere", "unknown-agent",
    "unknown-code", "night-on", "night-off", "unknown-number", "system-trouble",
}  # fmt: skip

speaks = pytest.mark.skipif(
    not (shutil.which("espeak-ng") and shutil.which("sox")), reason="espeak-ng and sox are not installed"
)


def book(folder: Path, extra: str = "") -> Path:
    folder.joinpath("prompts.toml").write_text(
        '[voices.en]\nvoice = "en-gb"\n[voices.zh]\nvoice = "cmn-latn-pinyin"\n'
        '[prompts.hello]\nen = "Hello."\nzh = "您好。"\n' + extra,
        "utf-8",
    )
    return folder


def test_shipped_prompts_are_complete_and_as_their_texts_say() -> None:
    assert sounds.check(shipped("sounds")) == []
    assert sounds.prompt_names() >= NEEDED


def test_every_refusal_of_a_feature_code_can_be_told() -> None:
    assert {refusal.value for refusal in Refusal} <= sounds.prompt_names()


def test_every_prompt_has_english_and_chinese() -> None:
    texts = sounds.read_prompts(shipped("sounds") / "prompts.toml").prompts
    assert all(texts[name].keys() == {"en", "zh"} for name in texts)


def test_prompts_are_level() -> None:
    """Sentences by their mean; single words, of which "six" is half breath, by their loudest sample."""
    levels = {}
    tones = sounds.read_prompts(shipped("sounds") / "prompts.toml").tones
    for path in (shipped("sounds") / "built").glob("*/*.wav"):
        if path.stem in tones:
            continue
        with wave.open(str(path)) as audio:
            samples = array("h", audio.readframes(audio.getnframes()))
        peak = 20 * math.log10(max(map(abs, samples)) / 32768)
        assert -6 < peak < -1, path
        if len(samples) > sounds.RATE_HZ:
            loud = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
            levels[str(path)] = 20 * math.log10(loud / 32768)
    assert max(levels.values()) - min(levels.values()) < 6, levels


def test_a_tone_is_a_tone(tmp_path: Path) -> None:
    path = shipped("sounds") / "built" / "zh" / "zip-tone.wav"
    with wave.open(str(path)) as audio:
        samples = array("h", audio.readframes(audio.getnframes()))
    crossings = sum(a < 0 <= b for a, b in pairwise(samples))
    assert abs(crossings / (len(samples) / 8000) - 950) < 10
    with pytest.raises(sounds.SoundsFault, match="tone ping: expected hz from 100 to 3400"):
        sounds.read_prompts(book(tmp_path, "[tones.ping]\nhz = 9000\nseconds = 0.2\n") / "prompts.toml")
    with pytest.raises(sounds.SoundsFault, match="tone 'hello': a name of its own"):
        sounds.read_prompts(book(tmp_path, "[tones.hello]\nhz = 900\nseconds = 0.2\n") / "prompts.toml")


@speaks
def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        assert sounds.build(book(folder)) == 2
        assert sounds.check(folder) == []
    first = {path.name + path.parent.name: path.read_bytes() for path in one.glob("built/*/*.wav")}
    second = {path.name + path.parent.name: path.read_bytes() for path in two.glob("built/*/*.wav")}
    assert len(first) == 2
    assert first == second


@speaks
def test_check_finds_missing_stale_foreign_and_stray_files(tmp_path: Path) -> None:
    sounds.build(book(tmp_path))
    (tmp_path / "built/zh/hello.wav").unlink()
    assert [line for line in sounds.check(tmp_path) if "zh/hello.wav: missing" in line]
    sounds.build(book(tmp_path))
    shutil.copy(tmp_path / "built/en/hello.wav", tmp_path / "built/zh/hello.wav")
    assert "is not the file that was built" in sounds.check(tmp_path)[0]
    sounds.build(book(tmp_path))
    shutil.copy(tmp_path / "built/en/hello.wav", tmp_path / "built/en/other.wav")
    assert "other.wav: no prompt of this name" in sounds.check(tmp_path)[0]
    text = (tmp_path / "prompts.toml").read_text("utf-8")
    (tmp_path / "prompts.toml").write_text(text.replace("Hello", "Good day"), "utf-8")
    assert "en/hello.wav: its text was changed and not spoken again" in sounds.check(tmp_path)[0]
    sounds.build(tmp_path)
    assert sounds.check(tmp_path) == []  # and the stray file is gone


@speaks
def test_a_text_that_looks_like_an_option_is_spoken(tmp_path: Path) -> None:
    sounds.build(book(tmp_path, '[prompts.odd]\nen = "--help"\nzh = "-w /tmp/odd; 您好"\n'))
    assert sounds.check(tmp_path) == []


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        ('[prompts.half]\nen = "Half."\n', "prompt half: no text for zh"),
        ('[prompts.void]\nen = "Void."\nzh = " "\n', "prompt void: the text for zh is empty"),
        ('[prompts.more]\nen = "a"\nzh = "b"\nfr = "c"\n', "prompt more: fr has no voice"),
        ('[prompts."../up"]\nen = "a"\nzh = "b"\n', "a name is small letters, digits and hyphens"),
        ("[prompts.bad\n", "cannot be read"),
    ],
)
def test_faults_in_the_text_are_one_clear_line(tmp_path: Path, extra: str, line: str) -> None:
    book(tmp_path, extra)
    with pytest.raises(sounds.SoundsFault) as fault:
        sounds.check(tmp_path)
    assert line in str(fault.value)
    assert str(tmp_path / "prompts.toml") in str(fault.value)
    assert "\n" not in str(fault.value)


def test_the_command_says_one_line_and_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "callcenter.cli", "sounds", "check", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("callcenter: ")
    assert done.stderr.count("\n") == 1
