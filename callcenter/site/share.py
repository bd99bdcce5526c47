"""What Asterisk plays: prompts by language and music, gathered as links in one folder (`share/`)."""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path

from callcenter.asterisk import AsteriskInstall
from callcenter.paths import shipped
from callcenter.site.layout import Layout
from callcenter.site.model import Queue, Site


def link_share(layout: Layout, install: AsteriskInstall, site_folder: Path, site: Site) -> None:
    """Build `share/`: sounds by language and music, as links, ours over the package's.

    `sound:NAME` in language L is looked for as sounds/L/NAME: recordings of the site (sounds/custom/L) win
    over built ones (sounds/built/L), these over the package's.
    """
    layout.share.mkdir(parents=True, exist_ok=True)
    for name in ("documentation", "rest-api", "static-http", "firmware", "agi-bin", "keys"):
        if (install.data / name).is_dir():
            _relink(layout.share / name, install.data / name)
    package = {"en": next(iter(sorted((install.data / "sounds").glob("en*"))), None)}
    own = site_folder / "sounds"
    sounds = layout.share / "sounds"
    for language in {*site.site.languages, "en"}:
        target = sounds / language
        target.mkdir(parents=True, exist_ok=True)
        sources = (
            package.get(language),
            _built() / language,
            own / "built" / language,
            own / "custom" / language,
        )
        wanted = _by_name([source for source in sources if source is not None])
        for stale in target.iterdir():
            if stale.name not in wanted:
                stale.unlink()
        for name, entry in wanted.items():
            _relink(target / name, entry.resolve())
    music = install.data / "moh"
    if not music.is_dir() or not any(music.iterdir()):
        music = layout.share / "plain-music"
        _make_music(music)
    _relink(layout.share / "moh", music)


def missing_prompts(site: Site, share: Path) -> Iterator[str]:
    """Prompts that the site names and nobody recorded: a caller would hear nothing."""
    wanted: dict[tuple[str, str], str] = {}
    for number in site.numbers:
        language = number.language or site.language
        for prompt in number.closed_prompts:
            wanted.setdefault((language, prompt), f"queue {number.queue}")
        for queue in _queues_from(site, number.queue):
            for prompt in _prompts_of(queue):
                wanted.setdefault((language, prompt), f"queue {queue.name}")
    for queue in site.queues:
        for language in {phones.language or site.language for phones in site.phones} if queue.whisper else ():
            for prompt in queue.title_prompts:
                wanted.setdefault((language, prompt), f"queue {queue.name}")
    for (language, prompt), place in wanted.items():
        path = share / "sounds" / language / prompt
        if not any(path.parent.glob(f"{path.name}.*")):
            missing = f"{place}: there is no prompt {prompt} in {language}"
            yield f"{missing}: record sounds/custom/{language}/{prompt}.wav"


def _queues_from(site: Site, first: str) -> list[Queue]:
    """A queue and those that its callers may come to."""
    by_name = {queue.name: queue for queue in site.queues}
    names = [first]
    for name in names:
        queue = by_name[name]
        for target in (*queue.overflow, *queue.exits.values()):
            if target.to_queue and target.to_queue not in names:
                names.append(target.to_queue)
    return [by_name[name] for name in names]


def _prompts_of(queue: Queue) -> Iterator[str]:
    """All that a caller may hear of a queue's own prompts."""
    yield from queue.greeting
    for target in (*queue.overflow, *queue.exits.values()):
        yield from target.prompts
    for message in queue.messages:
        yield from message.prompts


def _make_music(folder: Path) -> None:
    """Two soft tones, for an Asterisk that came without music: silence sounds like being cut off."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "soft-tones.wav"
    if path.exists():
        return
    rate = 8000
    samples = bytearray()
    for second, pitch in enumerate((392.0, 493.9, 587.3, 493.9)):
        for n in range(rate):
            swell = math.sin(math.pi * n / rate)
            samples += struct.pack(
                "<h", int(2500 * swell * math.sin(2 * math.pi * pitch * (second + n / rate)))
            )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(samples))


def _by_name(sources: Sequence[Path]) -> dict[str, Path]:
    """Sound files by file name. A later source hides an earlier one's whatever the endings: Asterisk would
    else choose by format."""
    found: dict[str, dict[str, Path]] = {}
    for source in sources:
        if not source.is_dir():
            continue
        own: dict[str, dict[str, Path]] = {}
        for entry in source.iterdir():
            own.setdefault(entry.stem, {})[entry.name] = entry
        found |= own
    return {name: entry for entries in found.values() for name, entry in entries.items()}


def _built() -> Path:
    try:
        return shipped("sounds") / "built"
    except FileNotFoundError:
        return Path("/nonexistent")


def _relink(link: Path, target: Path) -> None:
    """Point `link` at `target` without a moment in which there is none."""
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
