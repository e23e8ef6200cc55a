"""The publisher's accounts, against a client whose answers the test decides."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError
from kafka.producer.future import RecordMetadata
from kafka.structs import TopicPartition

from loglake.errors import BadInputError, ServiceError
from producers import ledger, publisher
from producers.ledger import Ledger
from producers.publisher import Publisher
from producers.record import Record
from tests.sample import event

pytestmark = pytest.mark.unit


class Answer:
    """A future that is settled when the client is flushed."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[Any], object]] = []
        self.errbacks: list[Callable[[Any], object]] = []

    def add_callback(self, function: Callable[[Any], object]) -> None:
        self.callbacks.append(function)

    def add_errback(self, function: Callable[[Any], object]) -> None:
        self.errbacks.append(function)


class Client:
    """Stands in for KafkaProducer: acknowledges what it is sent when flushed, but for values that say `fail`."""

    options: dict[str, Any] = {}  # noqa: RUF012
    sent: list[tuple[str, bytes | None, bytes | None]] = []  # noqa: RUF012
    closed = False

    def __init__(self, **options: Any) -> None:
        type(self).options, type(self).sent, type(self).closed = options, [], False
        self.waiting: list[tuple[bytes | None, Answer]] = []

    def partitions_for(self, topic: str) -> set[int]:
        if topic == "missing":
            raise KafkaTimeoutError("no metadata")
        return {0}

    def send(self, topic: str, value: bytes | None, key: bytes | None) -> Answer:
        self.sent.append((topic, key, value))
        answer = Answer()
        self.waiting.append((value, answer))
        return answer

    def flush(self, timeout: float) -> None:  # noqa: ARG002
        for offset, (value, answer) in enumerate(self.waiting):
            if value == b"fail":
                answer.errbacks[0](KafkaTimeoutError("too long"))
            else:
                answer.callbacks[0](RecordMetadata("t", 0, TopicPartition("t", 0), offset, 0, None, 0, 0, 0))
        self.waiting.clear()

    def close(self, timeout: float) -> None:  # noqa: ARG002
        type(self).closed = True


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> type[Client]:
    monkeypatch.setattr(publisher, "KafkaProducer", Client)
    return Client


def test_every_record_is_acknowledged_failed_or_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as book, Publisher("t", book) as out:
        assert out.send(Record(b"k", b"good"))
        assert out.send(Record(b"k", b"fail"))
        assert out.send(Record(b"k", None)), "a tombstone can be sent"
        assert not out.send(Record(b"k", b"x" * publisher.MAX_REQUEST_BYTES))
        assert not out.send(Record(None, None))
    stats = out.stats
    assert (stats.sent, stats.acknowledged, stats.failed) == (3, 2, {"KafkaTimeoutError": 1})
    assert stats.refused == {"oversized": 1, "empty_record": 1}
    assert stats.in_flight == 0
    assert not stats.complete
    entries = list(ledger.read(tmp_path / "ledger"))
    assert sorted(entry.offset for entry in entries if entry.offset is not None) == [0, 2]
    assert len([entry for entry in entries if entry.error]) == 3


def test_an_event_is_keyed_by_its_session() -> None:
    with Publisher("t") as out:
        assert out.send_event(event(session_id="s-9"))
    assert Client.sent[0][1] == b"s-9"
    assert out.stats.complete


def test_an_event_that_cannot_be_written_is_refused_with_its_reason() -> None:
    with Publisher("t") as out:
        assert not out.send_event(event(service="half a pair \ud800"))
    assert out.stats.refused == {"unserialisable": 1}
    assert Client.sent == []


def test_the_safe_settings_are_named() -> None:
    with Publisher("t"):
        pass
    assert (Client.options["acks"], Client.options["enable_idempotence"], Client.options["compression_type"]) == ("all", True, "lz4")
    assert Client.closed


def test_a_missing_topic_is_one_clear_error() -> None:
    with pytest.raises(ServiceError, match=r"topic missing does not exist on .*LOGLAKE_KAFKA_TOPIC"):
        Publisher("missing")
    assert Client.closed


def test_a_ledger_that_cannot_be_written_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with Ledger(tmp_path / "ledger") as book:
        monkeypatch.setattr(Ledger, "_write", full)
        out = Publisher("t", book)
        out.send(Record(b"k", b"good"))
        with pytest.raises(BadInputError, match="No space left on device"):
            out.close()
    with pytest.raises(BadInputError, match="cannot be written"):
        Ledger(tmp_path / "no such folder" / "ledger")


def test_partitions_are_those_of_the_java_client() -> None:
    class Cluster:
        def partitions_for_topic(self, topic: str) -> set[int]:  # noqa: ARG002
            return {0, 1, 2, 3, 4, 5, 6}

        def topics(self) -> set[str]:
            return {"t"}

        def available_partitions_for_topic(self, topic: str) -> set[int]:
            return self.partitions_for_topic(topic)

    ours, theirs = publisher._CachingPartitioner(), publisher.DefaultPartitioner()
    for number in range(200):
        key = f"session-{number}".encode()
        assert ours.partition("t", key, key, b"", b"", Cluster()) == theirs.partition("t", key, key, b"", b"", Cluster())


@pytest.mark.timeout(30)
def test_flush_returns_as_soon_as_all_is_settled_also_when_it_failed() -> None:
    out = Publisher("t")
    out.send(Record(b"k", b"fail"))
    began = time.monotonic()
    assert out.flush(timeout_seconds=20).in_flight == 0
    assert time.monotonic() - began < 10


@pytest.mark.timeout(30)
def test_sending_waits_for_room_and_gives_up_when_nothing_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "_MAX_IN_FLIGHT", 4)
    out = Publisher("t")
    for _ in range(4):
        out.send(Record(b"k", b"good"))
    threading.Timer(0.1, out._producer.flush, [1]).start()
    assert out.send(Record(b"k", b"fail")), "there is room again after the acknowledgements"
    for _ in range(3):
        out.send(Record(b"k", b"fail"))
    threading.Timer(0.1, out._producer.flush, [1]).start()
    with pytest.raises(ServiceError, match="has not acknowledged the last 4 records"):
        out.send(Record(b"k", b"good"))
