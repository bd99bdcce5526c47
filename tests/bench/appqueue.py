"""The other side: an Asterisk of its own whose app_queue does the work, set up as its manual advises.

300 members with a SIP endpoint each (so that it knows who is in a call), `leastrecent`, callers hear ringing,
no announcements, no queue log, no CDR; codecs and `direct_media=no` as on our side.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from callcenter.asterisk import find_asterisk
from tests.bench.systems import CALLER_PORT, HOST, PHONE_PORT, SERVICE, BenchFault, agent_numbers, give, popen

SIP_PORT = 26_061
RTP_PORTS = (44_000, 47_999)
_MODULES = """
res_timing_timerfd res_crypto res_sorcery_config res_sorcery_memory res_sorcery_astdb res_musiconhold
codec_alaw codec_ulaw codec_resample format_pcm format_wav res_rtp_asterisk
res_pjproject res_pjsip res_pjsip_pubsub res_pjsip_session res_pjsip_sdp_rtp chan_pjsip res_pjsip_caller_id
res_pjsip_authenticator_digest res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user
res_pjsip_nat res_pjsip_rfc3326
bridge_simple bridge_native_rtp bridge_softmix bridge_builtin_features bridge_builtin_interval_features
pbx_config app_dial app_queue app_stack func_callerid func_channel func_logic func_strings
""".split()  # noqa: SIM905 - so many names read better so


class AppQueue:
    """Asterisk's app_queue with `agents` members, its files below `folder`."""

    name = "app_queue"
    sip_port = SIP_PORT

    def __init__(self, folder: Path, agents: int) -> None:
        self._folder = folder
        self._agents = agent_numbers(agents)
        self._install = find_asterisk()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Write its files, start it and wait until it is fully booted."""
        for name in ("etc", "var/keys", "spool", "control", "log"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        for name, text in self._files().items():
            (self._folder / "etc" / name).write_text(text, encoding="utf-8")
        give(self._folder)
        conf = self._folder / "etc/asterisk.conf"
        argv = [*self._install.argv, "-f", "-C", str(conf)]
        self._process = popen(argv, self._folder / "log/output", self._folder)
        deadline = time.monotonic() + 30
        while not self._booted():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchFault(f"the Asterisk with app_queue does not start: see {self._folder / 'log'}")
            time.sleep(0.05)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def pids(self) -> dict[str, list[int]]:
        assert self._process is not None
        return {"asterisk": [self._process.pid]}

    def _booted(self) -> bool:
        asked = [*self._install.argv, "-C", str(self._folder / "etc/asterisk.conf")]
        answer = subprocess.run(
            [*asked, "-rx", "core waitfullybooted"], capture_output=True, text=True, timeout=10
        )
        return "fully booted" in answer.stdout

    def _files(self) -> dict[str, str]:
        folder = self._folder
        empty = ("features.conf", "udptl.conf", "ccss.conf")
        return {
            **dict.fromkeys(empty, "[general]\n"),
            "acl.conf": "",
            "pjproject.conf": "",
            "indications.conf": _TONES,
            "asterisk.conf": f"""[directories]
astetcdir => {folder}/etc
astmoddir => {self._install.modules}
astvarlibdir => {folder}/var
astdbdir => {folder}/var
astkeydir => {folder}/var
astdatadir => {self._install.data}
astagidir => {folder}/var
astspooldir => {folder}/spool
astrundir => {folder}/control
astlogdir => {folder}/log
[options]
hideconnect = yes
""",
            "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {m}.so\n" for m in _MODULES),
            "logger.conf": "[general]\nqueue_log = no\n[logfiles]\nmessages => error,warning\n",
            "cdr.conf": "[general]\nenable = no\n",
            "cel.conf": "[general]\nenable = no\n",
            "manager.conf": "[general]\nenabled = no\n",
            "http.conf": "[general]\nenabled = no\n",
            "musiconhold.conf": "[general]\n",
            "stasis.conf": _STASIS,
            "rtp.conf": f"[general]\nrtpstart = {RTP_PORTS[0]}\nrtpend = {RTP_PORTS[1]}\nicesupport = no\n",
            "queues.conf": _QUEUE
            + "".join(f"member => PJSIP/{agent},0,{agent},PJSIP/{agent}\n" for agent in self._agents),
            "extensions.conf": f"[inbound]\nexten => {SERVICE},1,Queue(bench,r)\n[phones]\n",
            "pjsip.conf": _PJSIP + "".join(_ENDPOINT.format(agent=agent) for agent in self._agents),
        }


_TONES = """[general]
country = us
[us]
ringcadence = 2000,4000
ring = 440+480/2000,0/4000
"""

_STASIS = """[threadpool]
initial_size = 5
idle_timeout_sec = 20
max_size = 50
[declined_message_types]
decline = ast_channel_varset_type
decline = ast_rtp_rtcp_sent_type
decline = ast_rtp_rtcp_received_type
"""

_QUEUE = """[general]
persistentmembers = no
autofill = yes
shared_lastcall = no
[bench]
strategy = leastrecent
timeout = 20
retry = 1
ringinuse = no
wrapuptime = 0
joinempty = yes
leavewhenempty = no
announce-frequency = 0
"""

_PJSIP = f"""[global]
type = global
endpoint_identifier_order = username,ip
taskprocessor_overload_trigger = pjsip_only
mwi_disable_initial_unsolicited = yes
keep_alive_interval = 0
[udp]
type = transport
protocol = udp
bind = {HOST}:{SIP_PORT}
[carrier]
type = endpoint
context = inbound
aors = carrier
disallow = all
allow = alaw
direct_media = no
trust_id_inbound = yes
[carrier]
type = aor
contact = sip:{HOST}:{CALLER_PORT}
[carrier]
type = identify
endpoint = carrier
match = {HOST}
"""

_ENDPOINT = f"""[{{agent}}]
type = endpoint
context = phones
aors = {{agent}}
disallow = all
allow = alaw
direct_media = no
device_state_busy_at = 1
[{{agent}}]
type = aor
contact = sip:{{agent}}@{HOST}:{PHONE_PORT}
"""
