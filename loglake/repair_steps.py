"""What the repair DAG does: its parameters, checked, and the job that they ask for. The DAG only says when."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loglake import timerange
from loglake.decode import REASONS
from loglake.errors import BadInputError
from loglake.jobs import command, run_job
from loglake.rejects import Selection

REPLAY, BACKFILL = ACTIONS = ("replay", "backfill")
LAKE, KAFKA = SOURCES = ("lake", "kafka")
CODES = tuple(REASONS)
_BACKFILLS = {LAKE: "spark_jobs.backfill", KAFKA: "consumers.backfill"}


@dataclass(frozen=True)
class Repair:
    """What a run is asked for; what an action does not use is left alone."""

    action: str
    source: str = LAKE
    code: str | None = None
    start: str | None = None
    end: str | None = None
    fix: str | None = None
    dry_run: bool = True

    def arguments(self, by: str) -> tuple[str, ...]:
        """The command line of the job; BadInputError names the parameter that cannot be used."""
        received = [text for name, value in (("--from", self.start), ("--to", self.end)) if value for text in (name, value)]
        tail = [*received, *(["--dry-run"] if self.dry_run else [])]
        if self.action == BACKFILL:
            if self.source not in SOURCES:
                raise BadInputError(f"source {self.source!r} is none: {', '.join(SOURCES)}")
            timerange.parse_closed(self.start, self.end)
            return command(_BACKFILLS[self.source], *tail)
        if self.action != REPLAY:
            raise BadInputError(f"action {self.action!r} is none: {', '.join(ACTIONS)}")
        Selection(self.code, received=timerange.parse(self.start, self.end))
        if self.fix and not Path(self.fix).is_file():
            raise BadInputError(f"fix {self.fix}: there is no such file on the machine that runs the task")
        chosen = [text for name, value in (("--code", self.code), ("--fix", self.fix)) if value for text in (name, value)]
        return command("producers.replay_rejects", "--by", by, *chosen, *tail)


def repair(parameters: dict[str, Any], run_id: str) -> dict[str, Any]:
    """Do what a run of the DAG is asked for; the job's result. A parameter that cannot be used fails the task at once."""
    from airflow.sdk.exceptions import AirflowFailException

    known = {"from": "start", "to": "end"}
    wanted = Repair(**{known.get(name, name): value for name, value in parameters.items()})
    try:
        arguments = wanted.arguments(f"Airflow, {run_id}")
    except BadInputError as error:
        raise AirflowFailException(str(error)) from error
    return run_job(f"the {wanted.action}", arguments)
