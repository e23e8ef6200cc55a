"""Where the live stream begins: its own tables are the truth, the records of the kept hours all that it ever needs."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg

from consumers import live_store
from consumers.live_store import Position
from consumers.live_windows import SECOND, Windows
from loglake import topic
from loglake.settings import settings
from loglake.topic import Bounds

log = logging.getLogger("consumers.live_stream")


@dataclass(frozen=True)
class Start:
    """The first offset of each partition; records before it that nobody counts: their windows are no longer kept, or Kafka lost them."""

    offsets: dict[int, int]
    outdated: int
    lost: int


def fits(known: Position, name: str, topic_id: str, bounds: dict[int, Bounds]) -> bool:
    """Whether what the tables hold came from this topic, as far as one can see."""
    beyond = any(offset > bounds.get(number, Bounds(0, 0)).end for number, offset in known.next_offsets.items())
    return (known.topic, known.topic_id) == (name, topic_id) and not beyond


def go_on(next_offsets: dict[int, int], bounds: dict[int, Bounds], recent: dict[int, int]) -> Start:
    """From where the tables end, or, when that is longer ago, from the first record of the kept hours (`recent`)."""
    found, outdated, lost = {}, 0, 0
    for number, known in bounds.items():
        reached = next_offsets.get(number, recent[number])
        lost += max(known.first - reached, 0)
        outdated += max(recent[number] - max(reached, known.first), 0)
        found[number] = max(reached, known.first, recent[number])
    return Start(found, outdated, lost)


def prepare(connection: psycopg.Connection) -> Windows:
    """The state to go on with. What cannot be gone on with is made anew from Kafka, and the log says so."""
    config, name = settings(), settings().kafka.topic
    topic_id, bounds = str(topic.topic_id(name)), topic.bounds(name)
    recent, lateness = _recent(name, bounds), round(config.live.lateness_seconds * SECOND)
    known = live_store.position(connection)
    if known is not None and fits(known, name, topic_id, bounds):
        start = go_on(known.next_offsets, bounds, recent)
        _tell(start)
        try:
            windows = live_store.load(connection, lateness, start.offsets)
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            log.warning("the state of the windows cannot be read, another release may have written it: %s", error)
        else:
            live_store.move(connection, start.offsets)
            return windows
    elif known is not None:
        log.warning("the live tables were filled from another topic than %s (%s) is now", name, topic_id)
    log.info("making the windows of the last %g hours anew from Kafka", config.live.keep_hours)
    live_store.reset(connection, Position(name, topic_id, recent))
    return Windows(lateness, next_offsets=recent)


def _recent(name: str, bounds: dict[int, Bounds]) -> dict[int, int]:
    """Of each partition the first offset that Kafka received within the kept hours; the end when there is none."""
    now = datetime.now(UTC)
    received = topic.received_between(name, now - timedelta(hours=settings().live.keep_hours), now + timedelta(days=1))
    return {number: received[number].first if number in received else known.end for number, known in bounds.items()}


def _tell(start: Start) -> None:
    if start.lost:
        log.warning("%s records expired in Kafka before they were read: windows of that time lack them", start.lost)
    if start.outdated:
        log.info("%s records are passed over: their windows are no longer kept", start.outdated)
