"""### Repair: rejected records again, and what lacks of a range of time

Run by hand (*Trigger*), never by itself. The form asks what to do; leave **dry_run** on to be told first.

| Parameter | Means |
|---|---|
| `action` | `replay`: send rejected records again that pass by now. `backfill`: bring what lacks of a range of time |
| `code` | of a replay: only records that were rejected with this code |
| `fix` | of a replay: a fix file on the machine that runs the task (docs/rejects.md) |
| `from`, `to` | when Kafka received the records; a backfill needs both |
| `source` | of a backfill: `lake` (what raw lacks of it) or `kafka` (what the lake lacks of it) |
| `dry_run` | change nothing, say what would be done |

| Task | Does | When it fails |
|---|---|---|
| `check_services_health` | asks Postgres, Spark, HDFS, Kafka and the stream | `loglake status`, then `loglake logs NAME` |
| `repair_task` | the replay or backfill; the last line of the log says what was done | run it again: nothing is done twice |

What a replay sends, and a backfill appends, is brought to raw and marts by the next run of `loglake_batch`.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from loglake import batch_steps, repair_steps
from loglake.dag_policy import EVERY_DAG, SPARK_POOL

PARAMS = {
    "action": Param(repair_steps.REPLAY, type="string", enum=list(repair_steps.ACTIONS), description="What to do"),
    "code": Param(None, type=["null", "string"], enum=[None, *repair_steps.CODES], description="Replay: only this reject code"),
    "fix": Param(None, type=["null", "string"], description="Replay: path of a fix file"),
    "from": Param(None, type=["null", "string"], format="date-time", description="Received by Kafka from then on"),
    "to": Param(None, type=["null", "string"], format="date-time", description="Received by Kafka before"),
    "source": Param(repair_steps.LAKE, type="string", enum=list(repair_steps.SOURCES), description="Backfill: where from"),
    "dry_run": Param(True, type="boolean", description="Change nothing, only say what would be done"),
}


@dag(
    dag_id="loglake_repair",
    description="By hand: replay rejected records, or backfill a range of time",
    doc_md=__doc__,
    schedule=None,
    params=PARAMS,
    dagrun_timeout=timedelta(hours=3),
    tags=["loglake", "repair"],
    **EVERY_DAG,
)
def loglake_repair() -> None:
    @task(task_id="repair_task", pool=SPARK_POOL, execution_timeout=timedelta(hours=2))
    def repair(params: dict[str, Any] | None = None, run_id: str | None = None) -> dict[str, Any]:
        return repair_steps.repair(dict(params or {}), run_id or "")

    task(batch_steps.check_services, task_id="check_services_health")() >> repair()


loglake_repair()
