"""Events of the stream into the lake: its query's start and end, and now and then what it has written since; never one per micro-batch."""

import time
from datetime import UTC, datetime

from openlineage.client.event_v2 import RunEvent, RunState

from loglake.columns import COLUMNS
from loglake.lineage import datasets
from loglake.lineage.datasets import Data
from loglake.lineage.events import JobRun, Read, Written

_JOB = "lake_stream"
_KIND = ("STREAMING", "SPARK", "QUERY")
#: The least time between two events of a query that runs.
RUNNING_SECONDS = 600.0


class StreamRun:
    """One run of the query, by Spark's id of it (a UUID)."""

    def __init__(self, run_id: str) -> None:
        self._run = JobRun(_JOB, run_id, _KIND)
        self._rows = 0
        self._told = time.monotonic()

    def start(self) -> list[RunEvent]:
        return [self._event(RunState.START, None)]

    def wrote(self, rows: int) -> None:
        """Take note of rows for the next event."""
        self._rows += rows

    def running(self) -> list[RunEvent]:
        """A RUNNING event with the rows since the last one, when there are any and it is time for it."""
        if not self._rows or time.monotonic() - self._told < RUNNING_SECONDS:
            return []
        written, self._rows, self._told = self._rows, 0, time.monotonic()
        return [self._event(RunState.RUNNING, written)]

    def end(self, error: str = "") -> list[RunEvent]:
        """COMPLETE when it was stopped, FAIL with the reason when it failed."""
        return [self._event(RunState.FAIL if error else RunState.COMPLETE, self._rows, error)]

    def _event(self, state: RunState, rows: int | None, error: str = "") -> RunEvent:
        topic = datasets.topic()
        return self._run.event(state, datetime.now(UTC), [Read(topic, rows)], [Written(_lake(topic), rows)], error)


def _lake(topic: Data) -> Data:
    """The lake's table, each of whose columns of the contract is a field of the topic's records."""
    fields = {column.name: [topic.column(datasets.topic_field(column.group, column.field))] for column in COLUMNS}
    return datasets.lake().having(columnLineage=datasets.lineage_facet(fields))
