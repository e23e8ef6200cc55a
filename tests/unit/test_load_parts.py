"""The pure parts of the load."""

from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pyarrow as pa
import pytest

from loglake.columns import ITEM
from loglake.raw_partitions import month_bounds, months, partition_name
from spark_jobs.copy_files import Staged, as_json, project
from spark_jobs.lake_range import DataFile, balance
from tests.sample import event_id

pytestmark = pytest.mark.unit


def test_files_are_shared_out_by_size():
    files = tuple(DataFile(f"f{size}", size, size) for size in (9, 5, 4, 3, 3))
    piles = balance(files, 2)
    assert sorted(file.path for pile in piles for file in pile) == sorted(file.path for file in files)
    assert sorted(sum(file.bytes for file in pile) for pile in piles) == [12, 12]
    assert len(balance(files[:1], 2)) == 1


def numbered(name, number, arrow):
    return pa.field(name, arrow, metadata={b"PARQUET:field_id": str(number).encode()})


def test_columns_are_found_by_field_id_renamed_widened_or_added():
    stored = pa.schema([numbered("old_name", 2, pa.string()), numbered("count", 1, pa.int32())])
    batch = pa.record_batch([pa.array(["a", None]), pa.array([1, 2], pa.int32())], schema=stored)
    wanted = pa.schema([("count", pa.int64()), ("new_name", pa.string()), ("added", pa.string())])
    result = project(batch, wanted, {"count": 1, "new_name": 2, "added": 3})
    assert result.to_pylist() == [{"count": 1, "new_name": "a", "added": None}, {"count": 2, "new_name": None, "added": None}]


def test_order_lines_become_json_that_keeps_every_digit():
    array = pa.array([None, [{"product_id": "ü", "quantity": 2, "unit_price": Decimal("9999999999.99")}]], pa.list_(ITEM))
    none, text = as_json(array).to_pylist()
    assert none is None
    assert orjson.loads(text) == [{"product_id": "ü", "quantity": 2, "unit_price": "9999999999.99"}]


@pytest.mark.parametrize("month", [datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)])
def test_a_month_holds_its_uuids_and_no_other(month):
    low, high = month_bounds(month)
    following = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    assert low <= event_id(0, month) < high
    assert event_id(2**62 - 1, month.replace(day=30, hour=23)) < high
    assert event_id(0, following) >= high
    assert partition_name(month) == f"log_events_{month.year}_{month.month:02}"


def test_a_task_counts_what_it_copies():
    staged = Staged("a")
    staged.count(pa.record_batch({"event_id": ["0197738a-0833-7c59", None], "reject_reason": [None, "empty: 0 bytes"]}))
    staged.count(pa.record_batch({"event_id": ["0197738b-0833-7c59"], "reject_reason": pa.array([None], pa.string())}))
    assert staged == Staged("a", good=2, rejected=1, id_prefixes={"0197738a", "0197738b"})


def test_the_months_of_event_ids_end_now_and_begin_in_2000():
    def prefix(moment):
        return event_id(0, moment)[:8]

    now = datetime(2026, 3, 4, tzinfo=UTC)
    moments = [datetime(2025, 12, 31, 23, 59, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC)]
    wanted = [datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)]
    found = months({prefix(moment) for moment in moments}, now)
    assert [month for month in found if month != datetime(2026, 2, 1, tzinfo=UTC)] == wanted
    assert months({prefix(datetime(2026, 4, 2, tzinfo=UTC)), "00000000", "ffffffff"}, now) == []
