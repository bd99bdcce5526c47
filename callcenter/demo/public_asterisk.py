"""The second Asterisk: its files and its process. It plays the telephone network and the phones.

Nothing here knows the centre beyond its SIP address and the names and passwords of the phones: to
the centre it is a trunk and some telephones, as real as any other.
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import socket
import subprocess
import time
import wave
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from callcenter.asterisk import find_asterisk
from callcenter.keeper import read_alive, start_time

APP = "network"
USER = "network"
# Each party can hum its own: 50 Hz apart, and no harmonic of another within the telephone band.
TONES_HZ = tuple(range(500, 1700, 50))

_MODULES = """
res_sorcery_config res_sorcery_memory res_sorcery_astdb res_timing_timerfd
codec_ulaw codec_alaw codec_resample format_wav format_pcm func_channel func_callerid func_talkdetect
res_tonedetect res_musiconhold bridge_simple
res_pjproject res_rtp_asterisk res_pjsip res_pjsip_session res_pjsip_sdp_rtp res_pjsip_caller_id
res_pjsip_rfc3326 res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user res_pjsip_pubsub
res_pjsip_refer
res_pjsip_authenticator_digest res_pjsip_outbound_authenticator_digest res_pjsip_outbound_registration
res_pjsip_dtmf_info chan_pjsip
res_http_websocket res_websocket_client res_stasis res_stasis_answer res_stasis_playback
res_stasis_recording res_stasis_snoop res_ari res_ari_model res_ari_applications res_ari_asterisk
res_ari_bridges res_ari_channels res_ari_endpoints res_ari_events res_ari_playbacks res_ari_recordings
app_stasis pbx_config
""".split()  # noqa: SIM905 - sixty names read better so


_INDICATIONS = """[general]
country = us
[us]
description = United States
ringcadence = 2000,4000
dial = 350+440
busy = 480+620/500,0/500
ring = 440+480/2000,0/4000
congestion = 480+620/250,0/250
"""


class NetworkFault(Exception):
    """The simulated public network could not be started or used: one clear line."""


@dataclass(frozen=True, slots=True)
class PhoneAccount:
    """A telephone. `registers`: it tells the centre where it is; else the centre knows its address."""

    name: str
    password: str = field(default="", repr=False)
    registers: bool = True


@dataclass(frozen=True, slots=True)
class NetworkPlace:
    """Where the second Asterisk listens, and where the centre's SIP is. All on `host`."""

    host: str
    sip_port: int
    http_port: int
    rtp_from: int
    rtp_to: int
    centre_sip_port: int


@dataclass(slots=True)
class PublicAsterisk:
    """One process of Asterisk below `folder`, started and stopped by us and nobody else.

    `deaf_seconds`: an answered call without any audio for so long is hung up, as networks do when the other
    side has died without a word; 0: never.
    """

    folder: Path
    place: NetworkPlace
    phones: Sequence[PhoneAccount] = ()
    deaf_seconds: int = 0
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    _process: subprocess.Popen[bytes] | None = None
    _phones_port: int = 0  # a telephone does not call from the exchange's port

    def start(self, deadline_seconds: float = 20.0) -> None:
        """Write the files, start, and wait until it answers. Raises NetworkFault."""
        install = find_asterisk()
        self._end_predecessor()
        for port, kind in (
            (self.place.sip_port, socket.SOCK_DGRAM),
            (self.place.http_port, socket.SOCK_STREAM),
        ):
            _must_be_free(self.place.host, port, kind)
        self._phones_port = _free_port(self.place.host)
        self._write(install.modules, install.data)
        log = (self.folder / "output.log").open("ab")
        command = [*install.argv, "-f", "-C", str(self.folder / "etc/asterisk.conf")]
        # Its own session: Ctrl-C in the terminal reaches the demo alone, which then stops it in order.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        self._pidfile.write_text(f"{self._process.pid} {start_time(self._process.pid)}")
        until = time.monotonic() + deadline_seconds
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise NetworkFault(f"the public network's Asterisk did not start: see {self.folder / 'log'}")
            time.sleep(0.02)
        self.command("core waitfullybooted")  # a SIGTERM before that is forgotten

    def stop(self, deadline_seconds: float = 10.0) -> None:
        """End it: asked first, killed at the deadline. Harmless when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._pidfile.unlink(missing_ok=True)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def command(self, line: str) -> str:
        """A line for Asterisk's own console (`pjsip show registrations`); returns what it prints."""
        install = find_asterisk()
        call = [*install.argv, "-C", str(self.folder / "etc/asterisk.conf"), "-rx", line]
        done = subprocess.run(call, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout

    @property
    def _pidfile(self) -> Path:
        return self.folder / "asterisk.pid"

    def _end_predecessor(self, deadline_seconds: float = 5.0) -> None:
        """End the one that a killed demo left behind: in order, so that its calls are hung up."""
        pid = read_alive(os.fspath(self._pidfile))
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + deadline_seconds
        while read_alive(os.fspath(self._pidfile)) is not None:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _ready(self) -> bool:
        """Its HTTP port answers (it asks for a password) and its console is there."""
        with suppress(OSError), socket.create_connection((self.place.host, self.place.http_port), 1) as link:
            link.settimeout(1)
            link.sendall(b"GET /ari/asterisk/ping HTTP/1.0\r\n\r\n")
            return b" 401 " in link.recv(200) and (self.folder / "run/asterisk.ctl").exists()
        return False

    def _write(self, modules: Path, data: Path) -> None:
        etc = self.folder / "etc"
        for name in ("etc", "var", "spool/recording", "run", "log", "tones", "db"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for hz in TONES_HZ:
            write_tone(self.folder / "tones" / str(hz) / "tone.wav", hz)
        for name, text in self._files(modules, data).items():
            path = etc / name
            path.touch(mode=0o600)
            path.write_text(text, "utf-8")

    def _files(self, modules: Path, data: Path) -> dict[str, str]:
        folder, place = self.folder, self.place
        return {
            "asterisk.conf": f"""[directories]
astetcdir => {folder}/etc
astmoddir => {modules}
astvarlibdir => {folder}/var
astdbdir => {folder}/db
astkeydir => {folder}/var
astdatadir => {data}
astagidir => {folder}/var
astspooldir => {folder}/spool
astrundir => {folder}/run
astlogdir => {folder}/log
[options]
nocolor = yes
hideconnect = yes
""",
            "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {m}.so\n" for m in _MODULES),
            "logger.conf": "[general]\n[logfiles]\nmessages => error,warning,notice\n",
            "http.conf": f"[general]\nenabled = yes\nbindaddr = {place.host}\nbindport = {place.http_port}\n"
            "sessionlimit = 1000\n",
            "ari.conf": f"[general]\nenabled = yes\nwebsocket_write_timeout = 5000\n\n[{USER}]\ntype = user\n"
            f"password = {self.password}\n",
            "rtp.conf": f"[general]\nrtpstart = {place.rtp_from}\nrtpend = {place.rtp_to}\nstrictrtp = no\n",
            "musiconhold.conf": "[general]\n"
            + "".join(f"[hum-{hz}]\nmode = files\ndirectory = {folder}/tones/{hz}\n" for hz in TONES_HZ),
            "indications.conf": _INDICATIONS,
            "features.conf": "[general]\n",
            "acl.conf": "",
            "cel.conf": "[general]\nenable = no\n",
            "cdr.conf": "[general]\nenable = no\n",
            "udptl.conf": "[general]\n",
            "pjproject.conf": "",
            "websocket_client.conf": "",
            "ccss.conf": "[general]\n",
            "manager.conf": "[general]\nenabled = no\n",
            "pjsip.conf": self._pjsip(),
            "extensions.conf": "[from-centre]\n"
            + "".join(
                f"exten => {e},1,Stasis({APP},incoming,${{EXTEN}})\n" for e in ("_X", "_[0-9A-Za-z*#+].")
            ),
        }

    def _pjsip(self) -> str:
        place = self.place
        centre = f"sip:{place.host}:{place.centre_sip_port}"
        endpoint = (
            "type = endpoint\ncontext = from-centre\ndisallow = all\nallow = alaw,ulaw\ndirect_media = no\n"
            # No NAT here: a stray packet of somebody else's call must not draw our sound there.
            "rtp_symmetric = no\ntrust_id_inbound = yes\nsend_rpid = no\n"
            f"rtp_timeout = {self.deaf_seconds}\n"
            "moh_passthrough = yes\n"  # a hold key tells the centre, as a telephone's does
        )
        parts = [
            "[global]\ntype = global\nuser_agent = public-network\nendpoint_identifier_order = ip\n",
            f"[udp]\ntype = transport\nprotocol = udp\nbind = {place.host}:{place.sip_port}\n",
            f"[phones]\ntype = transport\nprotocol = udp\nbind = {place.host}:{self._phones_port}\n",
            f"[centre]\n{endpoint}aors = centre\ntransport = udp\n",
            f"[centre]\ntype = aor\ncontact = {centre}\n",
            f"[centre]\ntype = identify\nendpoint = centre\nmatch = {place.host}\n",
        ]
        for phone in self.phones:
            name = phone.name
            secret = f"outbound_auth = {name}\n" if phone.password else ""
            parts.append(f"[{name}]\n{endpoint}from_user = {name}\ntransport = phones\n{secret}")
            if phone.password:
                parts.append(
                    f"[{name}]\ntype = auth\nauth_type = userpass\nusername = {name}\n"
                    f"password = {phone.password}\n"
                )
            if phone.registers:
                parts.append(
                    f"[{name}]\ntype = registration\ntransport = phones\nserver_uri = {centre}\n"
                    f"client_uri = sip:{name}@{place.host}:{place.centre_sip_port}\ncontact_user = {name}\n"
                    f"{secret}expiration = 300\nretry_interval = 2\nforbidden_retry_interval = 5\n"
                    "fatal_retry_interval = 5\nmax_random_initial_delay = 0\nmax_retries = 10000\n"
                    "auth_rejection_permanent = no\n"
                )
        return "\n".join(parts)


def write_tone(path: Path, hz: int, seconds: int = 1, rate: int = 8000) -> None:
    """A sine of whole periods (it loops without a click), at about -14 dB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = array("h", (round(6500 * math.sin(2 * math.pi * hz * n / rate)) for n in range(rate * seconds)))
    with wave.open(os.fspath(path), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(rate)
        audio.writeframes(samples.tobytes())


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _must_be_free(host: str, port: int, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise NetworkFault(f"port {port} on {host} is taken: the public network needs it") from error
