"""Where the live stream begins."""

import pytest

from consumers.live_start import Start, fits, go_on
from consumers.live_store import Position
from loglake.topic import Bounds

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Position("t", "id", {0: 10, 1: 5}), True),
        (Position("t", "id", {0: 11}), False),
        (Position("t", "other", {0: 1}), False),
        (Position("u", "id", {0: 1}), False),
        (Position("t", "id", {2: 1}), False),
        (Position("t", "id", {}), True),
    ],
)
def test_the_tables_fit_the_topic_they_were_filled_from(known: Position, expected: bool) -> None:
    assert fits(known, "t", "id", {0: Bounds(0, 10), 1: Bounds(5, 9)}) is expected


@pytest.mark.parametrize(
    ("reached", "first", "recent", "expected"),
    [
        (7, 0, 3, Start({0: 7}, 0, 0)),  # as it was left
        (7, 0, 9, Start({0: 9}, 2, 0)),  # it was down for longer than windows are kept
        (7, 8, 3, Start({0: 8}, 0, 1)),  # Kafka has lost what was not read
        (7, 8, 12, Start({0: 12}, 4, 1)),  # both
        (None, 0, 4, Start({0: 4}, 0, 0)),  # a new partition
    ],
)
def test_it_goes_on_where_the_tables_end_if_that_is_still_of_use(reached: int | None, first: int, recent: int, expected: Start) -> None:
    assert go_on({} if reached is None else {0: reached}, {0: Bounds(first, 20)}, {0: recent}) == expected
