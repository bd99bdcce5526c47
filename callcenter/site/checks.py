"""What the sections of a site say of one another: unknown names, overlaps, codes that shadow codes.

Works on a site of which parts may be unreadable (None), so that all faults are told in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from rapidfuzz import process

from callcenter.floor.plan import ANY_NUMBER
from callcenter.site.changes import RESERVED_NAMES
from callcenter.site.model import TALK_CODES, Queue, Site, Target, Trunk
from callcenter.site.numbers import expand
from callcenter.site.places import Path as KeyPath

Fault = tuple[KeyPath, str]


def cross_check(site: Site, raw: Mapping[str, Any], folder: Path) -> list[Fault]:
    """Every fault between the sections of `site`; `raw` is the file as read, `folder` where it lies."""
    return [
        *_names_given_twice(site, raw),
        *_references(site, raw),
        *_circles(site),
        *_numbers(site),
        *_sticky(site),
        *_phones(site),
        *_queue_numbers(site),
        *_codes(site),
        *_emergency(site),
        *_transfers(site),
        *_trunk_addresses(site),
        *_ports(site),
        *_folders(site, folder),
    ]


def _named(raw: Mapping[str, Any], section: str) -> list[str]:
    """The names of an array's elements as the file has them, also of elements with faults."""
    elements = raw.get(section, [])
    if not isinstance(elements, list):
        return []
    return [str(element.get("name", "")) for element in elements if isinstance(element, dict)]


def _names_given_twice(site: Site, raw: Mapping[str, Any]) -> Iterator[Fault]:
    for section in ("trunks", "queues"):
        names = _named(raw, section)
        for index, name in enumerate(names):
            # The dialplan's variables have _ where a trunk's name has -.
            alike = [other.replace("-", "_") for other in names[:index]]
            if name and name.replace("-", "_") in alike:
                where = alike.index(name.replace("-", "_"))
                yield (
                    (section, index, "name"),
                    f'"{name}" is already the name of {section}[{where + 1}] (- and _ are alike)',
                )
    for index, trunk in _present(site.trunks):
        if trunk.name in RESERVED_NAMES:
            yield (
                ("trunks", index, "name"),
                f'"{trunk.name}" has a meaning of its own in pjsip.conf: take another',
            )
    services: dict[str, int] = {}
    for index, number in _present(site.numbers):
        if not number.service:
            continue
        if number.service in services:
            first = f"numbers[{services[number.service] + 1}]"
            yield (
                ("numbers", index, "service"),
                f'"{number.service}" is already the service of {first}: list all its numbers there',
            )
        services.setdefault(number.service, index)


def _references(site: Site, raw: Mapping[str, Any]) -> Iterator[Fault]:
    queues, trunks = _named(raw, "queues"), _named(raw, "trunks")
    hours, languages = list(site.hours), _languages(site, raw)
    music = ["default", *site.music]
    for index, number in _present(site.numbers):
        yield from _known(("numbers", index, "queue"), number.queue, queues, "queue")
        if number.hours:
            yield from _known(("numbers", index, "hours"), number.hours, hours, "hours")
        if number.language:
            yield from _known(("numbers", index, "language"), number.language, languages, "language")
    for index, phones in _present(site.phones):
        if phones.language:
            yield from _known(("phones", index, "language"), phones.language, languages, "language")
    for index, queue in _present(site.queues):
        if queue.music:
            yield from _known(("queues", index, "music"), queue.music, music, "music")
        yield from _known(("queues", index, "ringing_music"), queue.ringing_music, music, "music")
        for key, target in _ways_out(queue):
            if target.to_queue == queue.name:
                yield ("queues", index, *key, "to_queue"), "leads back into the same queue"
            elif target.to_queue:
                yield from _known(("queues", index, *key, "to_queue"), target.to_queue, queues, "queue")
            if target.to_number and not trunks:
                yield (
                    ("queues", index, *key, "to_number"),
                    "no outside number can be reached without a [[trunks]]",
                )
    if site.floor.standing_music:
        yield from _known(("floor", "standing_music"), site.floor.standing_music, music, "music")
    for name in site.emergency.trunks:
        yield from _known(("emergency", "trunks"), name, trunks, "trunk")


def _ways_out(queue: Queue) -> Iterator[tuple[KeyPath, Target]]:
    for number, rule in enumerate(queue.overflow):
        yield ("overflow", number), rule
    for key, target in queue.exits.items():
        yield ("exits", key), target


def _circles(site: Site) -> Iterator[Fault]:
    """Overflow rules that would send a caller round. The floor lets nobody into a queue twice, yet the last
    rule of such a circle does nothing, which nobody who wrote it expects. Keys may lead back."""
    rules: dict[str, list[tuple[KeyPath, str]]] = {}
    for index, queue in _present(site.queues):
        rules[queue.name] = [
            (("queues", index, "overflow", number, "to_queue"), rule.to_queue)
            for number, rule in enumerate(queue.overflow)
            if rule.to_queue and rule.to_queue != queue.name
        ]

    def way(start: str, goal: str, been: tuple[str, ...]) -> tuple[str, ...]:
        """The queues from `start` to `goal`, () if there is no way."""
        if start == goal:
            return (*been, goal)
        for _, target in rules.get(start, ()) if start not in been else ():
            if found := way(target, goal, (*been, start)):
                return found
        return ()

    told: set[frozenset[str]] = set()
    for name, targets in rules.items():
        for at, target in targets:
            circle = way(target, name, ())
            if circle and frozenset(circle) not in told:
                told.add(frozenset(circle))
                yield at, f"sends callers round in a circle: {' -> '.join((name, *circle))}"


def _languages(site: Site, raw: Mapping[str, Any]) -> list[str]:
    """The site's languages, also when other keys of [site] have faults."""
    centre = raw.get("site")
    given = centre.get("languages") if isinstance(centre, dict) else None
    return [*site.site.languages, *(str(language) for language in given or () if isinstance(given, list))]


def _known(at: KeyPath, name: str, names: list[str], what: str) -> Iterator[Fault]:
    if name in names:
        return
    best = process.extractOne(name, names, score_cutoff=60)
    hint = f'did you mean "{best[0]}"?' if best else f"known: {', '.join(names) or 'none'}"
    yield at, f'no {what} is named "{name}"; {hint}'


def _numbers(site: Site) -> Iterator[Fault]:
    owners: dict[str, int] = {}
    for index, entry in _present(site.numbers):
        for number in entry.number:
            if number in owners:
                what = "any other number" if number == ANY_NUMBER else f"number {number}"
                yield (
                    ("numbers", index, "number"),
                    f"{what} is already given to numbers[{owners[number] + 1}]",
                )
            owners.setdefault(number, index)


def _sticky(site: Site) -> Iterator[Fault]:
    waits = {queue.name: queue.sticky_seconds for _, queue in _present(site.queues)}
    for index, entry in _present(site.numbers):
        if entry.agent and waits.get(entry.queue, 1) == 0:
            yield (
                ("numbers", index, "agent"),
                f'queue "{entry.queue}" must say for how long its callers wait for him: sticky_seconds',
            )


def _phones(site: Site) -> Iterator[Fault]:
    owners: dict[str, int] = {}
    for index, phones in _present(site.phones):
        taken: dict[int, list[str]] = {}
        for name in phones.names:
            if name in owners:
                taken.setdefault(owners[name], []).append(name)
            owners.setdefault(name, index)
        for owner, names in taken.items():
            which = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
            yield ("phones", index, "range"), f"{which} is already in phones[{owner + 1}]"
        if phones.contact and len(phones.names) > 1 and "{number}" not in phones.contact:
            yield ("phones", index, "contact"), 'needs "{number}" for a range: else all its phones are one'
    readable = None not in site.phones  # else a phone that is missing may be in the part with faults
    for text in site.site.fallback_phones if readable else ():
        if missing := [name for name in expand(text) if name not in owners]:
            yield ("site", "fallback_phones"), f"{missing[0]} is no phone of [[phones]]"
    dialled = {number for _, entry in _present(site.numbers) for number in entry.number}
    for name in sorted(dialled & owners.keys()):
        yield ("phones", owners[name], "range"), f"{name} is also a number of [[numbers]]"


def _queue_numbers(site: Site) -> Iterator[Fault]:
    phones = set(site.phone_names) if None not in site.phones else set()
    owners: dict[str, str] = {}
    for index, queue in _present(site.queues):
        if not queue.number:
            continue
        if queue.number in owners:
            yield ("queues", index, "number"), f"{queue.number} is already queue {owners[queue.number]}'s"
        if queue.number in phones:
            yield ("queues", index, "number"), f"{queue.number} is also a phone"
        owners.setdefault(queue.number, queue.name)


def _transfers(site: Site) -> Iterator[Fault]:
    if site.transfers.outside and not site.trunks:
        yield ("transfers", "outside"), "no outside number can be reached without a [[trunks]]"


def _codes(site: Site) -> Iterator[Fault]:
    codes = {name: getattr(site.features, name) for name in type(site.features).model_fields}
    keyed = {name: codes.pop(name) for name in TALK_CODES}
    yield from _codes_that_shadow(codes)
    yield from _codes_that_shadow(keyed)


def _codes_that_shadow(codes: Mapping[str, str]) -> Iterator[Fault]:
    for name, code in codes.items():
        if alike := [other for other, other_code in codes.items() if other_code == code and other < name]:
            yield ("features", name), f"{code} is also the code of {alike[0]}"
        longer = [
            f"{other} ({text})" for other, text in codes.items() if text != code and text.startswith(code)
        ]
        if longer:
            yield ("features", name), f"{code} begins the codes of {', '.join(longer)}: which is meant?"


def _emergency(site: Site) -> Iterator[Fault]:
    phones = set(site.phone_names) if None not in site.phones else set()
    for number in site.emergency.numbers:
        for dialled in (number, *(prefix + number for prefix in site.emergency.prefixes)):
            if dialled in phones:
                yield (
                    ("emergency", "numbers"),
                    f"{dialled} is also a phone: an emergency number belongs to nobody",
                )
    if site.phones and not site.trunks:
        yield ("emergency",), "emergency calls need at least one [[trunks]] to leave by"


def _trunk_addresses(site: Site) -> Iterator[Fault]:
    seen: list[tuple[str, Trunk]] = []
    for index, trunk in _present(site.trunks):
        for text in trunk.match or (trunk.host,):
            network, port = _network_and_port(text)
            for other_text, other in seen:
                other_network, other_port = _network_and_port(other_text)
                if (
                    other is not trunk
                    and network.version == other_network.version
                    and network.overlaps(other_network)
                    and (not port or not other_port or port == other_port)
                ):
                    yield (
                        ("trunks", index, "match"),
                        f"{text} overlaps {other_text} of trunk {other.name}: a call could be from either",
                    )
            seen.append((text, trunk))


def _network_and_port(source: str) -> tuple[IPv4Network | IPv6Network, str]:
    """`"192.0.2.1:5062"` in its parts; no port: ""."""
    address, colon, port = source.rpartition(":")
    if not colon or ":" in address:
        return ip_network(source, strict=False), ""
    return ip_network(address), port


def _ports(site: Site) -> Iterator[Fault]:
    asterisk = site.asterisk
    singles = {"sip_port": asterisk.sip_port, "http_port": asterisk.http_port, "ami_port": asterisk.ami_port}
    names = list(singles)
    for index, name in enumerate(names):
        for other in names[:index]:
            if singles[name] == singles[other]:
                yield ("asterisk", name), f"port {singles[name]} is also {other}"
    ranges = {name: _bounds(getattr(asterisk, name)) for name in ("rtp", "udptl")}
    for name, (low, high) in ranges.items():
        if low <= asterisk.sip_port <= high:
            yield ("asterisk", name), f"{low}-{high} contains sip_port {asterisk.sip_port}"
        if high - low < 3:
            yield ("asterisk", name), f"{low}-{high} is too small: a call takes two ports"
    (rtp_low, rtp_high), (udptl_low, udptl_high) = ranges["rtp"], ranges["udptl"]
    if rtp_low <= udptl_high and udptl_low <= rtp_high:
        yield ("asterisk", "udptl"), "overlaps the ports of rtp"


def _bounds(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return int(low), int(high)


def _folders(site: Site, folder: Path) -> Iterator[Fault]:
    for name, place in site.music.items():
        if not isinstance(place, str):
            continue
        if not (folder / place).is_dir():
            yield ("music", name), f"there is no folder {folder / place}"
        elif any(letter in str(folder / place) for letter in ";[]{}$\\\n"):
            yield ("music", name), "the folder's path may not contain ;[]{}$\\"


def _present(elements: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    return ((index, element) for index, element in enumerate(elements) if element is not None)
