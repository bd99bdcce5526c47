# ruff: noqa: E501 - tables of faults are read best with one fault on a line
"""The site file: what a faulty one says, and what a sound one becomes."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.asterisk import AsteriskInstall
from callcenter.floor.plan import (
    ANY_NUMBER,
    Announce,
    Message,
    Overflow,
    OverflowWhen,
    Span,
    Strategy,
    Target,
)
from callcenter.paths import RunDirectory, shipped
from callcenter.site import (
    Secrets,
    Site,
    SiteErrors,
    ensure_secrets,
    floor_plan,
    load,
    load_secrets,
    parse,
    phone_endpoints,
)
from callcenter.site.layout import Layout, Ports
from callcenter.site.numbers import expand, outside_pattern
from callcenter.site.opening import spans
from callcenter.site.places import key_lines
from callcenter.site.render import read_sources, render
from callcenter.site.start import start_site
from callcenter.site.verdict import complaints

SAMPLE = shipped("callcenter.toml").read_text("utf-8")
HERE = Path("/nowhere/callcenter.toml")

SMALL = """\
[site]
name = "示范"
zone = "Asia/Shanghai"
country = "CN"
languages = ["zh", "en"]
fallback_phones = ["1001"]

[[trunks]]
name = "carrier"
host = "192.0.2.1"

[[numbers]]
number = "400800"
queue = "sales"
hours = "office"

[hours.office]
week = { mon-fri = "09:00-18:00" }

[[queues]]
name = "sales"

[[phones]]
range = "1001-1003"
"""


def errors_of(text: str) -> list[str]:
    with pytest.raises(SiteErrors) as caught:
        parse(text, HERE)
    return [str(error) for error in caught.value.errors]


def test_the_sample_is_sound() -> None:
    site = parse(SAMPLE, HERE)
    plan = floor_plan(site)
    assert plan.name == "main"
    assert set(plan.queues) == {"sales", "support"}
    assert plan.queues["support"].strategy is Strategy.ROUND_ROBIN
    assert plan.services["support-en"].language == "en"
    assert plan.phones["1101"].language == "en"
    assert plan.phones["1001"].language == "zh"
    assert plan.reasons == {"1": "break", "2": "lunch", "3": "training"}
    assert phone_endpoints(site)["1008"] == "PJSIP/1008"


def test_what_a_queue_does_with_those_who_wait() -> None:
    queue = """name = "sales"
announce = { position = true, every = 0 }
messages = [{ prompts = ["please-wait"], every = 60 }]
exits = { 1 = { to_queue = "help", prompts = ["other-team"] }, "*" = { to_number = "5551234" } }
overflow = [{ when = "expected_wait", seconds = 300, to_queue = "help" }, { when = "length", count = 9 }]

[[queues]]
name = "help"
"""
    plan = floor_plan(parse(SMALL.replace('name = "sales"\n', queue), HERE)).queues["sales"]
    assert plan.announce == Announce(position=True, every=0)
    assert plan.messages == (Message(("please-wait",), 60),)
    assert plan.exits == {"1": Target("help", "", ("other-team",)), "*": Target("", "5551234")}
    assert plan.overflow == (
        Overflow("help", when=OverflowWhen.EXPECTED_WAIT, seconds=300),
        Overflow(when=OverflowWhen.LENGTH, count=9),
    )


def test_rules_that_go_round_are_told_once_and_keys_may_lead_back() -> None:
    def queue(name: str, to: str) -> str:
        rule = f'overflow = [{{ when = "wait", seconds = 9, to_queue = "{to}" }}]'
        return f'[[queues]]\nname = "{name}"\n{rule}\nexits = {{ 1 = {{ to_queue = "sales" }} }}\n'

    circle = SMALL.replace(
        'name = "sales"', 'name = "sales"\noverflow = [{ when = "nobody_ready", to_queue = "a" }]'
    )
    assert errors_of(circle + queue("a", "b") + queue("b", "sales")) == [
        "callcenter.toml:22: queues[1].overflow[1].to_queue: "
        "sends callers round in a circle: sales -> a -> b -> sales"
    ]
    straight = SMALL + queue("a", "b") + queue("b", "sales")
    assert floor_plan(parse(straight, HERE)).queues["b"].overflow[0].to_queue == "sales"


# What is changed in SMALL, and what must be said of it: the part of the line where it stands, and the text.
FAULTS: list[tuple[str, str, str, str]] = [
    ('name = "sales"', 'name = "sales"\nring_secnds = 3', "ring_secnds", 'unknown key; did you mean "ring_seconds"?'),
    ('name = "sales"', 'name = "sales"\nring_seconds = "20"', "ring_seconds", "expected a valid integer, not '20'"),
    ('name = "sales"', 'name = "sales"\nring_seconds = 1', "ring_seconds", "greater than or equal to 3"),
    ('name = "sales"', 'name = "sales"\nstrategy = "longest"', "strategy", 'did you mean "longest_idle"?'),
    ('name = "sales"', 'name = "sales"\nrecord = 120', "record", "a percentage from 0 to 100, not 120"),
    ('name = "sales"', 'name = "sales"\nrecord = "al"', "record", 'expected "all", "none", "on_demand" or a percentage'),
    ('name = "sales"', 'name = "sales"\nrecord = true', "record", "not true"),
    ('name = "sales"', 'name = "sales"\nmusic = "jazz"', "music", 'no music is named "jazz"'),
    ('name = "sales"', 'name = "sales"\nexits = { 1 = { to_number = "1;2" } }', "to_number", "expected a number of 2 to 20 digits"),
    ('name = "sales"', 'name = "sales"\nexits = { 12 = { to_number = "123" } }', "12", "expected one key"),
    ('name = "sales"', 'name = "sales"\nexits = { 1 = {} }', "1 =", "expected `to_queue`, `to_number` or `prompts`"),
    ('name = "sales"', 'name = "sales"\nexits = { 1 = { to_queue = "sals" } }', "to_queue", 'no queue is named "sals"; did you mean "sales"?'),
    ('name = "sales"', 'name = "sales"\noverflow = [{ when = "wait" }]', "overflow", '`when = "wait"` needs `seconds`'),
    ('name = "sales"', 'name = "sales"\noverflow = [{ when = "length" }]', "overflow", "`count`, at least 1, belongs to"),
    ('name = "sales"', 'name = "sales"\noverflow = [{ when = "lenght", count = 1 }]', "when", 'did you mean "length"?'),
    ('name = "sales"', 'name = "sales"\noverflow = [{ when = "nobody_ready", to_queue = "sales" }]', "to_queue", "leads back into the same queue"),
    ('name = "sales"', 'name = "sales"\noverflow = [{ when = "wait", seconds = 9, to_queue = "x", to_number = "110" }]', "overflow", "not both"),
    ('name = "sales"', 'name = "sales"\nannounce = { first_after = 3 }', "announce", "expected `position = true`"),
    ('name = "sales"', 'name = "sales"\nmessages = [{ prompts = ["x"], every = 3 }]', "messages", "greater than or equal to 10"),
    ('name = "sales"', 'name = "sales"\ntitle = "a;b"', "title", "expected one line"),
    ('name = "sales"', 'name = "sales"\nwrapup_seconds = "ever"', "wrapup_seconds", "until_ended"),
    ('name = "sales"', 'name = "sales"\ndisposition = "required"', "disposition =", "needs `dispositions`"),
    ('name = "sales"', 'name = "sales"\ndispositions = { x = "sold" }', "dispositions", "expected one to three digits"),
    ('name = "sales"', 'name = "sales"\ndispositions = { 1 = "sold", 11 = "lost" }', "dispositions", "1 begins 11: which is meant?"),
    ('name = "sales"', 'name = "sales"\ndispositions = { 1 = "sold", 2 = "sold" }', "dispositions", '"sold" is there twice'),
    ("[[queues]]", '[floor]\nstanding_music = "jazz"\n\n[[queues]]', "standing_music", 'no music is named "jazz"'),
    ('name = "sales"', 'name = "Sales!"', "Sales!", "expected a name of small letters"),
    ('name = "sales"', 'name = "sales"\ngreeting = ["../x"]', "greeting", "expected the name of a file under sounds/"),
    ('queue = "sales"', 'queue = "sale"', 'queue = "sale"', 'no queue is named "sale"; did you mean "sales"?'),
    ('hours = "office"', 'hours = "offce"', "offce", 'did you mean "office"?'),
    ('queue = "sales"', 'queue = "sales"\nlanguage = "fr"', "fr", "known: zh, en"),
    ('"400800"', '"4008;00"', "4008;00", "expected a dialled number"),
    ('"400800"', '"1002"', "range", "1002 is also a number of [[numbers]]"),
    ("Asia/Shanghai", "Asia/Shangai", "Shangai", 'did you mean "Asia/Shanghai"?'),
    ('country = "CN"', 'country = "XX"', "XX", "expected a country code"),
    ('["zh", "en"]', "[]", "languages", "at least 1 item"),
    ('["1001"]', '["1009"]', "1009", "1009 is no phone of [[phones]]"),
    ('"1001-1003"', '"1003-1001"', "1003-1001", "ends before it begins"),
    ('"1001-1003"', '"1-99999"', "1-99999", "expected a number of 2 to 8 digits or a range"),
    ('"1001-1003"', '"1001-1003"\n[[phones]]\nrange = "1002-1009"', "1002-1009", "1002 to 1003 is already in phones[1]"),
    ('"1001-1003"', '"1001-1003"\ncontact = "sip:x@192.0.2.7"', "contact", 'needs "{number}" for a range'),
    ('"1001-1003"', '"1001-1003"\ncontact = "http://x"', "contact", "must look like"),
    ('"1001-1003"', '"1001-1003"\npassword = false', "password", "only for phones with a fixed `contact`"),
    ("mon-fri", "mon-fry", "mon-fry", '"mon-fry" is no day'),
    ("09:00-18:00", "9-5", "9-5", "expected hours such as"),
    ("09:00-18:00", "18:00-09:00", "18:00-09:00", "split hours over midnight"),
    ('host = "192.0.2.1"', 'host = "sip.example"', "[[trunks]]", "`match` must name the addresses"),
    ('host = "192.0.2.1"', 'host = "192.0.2.1"\nregister = true', "register", "needs a `username`"),
    ('host = "192.0.2.1"', 'host = "192.0.2.1"\ncodecs = ["alow"]', "codecs", 'did you mean "alaw"?'),
    ('name = "carrier"', 'name = "udp"', '"udp"', "has a meaning of its own"),
    ("[[queues]]", '[features]\nlogin = "*1"\n\n[[queues]]', "login", "*1 begins the codes of login_connected (*10), logout (*12)"),
    ("[[queues]]", '[features]\nready = "*11"\n\n[[queues]]', "ready", "*11 is also the code of login"),
    ("[[queues]]", '[features]\nswap = "*1"\n\n[[queues]]', "swap", "*1 is also the code of hold"),
    ("[[queues]]", '[features]\nhold = "*4"\n\n[[queues]]', "[features]", "*4 is also the code of hold"),
    ("[[queues]]", '[features]\nhold = "*33"\n\n[[queues]]', "[features]", "*3 begins the codes of hold (*33)"),
    ("[[queues]]", '[features]\nrecord = "*2"\n\n[[queues]]', "[features]", "*2 is also the code of record"),
    ("[[queues]]", '[features]\nend_contact = "*61"\n\n[[queues]]', "[features]", "*6 begins the codes of end_contact (*61)"),
    ("[[queues]]", '[transfers]\noutside = ["13X", "."]\n\n[[queues]]', "outside", "with at least one digit"),
    ("[[queues]]", '[transfers]\noutside = ["1[9-3]"]\n\n[[queues]]', "outside", "runs backwards"),
    ('name = "sales"', 'name = "sales"\nnumber = "1002"', "number", "1002 is also a phone"),
    ('name = "sales"', 'name = "sales"\nnumber = "80a"', "number", "expected an internal number"),
    ("[[queues]]", '[emergency]\nnumbers = ["1001"]\n\n[[queues]]', "numbers = [", "1001 is also a phone"),
    ("[[queues]]", '[emergency]\ntrunks = ["carier"]\n\n[[queues]]', "carier", 'did you mean "carrier"?'),
    ("[[queues]]", "[asterisk]\nhttp_port = 5038\n\n[[queues]]", "[asterisk]", "port 5038 is also http_port"),
    ("[[queues]]", '[asterisk]\nrtp = "5000-5100"\n\n[[queues]]', "rtp", "contains sip_port 5060"),
    ("[[queues]]", '[asterisk]\nudptl = "10000-10099"\n\n[[queues]]', "udptl", "overlaps the ports of rtp"),
    ("[[queues]]", '[asterisk]\nrtp = "80-99"\n\n[[queues]]', "rtp", "expected ports such as"),
    ("[[queues]]", '[redis]\nurl = "http://x"\n\n[[queues]]', "url", "expected a URL starting with redis://"),
    ("[[queues]]", '[music]\njazz = "nowhere"\n\n[[queues]]', "jazz", "there is no folder"),
    ("[[queues]]", '[recording]\nfolder = "tapes"\n\n[[queues]]', "folder", "must be a whole path"),
    ("[[queues]]", "[recording]\nmin_free_mb = -1\n\n[[queues]]", "min_free_mb", "greater than or equal to 0"),
    ("[[queues]]", '[features]\nrecord = "*1"\n\n[[queues]]', "record", "*1 is also the code of hold"),
    ("[[queues]]", '[reasons]\n11 = "x"\n\n[[queues]]', "11 =", "expected one digit"),
    ("[[queues]]", "[featurs]\n\n[[queues]]", "featurs", 'did you mean "features"?'),
    ("[[queues]]", '[hours.x]\nweek = { mon = "09:00-10:00" }\ndays = { "2026-13-01" = "" }\n\n[[queues]]', "2026-13", "a date"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "text"), FAULTS)
def test_a_fault_is_told_with_its_line_and_what_was_expected(
    old: str, new: str, place: str, text: str
) -> None:
    assert old in SMALL
    faulty = SMALL.replace(old, new, 1)
    told = errors_of(faulty)
    assert any(text in error for error in told), told
    line = next(error for error in told if text in error).split(":")[1]
    expected = [number for number, content in enumerate(faulty.splitlines(), 1) if place in content]
    assert int(line) in expected, (told, expected)


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("13XXXXXXXXX", "13912345678", "1391234567"),
        ("021.", "0211", "021"),
        ("+86Z.", "+8612", "8612"),
        ("1[3-58]N", "182", "162"),
        ("9Z", "91", "90"),
    ],
)
def test_patterns_of_outside_numbers(pattern: str, fits: str, fails: str) -> None:
    expression = re.compile(outside_pattern(pattern))
    assert expression.fullmatch(fits)
    assert not expression.fullmatch(fails)


def test_all_faults_are_told_at_once() -> None:
    faulty = SMALL
    for old, new in (
        ("Asia/Shanghai", "Mars/Base"),
        ('queue = "sales"', 'queue = "nobody"'),
        ('"1001-1003"', '"x"'),
        ("[[trunks]]", "[[trunks]]\ncolour = 1"),
    ):
        faulty = faulty.replace(old, new, 1)
    told = errors_of(faulty)
    assert [error.split(": ")[1] for error in told] == [
        "site.zone", "trunks[1].colour", "numbers[1].queue", "phones[1].range",
    ]  # fmt: skip
    assert told[0].startswith("callcenter.toml:3: site.zone: ")


def test_missing_keys_and_broken_files_are_told(tmp_path: Path) -> None:
    assert any("queues: is missing" in error for error in errors_of('[site]\nname = "x"\nzone = "UTC"\n'))
    assert errors_of("[site]\nname = \n")[0].startswith("callcenter.toml:2: this is no TOML")
    assert "unclosed" in (broken := errors_of('[site]\nname = "x\n')[0]).lower() or ":2:" in broken
    with pytest.raises(SiteErrors, match="there is no such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "gb.toml").write_bytes("[site]\nname = '中'".encode("gb18030"))
    with pytest.raises(SiteErrors, match=r"gb.toml:2: expected text in UTF-8"):
        load(tmp_path / "gb.toml")


def test_no_input_makes_a_traceback() -> None:
    """Each key of the sample given each wrong kind of value: SiteErrors or a Site, nothing else."""
    import tomllib

    raw = tomllib.loads(SAMPLE)
    for section, value in raw.items():
        for wrong in ("7", '"x"', "[1]", "{ a = 1 }", "[[]]", "true", "1979-05-27"):
            rest = "".join(
                f'[[{name}]]\nname="q"\n' if name == "queues" else "" for name in raw if name != section
            )
            text = (
                f"{section} = {wrong}\n"
                + ('[site]\nname="x"\nzone="UTC"\n' if section != "site" else "")
                + rest
            )
            with pytest.raises(SiteErrors):
                parse(text, HERE)
        assert value is not None


@given(
    st.lists(
        st.sampled_from(
            [
                "[site]",
                "[[queues]]",
                'name = "q"',
                "x.y = 1",
                'zone = """a\nb"""',
                "a = [ # ]\n 1,\n]",
                '"k 1" = "#"',
                "",
                "# c",
            ]
        ),
        max_size=12,
    )
)
def test_lines_of_keys_are_where_the_keys_are(pieces: list[str]) -> None:
    text = "\n".join(pieces)
    for path, line in key_lines(text).items():
        names = [part for part in path if isinstance(part, str)]
        assert str(names[-1]) in text.splitlines()[line - 1]


@given(st.text(max_size=300))
def test_any_text_is_a_site_or_errors(text: str) -> None:
    with pytest.raises(SiteErrors):
        parse(text, HERE)


def test_holidays_and_make_up_days_of_the_country() -> None:
    site = parse(SMALL + '\n[hours.shop]\nweek = { mon-sun = "10:00-20:00" }\nholidays = ""\n', HERE)
    plan = floor_plan(site, today=date(2026, 3, 1))
    office, shop = plan.hours["office"], plan.hours["shop"]
    assert date(2026, 10, 1) in office.holidays
    assert office.days[date(2026, 10, 10)] == (Span(540, 1080),), "a Saturday made a working day"
    assert office.week[5] == ()
    assert not shop.holidays
    assert not shop.days


def test_own_days_win() -> None:
    text = SMALL.replace('week = { mon-fri = "09:00-18:00" }', 'week = { mon-fri = "09:00-18:00" }\ndays = { "2026-10-10" = "closed", "2026-10-01" = "10:00-12:00" }')  # fmt: skip
    office = floor_plan(parse(text, HERE), today=date(2026, 3, 1)).hours["office"]
    assert office.days[date(2026, 10, 10)] == ()
    assert office.days[date(2026, 10, 1)] == (Span(600, 720),)


def test_a_services_name_is_its_queues_where_that_is_clear() -> None:
    text = SMALL + '\n[[numbers]]\nnumber = "*"\nqueue = "sales"\n'
    plan = floor_plan(parse(text, HERE))
    assert set(plan.services) == {"sales-400800", "sales-*"}
    assert plan.services["sales-*"].numbers == (ANY_NUMBER,)


def test_spans_and_ranges() -> None:
    assert spans("09:00-12:00 13:30-24:00") == (Span(540, 720), Span(810, 1440))
    assert spans("09:00-12:00, 13:30-14:00") == (Span(540, 720), Span(810, 840))
    assert expand("0998-1001") == ("0998", "0999", "1000", "1001")
    for wrong in ("09:00", "09:00-25:00", "10:00-12:00 11:00-13:00", "09:61-10:00"):
        with pytest.raises(ValueError, match=r"expected|no time|begins before"):
            spans(wrong)


# Secrets.


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / ".run")
    site = parse(SMALL, HERE)
    first = ensure_secrets(site, run)
    assert stat.S_IMODE(run.secrets.stat().st_mode) == 0o600
    more = ensure_secrets(parse(SMALL.replace("1001-1003", "1001-1005"), HERE), run)
    assert (more.ari_password, more.phones["1001"]) == (first.ari_password, first.phones["1001"])
    assert len({more.ari_password, more.ami_password, *more.phones.values()}) == 7
    assert ensure_secrets(site, run).phones["1005"] == more.phones["1005"], "a phone may come back"
    assert load_secrets(run) == more
    for value in more.values():
        assert value not in repr(more)
        assert len(value) >= 20


def test_secrets_that_others_may_read_are_refused(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / ".run")
    ensure_secrets(parse(SMALL, HERE), run)
    run.secrets.chmod(0o644)
    with pytest.raises(SiteErrors, match="chmod 600"):
        load_secrets(run)


def test_a_carriers_password_is_asked_for_and_checked(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / ".run")
    site = parse(
        SMALL.replace('host = "192.0.2.1"', 'host = "192.0.2.1"\nusername = "me"\nregister = true'), HERE
    )
    with pytest.raises(SiteErrors, match=r"trunks.carrier: is missing"):
        ensure_secrets(site, run)
    with run.secrets.open("a") as file:
        file.write('carrier = "pass;word"\n')
    with pytest.raises(SiteErrors, match="expected printable text"):
        ensure_secrets(site, run)
    run.secrets.write_text(run.secrets.read_text().replace("pass;word", "passw0rd"))
    secrets = ensure_secrets(site, run)
    assert "password = passw0rd" in rendered(site, secrets)["pjsip.conf"]


# Rendering.


def rendered(site: Site, secrets: Secrets, *, silent: bool = False) -> dict[str, str]:
    here = Path("/x")
    install = AsteriskInstall(("asterisk",), "22.10.1", here / "modules", here / "data", None)
    layout = Layout(here, here, here / "log", here / "share")
    ports = Ports("127.0.0.1", 5060, 8088, 5038, (10000, 10999), (4000, 4999))
    return render(
        site, secrets, read_sources(shipped("callcenter.toml")), install, layout, ports, silent=silent
    )


@pytest.fixture
def secrets_of(tmp_path: Path) -> Callable[[Site], Secrets]:
    return lambda site: ensure_secrets(site, RunDirectory(tmp_path / ".run"))


def test_every_module_by_name_and_no_more_than_needed(secrets_of: Callable[[Site], Secrets]) -> None:
    site = parse(SAMPLE, HERE)
    files = rendered(site, secrets_of(site))
    assert "autoload = no" in files["modules.conf"]
    assert "endpoint_identifier_order = ip,auth_username,username" in files["pjsip.conf"]
    assert "taskprocessor_overload_trigger = pjsip_only" in files["pjsip.conf"]
    assert "bindaddr = 127.0.0.1" in files["http.conf"]
    assert "bindaddr = 127.0.0.1" in files["manager.conf"]
    assert "[anonymous]" not in files["pjsip.conf"]
    assert "direct_media = no" in files["pjsip.conf"]


def test_a_trunk_is_known_by_its_port_where_phones_share_its_address(
    secrets_of: Callable[[Site], Secrets],
) -> None:
    def identify(text: str) -> str:
        site = parse(text, HERE)
        return rendered(site, secrets_of(site))["pjsip.conf"].partition("type = identify")[2][:80]

    assert "match = 192.0.2.1\n" in identify(SMALL)
    assert "match = 127.0.0.1:5060\n" in identify(SMALL.replace("192.0.2.1", "127.0.0.1"))
    gateway = SMALL + '\n[[phones]]\nrange = "1201-1202"\ncontact = "sip:{number}@192.0.2.1:5070"\n'
    assert "match = 192.0.2.1:5060\n" in identify(gateway)
    own = SMALL.replace('host = "192.0.2.1"', 'host = "sip.example"\nmatch = ["192.0.2.8:5062", "192.0.2.9"]')
    assert "match = 192.0.2.8:5062,192.0.2.9\n" in identify(own)
    assert errors_of(own.replace("192.0.2.8:5062", "192.0.2.8:99999"))


def test_a_phone_with_a_fixed_contact_is_heard_from_there_alone(
    secrets_of: Callable[[Site], Secrets],
) -> None:
    text = (
        SMALL
        + '\n[[phones]]\nrange = "1201-1202"\ncontact = "sip:{number}@192.0.2.9:5070"\npassword = false\n'
    )
    site = parse(text, HERE)
    pjsip = rendered(site, secrets_of(site))["pjsip.conf"]
    endpoint = pjsip.split("[1202](phone)")[1]
    assert "permit = 192.0.2.9/255.255.255.255" in endpoint
    assert "contact = sip:1202@192.0.2.9:5070" in endpoint
    assert "password" not in endpoint
    assert "\nauth = " not in endpoint


def test_a_silent_instance_registers_nowhere(secrets_of: Callable[[Site], Secrets], tmp_path: Path) -> None:
    site = parse(
        SMALL.replace('host = "192.0.2.1"', 'host = "192.0.2.1"\nusername = "me"\nregister = true'), HERE
    )
    secrets = Secrets("a", "b", dict.fromkeys(site.phone_names, "c"), {"carrier": "d"})
    assert "type = registration" in rendered(site, secrets)["pjsip.conf"]
    assert "type = registration" not in rendered(site, secrets, silent=True)["pjsip.conf"]


def test_fallback_queues_and_numbers_come_from_the_site(secrets_of: Callable[[Site], Secrets]) -> None:
    site = parse(SMALL, HERE)
    files = rendered(site, secrets_of(site))
    assert "[fallback-sales]" in files["queues.conf"]
    assert "member => PJSIP/1001,0,1001,PJSIP/1001" in files["queues.conf"]
    assert "member => PJSIP/1002" not in files["queues.conf"]
    assert "exten => 400800,1,Set(CC_FALLBACK=fallback-sales)" in files["extensions.conf"]
    assert "exten => 110,1,Goto(emergency-call,110,1)" in files["extensions.conf"]
    assert '#include "dialplans/emergency.conf"' in files["extensions.conf"]
    assert files["dialplans/inbound.conf"] == (shipped("dialplans") / "inbound.conf").read_text()


def test_init_writes_a_site_that_is_sound_and_overwrites_none(tmp_path: Path) -> None:
    from callcenter.site import ApplyRefused

    folder = tmp_path / "etc"
    written = start_site(folder)
    assert load(folder / "callcenter.toml").floor.name == "main"
    assert {path.name for path in written} >= {"callcenter.toml", "inbound.conf", "emergency.conf"}
    assert all(os.access(path, os.W_OK) for path in written)
    with pytest.raises(ApplyRefused, match="exists already"):
        start_site(folder)


def test_a_busy_machine_does_not_speak_against_the_files(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path, tmp_path, tmp_path)
    busy = "Taskprocessor 'stasis/m:devicestate:all-00000009' queue reached 500 scheduled tasks (high water mark: 500)."
    lines = [
        {"logmsg": {"level": "WARNING", "message": text}} for text in (busy, "Unable to load  pjsip.conf")
    ]
    (tmp_path / "asterisk.jsonl").write_text("Asterisk 22\n" + "\n".join(map(json.dumps, lines)) + "\n")
    assert complaints(layout) == ("Asterisk warning: Unable to load pjsip.conf",)
