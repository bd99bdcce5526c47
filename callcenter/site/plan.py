"""From the checked site file to what the floor and the switch read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from holidays import country_holidays

from callcenter.floor.plan import (
    UNTIL_ENDED,
    Announce,
    FeatureCodes,
    FloorPlan,
    HoursPlan,
    Message,
    Overflow,
    PhonePlan,
    QueuePlan,
    Ring,
    ServicePlan,
    Span,
    Target,
)
from callcenter.site import opening, skills
from callcenter.site.model import Hours, Number, Queue, Site
from callcenter.site.numbers import outside_pattern

_YEARS_AHEAD = 5  # an engine that runs longer without a restart or an `apply` loses sight of holidays


def floor_plan(site: Site, today: date | None = None) -> FloorPlan:
    """The plan of the site's floor; its holidays reach from last year to five years after `today` (now)."""
    year = (today or datetime.now(UTC).date()).year
    years = range(year - 1, year + _YEARS_AHEAD + 1)
    services = [_service(site, number) for number in site.numbers]
    return FloorPlan(
        name=site.floor.name,
        services={service.name: service for service in services},
        queues={queue.name: _queue(queue) for queue in site.queues},
        hours={name: _hours(site, name, hours, years) for name, hours in site.hours.items()},
        phones={
            name: PhonePlan(name, phones.language or site.language)
            for phones in site.phones
            for name in phones.names
        },
        features=FeatureCodes(**site.features.model_dump()),
        reasons=dict(site.reasons),
        language=site.language,
        transfer_outside=tuple(outside_pattern(text) for text in site.transfers.outside),
        login_ready=site.floor.login_ready,
        pin_tries=site.floor.pin_tries,
        pin_lock_seconds=site.floor.pin_lock_seconds,
        recording_announcement=site.recording.announce,
        recording_beep=site.recording.beep,
        session_seconds=site.floor.session_seconds,
        standing_music=site.floor.standing_music,
    )


def phone_endpoints(site: Site) -> Mapping[str, str]:
    """Dial string by phone. Every phone is an endpoint of its own, registering or with a fixed contact."""
    return {name: f"PJSIP/{name}" for name in site.phone_names}


def service_name(site: Site, number: Number) -> str:
    """The service's name: as given, else its queue's where unambiguous, else queue and number."""
    if number.service:
        return number.service
    others = [entry for entry in site.numbers if entry is not number]
    taken = {entry.service or entry.queue for entry in others}
    return number.queue if number.queue not in taken else f"{number.queue}-{number.number[0]}"


def _service(site: Site, number: Number) -> ServicePlan:
    return ServicePlan(
        name=service_name(site, number),
        numbers=number.number,
        queue=number.queue,
        language=number.language or site.language,
        skills=skills.parse(number.skills),
        head_start_seconds=number.head_start_seconds,
        agent=number.agent,
        hours=number.hours,
        night_switch=number.night_switch,
        closed_prompts=number.closed_prompts,
    )


def _queue(queue: Queue) -> QueuePlan:
    wrapup = UNTIL_ENDED if queue.wrapup_seconds == "until_ended" else queue.wrapup_seconds
    parsed = {
        "wrapup_seconds": wrapup,
        "title": queue.title or queue.name,
        "skills": skills.parse(queue.skills),
        "rings": tuple(Ring(ring.after, skills.parse(ring.skills)) for ring in queue.rings),
        "announce": Announce(**queue.announce.model_dump()) if queue.announce else None,
        "messages": tuple(Message(**message.model_dump()) for message in queue.messages),
        "exits": {key: Target(**target.model_dump()) for key, target in queue.exits.items()},
        "overflow": tuple(Overflow(**rule.model_dump()) for rule in queue.overflow),
        "record_percent": queue.record_percent,
        "record_on_demand": queue.record == "on_demand",
    }
    given = queue.model_dump(exclude={"record", "record_keep_days"})
    return QueuePlan(**{**given, **parsed})


def _hours(site: Site, name: str, hours: Hours, years: range) -> HoursPlan:
    week = opening.week(hours.week)
    country = site.site.country if hours.holidays is None else hours.holidays
    closed: frozenset[date] = frozenset()
    days: dict[date, tuple[Span, ...]] = {}
    if country:
        calendar = country_holidays(country, years=years)
        closed = frozenset(calendar)
        if hours.make_up:
            usual = next((day for day in week if day), ())
            workdays: set[date] = getattr(calendar, "weekend_workdays", set())
            days = {day: usual for day in workdays if day.year in years}
    days |= {date.fromisoformat(day): opening.spans(text) for day, text in hours.days.items()}
    return HoursPlan(name, ZoneInfo(hours.zone or site.site.zone), week, closed, days)
