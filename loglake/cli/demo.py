"""`loglake demo`: the main job from end to end, with the books at the end."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loglake.cli.batch import print_books
from loglake.cli.console import err, out
from loglake.errors import NotBalancedError, ServiceError

app = typer.Typer()
#: The flaws of the generated events: what every log has, in the shares of the project's own tests.
LATE, RESENT, MALFORMED = 0.02, 0.02, 0.01
_LAKE_SECONDS = 300.0
#: After so long without a report of the stream that changes the lag, the lake's rows are counted instead.
_QUIET_SECONDS = 30.0
_POLL_SECONDS = 0.5
_RATES = """
select (select sum(rows_read) / nullif(sum(duration_ms) / 1000.0, 0)
        from ops.stream_progress where finished_at >= %(since)s),
       (select sum(rows_read) / nullif(sum(extract(epoch from committed_at - started_at)), 0)
        from ops.load_manifest where started_at >= %(since)s)
"""


@app.command()
def demo(
    count: Annotated[int, typer.Option(min=1, help="Events to generate.")] = 100_000,
    replay: Annotated[list[Path] | None, typer.Option(exists=True, help="A file of your own to replay as well; may be repeated.")] = None,
) -> None:
    """Start the stack, send events, run the Airflow DAG once, print the books; the stack stays up. Exit code 1 when not balanced."""
    from loglake.balance import balance
    from loglake.books import gather
    from loglake.cli.stack import up

    since = datetime.now(UTC)
    _print_title("1. Starting the stack")
    up()
    _print_title(f"2. Sending {count:,} events, {LATE:.0%} late, {RESENT:.0%} resent, {MALFORMED:.0%} malformed")
    sent = _send(count, replay or [])
    _print_title("3. The stream brings them to the lake")
    _wait_for_lake()
    _print_title("4. The Airflow DAG loads and models them")
    _run_dag()
    _print_title("5. The books")
    out.print(f"generated: {sent}", markup=False)
    result = balance(gather())
    print_books(result)
    _print_rates(since)
    _print_where_to_look((datetime.now(UTC) - since).total_seconds())
    if not result.balanced:
        raise NotBalancedError(f"the books do not balance: {result.findings[0]}")


def _print_title(title: str) -> None:
    out.print(f"\n[bold]{title}[/]")


def _send(count: int, replay: list[Path]) -> str:
    """Generate, then replay; what became of the generated events, in one line."""
    from loglake.cli.generate import run_plan
    from producers.flaws import Flaws
    from producers.generate import Plan

    summary = run_plan(Plan(count=count, flaws=Flaws(late=LATE, resent=RESENT, malformed=MALFORMED)))
    if not summary.stats.complete:
        raise ServiceError(f"not every record was acknowledged: {summary}")
    if replay:
        from loglake.cli.replay import replay as replay_files

        replay_files(replay)
    return str(summary)


def _wait_for_lake() -> None:
    """Wait, with a bar, until the stream has brought every record of the topic to the lake."""
    from loglake import topic
    from loglake.settings import settings

    name = settings().kafka.topic
    columns = (TextColumn("in the lake"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        began = moved = time.monotonic()
        first = lag = topic.lake_lag(name)
        task = bar.add_task("lake", total=first)
        while lag > 0:
            bar.update(task, completed=first - lag)
            if time.monotonic() - began > _LAKE_SECONDS:
                raise ServiceError(f"after {_LAKE_SECONDS:.0f} s the stream still lags by {lag:,} records: see `loglake logs lake-stream`")
            time.sleep(_POLL_SECONDS)
            before, lag = lag, topic.lake_lag(name)
            if lag != before:
                moved = time.monotonic()
            elif time.monotonic() - moved > _QUIET_SECONDS:
                # A stream that is killed between its commit and its report never reports that batch.
                lag, moved = counted_lag(name), time.monotonic()
    out.print("the lake holds every record of the topic")


def counted_lag(name: str) -> int:
    """Records of the topic that the lake does not hold, by the positions of its rows."""
    from loglake import lake, topic
    from loglake.balance import not_in_lake

    bronze = lake.table()
    held = lake.count(bronze).topics.get(name, {}) if bronze else {}
    return not_in_lake(topic.bounds(name), held)


def _run_dag() -> None:
    from loglake import orchestrate

    for update in orchestrate.run_batch():
        seconds = f"{update.seconds:6.1f} s" if update.state != "running" else ""
        style = {"success": "green", "running": "dim"}.get(update.state, "red")
        out.print(f"{update.task:<55} [{style}]{update.state:<8}[/] {seconds}")


def _print_rates(since: datetime) -> None:
    from loglake import clients

    with clients.postgres("monitor") as connection:
        stream, load = connection.execute(_RATES, {"since": since}).fetchall()[0]
    rates = [f"{name} {rate:,.0f} rows/s" for name, rate in (("stream", stream), ("load", load)) if rate]
    out.print("rates, start-up of each batch included: " + (", ".join(rates) or "nothing was new"))


def _print_where_to_look(seconds: float) -> None:
    from loglake.settings import settings
    from stack.services import services

    out.print(f"\n[bold]Done in {seconds:.0f} s.[/] The stack stays up, and the DAG goes on.")
    for service in services():
        if service.url:
            out.print(f"  {service.title:<24} {service.url}")
    out.print(f"  Airflow log-in           {settings().airflow.user}, with LOGLAKE_AIRFLOW_PASSWORD (`airflow` when it is not set)")
    out.print("  keep events coming       .venv/bin/loglake generate --rate 50")
    out.print("  look at the warehouse    .venv/bin/loglake sql -- -c 'select * from ops.load_manifest'")
    out.print("  stop all of it           make down      (make clean also removes the data)")
