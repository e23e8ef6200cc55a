"""Events of a load: from the lake's table, at a snapshot, to the tables of raw."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from openlineage.client.event_v2 import RunEvent, RunState
from openlineage.client.uuid import generate_new_uuid

from loglake.columns import INGESTED_AT, POSITION, REJECT
from loglake.lineage import datasets
from loglake.lineage.datasets import ColumnText, Data
from loglake.lineage.events import JobRun, Parent, Read, Written
from loglake.warehouse import RAW_COLUMNS

_JOB = "load"
_KIND = ("BATCH", "SPARK", "JOB")
_REJECTED = (*POSITION, INGESTED_AT, *REJECT)


def done(result: Mapping[str, Any], began: datetime, ended: datetime, parent: str) -> list[RunEvent]:
    """START and COMPLETE of a load that did this (the fields of spark_jobs.load.LoadResult); none when nothing was new."""
    if result["load_id"] is None:
        return []
    run, lake = _run(parent), datasets.lake(result["snapshot_to"])
    read = [Read(lake, result["rows_read"], result["files_read"])]
    written = [
        Written(_table("log_events", RAW_COLUMNS, lake), result["rows_inserted"]),
        Written(_table("rejected_events", _REJECTED, lake), result["rows_rejected"]),
    ]
    return [run.event(RunState.START, began, read), run.event(RunState.COMPLETE, ended, read, written)]


def failed(error: str, began: datetime, ended: datetime, parent: str) -> list[RunEvent]:
    """START and FAIL of a load that wrote nothing, and why."""
    run, read = _run(parent), [Read(datasets.lake())]
    return [run.event(RunState.START, began, read), run.event(RunState.FAIL, ended, read, error=error)]


def _run(parent: str) -> JobRun:
    return JobRun(_JOB, str(generate_new_uuid()), _KIND, Parent.of(parent))


def _table(name: str, columns: tuple[Any, ...], lake: Data) -> Data:
    """A table of raw, whose columns are those of the lake with the same name, and the load's number."""
    known = {column.name: ColumnText(column.postgres, column.description) for column in columns}
    return datasets.relation("raw", name).having(
        schema=datasets.columns_facet({**known, "load_id": ColumnText("bigint", "The load that brought the row")}),
        columnLineage=datasets.lineage_facet({column: [lake.column(column)] for column in known}),
    )
