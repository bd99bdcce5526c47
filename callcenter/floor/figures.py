"""Every formula of the reports, in one place: pure functions over contacts that have ended.

Terms are those of the contact-centre trade (COPC CX Standard; ITU-T E.423 for waiting and abandonment).
A figure that has nothing to be taken of is None, never 0: "no calls" is not "bad service".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import exp, inf

from callcenter.floor.records import ContactClosed, Outcome, QueueMoved

SERVICE_LEVEL_FORMULA = "answered within {seconds} s / (offered - short abandoned)"

PACE_MEMORY_SECONDS = 600.0
PACE_LEAST_ANSWERS = 1.5
_PACE_NEARER = 0.25  # of the time since the last answer, by which the next is nearer; found on simulated days

# Outcomes of contacts that a queue was never asked to serve.
_NOT_OFFERED = frozenset({Outcome.CLOSED, Outcome.UNKNOWN_NUMBER})
_TURNED_AWAY = frozenset(
    {
        *(Outcome.FULL, Outcome.MAX_WAIT, Outcome.UNSTAFFED, Outcome.LONG_WAIT),
        *(Outcome.OVERFLOWED, Outcome.EXITED),
    }
)
_BROKEN = frozenset({Outcome.LOST, Outcome.LEFT})


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of some contacts of one queue; times in seconds, ratios from 0 to 1.

    offered = answered + abandoned + short_abandoned + turned_away + moved_on + broken_off: every contact that
    this queue was asked to serve. Callers outside opening hours, or who dialled a number that nobody serves,
    are not offered.

    - turned_away: sent away or outside by a rule of the queue, or gone by one of its keys;
    - moved_on: went on to another queue. Such a contact is offered in each queue that it came to, and
      what became of it counts in the last; its wait counts from the first. In the queue that passed it on
      it is not answered in time, as one turned away is not. So the sum of the offered of several queues is
      the number of their calls and of the moves between them;
    - broken_off: lost by our side or taken out of our hands before an answer: shown, never hidden.
    """

    offered: int
    answered: int
    answered_in_time: int
    abandoned: int
    short_abandoned: int
    turned_away: int
    moved_on: int
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
    contacts: Iterable[ContactClosed],
    threshold_seconds: int,
    wrapup_seconds: float = 0.0,
    moves: Iterable[QueueMoved] = (),
) -> Figures:
    """Fold contacts and the moves out of the queue; `wrapup_seconds` is the sum of the wrap-ups of them."""
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
    moved_on = 0
    for move in moves:
        moved_on += 1
        longest = max(longest, move.wait_seconds)
    answered = counts[Outcome.ANSWERED]
    short = counts[Outcome.SHORT_ABANDONED]
    offered = sum(counts.values()) + moved_on
    return Figures(
        offered=offered,
        answered=answered,
        answered_in_time=in_time,
        abandoned=counts[Outcome.ABANDONED],
        short_abandoned=short,
        turned_away=sum(counts[outcome] for outcome in _TURNED_AWAY),
        moved_on=moved_on,
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


@dataclass(frozen=True, slots=True)
class AgentFigures:
    """One agent's figures. A call that went through several agents counts for each, with his own time;
    `consulted` are those that another agent only asked him about, which are no part of AHT."""

    calls: int
    talk_seconds: float  # hold included
    hold_seconds: float
    wrapup_seconds: float
    consulted: int
    consulted_seconds: float

    @property
    def aht_seconds(self) -> float | None:
        return average_handling_time(self.talk_seconds, self.wrapup_seconds, self.calls)


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


@dataclass(slots=True)
class AnswerPace:
    """How fast a queue's callers have been answered and have given up of late, while some had to wait.

    Sums in which what is `PACE_MEMORY_SECONDS` of waiting ago counts 1/e: five numbers a queue, for ever.
    """

    answers: float = 0.0
    answer_seconds: float = 0.0  # during which those answers were waited for
    gave_up: float = 0.0
    waited_seconds: float = 0.0  # by all who left, answered or not
    ring_seconds: float = 0.0  # from the offer to the answer
    last_at: float = 0.0  # the last answer

    def answered(self, at: float, joined_at: float, ring_seconds: float) -> None:
        """A caller who had to wait was answered."""
        since = self.last_at if self.last_at > joined_at else joined_at
        interval = at - since if at > since else 0.0
        kept = exp(-interval / PACE_MEMORY_SECONDS)
        self.answers = self.answers * kept + 1.0
        self.answer_seconds = self.answer_seconds * kept + interval
        self.gave_up *= kept
        self.waited_seconds = self.waited_seconds * kept + (at - joined_at if at > joined_at else 0.0)
        share = 1.0 / self.answers if self.answers < 10.0 else 0.1
        self.ring_seconds += share * (ring_seconds - self.ring_seconds)
        if at > self.last_at:
            self.last_at = at

    def abandoned(self, waited_seconds: float) -> None:
        self.gave_up += 1.0
        self.waited_seconds += waited_seconds

    def left(self, waited_seconds: float) -> None:
        """A caller was sent elsewhere; how long he would have had patience is not known."""
        self.waited_seconds += waited_seconds

    def text(self) -> str:
        """As one line, to be saved."""
        return " ".join(f"{getattr(self, each.name):.3f}" for each in fields(self))

    @classmethod
    def read(cls, text: str) -> AnswerPace:
        """What `text` gave; a pace that knows nothing yet of anything else."""
        try:
            numbers = [float(word) for word in text.split()]
        except ValueError:
            return cls()
        sound = len(numbers) == len(fields(cls)) and all(0.0 <= number < inf for number in numbers)
        return cls(*numbers) if sound else cls()


def expected_wait(pace: AnswerPace, ahead: int, now: float, backlog_since: float) -> float | None:
    """Seconds until a caller with `ahead` others before him is answered; None until some have been.

    The queue-length estimator with abandonment of W. Whitt ("Predicting queueing delays", Management Science
    45, 1999; QL_m in R. Ibrahim and W. Whitt, "Real-time delay estimation in overloaded multiserver queues
    with abandonments", Management Science 55, 2009), for a caller who does not give up himself:

        sum over i = 1 … ahead + 1 of 1 / (answers per second + i * give-ups per caller waiting and second)

    In the model of exponential times that is the mean wait of those who are answered: while i - 1 are ahead,
    one of them leaves or is answered, and had the caller given up first he would not be one of these.

    Both rates are measured (`AnswerPace`). The estimate moves between answers: as time passes without one the
    next comes nearer, by a quarter of that time (talks of a few agents end more regularly than by chance);
    from the usual interval on, all further time counts as waited for in vain, and the estimate grows. Time
    without an answer counts from `backlog_since`, when the first of those who wait came, at the earliest.
    To all this comes the usual time from the offer to the answer.

    Held by tests/floor/test_expected_wait.py against days of the real floor under a virtual clock.
    """
    if pace.answers < PACE_LEAST_ANSWERS:
        return None
    if pace.answer_seconds <= 0.0:
        return pace.ring_seconds
    interval = pace.answer_seconds / pace.answers
    quiet = max(0.0, now - max(pace.last_at, backlog_since))
    rate = pace.answers / (pace.answer_seconds + max(0.0, quiet - interval))
    give_up = pace.gave_up / pace.waited_seconds if pace.waited_seconds > 0.0 else 0.0
    stages = sum(1.0 / (rate + place * give_up) for place in range(1, ahead + 2))
    return pace.ring_seconds + max(0.0, stages - _PACE_NEARER * min(quiet, interval))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
