"""Publishing to the real broker: what the ledger says was acknowledged is what a consumer reads."""

import re
import signal
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from loglake import clients, decode
from loglake.settings import settings
from producers import ledger, pools
from producers.flaws import Flaws
from producers.generate import Plan, generate
from producers.publisher import MAX_REQUEST_BYTES, Publisher
from producers.record import MALFORMED, RESENT, UNKNOWN_VERSION, Record
from tests.pipeline import popen, wait_for
from tests.sample import event
from tests.stackfixture import EmbeddedStack

pytestmark = pytest.mark.integration
POOLS = pools.Recipe(users=50, products=40, locales=("en_US", "ja_JP"))


@pytest.fixture
def topic(stack: EmbeddedStack) -> str:
    """A topic of this test's own, with as many partitions as the real one."""
    name = f"publish-{uuid.uuid4().hex[:8]}"
    with KafkaAdminClient(**clients.kafka()) as admin:
        admin.create_topics([NewTopic(name, settings().kafka.partitions, 1)])
    return name


def read_all(topic: str) -> dict[tuple[int, int], tuple[bytes | None, bytes | None, int]]:
    """Key, value and time of every record in the topic, by partition and offset."""
    found: dict[tuple[int, int], tuple[bytes | None, bytes | None, int]] = {}
    with KafkaConsumer(
        **clients.kafka(), auto_offset_reset="earliest", enable_auto_commit=False, isolation_level="read_committed"
    ) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=1000).values():
                found.update({(r.partition, r.offset): (r.key, r.value, r.timestamp) for r in records})
    return found


def clock(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def outcome(value: bytes | None, milliseconds: int) -> str:
    """The id of the event the value says, or the code it is rejected with."""
    try:
        return decode.decode(value, clock(milliseconds), settings().stream.max_payload_bytes).event_id
    except decode.Reject as reject:
        return reject.code


def test_consumer_reads_what_the_ledger_says(topic: str, tmp_path: Path) -> None:
    plan = Plan(count=5000, seed=1, flaws=Flaws(late=0.02, resent=0.02, malformed=0.03, unknown_version=0.01), pools=POOLS)

    summary = generate(plan, topic=topic, ledger=tmp_path / "ledger")

    entries = list(ledger.read(tmp_path / "ledger"))
    found = read_all(topic)
    assert summary.stats.complete
    assert summary.stats.acknowledged == len(entries) == len(found)
    assert summary.labels[RESENT] > 0
    for entry in entries:
        assert entry.partition is not None
        assert entry.offset is not None
        _, value, received = found[entry.partition, entry.offset]
        if entry.label.startswith(MALFORMED) or entry.label == UNKNOWN_VERSION:
            assert outcome(value, received) == entry.label.removeprefix(MALFORMED)
        else:
            assert outcome(value, received) == entry.event_id


def test_a_session_stays_in_one_partition_in_order(topic: str, tmp_path: Path) -> None:
    generate(Plan(count=2000, seed=2, pools=POOLS), topic=topic)

    places: dict[str, list[tuple[int, int, object]]] = {}
    for (partition, offset), (key, value, received) in sorted(read_all(topic).items()):
        assert value is not None
        sent = decode.decode(value, clock(received))
        assert key == sent.session_id.encode()
        places.setdefault(sent.session_id, []).append((partition, offset, sent.event_ts))
    assert len({places_of[0][0] for places_of in places.values()}) == settings().kafka.partitions
    for places_of in places.values():
        assert len({partition for partition, _, _ in places_of}) == 1
        assert [when for _, _, when in places_of] == sorted(when for _, _, when in places_of)  # type: ignore[type-var]


def test_sigterm_leaves_nothing_acknowledged_unsaid(stack: EmbeddedStack, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    process = popen(stack, "generate", "--rate", "500", "--topic", topic, "--ledger", str(path), "--users", "50")
    try:
        wait_for("the first records", lambda: path.exists() and path.stat().st_size > 0)
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 0, told
    said = re.search(r"sent ([\d,]+), acknowledged ([\d,]+), failed 0, refused 0", told)
    assert said, told
    numbers = {int(number.replace(",", "")) for number in said.groups()}
    assert numbers == {len(list(ledger.read(path)))} == {len(read_all(topic))}


def test_a_broker_killed_in_mid_flow_costs_no_record_and_repeats_none(stack: EmbeddedStack, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    process = popen(stack, "generate", "--rate", "1000", "--duration", "20s", "--topic", topic, "--ledger", str(path), "--users", "50")
    try:
        wait_for("the first records", lambda: path.exists() and path.stat().st_size > 0)
        killed = stack.kill("kafka")
        told, _ = process.communicate(timeout=180)
    finally:
        process.kill()
        stack.wait_healthy("kafka", not_pid=killed)

    assert process.returncode == 0, told
    sent = {(entry.partition, entry.offset): entry.event_id for entry in ledger.read(path)}
    found = {place: outcome(value, received) for place, (_, value, received) in read_all(topic).items()}
    assert found == sent
    assert len(set(sent.values())) == len(sent)


def test_the_largest_record_is_taken_and_a_larger_one_refused(topic: str) -> None:
    with Publisher(topic) as out:
        assert out.send(Record(b"k", b"x" * (MAX_REQUEST_BYTES - 1024)))
        assert not out.send(Record(b"k", b"x" * MAX_REQUEST_BYTES))
        assert not out.send_event(event(service="\udc00"))
    assert out.stats.acknowledged == 1
    assert out.stats.refused == {"oversized": 1, "unserialisable": 1}
    assert len(read_all(topic)) == 1


def test_an_address_that_refuses_is_one_clear_line(stack: EmbeddedStack) -> None:
    done = stack.cli("generate", "--count", "1", LOGLAKE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert done.returncode == 1
    assert re.fullmatch(r"error: no Kafka broker answers at 127\.0\.0\.1:1 .*LOGLAKE_KAFKA_BOOTSTRAP_SERVERS\n", done.stderr)


def test_a_topic_that_is_not_there_is_one_clear_line(stack: EmbeddedStack) -> None:
    done = stack.cli("generate", "--count", "1", "--topic", "nowhere")
    assert done.returncode == 1
    assert re.fullmatch(r"error: topic nowhere does not exist on .*LOGLAKE_KAFKA_TOPIC names it\n", done.stderr)
