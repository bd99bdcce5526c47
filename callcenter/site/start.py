"""`callcenter site init DIR`: a fresh site from the packaged samples."""

from __future__ import annotations

import shutil
from pathlib import Path

from callcenter.paths import shipped
from callcenter.site.errors import ApplyRefused
from callcenter.site.render import SITE_FILE


def start_site(folder: Path) -> list[Path]:
    """Copy the sample site into `folder` and return what was written; ApplyRefused when a site is there."""
    if taken := [name for name in (SITE_FILE, "dialplans") if (folder / name).exists()]:
        raise ApplyRefused([f"{folder / taken[0]} exists already: a site there is not overwritten"])
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / SITE_FILE]
    shutil.copyfile(shipped(SITE_FILE), written[0])
    (folder / "dialplans").mkdir()
    for source in sorted(shipped("dialplans").glob("*.conf")):
        target = folder / "dialplans" / source.name
        shutil.copyfile(source, target)
        written.append(target)
    return written
