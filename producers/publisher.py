"""Publishes records to Kafka so that each one ends up acknowledged, failed or refused, and is counted as just that.

All replicas acknowledge (`acks=all`), the broker drops the client's own retries (idempotence), and the future of every
record is looked at. Retries and their backoff are the client's, bounded by DELIVERY_TIMEOUT_SECONDS.
"""

import time
from collections import Counter, deque
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple, NoReturn, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, RetriableError
from kafka.partitioner.default import murmur2
from kafka.producer.future import FutureRecordMetadata
from msgspec import Struct

from loglake import clients
from loglake.errors import ServiceError
from loglake.events import Event
from loglake.settings import settings
from producers.record import GOOD, Record, record_of

#: A partition has one batch under way at a time, so a batch must hold what comes meanwhile: smaller ones pile up.
_BATCH_BYTES = 1024 * 1024
_LINGER_MS = 20
_BOOTSTRAP_SECONDS = 10
_RETRY_BACKOFF_MS = 250
_RECONNECT_BACKOFF_MAX_MS = 5_000
#: After this long without an acknowledgement a record has failed, and may or may not be in the topic.
DELIVERY_TIMEOUT_SECONDS = 120
#: The client tells of a failure a little after its time is over.
_PATIENCE_SECONDS = DELIVERY_TIMEOUT_SECONDS + 10
_CLOSING_SECONDS = 5
#: Largest record the publisher tries to send, key and framing included; the broker's own default limit.
MAX_REQUEST_BYTES = 1024 * 1024
_FRAMING_BYTES = 512
#: kafka-python's buffer has no bound of its own: a broker that is away must not fill the memory.
_MAX_WAITING_BYTES = 16 * 1024 * 1024
_REMEMBERED_KEYS = 100_000


class Stats(Struct, frozen=True):
    """What became of the records given to a publisher; `refused` and `failed` count by reason."""

    sent: int
    acknowledged: int
    failed: dict[str, int]
    refused: dict[str, int]

    @property
    def complete(self) -> bool:
        """Whether every record was sent and acknowledged."""
        return self.sent == self.acknowledged and not self.refused


class Account(Protocol):
    """Is told what became of each record: producers.ledger.Ledger writes it down."""

    def acknowledged(self, record: Record, partition: int, offset: int) -> None: ...
    def not_sent(self, record: Record, error: str) -> None: ...
    def flush(self) -> None: ...


class _Waiting(NamedTuple):
    """A record whose fate is not noted yet."""

    record: Record
    size: int
    future: FutureRecordMetadata


class _Client(KafkaProducer):  # type: ignore[misc]
    """Closes also while records are under way: KafkaProducer's `close` stops half-way when its `flush` fails."""

    def flush(self, timeout: float | None = None) -> None:
        with suppress(KafkaTimeoutError):
            super().flush(timeout)


class Publisher:
    """Sends records to one topic. Use as a context manager: leaving it waits until every record's fate is known.

    For one thread. ServiceError when no broker answers, the topic does not exist, or the broker stops answering.
    """

    def __init__(self, topic: str, ledger: Account | None = None) -> None:
        self._topic = topic
        self._ledger = ledger
        self._sent = self._acknowledged = 0
        self._failed: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._client, self._partitions = _connect(topic)
        # Remembered, because a session's records share their key and the hash is pure Python.
        self._partition = lru_cache(_REMEMBERED_KEYS)(self._hashed)

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stats(self) -> Stats:
        """What is known so far; all of it after `flush`."""
        return Stats(self._sent, self._acknowledged, dict(self._failed), dict(self._refused))

    def send(self, record: Record) -> bool:
        """Hand a record to the client, waiting while too much is under way; False when it was refused.

        ServiceError when the broker takes no more; the record is not sent then.
        """
        size = len(record.key or b"") + len(record.value or b"") + _FRAMING_BYTES
        if record.key is None and record.value is None:
            self._refuse(record, "empty_record", "neither key nor value")
            return False
        if size > MAX_REQUEST_BYTES:
            self._refuse(record, "oversized", f"{size} bytes, the limit is {MAX_REQUEST_BYTES}")
            return False
        self._note_known()
        while self._waiting_bytes > _MAX_WAITING_BYTES:
            self._wait_for_room()
        try:
            future = self._client.send(self._topic, record.value, record.key, partition=self._partition(record.key))
        except (KafkaError, ValueError) as error:  # ValueError: the topic is missing in what the broker has just told
            raise _broker_error(f"takes no more records ({error})") from error
        self._sent += 1
        self._waiting.append(_Waiting(record, size, future))
        self._waiting_bytes += size
        return True

    def send_event(self, event: Event, label: str = GOOD) -> bool:
        """Encode and send an event; one that cannot be written as JSON is refused."""
        try:
            record = record_of(event, label)
        except (TypeError, ValueError) as error:
            self._refuse(Record(None, None, label), "unserialisable", str(error))
            return False
        return self.send(record)

    def flush(self) -> Stats:
        """Wait until the fate of everything sent so far is known and in the ledger's file."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._waiting:
            self._wait_for_oldest(deadline - time.monotonic())
        if self._ledger is not None:
            self._ledger.flush()
        return self.stats

    def close(self) -> Stats:
        """Flush, then close the connection; harmless when closed already."""
        try:
            return self.flush()
        finally:
            self._client.close(timeout=_CLOSING_SECONDS)

    def _hashed(self, key: bytes | None) -> int | None:
        """The partition that the Java client chooses for a key; without a key the client chooses."""
        return None if key is None else (murmur2(key) & 0x7FFFFFFF) % self._partitions

    def _wait_for_room(self) -> None:
        number, oldest = len(self._waiting), self._waiting[0].future
        self._wait_for_oldest(_PATIENCE_SECONDS)
        if isinstance(oldest.exception, RetriableError):  # tried again and again, until its time was over
            raise _unanswered(number)

    def _wait_for_oldest(self, seconds: float) -> None:
        """Wait until the fate of the oldest record is known, and note it."""
        oldest = self._waiting[0].future
        with suppress(KafkaError):  # the record's, which is noted below
            oldest.get(seconds)
        self._note_known()
        if not oldest.is_done:
            self._give_up()

    def _note_known(self) -> None:
        """Note the fate of the oldest records, up to the first one that is still under way."""
        waiting = self._waiting
        while waiting and waiting[0].future.is_done:
            record, size, future = waiting.popleft()
            self._waiting_bytes -= size
            if future.exception is None:
                self._acknowledged += 1
                if self._ledger is not None:
                    self._ledger.acknowledged(record, future.value.partition, future.value.offset)
            else:
                self._fail(record, type(future.exception).__name__, str(future.exception))

    def _give_up(self) -> NoReturn:
        """Count what is under way as failed: while no broker answers, the client may hold on to it for ever."""
        number = len(self._waiting)
        while self._waiting:
            self._fail(self._waiting.popleft().record, "unanswered", f"no word from the client in {_PATIENCE_SECONDS} s")
        self._waiting_bytes = 0
        raise _unanswered(number)

    def _fail(self, record: Record, reason: str, detail: str) -> None:
        self._failed[reason] += 1
        if self._ledger is not None:
            self._ledger.not_sent(record, f"{reason}: {detail}")

    def _refuse(self, record: Record, reason: str, detail: str) -> None:
        self._refused[reason] += 1
        if self._ledger is not None:
            self._ledger.not_sent(record, f"{reason}: {detail}")


def _unanswered(number: int) -> ServiceError:
    return _broker_error(f"has not acknowledged the last {number} records")


def _broker_error(what: str) -> ServiceError:
    return ServiceError(f"Kafka at {settings().kafka.brokers} {what}: look at `loglake status` and `loglake logs kafka`")


def _connect(topic: str) -> tuple[_Client, int]:
    """A client, and the number of the topic's partitions."""
    brokers = settings().kafka.brokers
    try:
        client = _Client(
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
        )
    except KafkaError as error:
        advice = "start it with `loglake up`, or set LOGLAKE_KAFKA_BOOTSTRAP_SERVERS"
        raise ServiceError(f"no Kafka broker answers at {brokers} ({type(error).__name__}): {advice}") from error
    try:
        return client, len(client.partitions_for(topic))
    except (KafkaError, ValueError) as error:  # ValueError: no topic can have this name
        client.close(timeout=0)
        advice = "`loglake up` creates it, and LOGLAKE_KAFKA_TOPIC names it"
        raise ServiceError(f"topic {topic} does not exist on {brokers}: {advice}") from error
