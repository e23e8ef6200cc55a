"""What Airflow itself takes: the time of the batch DAG's runs that is not the work of its tasks, with nothing new in the lake.

A step says how long its own work took (`took_seconds` of its facts, see `loglake.batch_steps`). The rest of a run is Airflow's: its
scheduler noticing what can go on, the task's process, reading the DAG file in it, the calls to its API.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from loglake.orchestrate import Airflow, Task


@dataclass(frozen=True)
class Part:
    """A task's seconds: from the end of the task before (at first the run's begin) until it was queued, from there until its process
    ran, in that process beside the work, and the work."""

    task: str
    waited: float
    started: float
    around: float
    work: float


@dataclass(frozen=True)
class Report:
    """Each task's parts, medians over the runs; and what a task costs beyond its work, in the median, the best and the worst run."""

    parts: list[Part]
    per_task: float
    least: float
    most: float


def measure(runs: int, tell: Callable[[str], None]) -> Report:
    """Trigger the batch so many times, one after the other, after one run that is not counted; ServiceError when a run fails."""
    airflow, found, costs = Airflow(), list[list[Part]](), list[float]()
    for number in range(runs + 1):
        run_id = airflow.trigger()
        for _ in airflow.follow(run_id):
            pass
        began, ended = airflow.span(run_id)
        tasks = airflow.tasks(run_id)
        if number:
            found.append(split(began, tasks))
            costs.append(per_task(began, ended, found[-1]))
            tell(f"run {number} of {runs}: {ended - began:.1f} s, of which {costs[-1]:.2f} s a task are not its work")
    parts = [
        Part(same[0].task, *(statistics.median(getattr(part, name) for part in same) for name in ("waited", "started", "around", "work")))
        for same in zip(*found, strict=True)
    ]
    return Report(parts, statistics.median(costs), min(costs), max(costs))


def split(began: float, tasks: list[Task]) -> list[Part]:
    """The tasks of one run, which follow each other, in parts; times are Unix seconds."""
    parts, before = [], began
    for task in sorted(tasks, key=lambda task: task.started):
        work = float(task.facts["took_seconds"])
        parts.append(Part(task.name, task.queued - before, task.started - task.queued, task.ended - task.started - work, work))
        before = task.ended
    return parts


def per_task(began: float, ended: float, parts: list[Part]) -> float:
    """What the run took beyond the work of its tasks, its own begin and end included, for each task."""
    return (ended - began - sum(part.work for part in parts)) / len(parts)
