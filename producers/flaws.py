"""What goes wrong on the way from a shop to Kafka, in shares: late, resent, malformed records, and those of unknown versions.

Pure: the same events, shares and seed give the same records. A malformed record or one of an unknown version takes the
place of its event; a resent one comes on top; late ones are whole sessions, as of a phone that had been off line.
"""

import heapq
import random
from collections.abc import Iterator
from datetime import timedelta

from msgspec import Struct, structs

from loglake.errors import BadInputError
from loglake.events import Event
from producers import ids
from producers.malformed import malformed, unknown_version
from producers.record import GOOD, LATE, RESENT, Record, record_of

_LATE_AT_LEAST_DAYS = 1 / 24
#: A resent event follows its first copy after this many other events, on average.
_RESENT_AFTER = 500


class Flaws(Struct, frozen=True):
    """Shares of the events, each from 0 to 1; late events happened up to `late_days` before they are sent."""

    late: float = 0.0
    late_days: float = 3.0
    resent: float = 0.0
    malformed: float = 0.0
    unknown_version: float = 0.0

    def __post_init__(self) -> None:
        for name in ("late", "resent", "malformed", "unknown_version"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise BadInputError(f"the share of {name.replace('_', '-')} records must be from 0 to 1, not {share:g} (2 % is 0.02)")
        if self.resent + self.malformed + self.unknown_version > 1:
            raise BadInputError("the shares of resent, malformed and unknown-version records must not add up to more than 1")
        if not 0 < self.late_days <= 3650:
            raise BadInputError(f"late events can be up to 3650 days late, and more than 0, not {self.late_days:g}")


def flawed(events: Iterator[Event], flaws: Flaws, seed: str, max_payload_bytes: int) -> Iterator[Record]:
    """The records of the events, flawed in the given shares; each resent record follows its first copy."""
    rng = random.Random(f"flaws {seed}")  # noqa: S311 - no secret
    to_resend: list[tuple[int, int, Event]] = []
    last: Event | None = None
    for number, event in enumerate(events):
        last, chance = event, rng.random()
        if chance < flaws.malformed:
            yield malformed(event, rng, max_payload_bytes)
        elif chance < flaws.malformed + flaws.unknown_version:
            yield unknown_version(event)
        else:
            first = _delayed(event, flaws)
            yield record_of(first, GOOD if first is event else LATE)
            if chance < flaws.malformed + flaws.unknown_version + flaws.resent:
                heapq.heappush(to_resend, (number + 1 + int(rng.expovariate(1 / _RESENT_AFTER)), number, first))
        while to_resend and to_resend[0][0] <= number:
            yield _resent(heapq.heappop(to_resend)[2], event)
    while to_resend and last is not None:
        yield _resent(heapq.heappop(to_resend)[2], last)


def _delayed(event: Event, flaws: Flaws) -> Event:
    """The event itself, or, when its session is one of the late ones, one that happened earlier and is sent just now.

    A session id is random, so its digits can say whether the session is late, and by how much.
    """
    if not flaws.late or int(event.session_id[:8], 16) >= flaws.late * 0x1_0000_0000:
        return event
    least = min(_LATE_AT_LEAST_DAYS, flaws.late_days / 2)
    days = least + (flaws.late_days - least) * (int(event.session_id[8:16], 16) / 0xFFFF_FFFF) ** 2
    moment = event.event_ts - timedelta(days=days)
    return structs.replace(event, event_ts=moment, event_id=ids.moved(event.event_id, ids.milliseconds(moment)))


def _resent(event: Event, now: Event) -> Record:
    return record_of(structs.replace(event, sent_at=now.sent_at), RESENT)
