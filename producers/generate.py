"""Generates events and publishes them: from a plan to a summary of what was sent and acknowledged.

No event is sent before its time has come. Without a rate the events are spread over the hours that lie behind, up to
now, and sent as fast as Kafka takes them; with a rate each is sent as it happens.
"""

import math
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from msgspec import Struct

from loglake.errors import BadInputError, ServiceError
from loglake.events import EARLIEST_EVENT
from loglake.settings import settings
from producers import generator, moments, pools
from producers.flaws import Flaws, flawed
from producers.ledger import Ledger
from producers.pools import Pools, Recipe
from producers.publisher import Publisher, Stats
from producers.record import Record

DEFAULT_COUNT = 10_000
#: Events per second of a run for a duration whose rate is not given.
DEFAULT_RATE = 100.0
#: Without a rate: the events lie this close together, but over no less than an hour and no more than a day.
_PAST_RATE, _LEAST_SECONDS, _MOST_SECONDS = 10.0, 3600.0, 86_400.0
_WAKE_SECONDS = 0.01
_PROGRESS_SECONDS = 0.1


class Plan(Struct, frozen=True):
    """What to generate. `count` is of events; resent records come on top. With neither count nor duration, a rate runs until stopped."""

    count: int | None = None
    duration: timedelta | None = None
    rate: float | None = None
    seed: int | None = None
    start: datetime | None = None
    flaws: Flaws = Flaws()
    pools: Recipe = Recipe()

    def __post_init__(self) -> None:
        if self.count is not None and self.duration is not None:
            raise BadInputError("give a count or a duration, not both")
        if self.count is not None and self.count < 1:
            raise BadInputError(f"the count must be at least 1, not {self.count}")
        if self.rate is not None and not 0 < self.rate <= 1_000_000:
            raise BadInputError(f"the rate must be more than 0 and at most 1,000,000 events a second, not {self.rate:g}")
        if self.duration is not None and self.duration <= timedelta():
            raise BadInputError("the duration must be more than 0 seconds")


class Schedule(Struct, frozen=True):
    """A plan made definite: the seed, the first moment (Unix seconds), how many events, and how fast or up to when."""

    seed: int
    start: float
    number: int | None
    per_second: float
    real_time: bool

    @property
    def key(self) -> str:
        """What all chance of the run comes from."""
        return f"{self.seed} {self.start:.6f}"


class Summary(Struct, frozen=True):
    """What a run did. `labels` counts the records handed over for sending, `seconds` is until the last acknowledgement."""

    seed: int
    start: datetime
    stats: Stats
    labels: dict[str, int]
    seconds: float

    @property
    def per_second(self) -> float:
        return self.stats.acknowledged / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        return f"{describe(self.stats)}, {self.per_second:,.0f}/s, seed {self.seed}, start {self.start.isoformat()}"


def describe(stats: Stats) -> str:
    """One line: sent, acknowledged, and by reason what was not."""
    parts = [f"sent {stats.sent:,}", f"acknowledged {stats.acknowledged:,}"]
    for name, reasons in (("failed", stats.failed), ("refused", stats.refused)):
        why = ", ".join(f"{reason} {number:,}" for reason, number in sorted(reasons.items()))
        parts.append(f"{name} {sum(reasons.values()):,}" + (f" ({why})" if why else ""))
    return ", ".join(parts)


def schedule(plan: Plan, now: float) -> Schedule:
    """When the plan's events happen, seen from `now` (Unix seconds); BadInputError when that is in the future or too long ago."""
    seed = secrets.randbelow(2**31) if plan.seed is None else plan.seed
    if plan.rate is not None or plan.duration is not None:
        rate = plan.rate or DEFAULT_RATE
        number = max(1, round(rate * plan.duration.total_seconds())) if plan.duration else plan.count
        made = Schedule(seed, plan.start.timestamp() if plan.start else now, number, rate, real_time=True)
    else:
        number = plan.count or DEFAULT_COUNT
        span = min(max(number / _PAST_RATE, _LEAST_SECONDS), _MOST_SECONDS)
        start = plan.start.timestamp() if plan.start else now - span
        made = Schedule(seed, start, number, number / max(now - start, 1.0), real_time=False)
    if made.start > now:
        raise BadInputError(f"the start {plan.start} lies in the future: no event is sent before it happens")
    if made.start < EARLIEST_EVENT.timestamp() + plan.flaws.late_days * 86_400:
        raise BadInputError(f"the start {plan.start} is too early: no event is believed that happened before {EARLIEST_EVENT:%Y-%m-%d}")
    return made


def records(plan: Plan, made: Schedule, pool: Pools, now: float, gate: Callable[[Iterator[float]], Iterator[float]]) -> Iterator[Record]:
    """The plan's records, pure but for `gate`, which passes each moment on when its time has come, and ends the run early."""
    if made.real_time or made.number is None:
        when: Iterator[float] = islice(moments.steady(made.start, made.per_second), made.number)
    else:
        when = moments.daily(made.start, now, made.number, random.Random(f"moments {made.key}"))  # noqa: S311 - no secret
    visits = generator.visits_at_once(made.per_second, made.number)
    events = generator.shop_events(pool, made.key, gate(when), visits)
    return flawed(events, plan.flaws, made.key, settings().stream.max_payload_bytes)


def generate(
    plan: Plan,
    *,
    topic: str | None = None,
    ledger: Path | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Summary:
    """Run a plan against Kafka until it is done or `stop` is set; every record's fate is known when this returns.

    `progress` is called now and then with the number of records handled so far. An existing ledger is
    continued. ServiceError when Kafka does not answer, BadInputError for a plan or a ledger that cannot be used.
    """
    schedule(plan, time.time())  # refuses a plan that cannot be before anything is made
    stop = stop or threading.Event()
    pool = pools.load(settings().runtime.runtime_dir / "pools", plan.pools)
    with Ledger(ledger) if ledger else nullcontext() as book:
        return _publish(plan, pool, topic or settings().kafka.topic, book, stop=stop, progress=progress)


def _publish(
    plan: Plan, pool: Pools, topic: str, book: Ledger | None, *, stop: threading.Event, progress: Callable[[int], object]
) -> Summary:
    labels: Counter[str] = Counter()
    now = time.time()
    made = schedule(plan, now)
    publisher = Publisher(topic, book)
    began = told = time.monotonic()
    deadline = began + plan.duration.total_seconds() if plan.duration else math.inf
    try:
        with publisher:
            for number, record in enumerate(records(plan, made, pool, now, lambda when: _due(when, made, stop, deadline)), 1):
                publisher.send(record)
                labels[record.label] += 1
                if time.monotonic() - told > _PROGRESS_SECONDS:
                    told = time.monotonic()
                    progress(number)
    except ServiceError as error:
        raise ServiceError(f"{error}; {describe(publisher.stats)}") from error
    progress(labels.total())
    return Summary(made.seed, datetime.fromtimestamp(made.start, UTC), publisher.stats, dict(labels), time.monotonic() - began)


def _due(when: Iterator[float], made: Schedule, stop: threading.Event, deadline: float) -> Iterator[float]:
    """The moments until `stop` is set or the deadline is over (monotonic); in real time each as long after the first as it happens."""
    offset = time.monotonic() - made.start
    for moment in when:
        if made.real_time:
            while (ahead := moment + offset - time.monotonic()) > 0 and not stop.is_set():
                stop.wait(max(ahead, _WAKE_SECONDS))  # waking for each of many events would cost more than sending them
            if time.monotonic() > deadline:
                return
        if stop.is_set():
            return
        yield moment
