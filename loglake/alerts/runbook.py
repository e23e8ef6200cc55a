"""What to do about each alert, in one line: messages carry it, and docs/alerts.md says it with more words under the same anchor."""

PAGE = "docs/alerts.md"
#: By the anchor of the entry in PAGE.
ACTIONS = {
    "service-down": "`loglake status`, then `loglake logs NAME`; `loglake up` starts what is not running",
    "facts-unknown": "the message says which question failed; `loglake status`, then `loglake alerts` asks again",
    "lake-stale": "`loglake status` and `loglake logs lake-stream`; when it was stopped, `loglake up --only lake-stream`",
    "lag": "look whether it shrinks: `loglake alerts`; a stream that is alive catches up by itself",
    "load-stale": "look at the runs of loglake_batch, whether it is paused; `loglake load` loads now",
    "marts-stale": "look at the dbt tasks of loglake_batch; `loglake model` builds now and says what fails",
    "live-stale": "`loglake logs live-stream` says why; `loglake up --only live-stream` starts it, and it goes on where it was",
    "reject-rate": "`loglake rejects group` has the reasons; mend the sender, then `loglake rejects replay`",
    "error-rate": "ask which service and which error: docs/alerts.md has the query; loglake itself is not at fault",
    "latency": "ask which service is slow: docs/alerts.md has the query; loglake itself is not at fault",
    "volume": "compare with the sender; `loglake status` shows whether the stream was down in that hour",
    "balance": "`loglake reconcile` names the stage; keep everything, find out who changed rows",
    "disk-free": "make room on the disk, or move LOGLAKE_RUNTIME_DIR; below 3 GiB `loglake up` refuses to start",
    "hdfs-capacity": "make room on the disk, `loglake maintain --only expire,orphans`, or add a DataNode",
    "small-files": "`loglake maintain --only compact`; until then scans get slower, nothing is lost",
    "batch-failed": "the message names the task and its error; the next run takes everything that is new, so mend the cause and wait",
    "validation-failed": "the error says what is wrong with the warehouse; `loglake reconcile` has the books",
    "load-failed": "`loglake load` runs it again, at any time: nothing is half done",
    "models-failed": "`loglake model` runs it again and names the model or test; a failed test fails until its cause is mended",
    "dag-failed": "the log names the cause; run the DAG again in Airflow when it is mended",
}
#: The entry for a task of the batch that failed, by its id without its group; every other task has that of its DAG.
_TASKS = {
    "check_services_health": "service-down",
    "validate_postgres_data": "validation-failed",
    "spark_batch_task": "load-failed",
    "dbt_snapshot_task": "models-failed",
    "dbt_run_task": "models-failed",
}


def anchor_of_task(dag_id: str, task_id: str) -> str:
    """The entry for a task that failed."""
    return _TASKS.get(task_id.rpartition(".")[2], anchor_of_dag(dag_id))


def anchor_of_dag(dag_id: str) -> str:
    """The entry for a DAG that failed without a task that says why."""
    return "batch-failed" if dag_id == "loglake_batch" else "dag-failed"


def advice(anchor: str) -> str:
    """What to do, and where it is written in full."""
    return f"{ACTIONS[anchor]}. Runbook: {PAGE}#{anchor}"
