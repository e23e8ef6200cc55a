"""Delete what is older than a moment from Airflow's metadata: `python -m stack.airflow_clean 2026-01-31T00:00:00+00:00 [--dry-run]`.

A process of its own with the stack's Airflow configuration, because a task of Airflow may not reach the metadata. Airflow keeps
the last scheduled run of each DAG. The last line of standard output is the result as JSON.
"""

import argparse
import contextlib
import io
import json
import re
from datetime import datetime

from loglake.settings import export
from stack.airflow import environment

#: Rows that one statement moves and deletes: a bounded transaction each.
_BATCH = 10_000
_FOUND = re.compile(r"^Found (\d+) rows meeting deletion criteria", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Delete old rows of Airflow's metadata.")
    parser.add_argument("before", type=datetime.fromisoformat, help="what is older than this moment goes (ISO 8601)")
    parser.add_argument("--dry-run", action="store_true", help="only say how many rows would go")
    arguments = parser.parse_args()
    export(**environment())
    rows = clean(arguments.before, dry_run=arguments.dry_run)
    print(json.dumps({"rows": rows, "note": f"{rows:,} rows of Airflow's metadata"}))  # noqa: T201


def clean(before: datetime, *, dry_run: bool) -> int:
    """Delete with Airflow's own means; the number of rows. RuntimeError when a table could not be cleaned."""
    # Not at the top: Airflow reads its configuration, which `export` has given, when it is imported.
    from airflow.utils.db_cleanup import run_cleanup

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run_cleanup(
            clean_before_timestamp=before,
            dry_run=dry_run,
            confirm=False,
            skip_archive=True,
            batch_size=_BATCH,
            error_on_cleanup_failure=True,
        )
    return sum(int(number) for number in _FOUND.findall(said.getvalue()))


if __name__ == "__main__":
    main()
