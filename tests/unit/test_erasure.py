"""Erasing a person: what accounts for a missing record, whose a rejected one is, and where the stream goes on."""

from dataclasses import replace

import numpy as np
import pytest

from consumers.position import next_offsets
from loglake import tables
from loglake.balance import balance
from loglake.cli.batch import print_books
from loglake.lake import LakeCount, PartitionCount, count_partition
from loglake.retirement import Retired
from spark_jobs.forget import needles
from tests.unit.test_books import FACTS

pytestmark = pytest.mark.unit


def counted(held: list[int], erased: list[int]) -> PartitionCount:
    return count_partition(np.array(held, dtype=np.int64), np.array(erased, dtype=np.int64), Retired(0, ()))


@pytest.mark.parametrize(
    ("held", "erased", "missing", "unerased", "bounds"),
    [
        ([0, 1, 2], [], 0, 0, (0, 2)),
        ([0, 3], [1, 2], 0, 0, (0, 3)),
        ([1], [0, 2, 3], 0, 0, (0, 3)),  # at the ends of the partition
        ([], [0, 1], 0, 0, (0, 1)),  # nothing is left
        ([0, 4], [1, 2], 1, 0, (0, 4)),  # 3 is booked nowhere
        ([0, 1, 3], [1], 1, 1, (0, 3)),  # 1 is booked, but there; 2 is missing
    ],
)
def test_an_erasure_accounts_for_its_own_offsets_only(held, erased, missing, unerased, bounds):
    count = counted(held, erased)
    assert (count.missing, count.unerased, (count.first, count.last), count.repeated) == (missing, unerased, bounds, 0)


def test_the_books_balance_with_what_was_erased_and_not_without():
    whole = FACTS.lake.topics["t"]
    assert balance(replace(FACTS, lake=LakeCount({"t": {**whole, 0: PartitionCount(58, 0, 59, 0, erased=2)}}, 97, 3))).balanced
    short = balance(replace(FACTS, lake=LakeCount({"t": {**whole, 0: PartitionCount(58, 0, 59, 0, erased=1)}}, 97, 3)))
    assert short.findings == ["lake: 1 offsets of partition 0 of t between 0 and 59 are missing"]


def test_a_record_that_is_booked_as_erased_but_there_is_a_finding_once_its_erasure_is_finished():
    there = replace(FACTS, lake=LakeCount({"t": {**FACTS.lake.topics["t"], 0: PartitionCount(60, 0, 59, 0, erased=2, unerased=2)}}, 97, 3))
    assert balance(there).findings == ["lake: 2 records of partition 0 of t are booked as erased, but there"]
    under_way = balance(replace(there, open_erasures=1))
    assert under_way.findings == []
    assert under_way.notes == ["1 erasures are not finished: where no `loglake forget` is running, run it again"]


def test_a_load_between_the_delete_in_the_lake_and_the_rebuild_is_no_finding():
    lake = LakeCount({"t": {**FACTS.lake.topics["t"], 0: PartitionCount(58, 0, 59, 0, erased=2)}}, 96, 2)
    short = replace(FACTS, lake=lake, lake_at_load=98)
    assert balance(replace(short, open_erasures=1)).findings == []
    assert balance(short).findings == [
        "load: 100 rows were read of 98 in the lake's snapshot 5", "load: the lake holds 2 rejects, raw 3",
    ]  # fmt: skip


def test_the_printed_books_say_what_was_erased_where_something_was(capsys):
    erased = LakeCount({"t": {**FACTS.lake.topics["t"], 0: PartitionCount(58, 0, 59, 0, erased=2)}}, 97, 3)
    print_books(balance(replace(FACTS, lake=erased)))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["erased", "2"] in lines
    assert lines[-1] == ["balanced"]
    assert balance(replace(FACTS, lake=erased)).as_dict()["erased"] == 2
    print_books(balance(FACTS))
    assert "erased" not in capsys.readouterr().out


def test_an_id_is_looked_for_as_a_json_string():
    assert needles("u1") == [b'"u1"']
    assert needles('Jörg "J"') == [b'"J\\u00f6rg \\"J\\""', '"Jörg \\"J\\""'.encode()]


def test_the_stream_goes_on_after_erased_records_at_the_end_of_a_partition():
    reached = tables.reached('{"0": 9, "2": 4}')
    assert next_offsets({0: 7, 1: 3}, reached) == {0: 10, 1: 4, 2: 5}
    assert next_offsets({0: 12}, reached) == {0: 13, 2: 5}
    assert next_offsets({0: 7}, tables.reached(None)) == {0: 8}
