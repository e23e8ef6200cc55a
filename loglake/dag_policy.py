"""What every DAG has in common: how its tasks are tried again, who owns them, and the pools they share. No import of Airflow."""

from datetime import timedelta
from typing import Any

from loglake.alerts import callbacks

#: A pool with one slot: of the tasks that start a Spark application of their own, one runs at a time. `loglake up` makes it.
SPARK_POOL = "spark"
SPARK_POOL_SLOTS = 1
SPARK_POOL_DESCRIPTION = "Tasks that start a Spark application of their own"
#: `default_args` of every DAG: two more tries, further and further apart; the last one's failure is told.
DEFAULT_ARGS: dict[str, Any] = {
    "owner": "loglake",
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=2),
    "execution_timeout": timedelta(minutes=2),
    "on_failure_callback": callbacks.task_failed,
}
#: What a DAG in which a lost run is made up for by the next one is given.
EVERY_DAG: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,
    "is_paused_upon_creation": False,
    "default_args": DEFAULT_ARGS,
    "on_success_callback": callbacks.dag_succeeded,
    "on_failure_callback": callbacks.dag_failed,
}
