"""Facts about a Kafka topic, and how far the lake stream has come in it."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from loglake import clients
from loglake.errors import ServiceError
from loglake.settings import settings

#: The streams' names in `ops.stream_heartbeat`.
LAKE_STREAM = "lake"
LIVE_STREAM = "live"
_FETCH_SECONDS = 5.0
_REACHED = "select end_offsets from ops.stream_progress where topic = %s order by finished_at desc limit 1"


@dataclass(frozen=True)
class Bounds:
    """The first offset that a partition still has, and the end offset: that of the next record."""

    first: int
    end: int


@contextmanager
def _consumer() -> Iterator[KafkaConsumer]:
    brokers = settings().kafka.brokers
    try:
        consumer = KafkaConsumer(**clients.kafka(), enable_auto_commit=False)
    except KafkaError as error:
        raise ServiceError(
            f"Kafka does not answer at {brokers}: start it with `loglake up`, or set LOGLAKE_KAFKA_BOOTSTRAP_SERVERS"
        ) from error
    try:
        yield consumer
    finally:
        consumer.close()


def bounds(topic: str) -> dict[int, Bounds]:
    """The bounds of each partition; ServiceError when Kafka does not answer or the topic is not there."""
    with _consumer() as consumer:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        if not partitions:
            raise ServiceError(f"topic {topic} does not exist on {settings().kafka.brokers}: run `loglake up`, or create it")
        first, end = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    return {partition.partition: Bounds(first[partition], end[partition]) for partition in partitions}


def received_between(topic: str, start: datetime, end: datetime) -> dict[int, Bounds]:
    """Of each partition the offsets of the records that the broker received from `start` on and before `end`; empty ones are left out.

    By the broker's index of time: the topic has the broker's times (docs/decisions/0008-broker-time.md), which grow with the offsets.
    """
    known = bounds(topic)
    with _consumer() as consumer:
        first, beyond = (
            consumer.offsets_for_times({TopicPartition(topic, number): int(moment.timestamp() * 1000) for number in known})
            for moment in (start, end)
        )
    found = {}
    for number, of_topic in known.items():
        partition = TopicPartition(topic, number)
        low, high = (place[partition].offset if place[partition] else of_topic.end for place in (first, beyond))
        if low < high:
            found[number] = Bounds(low, high)
    return found


def lake_lag(topic: str) -> int:
    """Records of the topic that no finished batch of the lake stream has brought to the lake."""
    end = sum(partition.end for partition in bounds(topic).values())
    with clients.postgres("monitor") as connection:
        return end - sum(reached(connection, topic).values())


def reached(connection: psycopg.Connection, topic: str) -> dict[int, int]:
    """Per partition the offset after the last record of the stream's last finished batch; empty before the first."""
    row = connection.execute(_REACHED, [topic]).fetchone()
    return {int(partition): int(offset) for partition, offset in row[0].items()} if row else {}


def seen_at(connection: psycopg.Connection, stream: str) -> datetime | None:
    """When a stream (LAKE_STREAM, LIVE_STREAM) last reported; None when it never has."""
    row = connection.execute("select seen_at from ops.stream_heartbeat where stream = %s", [stream]).fetchone()
    return row[0] if row else None


def topic_id(topic: str) -> uuid.UUID:
    """The id that Kafka gave the topic when it was made: another one means another topic of the same name."""
    with clients.kafka_admin() as admin:
        found: uuid.UUID = admin.describe_topics([topic])[0]["topic_id"]
    return found


def kept_until(topic: str, moment: datetime) -> datetime | None:
    """When Kafka has certainly deleted a record that it received at `moment`; None when it keeps records for ever.

    It deletes whole segments, when their newest record is older than retention.ms; a segment spans segment.ms at most.
    """
    with clients.kafka_admin() as admin:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
    values = found["topic"][topic]
    retention, segment = (int(values[name]["value"]) for name in ("retention.ms", "segment.ms"))
    return None if retention < 0 else moment + timedelta(milliseconds=retention + segment)


@dataclass(frozen=True)
class Waiting:
    """Records of a topic that are not in the lake, and when Kafka received the oldest of them; None when none waits."""

    records: int
    oldest: datetime | None


def waiting(topic: str) -> Waiting:
    """What no finished batch of the lake stream has brought to the lake; ServiceError when Kafka does not answer, or hands out nothing."""
    clients.require_broker()
    with clients.postgres("monitor") as connection:
        known = reached(connection, topic)
    with _consumer() as consumer:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        first, end = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        starts = {part: max(first[part], known.get(part.partition, 0)) for part in partitions}
        left = {part: start for part, start in starts.items() if start < end[part]}
        records = sum(end[part] - start for part, start in left.items())
        return Waiting(records, _oldest(consumer, left, records) if left else None)


def _oldest(consumer: KafkaConsumer, starts: dict[TopicPartition, int], records: int) -> datetime:
    """When Kafka received the oldest of the records at these offsets; ServiceError when it hands out none in time."""
    consumer.assign(list(starts))
    for part, offset in starts.items():
        consumer.seek(part, offset)
    times: dict[TopicPartition, int] = {}
    deadline = time.monotonic() + _FETCH_SECONDS
    while len(times) < len(starts) and time.monotonic() < deadline:
        for part, received in consumer.poll(timeout_ms=500, max_records=1).items():
            times.setdefault(part, received[0].timestamp)
            consumer.pause(part)
    if not times:
        raise ServiceError(f"{records:,} records wait, and Kafka hands out none of them within {_FETCH_SECONDS:.0f} s")
    return datetime.fromtimestamp(min(times.values()) / 1000, UTC)
