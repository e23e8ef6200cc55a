"""What maintenance of the lake would do, from its metadata alone: pure functions, and the reading of what they need with PyIceberg."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyiceberg.manifest import DataFile
from pyiceberg.table import StaticTable

from loglake import lake, tables

#: Iceberg's own bound (SizeBasedFileRewritePlanner): a file below this part of the target size is worth rewriting.
_SMALL = 0.75
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of the table; `at` is when it was committed, `marked` whether a stream's epoch is in it."""

    id: int
    parent: int | None
    at: datetime
    marked: bool = False


@dataclass(frozen=True)
class History:
    """The snapshots that a table has, its current one, and the heads of its branches and tags (the current one included)."""

    snapshots: Sequence[Snapshot]
    current: int | None
    heads: frozenset[int]


@dataclass(frozen=True)
class SmallFiles:
    """A day of the lake (by kafka_timestamp, UTC) and its small data files."""

    day: date
    files: int
    bytes: int


def expirable(history: History, position: int | None, keep: int, before: datetime) -> list[int]:
    """The ids of the snapshots that nobody needs, oldest first.

    Of the way from the current snapshot back, kept are: the newest `keep`; those not older than `before`; and everything down to
    `position`, where the last load ended, to the newest that a stream marked, and to the head of any branch or tag. Without a
    position, or with one that is not on the way, nothing may go: the next load has to read what nobody knows.
    Snapshots aside of every way (somebody rolled back) go by age.
    """
    by_id = {snapshot.id: snapshot for snapshot in history.snapshots}
    way = list(_ancestors(by_id, history.current))
    places = {snapshot.id: place for place, snapshot in enumerate(way)}
    if position not in places:
        return []
    marked = next((place for place, snapshot in enumerate(way) if snapshot.marked), 0)
    young = max((place for place, snapshot in enumerate(way) if snapshot.at >= before), default=0)
    last = max(keep - 1, places[position], marked, young, *(places.get(head, 0) for head in history.heads))
    known = set(places).union(*({each.id for each in _ancestors(by_id, head)} for head in history.heads))
    aside = [snapshot for snapshot in history.snapshots if snapshot.id not in known and snapshot.at < before]
    return [snapshot.id for snapshot in sorted([*way[last + 1 :], *aside], key=lambda snapshot: snapshot.at)]


def _ancestors(by_id: dict[int, Snapshot], head: int | None) -> Iterator[Snapshot]:
    """The snapshot and those it came from, newest first, as far as they are there."""
    snapshot = by_id.get(head) if head is not None else None
    while snapshot is not None:
        yield snapshot
        snapshot = by_id.get(snapshot.parent) if snapshot.parent is not None else None


def days_to_compact(files: Iterable[tuple[date, int]], target_bytes: int, min_files: int) -> list[SmallFiles]:
    """Days with at least `min_files` small files, those with the most first; `files` are (day, bytes) of each data file."""
    small = [(day, size) for day, size in files if size < _SMALL * target_bytes]
    counts = Counter(day for day, _ in small)
    days = [SmallFiles(day, count, sum(size for each, size in small if each == day)) for day, count in counts.items() if count >= min_files]
    return sorted(days, key=lambda found: (-found.files, found.day))


def history(table: StaticTable) -> History:
    """The table's history."""
    found = [
        Snapshot(
            snapshot.snapshot_id,
            snapshot.parent_snapshot_id,
            datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
            snapshot.summary is not None and snapshot.summary[tables.EPOCH_MARKER] is not None,
        )
        for snapshot in table.snapshots()
    ]
    return History(found, table.metadata.current_snapshot_id, frozenset(ref.snapshot_id for ref in table.metadata.refs.values()))


def day_of(file: DataFile) -> date:
    """The day that all rows of a data file are of."""
    return _EPOCH + timedelta(days=file.partition[0])


def sizes_by_day(table: StaticTable) -> list[tuple[date, int]]:
    """The day and the bytes of each data file of the current snapshot."""
    return [(day_of(file), file.file_size_in_bytes) for file in lake.data_files(table)]


def records_by_day(table: StaticTable, snapshot_id: int | None = None) -> Counter[date]:
    """The records of each day in a snapshot, the current one when None."""
    found = Counter[date]()
    for file in lake.data_files(table, snapshot_id):
        found[day_of(file)] += file.record_count
    return found


def manifest_count(table: StaticTable) -> int:
    """The manifests of the current snapshot."""
    snapshot = table.current_snapshot()
    return len(snapshot.manifests(table.io)) if snapshot else 0
