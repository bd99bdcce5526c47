"""Prompts: their words in `sounds/prompts.toml`, spoken into `sounds/built/LANGUAGE/NAME.wav`.

    callcenter sounds build     speak every prompt again
    callcenter sounds check     is every prompt there, in every language, as the text says?

espeak-ng speaks and sox brings it to telephone quality (8 kHz, 16 bit, mono, one level). Neither
uses chance or the clock here, so the same versions of both give the same bytes. The built files
are committed: running a centre needs neither program. `sounds/built/index.json` remembers from
which text each file was made, so a text that was changed and not spoken again is found.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import wave
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from callcenter.paths import shipped

RATE_HZ = 8000
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

# Silence cut at both ends, quiet syllables lifted, the loudest sample at -4 dB, a breath around.
_TRIM = ("silence", "1", "0.01", "0.3%")
_EFFECTS = (
    "highpass", "150",
    *_TRIM, "reverse", *_TRIM, "reverse",
    "compand", "0.02,0.15", "6:-70,-60,-18",
    "gain", "-n", "-4",
    "pad", "0.06", "0.16",
)  # fmt: skip


class SoundsFault(Exception):
    """Something is wrong with the prompts: one clear line."""


@dataclass(frozen=True, slots=True)
class Voice:
    """An espeak-ng voice and its speed."""

    voice: str
    words_per_minute: int


@dataclass(frozen=True, slots=True)
class Tone:
    """A prompt without words, the same in every language."""

    hz: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PromptBook:
    """`prompts.toml`: the voice of each language, each prompt's words by language, and the tones."""

    voices: Mapping[str, Voice]
    prompts: Mapping[str, Mapping[str, str]]
    tones: Mapping[str, Tone]

    def spoken(self) -> Iterator[tuple[str, str, str | Tone]]:
        """(language, prompt, text) of everything that there is to say; a tone has no text."""
        for name in sorted(self.prompts):
            for language in sorted(self.prompts[name]):
                yield language, name, self.prompts[name][language]
        for name in sorted(self.tones):
            for language in sorted(self.voices):
                yield language, name, self.tones[name]


def read_prompts(path: Path) -> PromptBook:
    """Read `prompts.toml`. Raises SoundsFault naming file and prompt."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SoundsFault(f"{path}: cannot be read: {error}") from error
    voices = {
        language: Voice(str(table["voice"]), int(table.get("words_per_minute", 150)))
        for language, table in document.get("voices", {}).items()
    }
    prompts: dict[str, dict[str, str]] = {}
    for name, texts in document.get("prompts", {}).items():
        if not _NAME.fullmatch(name):
            raise SoundsFault(f"{path}: prompt {name!r}: a name is small letters, digits and hyphens")
        missing, unknown = sorted(voices.keys() - texts.keys()), sorted(texts.keys() - voices.keys())
        if missing:
            raise SoundsFault(f"{path}: prompt {name}: no text for {', '.join(missing)}")
        if unknown:
            raise SoundsFault(f"{path}: prompt {name}: {', '.join(unknown)} has no voice: add [voices.…]")
        blank = sorted(language for language, text in texts.items() if not str(text).strip())
        if blank:
            raise SoundsFault(f"{path}: prompt {name}: the text for {', '.join(blank)} is empty")
        prompts[name] = {language: str(text).strip() for language, text in texts.items()}
    if not prompts:
        raise SoundsFault(f"{path}: no [prompts.NAME] in it")
    return PromptBook(voices, prompts, _tones(path, document.get("tones", {}), prompts))


def build(folder: Path) -> int:
    """Speak every prompt of `folder`/prompts.toml into `folder`/built; returns how many files.

    Files of prompts that are no longer listed are removed. Raises SoundsFault.
    """
    book = read_prompts(folder / "prompts.toml")
    built = folder / "built"
    wanted = list(book.spoken())

    def one(entry: tuple[str, str, str | Tone]) -> tuple[str, dict[str, str]]:
        language, name, text = entry
        target = built / language / f"{name}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, Tone):
            _sound(text, target)
        else:
            _speak(book.voices[language], text, target)
        return f"{language}/{name}", {"text": _recipe(book, language, text), "audio": _digest(target)}

    with ThreadPoolExecutor() as pool:
        index = dict(pool.map(one, wanted))
    for stray in set(_files(built)) - index.keys():
        (built / f"{stray}.wav").unlink()
    (built / "index.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n", "utf-8")
    return len(index)


def check(folder: Path) -> list[str]:
    """Everything that is wrong with `folder`'s built prompts, one line each; [] when all is well."""
    book = read_prompts(folder / "prompts.toml")
    built = folder / "built"
    index: dict[str, dict[str, str]] = {}
    if (built / "index.json").exists():
        index = json.loads((built / "index.json").read_text("utf-8"))
    faults: list[str] = []
    wanted: set[str] = set()
    for language, name, text in book.spoken():
        key = f"{language}/{name}"
        wanted.add(key)
        path = built / f"{key}.wav"
        known = index.get(key, {})
        if not path.exists():
            faults.append(f"{path}: missing")
        elif known.get("text") != _recipe(book, language, text):
            faults.append(f"{path}: its text was changed and not spoken again")
        elif known.get("audio") != _digest(path):
            faults.append(f"{path}: is not the file that was built")
        else:
            faults.extend(_audio_faults(path, shortest=0.05 if isinstance(text, Tone) else 0.3))
    faults.extend(f"{built / key}.wav: no prompt of this name" for key in sorted(set(_files(built)) - wanted))
    return faults


def prompt_names(folder: Path | None = None) -> frozenset[str]:
    """The names of all prompts and tones that we ship."""
    book = read_prompts((folder or shipped("sounds")) / "prompts.toml")
    return frozenset({*book.prompts, *book.tones})


@click.group(epilog="Example: callcenter sounds check")
def sounds() -> None:
    """Prompts: build them from their texts, or check them."""


@sounds.command("build", epilog="Example: callcenter sounds build")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Default: our own sounds/.")
def build_command(folder: Path | None) -> None:
    """Speak every prompt again (needs espeak-ng and sox)."""
    place = folder or shipped("sounds")
    click.echo(f"{build(place)} prompts built in {place / 'built'}")


@sounds.command("check", epilog="Example: callcenter sounds check")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Default: our own sounds/.")
def check_command(folder: Path | None) -> None:
    """Say whether every prompt is there, in every language, as its text says."""
    place = folder or shipped("sounds")
    faults = check(place)
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        click.echo(
            f"callcenter: {len(faults)} prompts are not right: run `callcenter sounds build`", err=True
        )
        sys.exit(1)
    click.echo(f"{len(_files(place / 'built'))} prompts are right")


def _speak(voice: Voice, text: str, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw, ready = Path(folder) / "raw.wav", Path(folder) / "ready.wav"
        speed = str(voice.words_per_minute)
        # The text goes in by a file: nothing in it can be taken for an option.
        words = Path(folder) / "words.txt"
        words.write_text(text, "utf-8")
        _run("espeak-ng", "-b", "1", "-v", voice.voice, "-s", speed, "-f", str(words), "-w", str(raw))
        # -D no dither, -R the same "chance" each time: reproducible bytes.
        form = ("-r", str(RATE_HZ), "-c", "1", "-b", "16", "-e", "signed-integer")
        _run("sox", "-V1", "-D", "-R", str(raw), *form, str(ready), *_EFFECTS)
        target.write_bytes(ready.read_bytes())


def _sound(tone: Tone, target: Path) -> None:
    form = ("-r", str(RATE_HZ), "-c", "1", "-b", "16", "-e", "signed-integer")
    length = f"{tone.seconds:g}"
    sine = ("synth", length, "sine", str(tone.hz), "gain", "-12", "fade", "q", "0.01", length, "0.01")
    _run("sox", "-V1", "-D", "-R", "-n", *form, str(target), *sine)


def _tones(
    path: Path, tables: Mapping[str, Mapping[str, float]], prompts: Mapping[str, object]
) -> dict[str, Tone]:
    """The `[tones.NAME]`. Raises SoundsFault naming the tone."""
    tones = {}
    for name, table in tables.items():
        tone = Tone(int(table.get("hz", 0)), float(table.get("seconds", 0)))
        if not _NAME.fullmatch(name) or name in prompts:
            raise SoundsFault(
                f"{path}: tone {name!r}: a name of its own, of small letters, digits and hyphens"
            )
        if not (100 <= tone.hz <= 3400 and 0.05 <= tone.seconds <= 5):
            raise SoundsFault(f"{path}: tone {name}: expected hz from 100 to 3400 and seconds from 0.05 to 5")
        tones[name] = tone
    return tones


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError as error:
        raise SoundsFault(f"{command[0]} is not installed: it is needed to build prompts") from error
    if done.returncode:
        raise SoundsFault(f"{command[0]} failed: {done.stderr.strip() or done.returncode}")


def _recipe(book: PromptBook, language: str, text: str | Tone) -> str:
    if isinstance(text, Tone):
        return hashlib.sha256(json.dumps(["tone", text.hz, text.seconds]).encode()).hexdigest()
    voice = book.voices[language]
    made_of = [voice.voice, voice.words_per_minute, text, *_EFFECTS]
    return hashlib.sha256(json.dumps(made_of, ensure_ascii=False).encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files(built: Path) -> list[str]:
    return sorted(str(path.relative_to(built).with_suffix("")) for path in built.glob("*/*.wav"))


def _audio_faults(path: Path, shortest: float) -> list[str]:
    with wave.open(str(path)) as audio:
        form = (audio.getframerate(), audio.getnchannels(), audio.getsampwidth())
        seconds = audio.getnframes() / audio.getframerate()
    if form != (RATE_HZ, 1, 2):
        return [f"{path}: expected {RATE_HZ} Hz, mono, 16 bit"]
    if not shortest <= seconds < 30:
        return [f"{path}: {seconds:.1f} s long, expected {shortest:g} to 30"]
    return []
