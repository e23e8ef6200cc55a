"""Where the lake stream starts."""

import pytest

from consumers.position import Checkpoint, Marker, is_continued_by, require_no_lost_table, starting_offsets
from loglake.errors import StreamPositionError
from loglake.topic import Bounds

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("checkpoint", "marker", "continued"),
    [
        (Checkpoint("q", 4, 4), Marker("q", 4), True),  # stopped between batches
        (Checkpoint("q", 5, 4), Marker("q", 4), True),  # killed before the table's commit of batch 5
        (Checkpoint("q", 5, 4), Marker("q", 5), True),  # killed between the table's commit and the checkpoint's
        (Checkpoint("q", 0, None), Marker("q", 0), True),  # the same in the very first batch
        (None, Marker("q", 4), False),  # deleted
        (Checkpoint("other", 4, 4), Marker("q", 4), False),  # foreign
        (Checkpoint("q", 3, 3), Marker("q", 4), False),  # restored from an old backup: batch 4 would be left out
        (Checkpoint("q", 9, 9), Marker("q", 4), False),  # the table was rolled back: batches 5 to 9 would be missing
        (Checkpoint("q", 0, None), None, False),  # nothing in the table yet
    ],
)
def test_only_a_checkpoint_that_the_table_proves_is_continued(checkpoint, marker, continued):
    assert is_continued_by(checkpoint, marker) is continued


def test_an_empty_lake_starts_at_the_beginning():
    assert starting_offsets({}, {0: Bounds(0, 10), 1: Bounds(3, 5)}, "t") == {"0": 0, "1": 3}


def test_a_lake_with_rows_goes_on_after_them():
    assert starting_offsets({0: 7}, {0: Bounds(0, 10), 1: Bounds(0, 5)}, "t") == {"0": 7, "1": 0}


@pytest.mark.parametrize(("lake", "words"), [({0: 11}, "not the topic"), ({0: 2}, "expired unread"), ({4: 1}, "not the topic")])
def test_a_gap_or_another_topic_is_refused(lake, words):
    with pytest.raises(StreamPositionError, match=words):
        starting_offsets(lake, {0: Bounds(3, 10)}, "t")


FIRST, CREATED_AGAIN, WITH_TOPIC_ID = (f"/lake/metadata/{name}.metadata.json" for name in ("00000-a1", "00000-b2", "00001-c3"))


def test_a_table_that_the_catalog_lost_is_not_hidden_behind_a_new_one() -> None:
    with pytest.raises(
        StreamPositionError, match=r"HDFS holds its metadata \(/lake/metadata/00001-c3\.metadata\.json\): .*catalog rebuild"
    ):
        require_no_lost_table([WITH_TOPIC_ID, FIRST])


@pytest.mark.parametrize("left", [[], [FIRST], [CREATED_AGAIN, FIRST]])
def test_first_starts_that_were_killed_inside_create_table_do_not_keep_the_next_one_from_starting(left: list[str]) -> None:
    require_no_lost_table(left)
