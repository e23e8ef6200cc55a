"""Publishes records to Kafka so that each one ends up acknowledged, failed or refused, and is counted as just that.

All replicas acknowledge (`acks=all`), the broker drops the client's own retries (idempotence), and the outcome of every
record is looked at in the callbacks. Retries and their backoff are the client's, bounded by DELIVERY_TIMEOUT_SECONDS.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache, partial

from kafka import KafkaProducer
from kafka.cluster import ClusterMetadata
from kafka.errors import KafkaError
from kafka.partitioner.default import DefaultPartitioner, murmur2
from kafka.producer.future import RecordMetadata
from msgspec import Struct

from loglake import clients
from loglake.errors import BadInputError, ServiceError
from loglake.events import Event
from loglake.settings import settings
from producers.ledger import Ledger
from producers.record import GOOD, Record, record_of

#: Measured best on one broker: batches large enough that the per-request cost vanishes, and a short wait for more.
_BATCH_BYTES = 256 * 1024
_LINGER_MS = 20
_BOOTSTRAP_SECONDS = 10
_RETRY_BACKOFF_MS = 250
_RECONNECT_BACKOFF_MAX_MS = 5_000
#: After this long without an acknowledgement a record has failed, and may or may not be in the topic.
DELIVERY_TIMEOUT_SECONDS = 120
#: Largest record the publisher tries to send, key and framing included; the broker's own default limit.
MAX_REQUEST_BYTES = 1024 * 1024
_FRAMING_BYTES = 512
#: kafka-python's buffer has no bound of its own: a broker that is away must not fill the memory.
_MAX_IN_FLIGHT = 20_000


class _CachingPartitioner(DefaultPartitioner):  # type: ignore[misc]
    """Java's partition for a key (murmur2), remembered, because a session's records share theirs and the hash is pure Python."""

    def __init__(self) -> None:
        self._hash = lru_cache(maxsize=100_000)(murmur2)

    def partition(  # noqa: PLR0917 - the client's signature
        self, topic: str, key: bytes | None, serialized_key: bytes | None, value: object, serialized_value: object, cluster: ClusterMetadata
    ) -> int:
        if serialized_key is None:
            partition: int = super().partition(topic, key, serialized_key, value, serialized_value, cluster)
            return partition
        return int((self._hash(serialized_key) & 0x7FFFFFFF) % len(cluster.partitions_for_topic(topic)))


class Stats(Struct, frozen=True):
    """What became of the records given to a publisher; `refused` and `failed` count by reason."""

    sent: int
    acknowledged: int
    failed: dict[str, int]
    refused: dict[str, int]

    @property
    def in_flight(self) -> int:
        return self.sent - self.acknowledged - sum(self.failed.values())

    @property
    def complete(self) -> bool:
        """Whether every record was sent and acknowledged."""
        return self.sent == self.acknowledged and not self.refused


class Publisher:
    """Sends records to one topic. Use as a context manager: leaving it waits until every record's fate is known.

    One thread sends. ServiceError when no broker answers, the topic does not exist, or the broker stops answering.
    """

    def __init__(self, topic: str, ledger: Ledger | None = None) -> None:
        self._topic = topic
        self._ledger = ledger
        self._sent = self._acknowledged = self._failures = self._failed_since_ack = 0
        self._broken: OSError | None = None
        self._failed: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._settled = threading.Condition()
        self._waiting = False
        self._producer = _connect(topic)

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stats(self) -> Stats:
        with self._settled:
            return Stats(self._sent, self._acknowledged, dict(self._failed), dict(self._refused))

    def send(self, record: Record) -> bool:
        """Hand a record to the client, waiting while too many are in flight; False when it was refused."""
        reason = _refusal(record)
        if reason is not None:
            self._refuse(record, reason)
            return False
        if self._in_flight() >= _MAX_IN_FLIGHT:
            self._wait_for_room()
            self._check_ledger()
        try:
            future = self._producer.send(self._topic, value=record.value, key=record.key)
        except KafkaError as error:
            raise _broker_error(f"takes no more records ({error})") from error
        self._sent += 1
        future.add_callback(partial(self._on_acknowledged, record))
        future.add_errback(partial(self._on_failed, record))
        return True

    def send_event(self, event: Event, label: str = GOOD) -> bool:
        """Encode and send an event; one that cannot be written as JSON is refused."""
        try:
            record = record_of(event, label)
        except (TypeError, ValueError) as error:
            self._refuse(Record(None, None, label, event), f"unserialisable: {error}")
            return False
        return self.send(record)

    def flush(self, timeout_seconds: float = DELIVERY_TIMEOUT_SECONDS + 10) -> Stats:
        """Wait until everything sent so far is settled, or the time is over; the ledger's file is flushed as well."""
        deadline = time.monotonic() + timeout_seconds
        try:
            self._producer.flush(timeout=timeout_seconds)
        except KafkaError as error:
            raise _broker_error(f"did not acknowledge {self._in_flight()} records ({error})") from error
        with self._settled:  # the client wakes its waiters before it has called every record back
            self._waiting = True
            self._settled.wait_for(lambda: self._in_flight() == 0, timeout=max(0.0, deadline - time.monotonic()))
            self._waiting = False
        self._check_ledger()
        if self._ledger is not None:
            self._ledger.flush()
        return self.stats

    def close(self) -> Stats:
        """Flush, then close the connection; harmless when closed already."""
        try:
            return self.flush()
        finally:
            self._producer.close(timeout=5)

    def _in_flight(self) -> int:
        return self._sent - self._acknowledged - self._failures

    def _wait_for_room(self) -> None:
        with self._settled:
            self._waiting = True
            self._settled.wait_for(lambda: self._in_flight() < _MAX_IN_FLIGHT // 2)
            self._waiting = False
            if self._failed_since_ack >= _MAX_IN_FLIGHT // 2:
                raise _broker_error(f"has not acknowledged the last {self._failed_since_ack} records")

    def _on_acknowledged(self, record: Record, metadata: RecordMetadata) -> None:
        self._note(lambda ledger: ledger.acknowledged(record, metadata.partition, metadata.offset))
        with self._settled:
            self._acknowledged += 1
            self._failed_since_ack = 0
            self._wake()

    def _on_failed(self, record: Record, error: BaseException) -> None:
        self._note(lambda ledger: ledger.not_sent(record, f"{type(error).__name__}: {error}"))
        with self._settled:
            self._failed[type(error).__name__] += 1
            self._failures += 1
            self._failed_since_ack += 1
            self._wake()

    def _wake(self) -> None:
        if self._waiting and self._in_flight() < _MAX_IN_FLIGHT // 2:
            self._settled.notify_all()

    def _refuse(self, record: Record, reason: str) -> None:
        self._note(lambda ledger: ledger.not_sent(record, reason))
        with self._settled:
            self._refused[reason.partition(":")[0]] += 1

    def _note(self, write: Callable[[Ledger], None]) -> None:
        """Write to the ledger. The client logs what a callback raises and goes on, so an error is kept for the sending thread."""
        if self._ledger is None:
            return
        try:
            write(self._ledger)
        except OSError as error:
            self._broken = error

    def _check_ledger(self) -> None:
        if self._broken is not None:
            raise BadInputError(
                f"the ledger cannot be written: {self._broken.strerror}; free some space or name another file"
            ) from self._broken


def _refusal(record: Record) -> str | None:
    """Why Kafka cannot take this record, before it is tried."""
    if record.key is None and record.value is None:
        return "empty_record: neither key nor value"
    size = len(record.key or b"") + len(record.value or b"") + _FRAMING_BYTES
    if size > MAX_REQUEST_BYTES:
        return f"oversized: {size} bytes, the limit is {MAX_REQUEST_BYTES}"
    return None


def _broker_error(what: str) -> ServiceError:
    return ServiceError(f"Kafka at {settings().kafka.brokers} {what}: look at `loglake status` and `loglake logs kafka`")


def _connect(topic: str) -> KafkaProducer:
    brokers = settings().kafka.brokers
    try:
        producer = KafkaProducer(
            **clients.kafka(),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            batch_size=_BATCH_BYTES,
            linger_ms=_LINGER_MS,
            max_request_size=MAX_REQUEST_BYTES,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
            reconnect_backoff_max_ms=_RECONNECT_BACKOFF_MAX_MS,
            delivery_timeout_ms=DELIVERY_TIMEOUT_SECONDS * 1000,
            bootstrap_timeout_ms=_BOOTSTRAP_SECONDS * 1000,
            max_block_ms=_BOOTSTRAP_SECONDS * 1000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            partitioner=_CachingPartitioner(),
        )
    except KafkaError as error:
        advice = "start it with `loglake up`, or set LOGLAKE_KAFKA_BOOTSTRAP_SERVERS"
        raise ServiceError(f"no Kafka broker answers at {brokers} ({type(error).__name__}): {advice}") from error
    try:
        producer.partitions_for(topic)
    except KafkaError as error:
        producer.close(timeout=0)
        advice = "`loglake up` creates it, and LOGLAKE_KAFKA_TOPIC names it"
        raise ServiceError(f"topic {topic} does not exist on {brokers}: {advice}") from error
    return producer
