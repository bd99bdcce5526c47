"""Two small Asterisks for the switch's own tests: a centre, and a network that calls it and holds its phones.

Written by hand and minimal on purpose: what is tested is the adapter, not the site's rendered files.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from callcenter.asterisk import AsteriskInstall, find_asterisk
from callcenter.switch.asterisk import SwitchSettings
from tests.servers import eventually, server_account, short_directory

FIRST_PORT, LAST_PORT = 23000, 23999
PHONES = ("1001", "1002", "1003")
UNREGISTERED = "1008"
_PASSWORD = secrets.token_urlsafe(16)
_NOT_NEEDED = """
    app_voicemail app_voicemail_imap app_voicemail_odbc cdr_csv cdr_custom cdr_manager cel_custom
    cel_manager chan_dahdi chan_iax2 chan_unistim chan_mobile chan_ooh323 chan_motif res_xmpp
    res_config_ldap res_config_odbc res_config_pgsql res_config_sqlite3 res_config_curl
    res_config_mysql res_hep res_snmp res_corosync res_phoneprov res_calendar res_fax
    res_fax_spandsp pbx_dundi pbx_ael pbx_lua app_minivm app_festival cdr_odbc cdr_adaptive_odbc
    cel_odbc cdr_pgsql cel_pgsql cdr_tds cel_tds cdr_sqlite3_custom cel_sqlite3_custom res_odbc
    func_odbc res_prometheus res_stun_monitor res_geolocation app_alarmreceiver app_adsiprog
    app_getcpeid res_adsi res_smdi res_speech app_amd codec_dahdi res_timing_dahdi app_meetme
    app_dahdiras app_flash res_aeap res_speech_aeap res_resolver_unbound res_stir_shaken
    res_chan_stats res_endpoint_stats res_statsd res_ari_mailboxes res_mwi_external
    res_mwi_external_ami cel_beanstalkd cdr_beanstalkd res_pjsip_phoneprov_provider chan_console
"""


@dataclass(frozen=True, slots=True)
class Box:
    """One running Asterisk."""

    install: AsteriskInstall
    etc: Path
    process: subprocess.Popen[bytes]
    sip_port: int
    http_port: int
    ami_port: int
    log: Path

    def console(self, command: str) -> str:
        """What Asterisk's console says to `command`."""
        argv = [*self.install.argv, "-C", str(self.etc / "asterisk.conf"), "-rx", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False).stdout

    def booted(self) -> bool:
        return "fully booted" in self.console("core waitfullybooted")

    def channels(self) -> int:
        count = self.console("core show channels count").split()
        return int(count[0]) if count and count[0].isdigit() else -1

    def settings(self, app: str = "floor-main", **changes: object) -> SwitchSettings:
        fields: dict[str, object] = {
            "node": "",
            "host": "127.0.0.1",
            "http_port": self.http_port,
            "ari_user": "floor",
            "ari_password": _PASSWORD,
            "app": app,
            "endpoints": {phone: f"PJSIP/{phone}" for phone in (*PHONES, UNREGISTERED)},
            "ami_port": self.ami_port,
            "ami_user": "floor",
            "ami_password": _PASSWORD,
        }
        return SwitchSettings(**{**fields, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Pair:
    centre: Box
    network: Box

    def call(self, number: str, ani: str = "5550001", *, digits: str = "", seconds: int = 60) -> None:
        """Somebody calls `number`; once answered he presses `digits`, and holds on for `seconds`."""
        self.network.console(f"dialplan set global DIGITS {digits or 'none'}")
        self.network.console(f"dialplan set global CALLER {ani}")
        self.network.console(f"channel originate Local/{number}@out/n extension {seconds}@caller")

    def phone_calls(self, phone: str, number: str) -> None:
        """A phone of the centre dials `number`."""
        self.network.console(f"channel originate PJSIP/{number}@as-{phone} extension 60@caller")

    def phones_answer(self, how: str) -> None:
        """From now on phones "answer", "ring", are "busy", or "hangup" a second after answering."""
        self.network.console(f"dialplan set global PHONES {how}")

    def hang_up_network(self) -> None:
        self.network.console("channel request hangup all")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    for _ in range(200):
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT - 300)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port is free in {FIRST_PORT}-{LAST_PORT}")


@contextmanager
def pair() -> Iterator[Pair]:
    """A centre and its network, up; ended at the end."""
    with ExitStack() as stack:
        folder = short_directory("cc-switch-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        centre_sip, network_sip = (free_port(socket.SOCK_DGRAM) for _ in range(2))
        centre = _prepare(folder / "centre", centre_sip, _centre_files(centre_sip, network_sip))
        network = _prepare(folder / "network", network_sip, _network_files(centre_sip, network_sip))
        started = [stack.enter_context(box(*prepared)) for prepared in (centre, network)]
        for each in started:
            eventually(each.booted, "Asterisk up", 60)
        yield Pair(*started)


@contextmanager
def lone_centre() -> Iterator[Box]:
    """A centre without a network, for tests that kill and freeze it."""
    with ExitStack() as stack:
        folder = short_directory("cc-switch-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        own, nobody = (free_port(socket.SOCK_DGRAM) for _ in range(2))
        started = stack.enter_context(box(*_prepare(folder / "centre", own, _centre_files(own, nobody))))
        eventually(started.booted, "Asterisk up", 60)
        yield started


@contextmanager
def box(folder: Path, sip_port: int, http_port: int, ami_port: int) -> Iterator[Box]:
    """One Asterisk on prepared files; not yet booted when this gives it."""
    process = start(folder)
    made = Box(find_asterisk(), folder, process, sip_port, http_port, ami_port, folder / "log")
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Asterisk on the files in `folder`; not as root."""
    account = server_account()
    with (folder / "console").open("ab") as output:
        return subprocess.Popen(
            [*find_asterisk().argv, "-f", "-C", str(folder / "asterisk.conf")],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )


def _prepare(folder: Path, sip_port: int, files: dict[str, str]) -> tuple[Path, int, int, int]:
    install = find_asterisk()
    http_port, ami_port = free_port(), free_port()
    folder.mkdir(parents=True)
    rtp = 23000 + 100 * (sip_port % 9) + 10
    files = {
        "asterisk.conf": (
            f"[directories]\nastetcdir => {folder}\nastmoddir => {install.modules}\n"
            f"astdatadir => {install.data}\n"
            + "".join(
                f"{name} => {folder}/{name}\n"
                for name in ("astspooldir", "astrundir", "astlogdir", "astdbdir", "astvarlibdir", "astkeydir")
            )
            + "[options]\nverbose = 0\n"
        ),
        "modules.conf": "[modules]\nautoload=yes\n"
        + "".join(f"noload={name}.so\n" for name in _NOT_NEEDED.split()),
        "logger.conf": "[logfiles]\nmessages => notice,warning,error\n",
        "http.conf": f"[general]\nenabled=yes\nbindaddr=127.0.0.1\nbindport={http_port}\nsessionlimit=200\n",
        "ari.conf": (
            "[general]\nenabled=yes\nwebsocket_write_timeout=5000\n"
            f"[floor]\ntype=user\nread_only=no\npassword={_PASSWORD}\n"
        ),
        "manager.conf": (
            f"[general]\nenabled=yes\nbindaddr=127.0.0.1\nport={ami_port}\n"
            f"[floor]\nsecret={_PASSWORD}\nread=call,agent,command\nwrite=call,agent,command,system\n"
        ),
        "rtp.conf": f"[general]\nrtpstart={rtp}\nrtpend={rtp + 88}\n",
        "indications.conf": "[general]\ncountry=us\n[us]\nringcadence=2000,4000\ndial=350+440\n"
        "busy=480+620/500,0/500\n"
        "ring=440+480/2000,0/4000\ncongestion=480+620/250,0/250\n",
        "musiconhold.conf": f"[default]\nmode=files\ndirectory={install.data}/moh\n",
        "features.conf": "[general]\n",
        "udptl.conf": "[general]\n",
        "cdr.conf": "[general]\nenable=no\n",
        "cel.conf": "[general]\nenable=no\n",
        "acl.conf": "",
        **files,
    }
    for name in ("astspooldir/recording", "astrundir", "astlogdir", "astdbdir", "astvarlibdir", "astkeydir"):
        (folder / name).mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    account = server_account()
    if account is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
    return folder, sip_port, http_port, ami_port


def _pjsip(sip_port: int, endpoints: str) -> str:
    return (
        "[global]\ntype=global\nendpoint_identifier_order=auth_username,username,ip\n"
        f"[udp]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:{sip_port}\n"
        "[end](!)\ntype=endpoint\ndisallow=all\nallow=ulaw\ndirect_media=no\nallow_overlap=no\n" + endpoints
    )


def _centre_files(own: int, network: int) -> dict[str, str]:
    phones = "".join(
        f"[{phone}](end)\naors={phone}\ncontext=phones\nidentify_by=username\n"
        f"[{phone}]\ntype=aor\ncontact=sip:{phone}@127.0.0.1:{network}\n"
        for phone in PHONES
    )
    trunk = (
        f"[trunk](end)\naors=trunk\ncontext=inbound\nidentify_by=ip\n[trunk]\ntype=aor\ncontact=sip:127.0.0.1:{network}\n"
        "[trunk]\ntype=identify\nendpoint=trunk\nmatch=127.0.0.1\n"
    )
    phones += f"[{UNREGISTERED}](end)\naors={UNREGISTERED}\n[{UNREGISTERED}]\ntype=aor\nmax_contacts=1\n"
    return {
        "pjsip.conf": _pjsip(own, phones + trunk),
        "extensions.conf": (
            "[inbound]\n"
            "exten => _X.,1,Set(__CC_ARRIVAL=${STRFTIME(${EPOCH},,%s)}.250)\n"
            " same => n,Set(__CC_DNIS=${EXTEN})\n"
            " same => n,Stasis(floor-main,inbound,${EXTEN},${CALLERID(num)},${CC_ARRIVAL})\n"
            " same => n,GotoIf($[${ISNULL(${STASISSTATUS})}]?done)\n"
            ' same => n,GotoIf($["${STASISSTATUS}" = "SUCCESS"]?done)\n'
            " same => n,Queue(fallback-sales,,,,120)\n"
            " same => n(done),Hangup()\n"
            "[from-fallback]\n"
            "exten => s,1,Stasis(floor-main,inbound,${CC_DNIS},${CALLERID(num)},${CC_ARRIVAL})\n"
            "[phones]\n"
            "exten => 110,1,Answer()\n same => n,Wait(60)\n"
            "exten => _[*#0-9].,1,Stasis(floor-main,phone,${EXTEN})\n"
            "[outside]\n"
            "exten => _X.,1,Answer()\n same => n,Wait(60)\n"
        ),
        "queues.conf": (
            "[general]\npersistentmembers=yes\n[fallback-sales]\nringinuse=no\ntimeout=10\n[fallback-service]\n"
            "ringinuse=no\n"
        ),
    }


def _network_files(centre: int, own: int) -> dict[str, str]:
    phones = "".join(
        f"[as-{phone}](end)\naors=centre\ncontext=phones\nfrom_user={phone}\nidentify_by=username\n"
        for phone in PHONES
    )
    return {
        "pjsip.conf": _pjsip(
            own,
            f"[centre](end)\naors=centre\ncontext=phones\nidentify_by=ip\n"
            f"[centre]\ntype=aor\ncontact=sip:127.0.0.1:{centre}\n"
            f"[centre]\ntype=identify\nendpoint=centre\nmatch=127.0.0.1\n" + phones,
        ),
        "extensions.conf": (
            "[globals]\nPHONES=answer\nDIGITS=none\nCALLER=5550001\n"
            "[out]\n"
            "exten => _X.,1,Set(CALLERID(num)=${CALLER})\n same => n,Dial(PJSIP/${EXTEN}@centre,120)\n"
            "[caller]\n"
            'exten => _X.,1,GotoIf($["${DIGITS}" = "none"]?hold)\n same => n,Wait(0.5)\n'
            " same => n,SendDTMF(${DIGITS},200,150)\n same => n(hold),Wait(${EXTEN})\n"
            "[phones]\n"
            "exten => _X.,1,Goto(${PHONES},1)\n"
            "exten => ring,1,Ringing()\n same => n,Wait(60)\n"
            "exten => busy,1,Hangup(17)\n"
            "exten => answer,1,Ringing()\n same => n,Wait(0.2)\n same => n,Answer()\n same => n,Wait(60)\n"
            "exten => digits,1,Answer()\n same => n,Wait(1)\n same => n,SendDTMF(*12,200,150)\n"
            " same => n,Wait(60)\n"
            "exten => hangup,1,Answer()\n same => n,Wait(1)\n same => n,Hangup()\n"
        ),
    }
