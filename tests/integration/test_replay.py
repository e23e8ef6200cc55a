"""Replay on real servers: into the topic with a follower that is killed, and the real files' facts in the marts."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from loglake import clients
from loglake.settings import settings
from producers.replay import Mapped
from producers.replay_follow import positions_folder
from tests import pipeline
from tests.realdata import real_data
from tests.stackfixture import EmbeddedStack
from tests.unit.test_replay import REES46, VIEW, of

pytestmark = pytest.mark.integration


def view(number: int) -> str:
    """A line of the REES46 kind, years after the real file, so that it stays out of its facts."""
    return VIEW.replace("2019", "2021").replace(",s1\n", f",follow-{number}\n")


class Topic:
    """What the topic gained since this was made: how often each event id came, by reading to the end."""

    def __init__(self) -> None:
        self._consumer = KafkaConsumer(**clients.kafka(), enable_auto_commit=False)
        name = settings().kafka.topic
        self._partitions = [TopicPartition(name, number) for number in sorted(self._consumer.partitions_for_topic(name))]
        self._consumer.assign(self._partitions)
        self._start = self._consumer.end_offsets(self._partitions)

    def values(self) -> list[bytes]:
        for partition, offset in self._start.items():
            self._consumer.seek(partition, offset)
        end = self._consumer.end_offsets(self._partitions)
        found: list[bytes] = []
        while any(self._consumer.position(partition) < end[partition] for partition in self._partitions):
            for records in self._consumer.poll(timeout_ms=500).values():
                found += [record.value for record in records]
        return found

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def topic(stack: EmbeddedStack):
    topic = Topic()
    yield topic
    topic.close()


def expected_ids(path: Path) -> set[str]:
    return {outcome.record.event.event_id for outcome in of(path) if isinstance(outcome, Mapped)}


def ids_in(topic: Topic) -> list[str]:
    return [value.split(b'"event_id":"', 1)[1][:36].decode() for value in topic.values()]


def test_a_file_sent_twice_brings_the_same_ids_twice(stack: EmbeddedStack, topic: Topic, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + view(1) + view(1) + view(2) + "cut\n")
    for _ in range(2):
        assert "3 events of 3 lines sent and acknowledged" in pipeline.run(stack, "replay", str(path))
    found = ids_in(topic)
    assert sorted(found) == sorted([*expected_ids(path)] * 2)
    strict = stack.cli("replay", "--strict", str(path))
    assert strict.returncode == 2
    assert "1 lines gave no event" in strict.stderr


def test_a_follower_killed_while_the_file_grows_leaves_no_gap(stack: EmbeddedStack, topic: Topic, tmp_path: Path) -> None:
    path = tmp_path / "growing.csv"
    path.write_text(REES46 + "".join(view(number) for number in range(40_000)))
    with following(stack, path) as follower:
        pipeline.wait_for("the follower to commit a position", lambda: _position(path) is not None)
        follower.kill()
        follower.communicate()
    assert len(ids_in(topic)) < 40_000, "it was to be killed in the middle"
    with path.open("a") as file:
        file.writelines(view(number) for number in range(40_000, 40_050))

    with following(stack, path) as follower:
        pipeline.wait_for("the follower to reach the end", lambda: f'"offset":{path.stat().st_size},' in (_position(path) or ""))
        follower.send_signal(signal.SIGTERM)
        printed, _ = follower.communicate(timeout=120)
    assert follower.returncode == 0, printed
    assert set(ids_in(topic)) == expected_ids(path)


@contextmanager
def following(stack: EmbeddedStack, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A follower in the background, which does not outlive the test."""
    follower = pipeline.popen(stack, "replay", "--follow", str(path))
    try:
        yield follower
    finally:
        if follower.returncode is None:
            follower.kill()
            follower.communicate()


def _position(path: Path) -> str | None:
    found = [file.read_text() for file in positions_folder().glob("*.json")]
    return next((text for text in found if str(path) in text), None)


@pytest.fixture(scope="module")
def real_marts(lake_stream: EmbeddedStack) -> EmbeddedStack:
    """The real files, through the whole pipeline."""
    files = [str(real_data(name)) for name in ("rees46", "uci_online_retail")]
    pipeline.run(lake_stream, "replay", *files, str(real_data("access_logs", "semicomplete.log")))
    pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    pipeline.run(lake_stream, "model")
    return lake_stream


REES46_ORDERS, UCI_ORDERS = "^rees46-", "^C?[0-9]{6}$"


@pytest.mark.parametrize(
    ("orders", "status", "expected"),
    [
        (REES46_ORDERS, "completed", (214, 214, Decimal("59442.63"))),
        (UCI_ORDERS, "completed", (2_555, 71_442, Decimal("1441033.10"))),
        (UCI_ORDERS, "refunded", (535, 1_259, Decimal("200556.82"))),
    ],
)
def test_orders_and_money_in_the_marts(real_marts: EmbeddedStack, orders: str, status: str, expected: tuple[int, int, Decimal]) -> None:
    statement = "select count(distinct order_id), count(*), sum(amount) from marts.fact_order where order_id ~ %s and status = %s"
    assert pipeline.query(statement, orders, status) == [expected]


def test_revenue_of_one_day_in_the_marts(real_marts: EmbeddedStack) -> None:
    revenue = pipeline.scalar(
        "select sum(amount) from marts.fact_order join marts.dim_date using (date_sk)"
        " where order_id ~ %s and status = 'completed' and (year, month, day) = (2010, 12, 1)",
        UCI_ORDERS,
    )
    assert revenue == Decimal("58960.79")


@pytest.mark.parametrize(
    ("service", "counts", "distinct"),
    [
        ("rees46-shop", {"product_view": 17_055, "add_to_cart": 165, "order_complete_response": 214}, (4_504, 5_066, 0)),
        ("uci-online-retail", {"order_complete_response": 2_555, "order_refunded": 535}, (1_307, 3_090, 27)),
        ("web", {"page_view": 9_779, "error": 220}, (0, 2_143, 0)),
    ],
)
def test_events_users_and_sessions_in_the_marts(
    real_marts: EmbeddedStack, service: str, counts: dict[str, int], distinct: tuple[int, int, int]
) -> None:
    facts = "from marts.fact_event f join raw.log_events r on r.event_id = f.event_sk left join marts.dim_users u using (user_sk)"
    times = "r.service = %s and r.event_ts < timestamptz '2020-01-01'"
    by_type = pipeline.query(f"select f.event_type, count(*) {facts} where {times} group by 1", service, role="postgres")
    assert dict(by_type) == counts
    members = f"select count(distinct u.user_id), count(distinct f.session_id), count(distinct f.geo_country) {facts} where {times}"
    assert pipeline.query(members, service, role="postgres") == [distinct]


def test_replaying_the_real_files_again_adds_nothing(real_marts: EmbeddedStack) -> None:
    tables = ("raw.log_events", "marts.fact_event", "marts.fact_order", "marts.dim_users", "marts.dim_product")
    before = {table: pipeline.scalar(f"select count(*) from {table}") for table in tables}
    pipeline.run(real_marts, "replay", *(str(real_data(name)) for name in ("rees46", "uci_online_retail")))
    pipeline.wait_in_lake(real_marts)
    loaded = pipeline.load(real_marts)
    pipeline.run(real_marts, "model")
    assert (loaded["rows_inserted"], loaded["rows_duplicate"]) == (0, 17_434 + 3_090)
    assert {table: pipeline.scalar(f"select count(*) from {table}") for table in tables} == before
