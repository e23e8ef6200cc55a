"""`loglake demo`: the main job from end to end, with the books at the end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
_POLL_SECONDS = 0.5
_RATES = """
select (select sum(rows_read) / nullif(sum(duration_ms) / 1000.0, 0)
        from ops.stream_progress where finished_at >= %(since)s),
       (select sum(rows_read) / nullif(sum(extract(epoch from committed_at - started_at)), 0)
        from ops.load_manifest where started_at >= %(since)s)
"""


@dataclass
class Stages:
    """How long each stage of the demo took, in seconds, in order."""

    seconds: dict[str, float]

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        out.print(f"\n[bold]{len(self.seconds) + 1}. {title}[/]")
        began = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - began


@app.command()
def demo(
    count: Annotated[int, typer.Option(min=1, help="Events to generate.")] = 100_000,
    replay: Annotated[list[Path] | None, typer.Option(help="A file of your own to replay as well; may be repeated.")] = None,
) -> None:
    """Start the stack, send events, run the Airflow DAG once, print the books; the stack stays up. Exit code 1 when not balanced."""
    from loglake.books import balance, gather
    from loglake.cli.stack import up

    stages = Stages({})
    since = time.time()
    with stages.stage("Starting the stack"):
        up()
    with stages.stage(f"Sending {count:,} events, {LATE:.0%} late, {RESENT:.0%} resent, {MALFORMED:.0%} malformed"):
        sent = _send(count, replay or [])
    with stages.stage("The stream brings them to the lake"):
        _wait_for_lake()
    with stages.stage("The Airflow DAG loads and models them"):
        _run_dag()
    with stages.stage("The books"):
        for line in sent:
            out.print(line)
        result = balance(gather())
        print_books(result)
    _print_rates(since)
    _print_where_to_look(sum(stages.seconds.values()))
    if not result.balanced:
        raise NotBalancedError(f"the books do not balance: {result.findings[0]}")


def _send(count: int, replay: list[Path]) -> list[str]:
    """Generate and replay; a line on each for the books."""
    from loglake.cli.generate import run_plan
    from producers.flaws import Flaws
    from producers.generate import Plan

    summary = run_plan(Plan(count=count, flaws=Flaws(late=LATE, resent=RESENT, malformed=MALFORMED)))
    if not summary.stats.complete:
        raise ServiceError(f"not every record was acknowledged: {summary}")
    lines = [f"generated: {summary}"]
    if replay:
        from loglake.cli.replay import replay as replay_files

        replay_files(replay)
    return lines


def _wait_for_lake() -> None:
    """Wait, with a bar, until the stream has brought every record of the topic to the lake."""
    from loglake import topic
    from loglake.settings import settings

    deadline = time.monotonic() + _LAKE_SECONDS
    columns = (TextColumn("in the lake"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    name = settings().kafka.topic
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("lake", total=topic.lake_lag(name))
        while lag := topic.lake_lag(name):
            bar.update(task, completed=(bar.tasks[0].total or 0) - lag)
            if time.monotonic() > deadline:
                raise ServiceError(f"after {_LAKE_SECONDS:.0f} s the stream still lags by {lag:,} records: see `loglake logs lake-stream`")
            time.sleep(_POLL_SECONDS)
    out.print("the lake holds every record of the topic")


def _run_dag() -> None:
    from loglake import orchestrate

    for update in orchestrate.run_batch():
        seconds = f"{update.seconds:6.1f} s" if update.state != "running" else ""
        style = {"success": "green", "running": "dim"}.get(update.state, "red")
        out.print(f"{update.task:<55} [{style}]{update.state:<8}[/] {seconds}")


def _print_rates(since: float) -> None:
    from datetime import UTC, datetime

    from loglake import clients

    with clients.postgres("monitor") as connection:
        stream, load = connection.execute(_RATES, {"since": datetime.fromtimestamp(since, UTC)}).fetchall()[0]
    rates = [f"{name} {rate:,.0f} rows/s" for name, rate in (("stream", stream), ("load", load)) if rate]
    out.print("rates, start-up of each batch included: " + (", ".join(rates) or "nothing was new"))


def _print_where_to_look(seconds: float) -> None:
    from stack.services import services

    out.print(f"\n[bold]Done in {seconds:.0f} s.[/] The stack stays up; the DAG goes on every ten minutes.")
    for service in services():
        if service.url:
            out.print(f"  {service.title:<24} {service.url}")
    out.print("  Airflow log-in           airflow / airflow (LOGLAKE_AIRFLOW_PASSWORD changes it)")
    out.print("  keep events coming       .venv/bin/loglake generate --rate 50")
    out.print("  look at the warehouse    .venv/bin/loglake sql -- -c 'select * from ops.load_manifest'")
    out.print("  stop all of it           make down      (make clean also removes the data)")
