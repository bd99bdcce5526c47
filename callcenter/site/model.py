"""The site file's sections, each checked by itself; what sections say of one another is in `checks.py`.

Everything is frozen. A validator's ValueError is read by people: it says what was expected.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from holidays import list_supported_countries
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)
from rapidfuzz import process

from callcenter.floor.plan import DispositionRule, OverflowWhen, Strategy
from callcenter.site import opening, skills
from callcenter.site.numbers import DIALLED, OUTSIDE, expand, outside_pattern

_COUNTRIES = list_supported_countries(include_aliases=False)


def _matching(pattern: str | re.Pattern[str], expected: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f'expected {expected}, not "{value}"')
        return value

    return AfterValidator(check)


def _parsed(parse: Callable[[str], object]) -> AfterValidator:
    def check(value: str) -> str:
        parse(value)
        return value

    return AfterValidator(check)


def _address(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f'expected an IP address or network such as 192.0.2.0/24, not "{value}"') from None
    return value


def _source(value: str) -> str:
    address, colon, port = value.rpartition(":")
    if not colon or ":" in address:  # no port, or IPv6
        return _address(value)
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        raise ValueError(f'expected an IPv4 address and a port, not "{value}"') from None
    if not (port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f'expected a port from 1 to 65535 after "{address}:", not "{port}"')
    return value


def _zone(value: str) -> str:
    if value not in available_timezones():
        best = process.extractOne(value, sorted(available_timezones()), score_cutoff=60)
        raise ValueError(f'"{value}" is no time zone; did you mean "{best[0] if best else "Asia/Shanghai"}"?')
    return value


def _country(value: str) -> str:
    if value and value not in _COUNTRIES:
        raise ValueError(f'expected a country code such as "CN" or "" for no holidays, not "{value}"')
    return value


def _day(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError(f'expected a date such as "2026-10-01", not "{value}"') from None
    return value


def _port_range(value: str) -> str:
    low, _, high = value.partition("-")
    if not (low.isdigit() and high.isdigit() and 1024 <= int(low) <= int(high) <= 65535):
        raise ValueError(f'expected ports such as "10000-19999", within 1024-65535, not "{value}"')
    return value


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        if value and urlsplit(value).scheme not in schemes:
            raise ValueError(f'expected a URL starting with {schemes[0]}://, or "" for our own private one')
        return value

    return AfterValidator(check)


def _record_rule(value: object) -> object:
    share = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100
    if not share and value not in ("all", "none", "on_demand"):
        raise ValueError(
            f'expected "all", "none", "on_demand" or a percentage from 0 to 100, not {_as_written(value)}'
        )
    return value


def _as_written(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


# Plain text that ends up in files of Asterisk: one line, nothing that opens a comment or a variable.
Title = Annotated[
    str, _matching(r"[^\x00-\x1f;\\$\[\]{}\"]{1,80}", "one line of at most 80 letters without ;$\\[]{}")
]
Name = Annotated[
    str, _matching(r"[a-z][a-z0-9_-]{0,31}", "a name of small letters, digits, - and _ (at most 32)")
]
Language = Annotated[str, _matching(r"[a-z]{2}(_[A-Z]{2})?", 'a language such as "zh" or "en"')]
Prompt = Annotated[
    str, _matching(r"[a-z0-9][a-z0-9_/-]{0,63}", "the name of a file under sounds/, without ending")
]
Host = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", "a host name or an IPv4 address")]
Address = Annotated[str, AfterValidator(_address)]
Source = Annotated[str, AfterValidator(_source)]  # an Address, or IPv4:PORT
Country = Annotated[str, AfterValidator(_country)]
Day = Annotated[str, AfterValidator(_day)]
DayNames = Annotated[str, _parsed(opening.weekdays)]
DayHours = Annotated[str, _parsed(opening.spans)]
PhoneRange = Annotated[str, _parsed(expand)]
Dialled = Annotated[
    str, _matching(DIALLED, 'a dialled number of 2 to 20 digits (+ in front), or "*" for any')
]
OutsideNumber = Annotated[str, _matching(OUTSIDE, "a number of 2 to 20 digits, + in front allowed")]
InternalNumber = Annotated[str, _matching(r"[0-9]{2,8}", "an internal number of 2 to 8 digits")]
OutsidePattern = Annotated[str, _parsed(outside_pattern)]
EmergencyNumber = Annotated[str, _matching(r"[0-9]{2,6}", "2 to 6 digits")]
Code = Annotated[str, _matching(r"[*#][0-9*#]{1,5}", "a code such as *11: * or #, then 1 to 5 of 0-9 * #")]
Skills = Annotated[str, _parsed(skills.parse)]
SkillName = Annotated[str, AfterValidator(skills.skill_name)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
PortRange = Annotated[str, AfterValidator(_port_range)]
Seconds = Annotated[int, Field(strict=True, ge=0, le=86_400)]
Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]
Digits = Annotated[str, _matching(r"[0-9]{1,3}", "one to three digits")]
Result = Annotated[
    str, _matching(r"\S([^\x00-\x1f\"]{0,38}\S)?", "one line of at most 40 letters, no blank at its ends")
]
Flag = Annotated[bool, Field(strict=True)]
RecordRule = Annotated[Any, PlainValidator(_record_rule)]
Codec = Literal["alaw", "ulaw", "g722", "gsm"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Centre(Section):
    """`[site]`: the centre as a whole. The first language is the one spoken where nothing else says."""

    name: Title
    zone: Annotated[str, AfterValidator(_zone)]
    country: Country = ""
    languages: Annotated[tuple[Language, ...], Field(min_length=1)] = ("en",)
    fallback_phones: tuple[PhoneRange, ...] = ()  # ring with no engine and nobody known; () for all phones


class Floor(Section):
    """`[floor]`: where callers meet agents. Two centres on one Redis need two names."""

    name: Name = "main"
    login_ready: Flag = True
    pin_tries: Annotated[int, Field(strict=True, ge=1, le=20)] = 3
    pin_lock_seconds: Seconds = 60
    session_seconds: Annotated[int, Field(strict=True, ge=5, le=600)] = 30
    standing_music: Name | Literal[""] = ""  # what always-connected agents hear between contacts
    long_break_seconds: Annotated[int, Field(strict=True, ge=60, le=86_400)] = 900  # marked for leaders


class Trunk(Section):
    """`[[trunks]]`: lines to the public network, in the order in which outgoing calls try them.

    With `username` we answer the provider's challenge; its password stands in the secrets file.
    What comes from one of its addresses is the trunk's, whoever it says it is: a caller may have the number
    of a phone. A device that is a trunk and phones too needs a port for the trunk:
    `match = ["192.0.2.1:5062"]`.
    """

    name: Name
    kind: Literal["sip"] = "sip"
    host: Host
    port: Port = 5060
    match: tuple[Source, ...] = ()  # where its calls come from; () for `host`, which must be an address then
    codecs: Annotated[tuple[Codec, ...], Field(min_length=1)] = ("alaw", "ulaw")
    caller_id: OutsideNumber | Literal[""] = ""
    username: Annotated[str, _matching(r"[A-Za-z0-9._+-]{0,64}", "letters, digits and . _ + -")] = ""
    register_there: Flag = Field(default=False, alias="register")
    qualify_seconds: Seconds = 30  # asks so often whether it lives; 0 never asks
    fax: Flag = True  # T.38 allowed

    @model_validator(mode="after")
    def _consistent(self) -> Trunk:
        if not self.match:
            try:
                ipaddress.ip_address(self.host)
            except ValueError:
                raise ValueError(
                    "`match` must name the addresses of its calls, because `host` is a name"
                ) from None
        if self.register_there and not self.username:
            raise ValueError("`register = true` needs a `username`")
        return self


class Number(Section):
    """`[[numbers]]`: what a dialled number gives its caller."""

    number: Annotated[tuple[Dialled, ...], Field(min_length=1), BeforeValidator(_listed)]
    queue: Name
    service: Name | Literal[""] = ""  # its name in reports; "" for the queue's name
    language: Language | Literal[""] = ""
    hours: str = ""  # "" for always open
    skills: Skills = ""  # asked for besides what the queue asks for
    head_start_seconds: Seconds = 0
    agent: Annotated[str, _matching(r"[0-9]{0,12}", "an agent's number: 1 to 12 digits")] = (
        ""  # has its callers first
    )
    night_switch: Flag = True
    closed_prompts: tuple[Prompt, ...] = ("closed",)


class Hours(Section):
    """`[hours.NAME]`. `days` wins over make-up days, they over holidays, these over the week."""

    week: dict[DayNames, DayHours]
    zone: Annotated[str, AfterValidator(lambda value: _zone(value) if value else value)] = ""
    holidays: Country | None = None  # None for the site's country
    make_up: Flag = True  # weekends that the country makes working days: open as on the first working day
    days: dict[Day, DayHours] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _week_is_readable(self) -> Hours:
        opening.week(self.week)
        return self


class Ring(Section):
    """`{ after = 30, skills = "chinese" }`: what a caller asks of an agent after so many seconds."""

    after: Annotated[int, Field(strict=True, ge=1, le=86_400)]
    skills: Skills


class Target(Section):
    """Where a caller goes who leaves a queue; with neither `to_queue` nor `to_number` he is hung up."""

    to_queue: Name | Literal[""] = ""
    to_number: OutsideNumber | Literal[""] = ""
    prompts: tuple[Prompt, ...] = ()

    @model_validator(mode="after")
    def _one_target(self) -> Target:
        if self.to_queue and self.to_number:
            raise ValueError("expected `to_queue` or `to_number`, not both")
        return self


class Exit(Target):
    """`[queues.exits]`: `1 = { to_queue = "sales" }`, the key that a waiting caller presses."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Exit:
        if not (self.to_queue or self.to_number or self.prompts):
            raise ValueError("expected `to_queue`, `to_number` or `prompts` (then he is hung up)")
        return self


class Overflow(Target):
    """`[[queues.overflow]]`: see `floor.plan.OverflowWhen` for what `when` means."""

    when: OverflowWhen
    seconds: Seconds = 0
    count: Count = 0

    @model_validator(mode="after")
    def _has_its_measure(self) -> Overflow:
        if self.when in (OverflowWhen.WAIT, OverflowWhen.EXPECTED_WAIT) and not self.seconds:
            raise ValueError(f'`when = "{self.when}"` needs `seconds`, at least 1')
        if (self.when is OverflowWhen.LENGTH) != bool(self.count):
            raise ValueError('`count`, at least 1, belongs to `when = "length"` and to no other')
        if self.when is OverflowWhen.LENGTH and self.seconds:
            raise ValueError('`seconds` means nothing for `when = "length"`')
        return self


class Announce(Section):
    """`announce`: what a waiting caller is told of his wait; seconds after he joined."""

    position: Flag = False
    expected_wait: Flag = False
    first_after: Annotated[int, Field(strict=True, ge=1, le=3600)] = 15
    every: Annotated[int, Field(strict=True, ge=10, le=3600)] | Literal[0] = 45  # 0: only once

    @model_validator(mode="after")
    def _tells_something(self) -> Announce:
        if not (self.position or self.expected_wait):
            raise ValueError("expected `position = true`, `expected_wait = true` or both")
        return self


class Message(Section):
    """`[[queues.messages]]`: prompts played again and again to a waiting caller."""

    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1)]
    every: Annotated[int, Field(strict=True, ge=10, le=3600)]


class Queue(Section):
    """`[[queues]]`: see `floor.plan.QueuePlan` for what each key means."""

    name: Name
    title: Title | Literal[""] = ""
    number: InternalNumber | Literal[""] = ""
    strategy: Strategy = Strategy.LONGEST_IDLE
    skills: Skills = ""
    prefer: Annotated[tuple[SkillName, ...], Field(max_length=8), BeforeValidator(_listed)] = ()
    rings: tuple[Ring, ...] = ()
    weight_seconds: Seconds = 0
    sticky_seconds: Seconds = 0
    misses: Annotated[int, Field(strict=True, ge=0, le=100)] = 1
    retry_after_seconds: Annotated[int, Field(strict=True, ge=1, le=3600)] = 5
    ring_seconds: Annotated[int, Field(strict=True, ge=3, le=300)] = 20
    wrapup_seconds: Seconds | Literal["until_ended"] = 0
    wrapup_extend_seconds: Annotated[int, Field(strict=True, ge=5, le=3600)] = 60
    disposition: DispositionRule = DispositionRule.OPTIONAL
    dispositions: dict[Digits, Result] = Field(default_factory=dict)
    disposition_limit_seconds: Annotated[int, Field(strict=True, ge=10, le=7200)] = 300
    service_level_seconds: Annotated[int, Field(strict=True, ge=1, le=3600)] = 20
    short_abandon_seconds: Annotated[float, Field(ge=0, le=300)] = 5.0
    greeting: tuple[Prompt, ...] = ()
    music: Name | Literal[""] = ""
    answer_after_seconds: Annotated[int, Field(strict=True, ge=1, le=120)] = 20
    ringing_music: Name = "default"
    announce: Announce | None = None
    messages: tuple[Message, ...] = ()
    exits: dict[Annotated[str, _matching(r"[0-9*#]", "one key: 0-9, * or #")], Exit] = Field(
        default_factory=dict
    )
    overflow: tuple[Overflow, ...] = ()
    tell_agent_number: Flag = False
    whisper: Flag = False
    title_prompts: tuple[Prompt, ...] = ()
    record: RecordRule = "none"  # "all", "none", "on_demand", or 0-100: so many of a hundred
    record_keep_days: Annotated[int, Field(strict=True, ge=0, le=36_500)] | None = (
        None  # None for [recording]
    )

    @model_validator(mode="after")
    def _rings_widen_in_order(self) -> Queue:
        times = [ring.after for ring in self.rings]
        if times != sorted(set(times)):
            raise ValueError(
                f"`rings` must come one after the other: `after` is {', '.join(map(str, times))}"
            )
        return self

    @property
    def record_percent(self) -> int:
        """So many of a hundred conversations are recorded without being asked."""
        return self.record if isinstance(self.record, int) else 100 if self.record == "all" else 0

    @model_validator(mode="after")
    def _dispositions_are_usable(self) -> Queue:
        if self.disposition is DispositionRule.REQUIRED and not self.dispositions:
            raise ValueError('`disposition = "required"` needs `dispositions`, such as { 1 = "sold" }')
        for digits in self.dispositions:
            longer = [other for other in self.dispositions if other != digits and other.startswith(digits)]
            if longer:
                raise ValueError(f"`dispositions`: {digits} begins {', '.join(longer)}: which is meant?")
        names = list(self.dispositions.values())
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f'`dispositions`: "{twice[0]}" is there twice')
        return self


class Phones(Section):
    """`[[phones]]`: one phone or a range of them.

    They register with the password of the secrets file; with `contact` they are always at that address
    (`{number}` stands for the phone's number), and only that address may call in their name.
    """

    range: PhoneRange
    language: Language | Literal[""] = ""
    contact: str = ""
    password: Flag = True  # False only with `contact`: its address is enough
    codecs: Annotated[tuple[Codec, ...], Field(min_length=1)] = ("alaw", "ulaw", "g722")

    @model_validator(mode="after")
    def _contact_is_usable(self) -> Phones:
        if self.contact and not re.fullmatch(
            r"sip:([A-Za-z0-9._+-]|\{number\})+@[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]{2,5})?(;transport=(udp|tcp))?",
            self.contact,
        ):
            raise ValueError('`contact` must look like "sip:{number}@192.0.2.7:5060", with an IPv4 address')
        if not self.contact and not self.password:
            raise ValueError("`password = false` is only for phones with a fixed `contact`")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return expand(self.range)


class Features(Section):
    """`[features]`: the codes that agents dial, and (TALK_CODES) those they key during a talk."""

    login_connected: Code = "*10"
    login: Code = "*11"
    logout: Code = "*12"
    ready: Code = "*13"
    not_ready: Code = "*14"
    wrapup_end: Code = "*15"
    record: Code = "*7"
    record_pause: Code = "*9"
    wrapup_extend: Code = "*16"
    disposition: Code = "*17"
    end_contact: Code = "*0"
    listen: Code = "*81"  # these seven are followed by an agent's number, and for leaders only
    whisper: Code = "*82"
    barge: Code = "*83"
    force_logout: Code = "*84"
    force_ready: Code = "*85"
    force_not_ready: Code = "*86"
    speak: Code = "*87"  # to the teams that he leads; no number follows
    take_over: Code = "*88"
    hold: Code = "*1"
    transfer: Code = "*2"
    consult: Code = "*3"
    swap: Code = "*4"
    join: Code = "*5"
    give_up: Code = "*6"
    night_on: Code = "*18"
    night_off: Code = "*19"


class Emergency(Section):
    """`[emergency]`: numbers that leave from any phone by plain dialplan, whatever else is broken."""

    numbers: Annotated[tuple[EmergencyNumber, ...], Field(min_length=1)] = ("110", "119", "120", "122")
    prefixes: tuple[
        Annotated[str, _matching(r"[0-9]{1,2}", "one or two digits")], ...
    ] = ()  # "0": 0110 works too
    trunks: tuple[Name, ...] = ()  # in this order; () for all trunks in theirs
    caller_id: OutsideNumber | Literal[""] = ""  # "" for the trunk's


class Recording(Section):
    """`[recording]`: what holds for all recordings; `record` of a queue says which calls are recorded."""

    announce: tuple[Prompt, ...] = ()  # after the greeting, to callers who may be recorded
    beep: Flag = False  # as a recording begins, for both to hear
    folder: str = ""  # "" for recordings/ in the run directory
    keep_days: Annotated[int, Field(strict=True, ge=0, le=36_500)] = 0  # then they are removed; 0 never
    min_free_mb: Annotated[int, Field(strict=True, ge=0, le=100_000_000)] = 500  # with less, none is made

    @model_validator(mode="after")
    def _folder_is_absolute(self) -> Recording:
        if self.folder and (not self.folder.startswith("/") or "\0" in self.folder):
            raise ValueError('`folder` must be a whole path such as "/srv/recordings"')
        return self


# Keyed during a talk; the others are dialled. The two never meet, so *1 and *11 may stand side by side.
TALK_CODES = (
    *("hold", "transfer", "consult", "swap", "join", "give_up"),
    *("end_contact", "record", "record_pause"),
)


class Transfers(Section):
    """`[transfers]`: where agents may send callers. Queues, agents and phones always; outside numbers only
    those that match one of `outside`: digits, X any, N 2-9, Z 1-9, [13-5], a last "." for any more digits."""

    outside: tuple[OutsidePattern, ...] = ()


class Redis(Section):
    """`[redis]`"""

    url: Annotated[str, _url("redis", "rediss", "unix")] = Field(
        default="", repr=False
    )  # "": our own private one


class Postgres(Section):
    """`[postgres]`"""

    url: Annotated[str, _url("postgresql", "postgres")] = Field(
        default="", repr=False
    )  # "": our own private one


class Asterisk(Section):
    """`[asterisk]`: addresses and ports. HTTP (ARI) and AMI listen on 127.0.0.1 alone."""

    address: Annotated[str, _matching(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", "an IPv4 address")] = "0.0.0.0"  # noqa: S104 - phones and trunks
    external_address: Host | Literal[""] = ""  # behind NAT: what the world sees
    local_networks: tuple[Address, ...] = ()
    sip_port: Port = 5060
    tcp: Flag = True
    http_port: Port = 8088
    ami_port: Port = 5038
    rtp: PortRange = "10000-19999"
    udptl: PortRange = "4000-4999"


class Timings(Section):
    """`[timings]`: seconds."""

    heartbeat_old: Annotated[int, Field(strict=True, ge=2, le=30)] = 3  # an engine silent for so long is dead
    stasis_retry: Annotated[int, Field(strict=True, ge=1, le=30)] = (
        3  # under ringing, then the fallback queue
    )
    fallback_max_wait: Annotated[int, Field(strict=True, ge=30, le=7200)] = 900
    register_expiry: Annotated[int, Field(strict=True, ge=60, le=7200)] = 600


class Site(Section):
    """The whole site file."""

    site: Centre
    floor: Floor = Floor()
    trunks: tuple[Trunk, ...] = ()
    numbers: tuple[Number, ...] = ()
    hours: dict[Name, Hours] = Field(default_factory=dict)
    queues: Annotated[tuple[Queue, ...], Field(min_length=1)]
    phones: tuple[Phones, ...] = ()
    features: Features = Features()
    transfers: Transfers = Transfers()
    reasons: dict[Annotated[str, _matching(r"[0-9]", "one digit")], Name] = Field(default_factory=dict)
    music: dict[Name, str] = Field(default_factory=dict)  # class: folder with its files
    emergency: Emergency = Emergency()
    recording: Recording = Recording()
    redis: Redis = Redis()
    postgres: Postgres = Postgres()
    asterisk: Asterisk = Asterisk()
    timings: Timings = Timings()

    @property
    def language(self) -> str:
        return self.site.languages[0]

    @property
    def application(self) -> str:
        """The name of the floor's ARI application."""
        return f"floor-{self.floor.name}"

    @property
    def records(self) -> bool:
        """Whether any call may be recorded."""
        return any(queue.record not in ("none", 0) for queue in self.queues)

    @property
    def phone_names(self) -> tuple[str, ...]:
        return tuple(name for phones in self.phones for name in phones.names)
