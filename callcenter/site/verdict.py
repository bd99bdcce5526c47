"""Asterisk's own verdict on a configuration, from a second, silent instance booted on it.

It runs on ports and directories of its own, registers nowhere and takes no call. Our files boot without a
single warning, so each one that appears is the fault of what was changed, and speaks against it.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from callcenter.asterisk import AsteriskInstall
from callcenter.site import generations
from callcenter.site.console import AsteriskSilent, Console
from callcenter.site.credentials import Secrets
from callcenter.site.layout import Layout, Ports, command, site_ports
from callcenter.site.model import Site
from callcenter.site.render import Sources, emergency_dialled, render

_BOOT_SECONDS = 30
_SPEAKS_AGAINST = ("ERROR", "WARNING")
# Warnings about the machine, not about the files: many phones at once, on a machine that is busy.
_OF_THE_MACHINE = re.compile(r"Taskprocessor '[^']*' queue reached")
# Priorities as `dialplan show` prints them: "'s' => 1. Answer(,i)    [inbound.conf:17]".
_PRIORITY = re.compile(r"^\s+(?:'[^']*' =>|\[[^\]]*\])?\s+\d+\. (\w+)\(.*\[(\S+:\d+)\]\s*$")


def verdict(
    site: Site, secrets: Secrets, sources: Sources, install: AsteriskInstall, share: Path
) -> tuple[str, ...]:
    """What speaks against the configuration, one line each; empty when Asterisk takes it."""
    with tempfile.TemporaryDirectory(prefix="cc-verdict-") as name:
        home = Path(name)
        layout = Layout(home, home, home / "log", share)
        layout.make_directories()
        files = render(site, secrets, sources, install, layout, _free_ports(site), silent=True)
        generations.write_files(layout.etc, files)
        with _booted(install, layout) as console:
            if console is None:
                return complaints(layout) or ("Asterisk did not start on these files and does not say why",)
            try:
                return (
                    *complaints(layout),
                    *_unknown_applications(console),
                    *_unreachable_emergency(console, site),
                )
            except AsteriskSilent as error:
                return (*complaints(layout), str(error))


def complaints(layout: Layout) -> tuple[str, ...]:
    """What the log of an instance says against its files."""
    log = layout.log / "asterisk.jsonl"
    if not log.exists():
        return ()
    found: dict[str, None] = {}
    for line in log.read_text("utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            level, message = entry["logmsg"]["level"], entry["logmsg"]["message"]
        except (ValueError, KeyError, TypeError):
            continue  # the banner is no JSON
        if level in _SPEAKS_AGAINST and not _OF_THE_MACHINE.match(message):
            text = message.replace(f"{layout.etc}/", "").replace(str(layout.home), "")
            found[f"Asterisk {level.lower()}: {' '.join(text.split())}"] = None
    return tuple(found)


@contextmanager
def _booted(install: AsteriskInstall, layout: Layout) -> Iterator[Console | None]:
    """The silent instance, up; None when it does not come up. It is ended in any case."""
    process = subprocess.Popen(
        command(install, layout),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=layout.home,
    )
    console = Console(install, layout)
    try:
        yield console if console.wait_until_booted(process, _BOOT_SECONDS) else None
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports(site: Site) -> Ports:
    """Ports that are free now. RTP and UDPTL are bound by calls only, and there are none."""
    own = site_ports(site)
    with socket.socket() as tcp, socket.socket() as http, socket.socket() as ami:
        for each in (tcp, http, ami):
            each.bind(("127.0.0.1", 0))
        sip_port, http_port, ami_port = (each.getsockname()[1] for each in (tcp, http, ami))
    return Ports("127.0.0.1", sip_port, http_port, ami_port, own.rtp, own.udptl)


def _unknown_applications(console: Console) -> Iterator[str]:
    """Asterisk would notice a misspelt application only when a call reaches it."""
    known = {name.lower() for name in re.findall(r"^\s*(\w+):", console.ask("core show applications"), re.M)}
    for line in console.ask("dialplan show").splitlines():
        match = _PRIORITY.match(line)
        if match and match.group(1).lower() not in known:
            yield f"{match.group(2)}: there is no application {match.group(1)}()"


def _unreachable_emergency(console: Console, site: Site) -> Iterator[str]:
    """Whatever an admin wrote: a phone reaches the emergency numbers, by plain dialplan, first of all."""
    if not site.phones:
        return
    for dialled, number in emergency_dialled(site):
        shown = console.ask(f"dialplan show {dialled}@phones")
        first = next((line for line in shown.splitlines() if re.search(r"=>\s+1\.", line)), "")
        if f"Goto(emergency-call,{number},1)" not in first:
            got = " ".join(first.split()) or "nothing"
            yield f"dialplans: a phone that dials {dialled} must reach emergency-call first, but gets {got}"


def have_room(folder: Path) -> bool:
    """Whether there is room for another configuration (and Asterisk's own files)."""
    return shutil.disk_usage(folder).free > 50_000_000
