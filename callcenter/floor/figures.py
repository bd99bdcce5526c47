"""Every formula of the reports, in one place: pure functions over contacts that have ended.

Terms are those of the contact-centre trade (COPC CX Standard; ITU-T E.423 for waiting and abandonment).
A figure that has nothing to be taken of is None, never 0: "no calls" is not "bad service".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from callcenter.floor.records import ContactClosed, Outcome

SERVICE_LEVEL_FORMULA = "answered within {seconds} s / (offered - short abandoned)"

# Outcomes of contacts that a queue was never asked to serve.
_NOT_OFFERED = frozenset({Outcome.CLOSED, Outcome.UNKNOWN_NUMBER})
_TURNED_AWAY = frozenset({Outcome.FULL, Outcome.MAX_WAIT, Outcome.OVERFLOWED})
_BROKEN = frozenset({Outcome.LOST, Outcome.LEFT})


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of some contacts of one queue; times in seconds, ratios from 0 to 1.

    offered = answered + abandoned + short_abandoned + turned_away + broken_off: every contact that this
    queue was asked to serve. Callers outside opening hours, or who dialled a number that nobody serves,
    are not offered.

    - turned_away: the queue was full, the longest wait was over, or sent to the outside number;
    - broken_off: lost by our side or taken out of our hands before an answer: shown, never hidden.
    """

    offered: int
    answered: int
    answered_in_time: int
    abandoned: int
    short_abandoned: int
    turned_away: int
    broken_off: int
    threshold_seconds: int
    service_level: float | None
    abandon_rate: float | None
    asa_seconds: float | None
    aht_seconds: float | None
    talk_seconds: float
    wrapup_seconds: float
    longest_wait_seconds: float

    @property
    def service_level_formula(self) -> str:
        return SERVICE_LEVEL_FORMULA.format(seconds=self.threshold_seconds)


def figures(
    contacts: Iterable[ContactClosed], threshold_seconds: int, wrapup_seconds: float = 0.0
) -> Figures:
    """Fold contacts; `wrapup_seconds` is the sum of the wrap-ups that belong to them."""
    counts = dict.fromkeys(Outcome, 0)
    in_time = 0
    waited = talked = longest = 0.0
    for contact in contacts:
        if not is_offered(contact):
            continue
        # a contact cut off by our side while it talked was answered, and its service counts
        outcome = Outcome.ANSWERED if contact.connected_at else contact.outcome
        counts[outcome] += 1
        longest = max(longest, contact.wait_seconds)
        if outcome is Outcome.ANSWERED:
            in_time += contact.wait_seconds <= threshold_seconds
            waited += contact.wait_seconds
            talked += contact.talk_seconds
    answered = counts[Outcome.ANSWERED]
    short = counts[Outcome.SHORT_ABANDONED]
    offered = sum(counts.values())
    return Figures(
        offered=offered,
        answered=answered,
        answered_in_time=in_time,
        abandoned=counts[Outcome.ABANDONED],
        short_abandoned=short,
        turned_away=sum(counts[outcome] for outcome in _TURNED_AWAY),
        broken_off=sum(counts[outcome] for outcome in _BROKEN),
        threshold_seconds=threshold_seconds,
        service_level=service_level(in_time, offered, short),
        abandon_rate=abandon_rate(counts[Outcome.ABANDONED], offered, short),
        asa_seconds=average_speed_of_answer(waited, answered),
        aht_seconds=average_handling_time(talked, wrapup_seconds, answered),
        talk_seconds=talked,
        wrapup_seconds=wrapup_seconds,
        longest_wait_seconds=longest,
    )


def is_offered(contact: ContactClosed) -> bool:
    """Was a queue asked to serve this contact?"""
    return bool(contact.queue) and contact.outcome not in _NOT_OFFERED


def service_level(answered_in_time: int, offered: int, short_abandoned: int) -> float | None:
    """Answered within the threshold / (offered - short abandoned).

    The threshold counts from joining the queue. Callers who gave up sooner than anybody could have
    answered are left out; all others who were not answered in time count against it.
    """
    return _ratio(answered_in_time, offered - short_abandoned)


def abandon_rate(abandoned: int, offered: int, short_abandoned: int) -> float | None:
    """Abandoned / (offered - short abandoned)."""
    return _ratio(abandoned, offered - short_abandoned)


def average_speed_of_answer(wait_seconds: float, answered: int) -> float | None:
    """ASA: waiting time of the answered / answered; from joining the queue to the connect, ringing too."""
    return _ratio(wait_seconds, answered)


def average_handling_time(talk_seconds: float, wrapup_seconds: float, answered: int) -> float | None:
    """AHT: (talk + wrap-up) / answered. Hold is a part of talk."""
    return _ratio(talk_seconds + wrapup_seconds, answered)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
