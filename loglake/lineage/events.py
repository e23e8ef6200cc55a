"""OpenLineage events: what a run of a job read and wrote, and which run it is part of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    InputDatasetFacet,
    OutputDatasetFacet,
    RunFacet,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
)

from loglake.lineage.datasets import Data
from loglake.settings import settings

#: Who says so, a URI by the specification.
PRODUCER = "urn:loglake"


@dataclass(frozen=True)
class Read:
    """A dataset that was read; `rows` and `files` as far as they are known."""

    data: Data
    rows: int | None = None
    files: int | None = None


@dataclass(frozen=True)
class Written:
    """A dataset that was written, and how many rows came."""

    data: Data
    rows: int | None = None


@dataclass(frozen=True)
class Parent:
    """The run that a run is part of, and the one at the root of all: a task of Airflow and its DAG run."""

    namespace: str
    job: str
    run_id: str
    root_namespace: str
    root_job: str
    root_run_id: str

    @classmethod
    def of(cls, text: str) -> "Parent | None":
        """From `namespace/job/run,namespace/job/run` (`loglake.lineage.airflow`), as it goes through a command line; none for ""."""
        return cls(*(part for one in text.split(",") for part in one.split("/"))) if text else None

    def facet(self) -> RunFacet:
        root = parent_run.Root(parent_run.RootRun(self.root_run_id), parent_run.RootJob(self.root_namespace, self.root_job))
        return parent_run.ParentRunFacet(parent_run.Run(self.run_id), parent_run.Job(self.namespace, self.job), root)


@dataclass(frozen=True)
class JobRun:
    """A run of one of our jobs. `kind`: (BATCH or STREAMING, the integration, its word for such a job)."""

    job: str
    run_id: str
    kind: tuple[str, str, str]
    parent: Parent | None = None

    def event(
        self, state: RunState, when: datetime, read: Sequence[Read] = (), written: Sequence[Written] = (), error: str = ""
    ) -> RunEvent:
        """What became of the run at a moment, with all that it has read and written; `error` says why it failed."""
        facets: dict[str, RunFacet] = {"parent": self.parent.facet()} if self.parent else {}
        if error:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(error, "PYTHON")
        return RunEvent(
            eventTime=when.astimezone(UTC).isoformat(),
            producer=PRODUCER,
            run=Run(self.run_id, facets),
            job=Job(settings().lineage.namespace, self.job, {"jobType": job_type_job.JobTypeJobFacet(*self.kind)}),
            eventType=state,
            inputs=[InputDataset(one.data.namespace, one.data.name, _read_facets(one), facets=dict(one.data.facets)) for one in read],
            outputs=[
                OutputDataset(one.data.namespace, one.data.name, _written_facets(one), facets=dict(one.data.facets)) for one in written
            ],
        )


def _read_facets(one: Read) -> dict[str, InputDatasetFacet]:
    if one.rows is None:
        return {}
    return {"inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=one.rows, fileCount=one.files)}


def _written_facets(one: Written) -> dict[str, OutputDatasetFacet]:
    if one.rows is None:
        return {}
    return {"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=one.rows)}
