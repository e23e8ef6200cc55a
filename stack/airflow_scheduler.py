"""Airflow's scheduler, with what the tasks import loaded first: `python -m stack.airflow_scheduler scheduler`.

The scheduler forks its workers, and a worker a process for each task. What is loaded before the first fork is there in every task, and its
memory is shared; otherwise each task would import Cosmos, dbt and the clients anew, which takes longer than most of them work.
"""

import importlib

#: What the DAG files and the steps of the tasks import, the costly ones.
PRELOADED = (
    "cosmos.operators.local",
    "dbt.adapters.postgres",
    "dbt.cli.main",
    "loglake.batch_steps",
    "loglake.models",
    "pyiceberg.catalog.sql",
)


def main() -> None:
    """Load, then be `airflow ARGUMENTS`."""
    for name in PRELOADED:
        importlib.import_module(name)
    from airflow.__main__ import main as airflow

    airflow()


if __name__ == "__main__":
    main()
