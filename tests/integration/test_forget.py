"""`loglake forget` on the real stack: nothing of the person is left in lake or warehouse, and all the rest is as if they had never come."""

import io
import json
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from loglake import clients
from loglake.events import Event, Product, User
from loglake.settings import settings
from producers.publisher import Publisher
from producers.record import Record
from tests import pipeline
from tests.integration.test_rebuild import contents, leftovers
from tests.sample import NOW, event, order
from tests.stackfixture import EmbeddedStack
from tests.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]
MINUTE = timedelta(minutes=1)
FLAWS = ("--late", "0.05", "--resent", "0.05", "--malformed", "0.01")
_MARTS = """
select (select count(*) from marts.dim_users where user_id = %(id)s) + (select count(*) from restricted.user_contact where user_id = %(id)s)
     + (select count(*) from raw.log_events where user_id = %(id)s)
     + (select count(*) from raw.rejected_events where position(convert_to(%(id)s, 'UTF8') in payload) > 0)
"""
_INTO_LATEST = """
insert into live.latest_event (topic, partition, "offset", received_at, user_id, payload)
select topic, partition, "offset", now(), null, '' from ops.erased_record join ops.erasure using (erasure_id) where finished_at is null
union all select 'LogEvents', 0, 1000000000, now(), %s, ''
on conflict do nothing
"""
_IN_LATEST = """
select count(*) from live.latest_event as held
where user_id = %s or exists (
    select from ops.erased_record as erased
    where erased.topic = held.topic and erased.partition = held.partition and erased."offset" = held."offset"
)
"""


@dataclass(frozen=True)
class Person:
    """Somebody to forget. Number: 5 events that name them, 1 of their session that names nobody, 1 rejected record."""

    name: str
    number: int

    def view(self, offset: int, session: str, **changes: Any) -> Event:
        values = {"session_id": f"{self.name}-{session}", "user": User(user_id=self.name, email=f"{self.name}@example.org"), **changes}
        return event(self.number * 100 + offset, **values)

    def events(self, others: "Person") -> list[Event]:
        """A session of their own, with one event that names nobody; and an event in a session that somebody else is in."""
        bought = order(f"order-{self.name}", "completed", ((f"product-{self.name}", 2, "5.00"),))
        return [
            self.view(1, "own", product=Product(f"product-{self.name}", "Only theirs", price=Decimal("5.00"))),
            self.view(2, "own", event_type="order_complete_response", product=None, order=bought),
            self.view(3, "own", user=None, event_type="product_view"),
            self.view(4, "other", session_id=f"{others.name}-own"),
            self.view(5, "own", event_ts=NOW + MINUTE, product=Product("shared-product", "Shared", price=Decimal("12.00"))),
            self.view(6, "own", event_type="logout", product=None),
        ]

    def bystander_events(self) -> list[Event]:
        return [
            self.view(11, "own", product=Product("shared-product", "Shared", price=Decimal("10.00"))),
            self.view(12, "own", user=None, event_type="product_view"),
        ]

    @property
    def broken(self) -> Record:
        return Record(f"{self.name}-own".encode(), json.dumps({"user_id": self.name, "event_type": 7}).encode())


def person(number: int) -> Person:
    return Person(f"person-{uuid.uuid4().hex}", number)


def publish(events: Sequence[Event], *records: Record) -> None:
    with Publisher(settings().kafka.topic) as publisher:
        for each in events:
            publisher.send_event(each)
        for record in records:
            publisher.send(record)
        assert publisher.flush().complete


def bring(stack: EmbeddedStack) -> dict[str, Any]:
    """Bring everything that was sent to the marts; what the load says."""
    pipeline.wait_in_lake(stack)
    loaded = pipeline.load(stack)
    pipeline.run(stack, "model")
    return loaded


def mentions(name: str) -> list[str]:
    """Files on HDFS that hold the name: Parquet files by their columns, which are compressed, others by their bytes."""
    client, needle = clients.webhdfs(), name.encode()
    found = []
    for root in (settings().lake.path, settings().lake.checkpoints):
        for folder, _, files in client.walk(root):
            for file in files:
                with client.read(f"{folder}/{file}") as reader:
                    content = reader.read()
                if needle in content or (file.endswith(".parquet") and in_parquet(content, name)):
                    found.append(f"{folder}/{file}")
    return found


def in_parquet(content: bytes, name: str) -> bool:
    table = pq.ParquetFile(io.BytesIO(content)).read().flatten()
    text = [column for column in table.columns if pa.types.is_string(column.type) or pa.types.is_binary(column.type)]
    return any(pc.any(pc.match_substring(column, name)).as_py() for column in text)


def traces(name: str) -> int:
    with clients.postgres("postgres") as admin:
        return int(admin.execute(_MARTS, {"id": name}).fetchall()[0][0])


def balanced(stack: EmbeddedStack) -> dict[str, Any]:
    books = pipeline.books(stack)
    assert (books["balanced"], books["findings"], books["notes"]) == (True, [], [])
    return books


def kill(process: "subprocess.Popen[str]") -> None:
    """kill -9 of a command and of what it started."""
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    for member in family:
        if member.is_running():
            member.kill()
    process.communicate(timeout=60)


@contextmanager
def resending(events: Sequence[Event]) -> Iterator[None]:
    """Send the same events again and again: the lake grows, the warehouse counts duplicates and is otherwise as before."""
    enough = threading.Event()

    def send() -> None:
        while not enough.wait(0.2):
            publish(events)

    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send)
        try:
            yield
        finally:
            enough.set()
        sent.result()


@dataclass(frozen=True)
class Story:
    """Two who were forgotten: `loaded`, from lake and warehouse, by a run that was killed; then `waiting`, who was in the lake only."""

    loaded: Person
    waiting: Person
    erased_before: int
    before: dict[str, Any]
    when_killed: dict[str, Any]
    traces_when_killed: int
    report: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture(scope="module")
def forgotten(lake_stream: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Story:
    loaded, waiting, bystander = person(91), person(92), person(93)
    # a warehouse without them, then with one
    pipeline.generate(lake_stream, tmp_path_factory.mktemp("ledger") / "before", "--count", "1000", "--seed", "41", *FLAWS)
    publish(bystander.bystander_events())
    bring(lake_stream)
    erased, before = pipeline.books(lake_stream)["erased"], contents()
    publish(loaded.events(bystander), loaded.broken)
    load = bring(lake_stream)
    assert (load["rows_inserted"], load["rows_rejected"]) == (6, 1)
    with clients.postgres("loader") as loader:  # what a killed load leaves
        loader.execute("create table stage.load_0_killed as select * from raw.log_events")
    assert traces(loaded.name) > 0
    assert mentions(loaded.name) != []
    # a run that is killed when they are no longer in the lake, but still in the warehouse, while events come
    with resending(bystander.bystander_events()):
        victim = pipeline.popen(lake_stream, "forget", "--user", loaded.name, "--yes")
        wait_for("the forget to rebuild", lambda: victim.poll() is not None or leftovers() != [], seconds=600)
        assert victim.poll() is None, victim.communicate()[0]
        kill(victim)
    left, books = traces(loaded.name), pipeline.books(lake_stream)
    # one of the other, whose records are the last of their partition
    publish(waiting.events(bystander), waiting.broken)
    pipeline.wait_in_lake(lake_stream)
    with clients.postgres("loader") as loader:  # what the live stream keeps of both, if it runs, of one before the lake has it
        loader.execute(_INTO_LATEST, [waiting.name])
    assert pipeline.scalar(_IN_LATEST, waiting.name) >= 8
    report = json.loads(pipeline.run(lake_stream, "forget", "--user", waiting.name, "--yes", "--json").splitlines()[-1])
    return Story(loaded, waiting, erased, before, books, left, report, contents())


def test_forgetting_leaves_all_as_if_the_person_had_never_come(forgotten: Story, lake_stream: EmbeddedStack) -> None:
    report = forgotten.report
    # of the lake it says what this run found, of the warehouse what all unfinished ones did
    assert {name: report[name] for name in ("events", "session_events", "rejected", "raw_events", "raw_rejected")} == {
        "events": 5, "session_events": 1, "rejected": 1, "raw_events": 6, "raw_rejected": 1,
    }  # fmt: skip
    assert report["files_rewritten"] > 0
    assert report["snapshots_expired"] > 1
    assert report["files_removed"] > report["snapshots_expired"]
    assert report["in_kafka_until"] > "2026"
    assert forgotten.after == forgotten.before
    assert traces(forgotten.waiting.name) == 0
    assert mentions(forgotten.waiting.name) == []
    assert pipeline.scalar(_IN_LATEST, forgotten.waiting.name) == 0
    assert balanced(lake_stream)["erased"] - forgotten.erased_before == 14


def test_a_killed_forget_is_finished_by_the_next(forgotten: Story) -> None:
    assert forgotten.traces_when_killed > 0
    assert forgotten.when_killed["findings"] == []
    assert any("1 erasures are not finished" in note for note in forgotten.when_killed["notes"])
    assert (traces(forgotten.loaded.name), mentions(forgotten.loaded.name), leftovers()) == (0, [], [])
    assert pipeline.query("select tablename from pg_tables where schemaname = 'stage'") == []


def test_the_stream_goes_on_after_the_erased_records(forgotten: Story, lake_stream: EmbeddedStack, tmp_path: Path) -> None:
    # also when it starts anew, and its last batch is no longer in the table's history
    pid = lake_stream.kill("lake-stream")
    lake_stream.wait_healthy("lake-stream", not_pid=pid)
    truth = pipeline.generate(lake_stream, tmp_path / "after", "--count", "500", "--seed", "42", "--resent", "0.1")
    pipeline.exactly_once(pipeline.wait_in_lake(lake_stream))
    load = pipeline.load(lake_stream)
    assert (load["rows_read"], load["rows_inserted"]) == (truth.acknowledged, 500)
    assert traces(forgotten.loaded.name) + traces(forgotten.waiting.name) == 0
    balanced(lake_stream)
    assert "nothing was found" in pipeline.run(lake_stream, "forget", "--user", forgotten.waiting.name, "--yes")


@pytest.mark.usefixtures("forgotten")
def test_a_row_that_is_missing_without_a_booking_unbalances_the_books(lake_stream: EmbeddedStack) -> None:
    booked = 'select topic, partition, "offset", erasure_id from ops.erased_record where topic = %s order by 3 limit 1'
    with clients.postgres("postgres") as admin:
        (row,) = admin.execute(booked, [settings().kafka.topic]).fetchall()
        admin.execute('delete from ops.erased_record where (topic, partition, "offset") = (%s, %s, %s)', row[:3])
        found = pipeline.books(lake_stream)
        admin.execute("insert into ops.erased_record values (%s, %s, %s, %s)", row)
    assert found["findings"] == [f"lake: 1 offsets of partition {row[1]} of {row[0]} between 0 and {last(found, row[1])} are missing"]
    balanced(lake_stream)


def last(books: dict[str, Any], partition: int) -> int:
    return int(books["lake"]["topics"][books["topic"]][str(partition)]["last"])
