"""### The daily digest

Once a day: loads, rows, rejects, runs, incidents, freshness, and the whole books (`loglake reconcile`), as one
message. `loglake_alerts` sends it.

| Task | Does | When it fails |
|---|---|---|
| `put_digest` | reads the day and the books, writes the message | the log says why; run it again at any time |
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from loglake.alerts import steps
from loglake.dag_policy import EVERY_DAG
from loglake.settings import settings


@dag(
    dag_id="loglake_digest",
    description="What the day did, as one message",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(settings().alerts.digest_schedule, timezone="UTC", run_immediately=False),
    dagrun_timeout=timedelta(hours=2),
    tags=["loglake", "alerts"],
    **EVERY_DAG,
)
def loglake_digest() -> None:
    # The books read the position of every record in the lake.
    task(steps.put_digest, task_id="put_digest", execution_timeout=timedelta(minutes=30))()


loglake_digest()
