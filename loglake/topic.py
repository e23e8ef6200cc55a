"""Facts about a Kafka topic."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from loglake import clients
from loglake.errors import ServiceError
from loglake.settings import settings

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
        consumer = KafkaConsumer(**clients.kafka())
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


def lake_lag(topic: str) -> int:
    """Records of the topic that no finished batch of the lake stream has brought to the lake."""
    end = sum(partition.end for partition in bounds(topic).values())
    with clients.postgres("monitor") as connection:
        row = connection.execute(_REACHED, [topic]).fetchone()
    return end - (sum(row[0].values()) if row else 0)


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
