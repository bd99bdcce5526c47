"""The site on a real Asterisk: it boots without a warning, changes come in under calls, bad ones do not."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from callcenter.asterisk import find_asterisk
from callcenter.paths import RunDirectory, shipped
from callcenter.site import ApplyRefused, SiteErrors, asterisk_command, prepare, site_in_force
from callcenter.site import apply as work
from callcenter.site.console import Console
from callcenter.site.layout import run_layout
from callcenter.site.verdict import complaints
from tests.servers import eventually

pytestmark = pytest.mark.asterisk

_PORTS = (
    ("sip_port = 5060", "sip_port = 22060"),
    ("http_port = 8088", "http_port = 22088"),
    ("ami_port = 5038", "ami_port = 22038"),
    ('rtp = "10000-14999"', 'rtp = "22100-22299"'),
    ('udptl = "4000-4199"', 'udptl = "22400-22449"'),
    ("port = 5080", "port = 22080\nqualify_seconds = 1"),
    ("stasis_retry = 3", "stasis_retry = 1"),
)


@dataclass
class LiveSite:
    """A site in a folder of its own, and its Asterisk, running."""

    folder: Path
    run: RunDirectory
    console: Console
    process: subprocess.Popen[bytes]

    @property
    def path(self) -> Path:
        return self.folder / "callcenter.toml"

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1))

    def complaints(self) -> list[str]:
        return list(complaints(run_layout(self.run)))

    def channels(self) -> int:
        match = re.search(r"(\d+) active channel", self.console.ask("core show channels count"))
        assert match
        return int(match.group(1))

    def variable(self, name: str) -> str:
        shown = self.console.ask("dialplan show globals")
        match = re.search(rf"^\s*{name}=(.*)$", shown, re.M)
        return match.group(1).strip() if match else ""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSite]:
    text = shipped("callcenter.toml").read_text()
    for old, new in _PORTS:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "callcenter.toml").write_text(text)
    shutil.copytree(shipped("dialplans"), tmp_path / "dialplans")
    run = RunDirectory(tmp_path / ".run")
    prepare(tmp_path / "callcenter.toml", run)
    process = subprocess.Popen(
        asterisk_command(run), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    console = Console(find_asterisk(), run_layout(run))
    site = LiveSite(tmp_path, run, console, process)
    try:
        assert console.wait_until_booted(process, 30), site.complaints()
        yield site
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_the_sample_boots_without_a_warning(live: LiveSite) -> None:
    assert live.complaints() == []
    endpoints = live.console.ask("pjsip show endpoints")
    assert re.search(r"^ Endpoint:\s+1001/1001", endpoints, re.M)
    assert re.search(r"^ Endpoint:\s+carrier ", endpoints, re.M)
    assert "127.0.0.1:22088" in live.console.ask("http show status")
    assert "macroform" in live.console.ask("moh show files")


def test_files_and_secrets_are_private(live: LiveSite) -> None:
    assert live.run.secrets.stat().st_mode & 0o777 == 0o600
    for path in (live.run.asterisk / "etc").resolve().rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_emergency_numbers_leave_by_plain_dialplan(live: LiveSite) -> None:
    for number in ("110", "119", "120", "122"):
        first = re.search(r"=>\s+1\. (.*?)\s+\[", live.console.ask(f"dialplan show {number}@phones"))
        assert first
        assert first.group(1) == f"Goto(emergency-call,{number},1)"
    called = live.console.ask("dialplan show 110@emergency-call")
    assert "Dial(PJSIP/${TRUNK}/sip:${EXTEN}@${ADDRESS},120)" in called
    assert "Stasis" not in called


def test_an_emergency_call_leaves_without_engine_even_by_a_trunk_that_seems_dead(live: LiveSite) -> None:
    """The carrier here never answers an OPTIONS, so Asterisk holds it for unreachable: 110 must be tried."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as carrier:
        carrier.bind(("127.0.0.1", 22080))
        carrier.settimeout(0.2)
        eventually(
            lambda: re.search(r"carrier/sip:\S+\s+\S+ Unavail", live.console.ask("pjsip show contacts")),
            "the carrier counts as unreachable",
            seconds=40,
            every=0.5,
        )
        live.console.ask("channel originate Local/110@phones application Wait 30")

        def invite() -> str:
            try:
                text = carrier.recv(65536).decode()
            except TimeoutError:
                return ""
            return text if text.startswith("INVITE") else ""

        call = eventually(invite, "the emergency call leaves")
    assert call.startswith("INVITE sip:110@127.0.0.1:22080")
    assert "02160000000" in next(line for line in call.splitlines() if line.startswith("From:"))


def test_a_call_without_an_engine_reaches_the_fallback_queue(live: LiveSite) -> None:
    """Number and arrival time go along; the retries under ringing are over after a second (stasis_retry)."""
    live.console.ask("channel originate Local/4008001000@inbound application Wait 30")
    eventually(
        lambda: "fallback_phones has 1 calls" in live.console.ask("queue show"), "the caller is queued"
    )
    channel = next(
        line.split("!")[0]
        for line in live.console.ask("core show channels concise").splitlines()
        if "!Queue!" in line
    )
    variables = live.console.ask(f"core show channel {channel}")
    assert "CC_DNIS=4008001000" in variables
    assert re.search(r"CC_ARRIVAL=\d{10}\.\d{3}$", variables, re.M)
    live.console.ask("channel request hangup all")
    eventually(lambda: live.channels() == 0, "every channel is gone")


def test_apply_reloads_only_what_changed_and_drops_no_call(live: LiveSite) -> None:
    live.console.ask("channel originate Local/4008001000@inbound application Wait 60")
    eventually(lambda: live.channels() >= 2, "a call is up")
    before = live.channels()
    assert live.console.ask("dialplan set global CC_HEARTBEAT 4711") is not None
    live.edit("callcenter.toml", 'range = "1001-1008"', 'range = "1001-1010"')
    live.edit("callcenter.toml", "count = 50", "count = 60")
    live.edit("dialplans/outside.conf", "90)", "80)")
    done = work.apply(live.path, live.run)
    assert done is not None
    assert done.running
    assert done.changes.commands[0] == "dialplan reload"
    assert all(command.startswith("module reload res_pjsip") for command in done.changes.commands[1:])
    assert live.channels() == before
    assert "1010" in live.console.ask("pjsip show endpoint 1010")
    assert "@${TRUNK},80)" in live.console.ask("dialplan show outside")
    assert live.variable("CC_HEARTBEAT") == "4711", "a reload must keep the engine's heartbeat"
    assert "1010" in site_in_force(live.path, live.run).phone_names
    assert live.complaints() == []
    assert work.apply(live.path, live.run) is None, "a second apply has nothing to do"


def test_phones_with_a_fixed_contact_ring_there(live: LiveSite) -> None:
    phones = '\n[[phones]]\nrange = "1201-1500"\ncontact = "sip:{number}@127.0.0.1:22090"\npassword = false\n'
    live.path.write_text(live.path.read_text() + phones)
    assert work.apply(live.path, live.run) is not None
    assert live.complaints() == []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gateway:
        gateway.bind(("127.0.0.1", 22090))
        gateway.settimeout(10)
        live.console.ask("channel originate PJSIP/1444 application Wait 1")
        assert gateway.recv(65536).decode().startswith("INVITE sip:1444@127.0.0.1:22090 SIP/2.0")


def test_what_asterisk_rejects_is_refused_and_changes_nothing(live: LiveSite) -> None:
    (live.folder / "dialplans" / "mine.conf").write_text(
        "[mine]\nexten => s,1,Anwser()\ninclude => nothere\n"
    )
    generation = (live.run.asterisk / "etc").readlink()
    with pytest.raises(ApplyRefused) as refused:
        work.apply(live.path, live.run)
    assert any("there is no application Anwser()" in reason for reason in refused.value.reasons)
    assert any("nonexistent context 'nothere'" in reason for reason in refused.value.reasons)
    assert (live.run.asterisk / "etc").readlink() == generation
    assert "mine" not in live.console.ask("dialplan show mine")[:40] or "no existence" in live.console.ask(
        "dialplan show mine"
    )


def test_a_dialplan_that_takes_away_an_emergency_number_is_refused(live: LiveSite) -> None:
    live.edit("dialplans/phones.conf", "include => emergency\n", "")
    with pytest.raises(ApplyRefused) as refused:
        work.apply(live.path, live.run)
    assert any("dials 110 must reach emergency-call first" in reason for reason in refused.value.reasons)


def test_a_prompt_that_nobody_recorded_is_refused(live: LiveSite) -> None:
    live.edit("callcenter.toml", 'greeting = ["greeting"]', 'greeting = ["welcome-to-us"]')
    with pytest.raises(ApplyRefused, match="there is no prompt welcome-to-us in zh"):
        work.apply(live.path, live.run)
    custom = live.folder / "sounds" / "custom" / "zh"
    custom.mkdir(parents=True)
    shutil.copy(shipped("sounds") / "built" / "zh" / "greeting.wav", custom / "welcome-to-us.wav")
    assert work.apply(live.path, live.run) is not None
    assert (live.run.asterisk / "share/sounds/zh/welcome-to-us.wav").resolve() == custom / "welcome-to-us.wav"


def test_an_asterisk_without_music_gets_some(live: LiveSite, tmp_path: Path) -> None:
    bare = replace(find_asterisk(), data=tmp_path / "no-data")
    prepare(live.path, live.run, bare)
    live.console.ask("moh reload")
    assert "moh/soft-tones" in live.console.ask("moh show files")
    assert live.complaints() == []


def test_a_template_of_the_site_that_breaks_a_module_is_refused(live: LiveSite) -> None:
    (live.folder / "asterisk_conf").mkdir()
    (live.folder / "asterisk_conf" / "modules.conf.j2").write_text(
        "[modules]\nautoload = no\nrequire = chan_nonsense.so\n"
    )
    with pytest.raises(ApplyRefused) as refused:
        work.apply(live.path, live.run, restart=True)
    assert any("chan_nonsense" in reason for reason in refused.value.reasons)


def test_a_change_that_needs_a_restart_waits_for_it(live: LiveSite) -> None:
    live.edit("callcenter.toml", "sip_port = 22060", "sip_port = 22061")
    step, _ = work.diff(live.path, live.run)
    assert step.restart == ("pjsip.conf: [udp], [tcp]",)
    with pytest.raises(ApplyRefused, match="--restart"):
        work.apply(live.path, live.run)
    assert "22060" in live.console.ask("pjsip show transports")
    done = work.apply(live.path, live.run, restart=True)
    assert done is not None
    assert done.restarting
    assert live.process.wait(10) == 0, "Asterisk ends, as no call is up; its supervisor starts it again"


def test_a_restart_waits_for_the_last_call(live: LiveSite) -> None:
    live.console.ask("channel originate Local/4008001000@inbound application Wait 60")
    eventually(lambda: live.channels() >= 2, "a call is up")
    live.edit("callcenter.toml", "ami_port = 22038", "ami_port = 22039")
    live.edit("callcenter.toml", "sip_port = 22060", "sip_port = 22061")
    step, _ = work.diff(live.path, live.run)
    assert step.engine_restart == ("asterisk.ami_port",)
    done = work.apply(live.path, live.run, restart=True)
    assert done is not None
    assert done.restarting
    assert live.channels() >= 2, "the call goes on"
    live.console.ask("channel request hangup all")
    assert live.process.wait(15) == 0


def test_a_start_goes_by_what_is_in_force_whatever_the_site_file_says_by_now(live: LiveSite) -> None:
    """A machine that boots while its admin is in the middle of an edit serves its callers all the same."""
    live.edit("callcenter.toml", "[[queues]]", "[[queue]]")
    generation = (live.run.asterisk / "etc").readlink()
    prepare(live.path, live.run)
    assert (live.run.asterisk / "etc").readlink() == generation
    with pytest.raises(SiteErrors):
        work.apply(live.path, live.run)


def test_a_start_follows_directories_that_moved(live: LiveSite) -> None:
    """Another Asterisk, or the checkout elsewhere: the same configuration with the new directories."""
    live.edit("dialplans/outside.conf", "90)", "80)")  # an edit that nobody applied
    moved = replace(find_asterisk(), modules=Path("/elsewhere/modules"))
    prepare(live.path, live.run, moved)
    etc = live.run.asterisk / "etc"
    assert "astmoddir => /elsewhere/modules" in (etc / "asterisk.conf").read_text()
    assert "90)" in (etc / "dialplans" / "outside.conf").read_text(), "what is in force, not what was edited"


def test_rollback_goes_back_and_forth(live: LiveSite) -> None:
    with pytest.raises(ApplyRefused, match="no earlier configuration"):
        work.rollback(live.path, live.run)
    live.edit("callcenter.toml", 'range = "1101-1104"', 'range = "1101-1105"')
    assert work.apply(live.path, live.run) is not None
    assert "1105" in site_in_force(live.path, live.run).phone_names
    back = work.rollback(live.path, live.run)
    assert back.changes.commands
    assert "1105" not in site_in_force(live.path, live.run).phone_names
    assert "Unable to find object 1105" in live.console.ask("pjsip show endpoint 1105")
    work.rollback(live.path, live.run)
    assert "1105" in site_in_force(live.path, live.run).phone_names


def test_diff_shows_no_secret(live: LiveSite) -> None:
    live.edit("callcenter.toml", 'range = "1101-1104"', 'range = "1101-1105"')
    live.edit(
        "callcenter.toml", "[timings]", '[redis]\nurl = "redis://me:hushhush@127.0.0.1:6379"\n\n[timings]'
    )
    step, text = work.diff(live.path, live.run)
    assert step.engine_restart == ("redis.url",)
    assert "+[1105](phone)" in text
    assert "+password = ******" in text
    assert "hushhush" not in text
    for line in live.run.secrets.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            assert line.split('"')[1] not in text
