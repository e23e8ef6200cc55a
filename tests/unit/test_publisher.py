"""The publisher's accounts, against a client whose answers the test decides."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.cluster import ClusterMetadata
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from kafka.partitioner.default import DefaultPartitioner
from kafka.producer.future import FutureProduceResult, FutureRecordMetadata
from kafka.structs import TopicPartition

from loglake.errors import BadInputError, ServiceError
from producers import ledger, publisher
from producers.ledger import Ledger
from producers.publisher import Publisher
from producers.record import Record
from tests.sample import event

REAL_CLIENT = publisher._Client
pytestmark = [pytest.mark.unit, pytest.mark.timeout(30)]


class Client:
    """Stands in for the Kafka client, with its real futures: `answer` settles what was sent so far."""

    options: dict[str, Any] = {}  # noqa: RUF012
    closed = False
    now: "Client"

    def __init__(self, **options: Any) -> None:
        type(self).options, type(self).closed, type(self).now = options, False, self
        self.sent: list[tuple[bytes | None, bytes | None, int | None]] = []
        self.unanswered: list[tuple[bytes | None, FutureProduceResult]] = []
        self.answers_itself = True

    def partitions_for(self, topic: str) -> set[int]:
        if topic == "missing":
            raise KafkaTimeoutError("no metadata")
        if topic == "no name":
            raise ValueError("illegal")
        return {0, 1, 2, 3, 4, 5, 6}

    def send(self, topic: str, value: bytes | None, key: bytes | None, *, partition: int | None) -> FutureRecordMetadata:
        if value == b"no metadata":
            raise KafkaTimeoutError("no metadata")
        self.sent.append((key, value, partition))
        result = FutureProduceResult(TopicPartition(topic, partition))
        self.unanswered.append((value, result))
        future = FutureRecordMetadata(result, 0, 0, None, -1, -1, -1)
        if self.answers_itself:
            self.answer()
        return future

    def answer(self) -> None:
        for offset, (value, result) in enumerate(self.unanswered, len(self.sent) - len(self.unanswered)):
            error = {b"late": KafkaTimeoutError("too late"), b"huge": MessageSizeTooLargeError("too large")}.get(value or b"")
            result.success((offset, -1, (lambda _, error=error: error) if error else None))
        self.unanswered.clear()

    def close(self, timeout: float) -> None:  # noqa: ARG002
        type(self).closed = True


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Client]]:
    """The stand-in; whatever happens, it must be closed in the end."""
    Client.closed = True
    monkeypatch.setattr(publisher, "_Client", Client)
    yield Client
    assert Client.closed


def test_every_record_is_acknowledged_failed_or_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as book, Publisher("t", book) as out:
        assert out.send(Record(b"k", b"good"))
        assert out.send(Record(b"k", b"late"))
        assert out.send(Record(b"k", None)), "a tombstone can be sent"
        assert not out.send(Record(b"k", b"x" * publisher.MAX_REQUEST_BYTES))
        assert not out.send(Record(None, None))
    stats = out.stats
    assert (stats.sent, stats.acknowledged, stats.failed) == (3, 2, {"KafkaTimeoutError": 1})
    assert stats.refused == {"oversized": 1, "empty_record": 1}
    assert not stats.complete
    entries = list(ledger.read(tmp_path / "ledger"))
    assert [entry.offset for entry in entries if entry.offset is not None] == [0, 2]
    assert sorted(entry.error.partition(":")[0] for entry in entries if entry.error) == ["KafkaTimeoutError", "empty_record", "oversized"]


def test_an_event_is_keyed_by_its_session() -> None:
    with Publisher("t") as out:
        assert out.send_event(event(session_id="s-9"))
    assert Client.now.sent[0][0] == b"s-9"
    assert out.stats.complete


@pytest.mark.parametrize("field", ["service", "session_id"])
def test_an_event_that_cannot_be_written_is_refused_with_its_reason(tmp_path: Path, field: str) -> None:
    with Ledger(tmp_path / "ledger") as book, Publisher("t", book) as out:
        assert not out.send_event(event(**{field: "half a pair \ud800"}))
    assert out.stats.refused == {"unserialisable": 1}
    assert Client.now.sent == []


def test_the_safe_settings_are_named() -> None:
    with Publisher("t"):
        pass
    assert (Client.options["acks"], Client.options["enable_idempotence"], Client.options["compression_type"]) == ("all", True, "lz4")


@pytest.mark.parametrize("topic", ["missing", "no name"])
def test_a_topic_that_is_not_there_is_one_clear_error(topic: str) -> None:
    with pytest.raises(ServiceError, match=rf"topic {topic} does not exist on .*LOGLAKE_KAFKA_TOPIC"):
        Publisher(topic)


def test_partitions_are_those_of_the_java_client() -> None:
    class Cluster(ClusterMetadata):  # type: ignore[misc]
        def topics(self) -> set[str]:
            return {"t"}

        def partitions_for_topic(self, topic: str) -> set[int]:
            return Client.now.partitions_for(topic)

        available_partitions_for_topic = partitions_for_topic

    keys = [f"session-{number}".encode() for number in range(200)]
    with Publisher("t") as out:
        for key in keys:
            out.send(Record(key, b""))
        out.send(Record(None, b"left to the client"))
    expected = [DefaultPartitioner().partition("t", key, key, b"", b"", Cluster()) for key in keys]
    assert [partition for _, _, partition in Client.now.sent] == [*expected, None]


def test_what_is_acknowledged_is_noted_while_others_are_sent(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as book, Publisher("t", book) as out:
        out.send(Record(b"k", b"first"))
        out.send(Record(b"k", b"second"))
        assert out.stats.acknowledged == 1
        book.flush()
        assert [entry.offset for entry in ledger.read(tmp_path / "ledger")] == [0]


def test_flush_waits_for_what_is_under_way() -> None:
    with Publisher("t") as out:
        Client.now.answers_itself = False
        out.send(Record(b"k", b"good"))
        out.send(Record(b"k", b"huge"))
        threading.Timer(0.1, Client.now.answer).start()
        stats = out.flush()
    assert (stats.acknowledged, stats.failed) == (1, {"MessageSizeTooLargeError": 1})


def test_what_gets_no_answer_is_an_error_and_counted_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "_PATIENCE_SECONDS", 0.1)
    with Ledger(tmp_path / "ledger") as book:
        out = Publisher("t", book)
        out.send(Record(b"k", b"good"))
        Client.now.answers_itself = False
        out.send(Record(b"k", b"lost"))
        with pytest.raises(ServiceError, match="has not acknowledged the last 1 records"):
            out.close()
    assert (out.stats.sent, out.stats.acknowledged, out.stats.failed) == (2, 1, {"unanswered": 1})
    assert [entry.error is None for entry in ledger.read(tmp_path / "ledger")] == [True, False]


def test_sending_waits_for_room_and_ends_when_the_broker_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "_MAX_WAITING_BYTES", 4 * publisher._FRAMING_BYTES)
    out = Publisher("t")
    Client.now.answers_itself = False
    for value in (b"huge", *[b"good"] * 3):
        out.send(Record(b"k", value))
    threading.Timer(0.1, Client.now.answer).start()
    assert out.send(Record(b"k", b"late")), "there is room again: that one record is refused by the broker does not end the run"
    assert (out.stats.acknowledged, out.stats.failed) == (3, {"MessageSizeTooLargeError": 1})
    for _ in range(3):
        out.send(Record(b"k", b"late"))
    threading.Timer(0.1, Client.now.answer).start()
    with pytest.raises(ServiceError, match="has not acknowledged the last 4 records"):
        out.send(Record(b"k", b"good"))
    assert out.close().failed == {"MessageSizeTooLargeError": 1, "KafkaTimeoutError": 4}


def test_a_client_that_takes_no_record_is_one_clear_error() -> None:
    with Publisher("t") as out, pytest.raises(ServiceError, match=r"takes no more records \(KafkaTimeoutError: no metadata\)"):
        out.send(Record(b"k", b"no metadata"))
    assert out.stats.sent == 0


def test_a_ledger_on_a_full_disk_stops_the_run() -> None:
    with pytest.raises(BadInputError, match="No space left on device"), Ledger(Path("/dev/full")) as book, Publisher("t", book) as out:
        out.send(Record(b"k", b"good"))


def test_the_client_can_be_closed_while_no_broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def unanswered(*_: object) -> None:
        raise KafkaTimeoutError("Timeout waiting for future")

    class Unconnected(REAL_CLIENT):  # type: ignore[misc, valid-type]
        def __init__(self) -> None: ...
        def __del__(self) -> None: ...

    monkeypatch.setattr(KafkaProducer, "flush", unanswered)
    Unconnected().flush(0)
