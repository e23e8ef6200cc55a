"""The pure parts of the load."""

from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pyarrow as pa
import pytest

from loglake.columns import ITEM
from spark_jobs.copy_files import as_json, project
from spark_jobs.lake_range import DataFile, balance
from spark_jobs.merge import month_bounds, partition_name
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
