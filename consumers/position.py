"""Where the lake stream starts: the lake is the truth, the checkpoint only a helper.

A checkpoint is used when it is the one the table's last append came from and they agree on the last batch. In every
other case (gone, foreign, restored from a backup, ahead of a table that was rolled back) it is set aside and the stream
starts at the lake's own max(offset) + 1 per partition: no record twice, none left out.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from hdfs.client import InsecureClient

from loglake import catalog, tables
from loglake.errors import StreamPositionError
from loglake.topic import Bounds


@dataclass(frozen=True)
class Checkpoint:
    """A Spark checkpoint: the query's id, and the last batches that were planned and committed (None: none yet)."""

    query_id: str
    planned: int | None
    committed: int | None


@dataclass(frozen=True)
class Marker:
    """What Iceberg's streaming writer left in the table's last append snapshot."""

    query_id: str
    epoch: int


def is_continued_by(checkpoint: Checkpoint | None, marker: Marker | None) -> bool:
    """Whether a stream may go on from `checkpoint`: the table ends with its last committed batch, or the one in flight."""
    if checkpoint is None or marker is None or checkpoint.query_id != marker.query_id:
        return False
    if marker.epoch == checkpoint.committed:
        return True
    in_flight = 0 if checkpoint.committed is None else checkpoint.committed + 1
    return marker.epoch == in_flight == checkpoint.planned


def require_no_lost_table(metadata_files: Iterable[str]) -> None:
    """StreamPositionError when files on HDFS are of a table that the catalog has lost: a new one would hide it.

    CREATE TABLE writes number 0 before it tells the catalog, so a first start that was killed leaves one. It may be half written, and
    no row was ever in it: rows come with later commits, and the topic's id too.
    """
    commits = [path for path in metadata_files if catalog.version_of(path) > 0]
    if commits:
        raise StreamPositionError(
            f"the catalog does not know {tables.FULL_NAME}, but HDFS holds its metadata ({commits[0]}): a catalog that was lost is made "
            "anew by `loglake catalog rebuild`"
        )


def next_offsets(lake_last: dict[int, int], reached: dict[int, int]) -> dict[int, int]:
    """The offset after the last that the lake has held of each partition: that of its rows, or of records since taken out (`reached`).

    Without the latter, records erased or retired at the end of a partition would be read again.
    """
    return {number: max(lake_last.get(number, -1), reached.get(number, -1)) + 1 for number in sorted(lake_last.keys() | reached.keys())}


def starting_offsets(lake_next: dict[int, int], topic_bounds: dict[int, Bounds], topic: str) -> dict[str, int]:
    """The first offset to read of each partition of the topic, keyed as Spark's `startingOffsets` wants it.

    `lake_next` is max(offset) + 1 of each partition that the lake holds. StreamPositionError when the topic no longer
    has that record (a gap) or never had it (another topic of the same name).
    """
    for partition, offset in lake_next.items():
        known = topic_bounds.get(partition, Bounds(0, 0))
        if offset > known.end:
            raise StreamPositionError(
                f"topic {topic} ends at offset {known.end} in partition {partition}, but the lake already holds up to {offset - 1}: "
                "this is not the topic that the lake was filled from; set LOGLAKE_KAFKA_TOPIC to a new name"
            )
        if offset < known.first:
            raise StreamPositionError(
                f"topic {topic} begins at offset {known.first} in partition {partition}, but the lake ends at {offset - 1}: "
                f"{known.first - offset} records expired unread; restore them, or start a new topic with LOGLAKE_KAFKA_TOPIC"
            )
    return {str(partition): lake_next.get(partition, known.first) for partition, known in sorted(topic_bounds.items())}


def read_checkpoint(client: InsecureClient, path: str) -> Checkpoint | None:
    """The checkpoint in an HDFS folder; None when there is none (or it has not got as far as its metadata)."""
    if client.status(f"{path}/metadata", strict=False) is None:
        return None
    with client.read(f"{path}/metadata", encoding="utf-8") as reader:
        query_id = json.loads(reader.read())["id"]
    return Checkpoint(query_id, _last_batch(client, f"{path}/offsets"), _last_batch(client, f"{path}/commits"))


def _last_batch(client: InsecureClient, folder: str) -> int | None:
    if client.status(folder, strict=False) is None:
        return None
    batches = [int(name) for name in client.list(folder) if name.isdigit()]
    return max(batches, default=None)


def set_aside(client: InsecureClient, path: str, suffix: str) -> str | None:
    """Rename a checkpoint folder that must not be used, keeping it for whoever wants to look; its new name, if it was there."""
    if client.status(path, strict=False) is None:
        return None
    kept = f"{path}.{suffix}"
    client.rename(path, kept)
    return kept
