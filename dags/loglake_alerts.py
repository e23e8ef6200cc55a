"""### Alerts: judge the rules, tell people

Every minute, apart from the batch: what Slack or a mail server does never fails or delays a data run. One task, as each task costs Airflow
more than this one's work.

| Task | Does | When it fails |
|---|---|---|
| `judge_and_deliver` | facts, rules, incidents, then what waits in the outbox | the log says why; `loglake alerts` asks the same |

A service that is down, or a channel that is, is no failure of this DAG: the one is told, the other is tried again later. Rules, limits and
what to do about each: `docs/alerts.md`.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from loglake.alerts import steps
from loglake.dag_policy import EVERY_DAG
from loglake.settings import settings


@dag(
    dag_id=steps.DAG_ID,
    description="Alert rules, incidents, messages to Slack and e-mail",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(settings().alerts.schedule, timezone="UTC", run_immediately=False),
    dagrun_timeout=timedelta(minutes=10),
    tags=["loglake", "alerts"],
    # A success callback each minute would cost as much as the task: the round itself ends this DAG's own incident.
    **{**EVERY_DAG, "on_success_callback": None},
)
def loglake_alerts() -> None:
    task(steps.judge_and_deliver, task_id="judge_and_deliver")()


loglake_alerts()
