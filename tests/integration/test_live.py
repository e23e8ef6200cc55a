"""The live windows on real servers: totals as in the lake, also across kill -9; late events, too late ones, and a state that is lost."""

import re
import secrets
import signal
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loglake import clients, lake
from loglake.alerts import gather
from loglake.alerts.facts import Facts
from loglake.alerts.rules import judge
from loglake.events import Geo
from loglake.operation_settings import AlertSettings
from loglake.settings import settings
from producers import ids
from producers.publisher import Publisher
from tests import pipeline
from tests.sample import event
from tests.stackfixture import LIVE_STREAM, EmbeddedStack
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

PANE = timedelta(seconds=10)
FLAWS = ("--late", "0.05", "--late-days", "0.1", "--resent", "0.1", "--malformed", "0.02")
_COLUMNS = (
    "event_id",
    "event_ts",
    "event_type",
    "user_id",
    "session_id",
    "geo_country",
    "order_payment_method",
    "order_amount",
    "reject_reason",
)
_TOTALS = """
select window_start, events, orders, users, sessions from live.window_total
where width_seconds = %s and window_start >= %s and window_start + make_interval(secs => width_seconds) <= %s
"""
_COUNTS = """
select window_start, key, events from live.window_count
where width_seconds = 10 and dimension = %s and window_start >= %s and window_start + interval '10 s' <= %s
"""
_REVENUE = """
select payment_method, sum(revenue) from live.window_revenue
where width_seconds = 10 and window_start >= %s and window_start + interval '10 s' <= %s group by 1
"""
_REACHED = "select watermark from live.stream_state"


@dataclass(frozen=True)
class Sent:
    """Windows that begin at `start` or later and end by `end` are closed, and all that was sent into them is in the lake."""

    start: datetime
    end: datetime


@pytest.fixture(scope="module")
def live(lake_stream: EmbeddedStack) -> Iterator[EmbeddedStack]:
    """The stack with the live stream too, for these tests only: the others have use for its processor time."""
    lake_stream.start(LIVE_STREAM)
    yield lake_stream
    lake_stream.stop("live-stream")


@pytest.fixture(scope="module")
def killed(live: EmbeddedStack) -> Sent:
    """Events with flaws sent in real time, the live stream killed in the middle of them, and all windows closed."""
    start = pane_of(datetime.now(UTC))
    with generating(live) as generator:
        wait_for("the first events to be counted", lambda: counted(start) > 300)
        pid = live.kill("live-stream")
        live.wait_healthy("live-stream", not_pid=pid)
        generator.send_signal(signal.SIGTERM)
        told, _ = generator.communicate(timeout=120)
        assert generator.returncode == 0, told
    end = pane_of(datetime.now(UTC)) + PANE
    wait_for("the windows to be closed", lambda: tick() and watermark() >= end)
    assert late() > 0, "some of the generator's events are an hour late at least"
    pipeline.wait_in_lake(live)
    return Sent(start, end)


@contextmanager
def generating(stack: EmbeddedStack) -> Iterator["subprocess.Popen[str]"]:
    """A generator in the background, which does not outlive the test."""
    generator = pipeline.popen(stack, "generate", "--rate", "200", "--seed", "71", *FLAWS)
    try:
        yield generator
    finally:
        if generator.returncode is None:
            generator.kill()
            generator.communicate()


def pane_of(moment: datetime) -> datetime:
    return moment - timedelta(seconds=moment.timestamp() % PANE.total_seconds())


def counted(start: datetime) -> int:
    return int(
        pipeline.scalar("select coalesce(sum(events), 0) from live.window_total where width_seconds = 10 and window_start >= %s", start)
    )


def watermark() -> datetime:
    found: datetime = pipeline.scalar(_REACHED) or datetime.min.replace(tzinfo=UTC)
    return found


def late() -> int:
    return int(pipeline.scalar("select coalesce(sum(events), 0) from live.late_count"))


def alert() -> str:
    """What the alert rule says of the live stream's silence, with twenty seconds of it for a limit."""
    now = datetime.now(UTC)
    facts = Facts(now=now, warehouse=gather.ask_warehouse(now))
    return next(verdict.state for verdict in judge(facts, AlertSettings(live_stale_seconds=20)) if verdict.rule.name == "live_stale")


def send(*moments: datetime, country: str) -> None:
    """An event of each of these moments, sent now."""
    with Publisher(settings().kafka.topic) as publisher:
        for moment in moments:
            event_id = ids.uuid7(ids.milliseconds(moment), secrets.randbits(ids.RANDOM_BITS))
            publisher.send_event(event(event_id=event_id, event_ts=moment, sent_at=datetime.now(UTC), geo=Geo(country=country)))


def tick() -> bool:
    """Send an event of now, so that time goes on."""
    send(datetime.now(UTC), country="Tickland")
    return True


def in_lake(sent: Sent) -> list[dict[str, Any]]:
    """The distinct events of these windows, as the lake has them."""
    bronze = lake.table()
    assert bronze is not None
    rows = pa.concat_tables(lake.read_columns(file, _COLUMNS) for file in lake.data_files(bronze))
    inside = (pc.field("event_ts") >= sent.start) & (pc.field("event_ts") < sent.end)
    return list({row["event_id"]: row for row in rows.filter(inside).to_pylist()}.values())


def assert_same_as_lake(stack: EmbeddedStack, sent: Sent) -> None:
    """Each closed window has the lake's distinct events, orders and revenue, and about its users and sessions."""
    pipeline.wait_in_lake(stack)
    rows = in_lake(sent)
    assert len(rows) > 1000
    for width in (10, 60):
        starts = [sent.start + PANE * number for number in range((sent.end - sent.start) // PANE - width // 10 + 1)]
        expected = {start: totals(row for row in rows if start <= row["event_ts"] < start + timedelta(seconds=width)) for start in starts}
        found = {start: found for start, *found in pipeline.query(_TOTALS, width, sent.start, sent.end)}
        assert {start: total[:2] for start, total in found.items()} == {start: total[:2] for start, total in expected.items() if total[0]}
        for start, total in found.items():
            assert total[2:] == pytest.approx(expected[start][2:], rel=0.1), (width, start)
    for dimension, column in (("event_type", "event_type"), ("country", "geo_country")):
        by_value = Counter((pane_of(row["event_ts"]), row[column]) for row in rows if row[column])
        assert {(start, key): count for start, key, count in pipeline.query(_COUNTS, dimension, sent.start, sent.end)} == by_value
    revenue: Counter[str] = Counter()
    for row in rows:
        if row["event_type"] == "order_complete_response":
            revenue[row["order_payment_method"]] += row["order_amount"]
    assert dict(pipeline.query(_REVENUE, sent.start, sent.end)) == revenue


def totals(rows: Iterable[dict[str, Any]]) -> list[int]:
    """Events, orders, users and sessions."""
    found = list(rows)
    distinct = ({row[name] for row in found} - {None} for name in ("user_id", "session_id"))
    return [len(found), sum(row["event_type"] == "order_complete_response" for row in found), *map(len, distinct)]


def test_closed_windows_equal_the_lake_also_when_the_stream_was_killed(live: EmbeddedStack, killed: Sent) -> None:
    assert_same_as_lake(live, killed)


@pytest.mark.usefixtures("killed")
def test_a_late_event_corrects_its_window_and_one_that_is_too_late_is_counted() -> None:
    now = datetime.now(UTC)
    send(now, country="Tickland")
    wait_for("the watermark to follow", lambda: watermark() >= now - PANE)
    before = late()
    send(now - PANE + timedelta(seconds=1), now - timedelta(hours=1), country="Lateland")
    wait_for("the one that is too late to be counted", lambda: late() == before + 1)
    found = pipeline.query("select window_start, events from live.window_count where width_seconds = 10 and key = 'Lateland'")
    assert found == [(pane_of(now - PANE + timedelta(seconds=1)), 1)]


def test_the_newest_events_are_kept_without_a_name_or_an_address(killed: Sent) -> None:
    assert killed.start < killed.end
    rows = pipeline.query("select event_id, reject_reason, payload from live.latest_event")
    assert 0 < len(rows) <= settings().live.latest_events
    assert all((event_id is None) == (reason is not None) == (payload == "") for event_id, reason, payload in rows)
    assert not re.search(r'"(username|email|ip)":', "".join(payload for *_, payload in rows))
    assert "Tickland" in "".join(payload for *_, payload in rows)


def test_a_stream_that_stops_is_told_and_a_state_that_cannot_be_read_is_made_anew_from_kafka(live: EmbeddedStack, killed: Sent) -> None:
    assert alert() == "ok"
    live.stop("live-stream")
    wait_for("its silence to be told", lambda: alert() == "firing")
    with clients.postgres("loader") as loader:
        assert loader.execute("update live.pane set state = '\\x00'").rowcount > 0
    live.start(LIVE_STREAM)
    wait_for("the windows to be made anew", lambda: tick() and watermark() >= killed.end)
    assert alert() == "ok"
    assert_same_as_lake(live, killed)
    assert "the state of the windows cannot be read" in "\n".join(live.log_lines("live-stream"))
