"""What maintenance plans: which snapshots may go, which days are compacted, which logs are old."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglake import upkeep
from loglake.cli.maintain import chosen
from loglake.errors import BadInputError
from loglake.retention import due
from spark_jobs.lake_plan import History, SmallFiles, Snapshot, days_to_compact, expirable

pytestmark = pytest.mark.unit
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def straight(length: int, marked: frozenset[int] = frozenset(), aside: int = 0) -> History:
    """Snapshots 1..length, a minute apart, the last one current; then `aside` children of snapshot 1 that nobody refers to."""
    way = [Snapshot(number, number - 1 or None, NOON + number * MINUTE, number in marked) for number in range(1, length + 1)]
    lost = [Snapshot(1000 + number, 1, NOON + number * MINUTE) for number in range(aside)]
    return History([*way, *lost], length, frozenset({length}))


@st.composite
def situations(draw: st.DrawFn) -> tuple[History, int, int, datetime, int]:
    """A history, the load's position, how many to keep, the age limit, and a tagged snapshot."""
    length = draw(st.integers(1, 60))
    numbers = st.integers(1, length)
    history = straight(length, draw(st.frozensets(numbers)), draw(st.integers(0, 3)))
    tagged = draw(numbers)
    history = History(history.snapshots, length, frozenset({length, tagged}))
    return history, draw(numbers), draw(st.integers(1, 70)), NOON + draw(st.integers(-5, 70)) * MINUTE, tagged


@given(situations())
def test_what_somebody_needs_never_goes_and_all_the_rest_does(situation: tuple[History, int, int, datetime, int]) -> None:
    history, position, keep, before, tagged = situation
    gone = set(expirable(history, position, keep, before))
    way = [snapshot for snapshot in history.snapshots if snapshot.id < 1000]
    left = [snapshot.id for snapshot in way if snapshot.id not in gone]
    # the load's position and all that came after it; the newest marker and all after it; the tag; the young; the newest
    assert set(range(position, len(way) + 1)) <= set(left)
    marker = max((snapshot.id for snapshot in way if snapshot.marked), default=len(way))
    assert set(range(marker, len(way) + 1)) <= set(left)
    assert tagged in left
    assert not any(snapshot.id in gone for snapshot in history.snapshots if snapshot.at >= before)
    assert len(left) >= min(keep, len(way))
    # what is left is one unbroken way back from the current snapshot, and no longer than one of these asks for
    assert left == list(range(left[0], len(way) + 1))
    young = min((snapshot.id for snapshot in way if snapshot.at >= before), default=len(way))
    assert left[0] == min(position, marker, tagged, young, max(1, len(way) - keep + 1))


def test_without_a_load_nothing_may_go() -> None:
    assert expirable(straight(9), None, 1, NOON + timedelta(days=1)) == []
    assert expirable(straight(9), 1000, 1, NOON + timedelta(days=1)) == []
    assert expirable(History([], None, frozenset()), None, 1, NOON) == []


def test_the_oldest_go_first_and_those_beside_the_way_by_age() -> None:
    assert expirable(straight(9, aside=3), 7, 2, NOON + 2 * MINUTE) == [1000, 1, 1001]
    assert expirable(straight(9), 7, 2, NOON + timedelta(days=1)) == [1, 2, 3, 4, 5, 6]


def test_a_branch_keeps_its_own_snapshots() -> None:
    history = straight(9, aside=1)
    branch = Snapshot(2000, 1000, NOON + MINUTE)
    assert expirable(History([*history.snapshots, branch], 9, frozenset({9, 2000})), 9, 1, NOON + timedelta(days=1)) == list(range(1, 9))


def test_days_with_many_small_files_are_compacted_the_fullest_first() -> None:
    first, second, third = (date(2026, 3, day) for day in (1, 2, 3))
    files = [(first, 10)] * 5 + [(second, 74)] * 6 + [(second, 75)] * 9 + [(third, 1)] * 4
    assert days_to_compact(files, 100, 5) == [SmallFiles(second, 6, 444), SmallFiles(first, 5, 50)]
    assert days_to_compact([], 100, 5) == []


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(-100, 100)), st.integers(-100, 100))
def test_no_log_goes_that_was_written_since(ages: dict[str, int], limit: int) -> None:
    files = {Path(name): (NOON + age * MINUTE).timestamp() for name, age in ages.items()}
    gone = upkeep.expired_logs(files.items(), NOON + limit * MINUTE)
    assert gone == {Path(name) for name, age in ages.items() if age < limit}


@given(st.dates(date(2019, 1, 1), date(2030, 12, 31)), st.integers(1, 40), st.sets(st.tuples(st.integers(2018, 2031), st.integers(1, 12))))
def test_no_month_goes_that_is_to_be_kept(today: date, months: int, held: set[tuple[int, int]]) -> None:
    names = {f"log_events_{year}_{month:02}": 12 * (today.year - year) + today.month - month for year, month in held}
    gone = due([*names, "log_events_default"], today, months)
    assert gone == sorted(name for name, age in names.items() if age > months)


def test_an_unknown_step_is_named() -> None:
    assert chosen(" expire, compact", ("compact", "expire")) == ["expire", "compact"]
    assert chosen("", ("compact", "expire")) == ["compact", "expire"]
    with pytest.raises(BadInputError, match="no step 'vacuum': there are compact, expire"):
        chosen("vacuum", ("compact", "expire"))
