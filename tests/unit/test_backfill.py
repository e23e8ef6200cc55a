"""The pure parts of a backfill: which offsets the lake lacks, and which rows of a file are in the range."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from consumers.backfill import below, gaps, merged, without
from loglake.topic import Bounds
from spark_jobs.copy_files import received_within
from tests.sample import NOW

pytestmark = pytest.mark.unit


def test_what_the_lake_has_or_an_erasure_accounts_for_need_not_be_brought():
    held = {("t", 0): np.array([4, 2]), ("t", 1): np.array([0])}
    erased = {("t", 0): np.array([3, 4]), ("u", 0): np.array([9])}
    found = merged(held, erased)
    assert {place: offsets.tolist() for place, offsets in found.items()} == {("t", 0): [2, 3, 4], ("t", 1): [0], ("u", 0): [9]}


def test_what_comes_after_the_end_of_the_lake_is_the_streams():
    accounted = {("t", 0): np.array([5, 9]), ("t", 1): np.array([3]), ("u", 2): np.array([50])}
    wanted = {0: Bounds(4, 20), 1: Bounds(3, 8), 2: Bounds(0, 10)}
    assert below(wanted, accounted, "t") == {0: Bounds(4, 9)}
    assert below({1: Bounds(0, 2)}, accounted, "t") == {1: Bounds(0, 2)}


def test_gaps_are_runs_of_offsets_that_nothing_accounts_for():
    assert gaps(1, Bounds(3, 12), np.array([0, 4, 5, 8, 15])) == [(1, 3, 4), (1, 6, 8), (1, 9, 12)]
    assert gaps(1, Bounds(3, 6), np.array([3, 4, 5])) == []
    assert gaps(1, Bounds(3, 6), np.array([9])) == [(1, 3, 6)]


@pytest.mark.parametrize(
    ("ranges", "left"),
    [
        ([], [(1, 10, 20), (1, 30, 40)]),
        ([(12, 14)], [(1, 10, 12), (1, 15, 20), (1, 30, 40)]),
        ([(0, 9), (20, 29), (40, 50)], [(1, 10, 20), (1, 30, 40)]),
        ([(5, 34)], [(1, 35, 40)]),
        ([(10, 19), (39, 39)], [(1, 30, 39)]),
    ],
)
def test_what_the_lake_has_retired_is_not_brought_back(ranges, left):
    assert without([(1, 10, 20), (1, 30, 40)], ranges) == left


def test_of_a_file_only_the_rows_of_the_range_are_staged():
    minute = timedelta(minutes=1)
    moments = pa.array([NOW - minute, NOW, NOW + minute, NOW + 2 * minute], pa.timestamp("us", "UTC"))
    batch = pa.record_batch({"kafka_timestamp": moments, "offset": [1, 2, 3, 4]})
    assert received_within(batch, (NOW, NOW + 2 * minute))["offset"].to_pylist() == [2, 3]
