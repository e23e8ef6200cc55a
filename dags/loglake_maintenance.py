"""### Maintenance: what grows is kept small

Once a day, at a quiet hour (`LOGLAKE_MAINTENANCE_SCHEDULE`, UTC). The stream, readers and the marts go on meanwhile. The batch waits
for the first task, as both want Spark; that one begins no new piece of compaction after `LOGLAKE_MAINTENANCE_MINUTES`.

| Task | Does | When it fails |
|---|---|---|
| `maintain_lake` | retires days (if set), compacts files, rewrites manifests, expires snapshots, removes orphans | `loglake maintain` |
| `retire_raw` | drops months of `raw.log_events` past `LOGLAKE_MAINTENANCE_RAW_MONTHS`, if set | `loglake maintain --only raw` |
| `clean_progress` | deletes old rows of `ops.stream_progress` | `loglake status` |
| `clean_airflow` | deletes old runs from Airflow's metadata; of each DAG the last one stays | `loglake maintain --only airflow` |
| `clean_logs` | deletes old logs of Airflow's tasks | `loglake maintain --only logs` |

Each says in its log's last line what it saved, and gives the figures as its XCom. All of them can be killed and run again, here or with
`loglake maintain`. What is kept for how long is a setting, `LOGLAKE_MAINTENANCE_…`.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from loglake import maintenance_steps as steps
from loglake.dag_policy import EVERY_DAG, SPARK_POOL
from loglake.settings import settings


@dag(
    dag_id="loglake_maintenance",
    description="Small files, snapshots, orphans, manifests, old metadata and logs",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(settings().maintenance.schedule, timezone="UTC", run_immediately=False),
    dagrun_timeout=timedelta(hours=2),
    max_active_tasks=1,
    tags=["loglake", "maintenance"],
    **EVERY_DAG,
)
def loglake_maintenance() -> None:
    # One after the other (max_active_tasks), but none waits for another's success.
    task(steps.maintain_lake, pool=SPARK_POOL, execution_timeout=timedelta(minutes=45))()
    task(steps.retire_raw)()
    task(steps.clean_progress)()
    task(steps.clean_airflow, execution_timeout=timedelta(minutes=30))()
    task(steps.clean_logs)()


loglake_maintenance()
