"""### The batch: from the lake to the star schema

Every ten minutes, one run at a time. A run loads what the stream has put into the lake since the last load, then brings
the models up to date. With nothing new it succeeds, says so in the log of `spark_batch_task`, and changes no row.

| Task | Does | When it fails |
|---|---|---|
| `check_services_health` | asks Postgres, Spark, HDFS, Kafka and the stream | `loglake status`, then `loglake logs NAME` |
| `validate_postgres_data` | schema, roles, the last load's books, no load in flight | the message says which; `loglake reconcile` |
| `spark_batch_task` | lake → `raw.*` and `ops.load_manifest`, in one transaction | it can be run again at any time: `loglake load` |
| `dbt_snapshot_task` | the history of products | `loglake model` |
| `dbt_run_task` | marts, and the tests of what is new | the log names the test and its rows |

Runs that were missed are not made up for: the next one takes everything that is new.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Context, CronTriggerTimetable, dag, task, task_group
from cosmos.config import ProfileConfig
from cosmos.constants import InvocationMode
from cosmos.operators.local import DbtBuildLocalOperator

from loglake import batch_steps, models, orchestrate
from loglake.settings import PROJECT, settings

DEFAULT_ARGS = {
    "owner": "loglake",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=2),
    "execution_timeout": timedelta(minutes=2),
}
DBT = {
    "project_dir": str(PROJECT / "dbt"),
    "profile_config": ProfileConfig("loglake", "warehouse", profiles_yml_filepath=PROJECT / "dbt" / "profiles.yml"),
    "invocation_mode": InvocationMode.DBT_RUNNER,
    "interceptors": [batch_steps.give_dbt_environment],
    "install_deps": False,
    "emit_datasets": False,
    # Otherwise Cosmos stores the rendered environment, the password with it, in Airflow's database.
    "should_store_compiled_sql": False,
    "dbt_cmd_global_flags": ["--no-use-colors"],
    "execution_timeout": timedelta(minutes=20),
}


class DbtTask(DbtBuildLocalOperator):
    """A dbt run that waits for one by hand (`loglake model`), and holds off the next."""

    def execute(self, context: Context, **options: Any) -> None:
        with models.only_run():
            super().execute(context, **options)


@dag(
    dag_id=orchestrate.DAG_ID,
    description="Lake to star schema: check, validate, load, snapshot, build",
    doc_md=__doc__,
    # Without a start date and with this option the first run is at the next tick: a fresh stack has nothing to make up for,
    # and `loglake demo` need not wait for a run that finds nothing.
    schedule=CronTriggerTimetable(settings().airflow.schedule, timezone="UTC", run_immediately=False),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=1),
    default_args=DEFAULT_ARGS,
    tags=["loglake", "batch"],
)
def loglake_batch() -> None:
    @task_group
    def check_services_group() -> None:
        task(batch_steps.check_services, task_id="check_services_health")()

    @task_group
    def validate_and_processing_group() -> None:
        validate = task(batch_steps.validate_postgres, task_id="validate_postgres_data")()
        load = task(batch_steps.run_load, task_id="spark_batch_task", retries=3, execution_timeout=timedelta(minutes=30))()
        validate >> load

    @task_group
    def dbt_group() -> None:
        # Not `dbt snapshot`: on a new warehouse the staging views it reads would not be there yet.
        snapshot = DbtTask(task_id="dbt_snapshot_task", dbt_cmd_flags=models.SNAPSHOT[1:], **DBT)
        build = DbtTask(task_id="dbt_run_task", **DBT)
        snapshot >> build

    check_services_group() >> validate_and_processing_group() >> dbt_group()


loglake_batch()
