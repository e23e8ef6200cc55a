"""Iceberg's own maintenance of the lake's table, one function each: what `loglake maintain` and `loglake forget` have done.

None of them makes a row new: their snapshots are replacements or deletes, which the load's append scan leaves out.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from loglake import tables
from loglake.errors import ServiceError
from loglake.spark import iceberg_table, java_iterator

#: A work unit of compaction: so many files are read, written and committed at once, and lost when it is killed.
_FILES_AT_ONCE = 1000


class Compacted(NamedTuple):
    """Small files that were read, and those that were written in their place."""

    before: int
    after: int
    is_last: bool


def compact(spark: SparkSession, day: date, target_bytes: int, min_files: int) -> Compacted:
    """One work unit of a day's compaction (bin-pack, in the order of the files); `is_last` when the day has nothing more to do.

    Appends meanwhile are no conflict; a file that somebody deletes meanwhile is, and nothing is changed then.
    """
    options = {
        "target-file-size-bytes": target_bytes,
        "min-input-files": min_files,
        "max-files-to-rewrite": _FILES_AT_ONCE,
    }
    pairs = ", ".join(f"'{name}', '{value}'" for name, value in options.items())
    within = f"kafka_timestamp >= TIMESTAMP '{day}' AND kafka_timestamp < TIMESTAMP '{day + timedelta(days=1)}'"
    call = f"""CALL {tables.CATALOG}.system.rewrite_data_files(
        table => '{tables.FULL_NAME}', strategy => 'binpack', options => map({pairs}), where => "{within}")"""
    (row,) = spark.sql(call).collect()
    before, after = int(row["rewritten_data_files_count"]), int(row["added_data_files_count"])
    return Compacted(before, after, before < _FILES_AT_ONCE or after >= before)


def rewrite_manifests(spark: SparkSession) -> tuple[int, int]:
    """Few manifests in the place of the many that appends left, one per commit: how many were replaced, and by how many."""
    (row,) = spark.sql(f"CALL {tables.CATALOG}.system.rewrite_manifests(table => '{tables.FULL_NAME}')").collect()
    return int(row["rewritten_manifests_count"]), int(row["added_manifests_count"])


def expire(spark: SparkSession, snapshot_ids: Iterable[int]) -> int:
    """Expire these snapshots and no other; the number of files removed, which only they held."""
    action = _actions(spark).expireSnapshots(iceberg_table(spark))
    # Otherwise the table's own age limit (five days) would expire others too, among them what the load still has to read.
    action = action.expireOlderThan(0)
    for snapshot_id in snapshot_ids:
        action = action.expireSnapshotId(snapshot_id)
    result = action.execute()
    return int(result.deletedDataFilesCount() + result.deletedManifestsCount() + result.deletedManifestListsCount())


def remove_orphans(spark: SparkSession, before: datetime) -> int:
    """Remove files of the table's folder that no snapshot knows and that were last written before then; their number."""
    action = _actions(spark).deleteOrphanFiles(iceberg_table(spark)).olderThan(int(before.timestamp() * 1000))
    return sum(1 for _ in java_iterator(action.execute().orphanFileLocations()))


def count_orphans(spark: SparkSession, before: datetime) -> int:
    """How many files `remove_orphans` would remove."""
    call = f"""CALL {tables.CATALOG}.system.remove_orphan_files(
        table => '{tables.FULL_NAME}', older_than => TIMESTAMP '{before:%Y-%m-%d %H:%M:%S}', dry_run => true)"""
    return len(spark.sql(call).collect())


def note_reached(spark: SparkSession, reached: Mapping[str, Mapping[int, int]]) -> None:
    """Note how far the lake has come, as topic → partition → last offset, before records are taken out of it.

    The note keeps a stream that starts anew from reading them again, should they have been a partition's last (consumers/position.py).
    """
    table = iceberg_table(spark)
    update = table.updateProperties()
    for name, last in reached.items():
        known = tables.reached(table.properties().get(tables.reached_property(name)))
        furthest = {partition: max(offset, known.get(partition, -1)) for partition, offset in {**known, **last}.items()}
        update = update.set(tables.reached_property(name), json.dumps(furthest))
    update.commit()


def delete_files(spark: SparkSession, paths: Iterable[str], summary: Mapping[str, str]) -> None:
    """Delete these data files in one commit, whose snapshot says `summary`; ServiceError, and none is, when the table lacks one of them.

    Appends meanwhile are no conflict. The files themselves stay on HDFS until the snapshots that hold them expire.
    """
    table, left = iceberg_table(spark), set(paths)
    delete = table.newDelete().validateFilesExist()
    tasks = table.newScan().planFiles()
    try:
        for file in (task.file() for task in java_iterator(tasks)):
            if file.location() in left:
                # Never by its path: Py4J would take the protected deleteFile(String), which removes the file itself.
                delete.deleteFile(file)
                left.remove(file.location())
    finally:
        tasks.close()
    if left:
        raise ServiceError(f"the lake changed meanwhile: {len(left)} of the data files that were to be deleted are not its own any more")
    for key, value in summary.items():
        delete.set(key, value)
    try:
        delete.commit()
    except Py4JJavaError as error:
        # It may be there all the same (CommitStateUnknownException): the summary tells.
        raise ServiceError(f"the lake's files could not be deleted: {error.java_exception.getMessage()}; the next run tells") from error


def _actions(spark: SparkSession) -> Any:
    jvm: Any = spark.sparkContext._jvm
    return jvm.org.apache.iceberg.spark.actions.SparkActions.get(spark._jsparkSession)
