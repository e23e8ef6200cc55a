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

Runs that were missed are not made up for: the next one takes everything that is new. Each task's last line of log says what it did (rows,
snapshots, seconds), and so do its XCom's facts.

A run by hand (*Trigger*) can ask for more: `load` = `full` reads the whole lake again, `rebuild` makes the warehouse anew from the lake,
`range` brings back what raw lacks of the time between `from` and `to`; `skip_dbt` leaves the marts as they are.

Another DAG can wait for fresh marts: `schedule=[loglake.assets.MARTS]`. They are announced when they hold, tested, loads that they did
not hold before; a run with nothing new announces nothing.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from airflow.sdk import Context, CronTriggerTimetable, Param, dag, task, task_group
from cosmos.config import ProfileConfig
from cosmos.constants import InvocationMode
from cosmos.operators.local import DbtBuildLocalOperator

from loglake import assets, batch_steps, models, orchestrate
from loglake.dag_policy import EVERY_DAG, SPARK_POOL
from loglake.settings import PROJECT, settings

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

#: What a manual run can ask for; Airflow's form and its API refuse any other value.
PARAMS = {
    "load": Param(
        batch_steps.DEFAULT_LOAD,
        type="string",
        enum=[*batch_steps.LOADS, batch_steps.RANGE],
        description="new: what came since the last load. full: the whole lake again, rows that are there count as duplicates. "
        "rebuild: the warehouse anew from the lake, swapped in at once. range: what raw lacks of the time between from and to",
    ),
    "from": Param(None, type=["null", "string"], format="date-time", description="range: received by Kafka from then on"),
    "to": Param(None, type=["null", "string"], format="date-time", description="range: received by Kafka before"),
    "skip_dbt": Param(False, type="boolean", description="load only; the next run brings the marts up to date"),
}


class DbtTask(DbtBuildLocalOperator):
    """dbt build through Cosmos, as a step of the batch."""

    def execute(self, context: Context, **options: Any) -> dict[str, Any]:
        run = partial(super().execute, context, **options)
        return batch_steps.run_dbt(run, context, announces=bool(self.outlets))

    def calculate_openlineage_events_completes(self, *_arguments: Any, **_options: Any) -> bool:
        """Nothing: Cosmos would parse every model's SQL after each run, for events that `loglake.lineage` makes, and only when asked."""
        return False


@dag(
    dag_id=orchestrate.DAG_ID,
    description="Lake to star schema: check, validate, load, snapshot, build",
    doc_md=__doc__,
    # Without a start date and with this option the first run is at the next tick: a fresh stack has nothing to make up for,
    # and `loglake demo` need not wait for a run that finds nothing.
    schedule=CronTriggerTimetable(settings().airflow.schedule, timezone="UTC", run_immediately=False),
    # The load may have to wait for the pool until a repair or maintenance has ended.
    dagrun_timeout=timedelta(hours=6),
    tags=["loglake", "batch"],
    params=PARAMS,
    **EVERY_DAG,
)
def loglake_batch() -> None:
    @task_group
    def check_services_group() -> None:
        task(batch_steps.check_services, task_id="check_services_health")()

    @task_group
    def validate_and_processing_group() -> None:
        validate = task(batch_steps.validate_postgres, task_id="validate_postgres_data")()
        load = task(
            batch_steps.run_load,
            task_id="spark_batch_task",
            pool=SPARK_POOL,
            retries=3,
            # A load takes seconds or minutes; what a run by hand can ask for, a rebuild say, takes longer.
            execution_timeout=timedelta(hours=2),
            inlets=[assets.LAKE, assets.RAW],
            outlets=[assets.RAW_NEWS],
        )()
        validate >> load

    @task_group
    def dbt_group() -> None:
        # Not `dbt snapshot`: on a new warehouse the staging views it reads would not be there yet.
        snapshot = DbtTask(task_id="dbt_snapshot_task", dbt_cmd_flags=models.SNAPSHOT[1:], **DBT)
        build = DbtTask(task_id="dbt_run_task", inlets=[assets.RAW, assets.MARTS], outlets=[assets.MARTS_NEWS], **DBT)
        snapshot >> build

    check_services_group() >> validate_and_processing_group() >> dbt_group()


loglake_batch()
