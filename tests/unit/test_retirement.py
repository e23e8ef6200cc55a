"""Retention of the lake: what the books make of records that left it by their age."""

from dataclasses import replace

import numpy as np
import pytest

from loglake.balance import balance, differs_at_load
from loglake.cli.batch import print_books
from loglake.lake import LakeCount, count_partition
from loglake.retirement import Retired
from spark_jobs.retire import is_whole
from tests.unit.test_books import FACTS, LOADED

pytestmark = pytest.mark.unit
NONE = np.array([], dtype=np.int64)
#: Of 100 rows that were read, 20 of partition 0 left the lake, one of them a reject: all after the last load.
SHORT = replace(
    FACTS,
    lake=LakeCount({"t": {**FACTS.lake.topics["t"], 0: count_partition(np.arange(20, 60), NONE, Retired(20, ((0, 19),)))}}, 78, 2),
    loaded=replace(LOADED, lake_retired=20, lake_retired_rejected=1),
)


@pytest.mark.parametrize(
    ("offsets", "erased", "whole"),
    [([3, 4, 5], [], True), ([3, 5], [4, 9], True), ([3, 5], [9], False), ([3, 3, 4], [], False), ([3, 3], [4], False), ([7], [], True)],
)
def test_a_day_with_a_hole_or_a_repeated_record_is_kept(offsets, erased, whole):
    assert is_whole(np.array(offsets), np.array(erased, dtype=np.int64)) == whole


def test_retired_records_account_for_their_offsets_and_no_others():
    retired = Retired(4, ((0, 1), (3, 4)))
    count = count_partition(np.array([5, 7]), np.array([2]), retired)
    assert (count.first, count.last, count.missing, count.retired, count.rows) == (0, 7, 1, 4, 2)
    alone = count_partition(NONE, NONE, Retired(2, ((8, 9),)))
    assert (alone.first, alone.last, alone.missing, alone.rows) == (8, 9, 0, 0)


def test_the_books_balance_with_what_was_retired_and_not_without(capsys):
    books = balance(SHORT)
    assert (books.findings, books.notes) == ([], [])
    assert books.as_dict()["retired"] == 20
    print_books(books)
    assert " retired " in capsys.readouterr().out
    assert balance(replace(SHORT, loaded=LOADED)).findings == ["lake: 20 rows that were loaded have left it, and nothing accounts for them"]
    one_more = replace(SHORT, raw_rejected=4, raw_events=89, loaded=replace(SHORT.loaded, rows_rejected=4, rows_inserted=89))
    assert balance(replace(one_more, marts={})).findings == ["load: the lake holds 2 rejects and has retired 1, raw 4"]


def test_a_load_after_the_retirement_finds_that_much_less_in_its_snapshot():
    later = replace(SHORT, lake_at_load=80, loaded=replace(SHORT.loaded, lake_retired_before=20))
    assert (balance(later).findings, balance(later).notes) == ([], [])
    lost = balance(replace(later, lake_at_load=79))
    assert lost.findings == ["load: 100 rows were read less 20 retired of 79 in the lake's snapshot 5"]
    assert differs_at_load(None, later.loaded) == ""


def test_what_came_after_the_load_is_a_backlog_however_much_was_retired():
    more = replace(SHORT, lake=replace(SHORT.lake, good=85))
    assert balance(more).notes == ["7 rows in the lake are not loaded yet: the next batch will"]
    assert balance(replace(more, lake_at_load=None)).notes == balance(more).notes


def test_while_a_retirement_is_not_finished_nothing_of_it_is_called_lost():
    booked_only = replace(FACTS, lake=SHORT.lake, open_retirements=1)
    assert balance(booked_only).findings == []
    assert balance(booked_only).notes == [
        "1 retirements of days are not finished: where no `loglake maintain` is running, run it again",
    ]
