"""The books: each way in which they may not balance is named."""

from dataclasses import replace

import pytest

from loglake.balance import Facts, Loaded, balance
from loglake.books import MARTS
from loglake.lake import LakeCount, PartitionCount
from loglake.rejects import Counts
from loglake.topic import Bounds

pytestmark = pytest.mark.unit

LOADED = Loaded(loads=2, rows_read=100, rows_inserted=90, rows_duplicate=7, rows_rejected=3, rows_since_full=100, snapshot_to=5)
FACTS = Facts(
    topic="t",
    kafka={0: Bounds(0, 60), 1: Bounds(0, 40)},
    lake=LakeCount({"t": {0: PartitionCount(60, 0, 59, 0), 1: PartitionCount(40, 0, 39, 0)}}, good=97, rejected=3),
    lake_at_load=100,
    loaded=LOADED,
    raw_events=90,
    raw_rejected=3,
    marts={**dict.fromkeys(MARTS, 1), "fact_event": 90},
    dbt_load_id=2,
    last_load_id=2,
)


def test_books_that_balance():
    books = balance(FACTS)
    assert books.balanced
    assert books.notes == []
    assert books.as_dict()["balanced"] is True


@pytest.mark.parametrize("facts", [80, 85, 90])
def test_what_was_retired_from_raw_is_accounted_for_and_the_marts_may_keep_it(facts):
    assert balance(replace(FACTS, raw_events=80, raw_retired=10, marts={**FACTS.marts, "fact_event": facts})).balanced


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            {"lake": LakeCount({"t": {0: PartitionCount(59, 0, 59, 0), 1: PartitionCount(40, 0, 39, 0)}}, 97, 3)},
            "lake: 1 offsets of partition 0",
        ),
        ({"lake": LakeCount({"t": {0: PartitionCount(61, 0, 59, 1), 1: PartitionCount(40, 0, 39, 0)}}, 97, 3)}, "more than once"),
        ({"kafka": {0: Bounds(0, 50), 1: Bounds(0, 40)}}, "not the same topic"),
        ({"loaded": replace(LOADED, rows_inserted=91), "raw_events": 91}, "load: 100 rows read are not"),
        ({"loaded": replace(LOADED, rows_since_full=99)}, "load: 99 rows were read of 100"),
        ({"raw_events": 89}, "raw: 89 events"),
        ({"raw_rejected": 2}, "raw: 2 rejects"),
        ({"lake": replace(FACTS.lake, good=96, rejected=4)}, "load: the lake holds 4 rejects"),
        (
            {
                "lake": replace(FACTS.lake, good=96, rejected=4),
                "loaded": replace(LOADED, rows_read=110, rows_duplicate=17, rows_backfilled=10),
            },
            "load: the lake holds 4 rejects",
        ),
        ({"marts": {**FACTS.marts, "fact_event": 89}}, "marts: fact_event"),
        ({"raw_events": 80, "raw_retired": 9}, "raw: 80 events are there and 9 were retired"),
        ({"raw_events": 80, "raw_retired": 10, "marts": {**FACTS.marts, "fact_event": 79}}, "marts: fact_event"),
        ({"rejects": Counts(open=1, replayed=2, missing=1)}, "rejects: 1 records are noted as replayed, but raw holds no such event"),
    ],
)
def test_each_imbalance_is_found(change, finding):
    books = balance(replace(FACTS, **change))
    assert not books.balanced
    assert finding in " ".join(books.findings)


def test_work_that_waits_is_a_note_and_not_a_finding():
    behind = replace(
        FACTS,
        kafka={0: Bounds(0, 70), 1: Bounds(0, 40)},
        lake_at_load=90,
        loaded=replace(LOADED, rows_read=90, rows_inserted=80, rows_since_full=90),
        raw_events=80,
        dbt_load_id=1,
    )
    books = balance(behind)
    assert books.balanced, books.findings
    assert [note.split()[0] for note in books.notes] == ["10", "10"]


def test_the_first_finding_names_the_first_stage():
    books = balance(replace(FACTS, raw_events=1, lake=LakeCount({"t": {0: PartitionCount(59, 0, 59, 0)}}, 97, 3)))
    assert books.findings[0].startswith("lake:")


def test_a_topic_that_is_no_longer_in_use_is_checked_but_not_waited_for():
    both = {**FACTS.lake.topics, "old": {0: PartitionCount(8, 0, 9, 0)}}
    books = balance(replace(FACTS, lake=replace(FACTS.lake, topics=both)))
    assert books.findings == ["lake: 2 offsets of partition 0 of old between 0 and 9 are missing"]
    assert books.notes == []


def test_what_was_replayed_may_be_under_way_as_long_as_something_waits():
    # nor while nobody has asked Kafka whether it is on its way
    assert balance(replace(FACTS, kafka={}, rejects=Counts(replayed=2, missing=1))).balanced
    under_way = Counts(replayed=2, missing=1, replaying=3)
    books = balance(replace(FACTS, kafka={0: Bounds(0, 61), 1: Bounds(0, 40)}, rejects=under_way))
    assert books.balanced, books.findings
    assert [note.split(":")[0] for note in books.notes] == [
        "1 records in Kafka are not in the lake yet",
        "3 rejects are being replayed",
        "1 replayed rejects have not arrived in raw yet",
    ]
    assert balance(replace(FACTS, rejects=Counts(open=1, replayed=2))).as_dict()["rejects"]["open"] == 1
