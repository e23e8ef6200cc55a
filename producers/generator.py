"""Generated shop events: a pure function of the pools, a seed and the moments at which something happens.

Many visits go on at once. Each has a next step on a clock of its own, and a heap says whose turn it is; the k-th turn
happens at the k-th given moment. So the number of events and their times are exact, whatever the visits do.
"""

import heapq
import random
from collections.abc import Iterator
from datetime import UTC, datetime

from loglake.events import SCHEMA_VERSIONS, Event
from producers.ids import RANDOM_BITS, milliseconds, uuid7
from producers.pools import Pools
from producers.shop import Shop
from producers.shopper import Visit

#: Events a visit has on average, and how long it takes: for choosing how many go on at once.
EVENTS_PER_VISIT, VISIT_SECONDS = 10, 150
_MOST_VISITS_AT_ONCE = 2_000
_REPRICE_SHARE = 1 / 400
_SENDING_SECONDS = 0.04
_VERSION = SCHEMA_VERSIONS[-1]


def visits_at_once(per_second: float, number: int | None) -> int:
    """How many visits go on at once so that each lasts a natural time, and most come to their end within `number` events."""
    natural = per_second * VISIT_SECONDS / EVENTS_PER_VISIT
    finishing = number / (5 * EVENTS_PER_VISIT) if number is not None else natural
    return max(3, min(round(natural), round(finishing), _MOST_VISITS_AT_ONCE))


def shop_events(pools: Pools, seed: str, moments: Iterator[float], visits: int) -> Iterator[Event]:
    """One event per moment (Unix seconds, ascending), of `visits` visits at once. Another seed gives other identifiers, too."""
    rng = random.Random(f"shop {seed}")  # noqa: S311 - no secret
    shop = Shop(pools)
    latencies = _latencies(rng)
    queue = [(rng.random() * VISIT_SECONDS, turn, Visit(shop, rng)) for turn in range(visits)]
    heapq.heapify(queue)
    for moment in moments:
        clock, turn, visit = queue[0]
        step = next(visit.steps, None)
        while step is None:
            visit = Visit(shop, rng)
            step = next(visit.steps, None)
        if rng.random() < _REPRICE_SHARE:
            shop.reprice(rng)
        event_ts = datetime.fromtimestamp(moment, UTC)
        yield Event(
            event_id=uuid7(milliseconds(event_ts), rng.getrandbits(RANDOM_BITS)),
            schema_version=_VERSION,
            event_type=step.event_type,
            event_ts=event_ts,
            sent_at=datetime.fromtimestamp(moment + _SENDING_SECONDS * rng.random(), UTC),
            service=step.service,
            level=step.level,
            session_id=visit.session_id,
            user=visit.user,
            device=visit.device,
            geo=visit.geo,
            page=step.page,
            product=step.product,
            search=step.search,
            order=step.order,
            error=step.error,
            status_code=step.status_code,
            latency_ms=latencies[int(rng.random() * len(latencies))],
        )
        heapq.heapreplace(queue, (clock + step.wait, turn, visit))


def _latencies(rng: random.Random) -> list[int]:
    """Times to answer in milliseconds to draw from: log-normal around 60, one in a hundred ten times as long."""
    usual = [rng.lognormvariate(4.1, 0.5) for _ in range(8192)]
    return [round(value * 10 if rng.random() < 0.01 else value) for value in usual]
