"""`loglake`: the one command of the project. Each module of `loglake.cli` adds its commands to the app."""

import sys

import typer

from loglake.cli import (
    alerts,
    backfill,
    backup,
    batch,
    bench,
    bi,
    contract,
    demo,
    doctor,
    export,
    forget,
    generate,
    maintain,
    model,
    rebuild,
    rejects,
    replay,
    report,
    stack,
)
from loglake.cli.console import fail
from loglake.cli.outage import explain
from loglake.errors import LoglakeError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.callback()
def about() -> None:
    """A log lakehouse whose books balance: Kafka → Spark → Iceberg on HDFS → Postgres → dbt.

    Start with `loglake up`, send events with `loglake generate`, load them with `loglake load`, check with `loglake reconcile`.
    """


app.add_typer(demo.app)
app.add_typer(stack.app)
app.add_typer(doctor.app)
app.add_typer(generate.app)
app.add_typer(replay.app)
app.add_typer(batch.app)
app.add_typer(alerts.app)
app.add_typer(bench.app)
app.add_typer(contract.app)
app.add_typer(model.app)
app.add_typer(report.app)
app.add_typer(export.app)
app.add_typer(bi.app)
app.add_typer(rebuild.app)
app.add_typer(forget.app)
app.add_typer(maintain.app)
app.add_typer(rejects.app, name="rejects")
app.add_typer(backfill.app)
app.add_typer(backup.app)


def run() -> None:
    """Entry point: a user's mistake is one line on standard error and the error's exit code, never a traceback."""
    try:
        app()
    except LoglakeError as error:
        fail(str(error))
        sys.exit(error.exit_code)
    except Exception as error:
        outage = explain(error)
        if outage is None:
            raise
        fail(outage)
        sys.exit(1)
