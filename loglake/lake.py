"""Reading the lake without Spark: Iceberg's metadata through PyIceberg, data files through WebHDFS and Arrow."""

import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hdfs.client import InsecureClient
from hdfs.util import HdfsError
from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile
from pyiceberg.manifest import DataFile
from pyiceberg.table import StaticTable

from loglake import clients, erasure, lake_metadata, retirement
from loglake.erasure import Offsets
from loglake.lake_metadata import path_of
from loglake.retirement import Retired

#: What `count` reads of each row.
COUNTED = ("topic", "partition", "offset", "reject_reason")
#: A file up to this size is fetched whole: one request is faster than one per column.
_WHOLE_BYTES = 1024 * 1024


class WebHdfsFile(InputFile):
    """A file on HDFS that is read whole: metadata and data files are bounded in size."""

    def __init__(self, client: InsecureClient, location: str) -> None:
        super().__init__(location)
        self._client = client

    def __len__(self) -> int:
        return int(self._client.status(path_of(self.location))["length"])

    def exists(self) -> bool:
        return self._client.status(path_of(self.location), strict=False) is not None

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002 - always seekable
        try:
            with self._client.read(path_of(self.location)) as reader:
                return io.BytesIO(reader.read())
        except HdfsError as error:
            raise FileNotFoundError(f"{self.location}: {error}") from error


class WebHdfsIO(FileIO):
    """PyIceberg's way to HDFS, read only."""

    def new_input(self, location: str) -> InputFile:
        return WebHdfsFile(clients.webhdfs(), location)

    def new_output(self, location: str) -> OutputFile:
        raise PermissionError(f"{location}: the lake is written by Spark only")

    def delete(self, location: str | InputFile | OutputFile) -> None:
        raise PermissionError(f"{location}: the lake is written by Spark only")


def table() -> StaticTable | None:
    """The bronze table as it is now; None before the stream has made it."""
    location = lake_metadata.location()
    return table_at(location) if location else None


def table_at(location: str) -> StaticTable:
    """The bronze table as this metadata file describes it."""
    return StaticTable.from_metadata(location, {"py-io-impl": f"{__name__}.{WebHdfsIO.__name__}"})


def total_records(lake: StaticTable, snapshot_id: int | None = None) -> int:
    """The rows of a snapshot (the current one when None); 0 for an empty table."""
    snapshot = lake.current_snapshot() if snapshot_id is None else lake.snapshot_by_id(snapshot_id)
    if snapshot is None:
        if snapshot_id is not None:
            raise LookupError(f"snapshot {snapshot_id} has expired")
        return 0
    if snapshot.summary is None:
        raise LookupError(f"snapshot {snapshot.snapshot_id} has no summary")
    return int(snapshot.summary["total-records"] or 0)


@dataclass(frozen=True)
class PartitionCount:
    """What the lake holds of one Kafka partition; `repeated` counts rows whose offset is there already.

    `erased` of its records are booked as erased (loglake/erasure.py), and `unerased` of these are still there; `retired` left the lake
    by their age (loglake/retirement.py). First and last are those of all that the lake has held.
    """

    rows: int
    first: int
    last: int
    repeated: int
    erased: int = 0
    unerased: int = 0
    retired: int = 0

    @property
    def missing(self) -> int:
        """Offsets between the first and the last that no row has and neither an erasure nor the lake's retention accounts for."""
        return self.last - self.first + 1 - (self.rows - self.repeated + self.erased - self.unerased + self.retired)


@dataclass(frozen=True)
class LakeCount:
    """The lake's rows, read from its data files: per topic and Kafka partition, and the good and the rejected ones."""

    topics: dict[str, dict[int, PartitionCount]]
    good: int
    rejected: int

    @property
    def erased(self) -> int:
        """Records that the lake has held, and that were erased on a person's request."""
        return sum(held.erased - held.unerased for partitions in self.topics.values() for held in partitions.values())

    @property
    def retired(self) -> int:
        """Records that the lake has held, and that left it by their age."""
        return sum(held.retired for partitions in self.topics.values() for held in partitions.values())


def count(lake: StaticTable) -> LakeCount:
    """Read the position of every row of the current snapshot and count, and what the books say was erased and retired."""
    # Asked after the snapshot was fixed: what is gone from it was booked before.
    with clients.postgres("monitor") as connection:
        erased, retired = erasure.offsets(connection), retirement.by_partition(connection)
    held = held_in(data_files(lake))
    topics: dict[str, dict[int, PartitionCount]] = {}
    none = np.array([], dtype=np.int64)
    for place in sorted(held.keys() | erased.keys() | retired.keys()):
        offsets = held[place].offsets if place in held else none
        counted = count_partition(offsets, erased.get(place, none), retired.get(place, Retired(0, ())))
        topics.setdefault(place[0], {})[place[1]] = counted
    rejected = sum(source.rejected for source in held.values())
    return LakeCount(topics, sum(len(source.offsets) for source in held.values()) - rejected, rejected)


def offsets(lake: StaticTable) -> Offsets:
    """The offset of every row of the current snapshot."""
    return {place: source.offsets for place, source in held_in(data_files(lake)).items()}


class Held(NamedTuple):
    """The offset of every row of a Kafka partition, and how many of the rows are rejects."""

    offsets: np.ndarray
    rejected: int


def held_in(files: Iterable[DataFile]) -> dict[tuple[str, int], Held]:
    """What the data files hold of each topic's partitions."""
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    rejected = Counter[tuple[str, int]]()
    for file in files:
        table = read_columns(file, COUNTED)
        sources = table.group_by(["topic", "partition"]).aggregate([("offset", "list"), ("reject_reason", "count")])
        columns = (sources[name] for name in ("topic", "partition", "offset_list", "reject_reason_count"))
        for topic, partition, offsets, bad in zip(*columns, strict=True):
            place = topic.as_py(), partition.as_py()
            found.setdefault(place, []).append(offsets.values.to_numpy())
            rejected[place] += bad.as_py()
    return {place: Held(np.concatenate(parts), rejected[place]) for place, parts in found.items()}


def count_partition(held: np.ndarray, erased: np.ndarray, retired: Retired) -> PartitionCount:
    """Count the offsets that the lake holds of a partition, and those that were erased or retired; at least one of these has some."""
    edges = np.array(retired.ranges, dtype=np.int64).ravel()
    known, there = np.concatenate([held, erased, edges]), np.unique(held)
    return PartitionCount(
        rows=len(held),
        first=int(known.min()),
        last=int(known.max()),
        repeated=len(held) - len(there),
        erased=len(erased),
        unerased=len(np.intersect1d(there, erased)),
        retired=retired.records,
    )


def data_files(lake: StaticTable, snapshot_id: int | None = None) -> list[DataFile]:
    """The data files of a snapshot, the current one when None."""
    return [task.file for task in lake.scan(snapshot_id=snapshot_id).plan_files()]


def read_columns(file: DataFile, names: tuple[str, ...]) -> pa.Table:
    """Some columns of a data file; of a large one nothing else is fetched."""
    client, path = clients.webhdfs(), path_of(file.file_path)
    if file.file_size_in_bytes > _WHOLE_BYTES:
        source = pa.PythonFile(_Ranges(client, path, file.file_size_in_bytes), mode="r")
    else:
        with client.read(path) as reader:
            source = pa.BufferReader(pa.py_buffer(reader.read()))
    return pq.ParquetFile(source, pre_buffer=True).read(columns=list(names))


class _Ranges(io.RawIOBase):
    """A file on HDFS of which each read is one request for just those bytes."""

    def __init__(self, client: InsecureClient, path: str, length: int) -> None:
        self._client, self._path, self._length, self._at = client, path, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._length - self._at, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        with self._client.read(self._path, offset=self._at, length=wanted) as reader:
            content: bytes = reader.read()
        self._at += len(content)
        return content
