"""The load's transaction on real Postgres, with staging tables as the Spark tasks leave them."""

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from consumers.bronze import to_bronze
from loglake import clients, events
from loglake.events import Event
from spark_jobs import merge
from spark_jobs.copy_files import Staged, copy_batches, copy_columns, project
from tests.sample import NOW, event
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import deliver, empty_warehouse

pytestmark = pytest.mark.integration
_KAFKA = pa.schema([("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("timestamp", pa.timestamp("us", "UTC"))])
_IDS = {column.name: number for number, column in enumerate(copy_columns())}


@pytest.fixture
def database(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with empty_warehouse("merge_test") as name:
        yield name


def stage(database: str, table: str, payloads: Sequence[bytes], first_offset: int) -> Staged:
    """Records as a task of the load stages them; a later offset was received later."""
    received = [NOW + timedelta(seconds=first_offset + number) for number in range(len(payloads))]
    offsets = range(first_offset, first_offset + len(payloads))
    position = [["t"] * len(payloads), [0] * len(payloads), offsets, received]
    arrays = [pa.array(values, field.type) for values, field in zip(position, _KAFKA, strict=True)]
    records = pa.RecordBatch.from_arrays([*arrays, pa.array(payloads, pa.binary())], names=[*_KAFKA.names, "value"])
    bronze = to_bronze(records, 10_000, NOW)
    numbered = [field.with_metadata({b"PARQUET:field_id": str(_IDS[field.name]).encode()}) for field in bronze.schema]
    batch = project(pa.RecordBatch.from_arrays(bronze.columns, schema=pa.schema(numbered)), copy_columns(), _IDS)
    staged = Staged(table)
    staged.count(batch)
    copy_batches(clients.postgres_uri("loader", database), "stage", table, [batch])
    return staged


def merged(database: str, load_id: int, *staged: Staged) -> tuple[int, ...]:
    manifest = {"load_id": load_id, "snapshot_from": None, "snapshot_to": load_id, "started_at": NOW, "files_read": 1}
    with clients.postgres("loader", database) as connection:
        return dataclasses.astuple(merge.merge(connection, staged, manifest))


def query(database: str, statement: str) -> list[tuple[object, ...]]:
    with clients.postgres("loader", database) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload, no-any-return]


def encoded(*values: Event) -> list[bytes]:
    return [events.encode(value) for value in values]


def test_an_event_is_there_once_and_its_first_copy_stays(database):
    late_copy = event(1, service="resent")
    staged = stage(database, "a", encoded(late_copy, event(2)), 10), stage(database, "b", [*encoded(event(1)), b"{", b"no"], 0)
    assert merged(database, 1, *staged) == (5, 2, 1, 2)
    assert query(database, 'select "offset" from raw.log_events order by event_id') == [(0,), (11,)]
    again = stage(database, "c", [*encoded(late_copy, event(3), event(2), event(0)), b"{"], 20)
    assert merged(database, 2, again) == (5, 2, 2, 1)
    assert query(database, 'select "offset", load_id from raw.log_events order by event_id') == [(23, 2), (0, 1), (11, 1), (21, 2)]


def test_a_record_that_was_rejected_before_counts_as_a_duplicate(database):
    assert merged(database, 1, stage(database, "a", [b"{"], 0)) == (1, 0, 0, 1)
    assert merged(database, 2, stage(database, "b", [b"{"], 0)) == (1, 0, 1, 0)
    assert query(database, "select load_id, reject_reason is not null, payload from raw.rejected_events") == [(1, True, b"{")]


def test_a_new_month_takes_its_rows_from_the_default_partition(database):
    deliver(database, 1, [event(1)])
    assert query(database, "select tableoid::regclass::text from raw.log_events") == [("raw.log_events_default",)]
    assert merged(database, 2, stage(database, "a", encoded(event(1), event(2), event(3, event_ts=datetime(2026, 2, 1, tzinfo=UTC))), 0))
    found = query(database, "select tableoid::regclass::text, load_id from raw.log_events order by event_id")
    assert found == [("raw.log_events_2026_02", 2), ("raw.log_events_2026_03", 1), ("raw.log_events_2026_03", 2)]


def test_what_is_known_is_looked_up_by_key_and_not_scanned(database):
    """Promise 4: with a history that has statistics the merge still touches the index only."""
    merged(database, 1, stage(database, "a", encoded(*map(event, range(300))), 0))
    with clients.postgres("loader", database) as connection:
        connection.execute("analyze raw.log_events")
    before = scans(database)
    merged(database, 2, stage(database, "b", encoded(*map(event, range(200, 9000))), 5000))
    assert scans(database) == before


def scans(database: str) -> list[tuple[object, ...]]:
    with clients.postgres("postgres", database) as connection:
        connection.execute("select pg_stat_force_next_flush()")
        return connection.execute("select relname, seq_scan from pg_stat_user_tables where schemaname = 'raw' order by 1").fetchall()
