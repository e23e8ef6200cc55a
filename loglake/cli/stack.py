"""Commands that run the embedded stack: up, down, status, logs, sql, jars, clean."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from loglake.cli.alerts import print_firing
from loglake.cli.console import err, out
from loglake.errors import BadInputError
from loglake.settings import ROLES, settings

if TYPE_CHECKING:
    from stack.service import Service
    from stack.status import Row

app = typer.Typer()
_STYLE = {"running": "green", "starting": "yellow", "stopping": "yellow", "stopped": "dim"}


@app.command()
def up(
    only: Annotated[str, typer.Option(help="Start these services only, comma-separated (see `loglake status`).", metavar="A,B")] = "",
) -> None:
    """Start the stack: every server behind its health gate, a line per service. Running ones are kept."""
    from stack import lifecycle

    fetch_jars()
    started = lifecycle.up([name.strip() for name in only.split(",") if name.strip()], _tell)
    for service in started:
        if service.url:
            out.print(f"{service.title}: {service.url}")


@app.command()
def down() -> None:
    """Stop every service in reverse order and leave no process. The data stays."""
    from stack import lifecycle

    strays = lifecycle.down(lambda name: out.print(f"{name:<22} stopped"))
    if strays:
        out.print(f"{strays} stray processes ended")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """Show each service: state, port, pid, last error; and the alerts that fire. Exit code 0 when all are running."""
    from stack.status import status as rows_of_stack

    rows = rows_of_stack()
    if as_json:
        out.print_json(json.dumps([dataclasses.asdict(row) for row in rows]))
    else:
        out.print(_table(rows))
        if any(row.service == "postgres" and row.state == "running" for row in rows):
            print_firing()
    if any(row.state != "running" for row in rows):
        raise typer.Exit(1)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="The service, or `supervisord`, or `dbt`.")],
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as the log grows, until Ctrl-C.")] = False,
) -> None:
    """Print the end of a service's log."""
    paths = {path.stem: path for path in sorted(settings().runtime.logs_dir.glob("*.log"))}
    if name not in paths:
        raise BadInputError(f"no service {name!r} has a log: there are {', '.join(paths) or 'none, since nothing was started here yet'}")
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), str(paths[name])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sql(
    context: typer.Context,
    role: Annotated[str, typer.Option(help=f"The Postgres role: {', '.join(ROLES)}.")] = "monitor",
    database: Annotated[str, typer.Option(help="The database; the warehouse when not given.")] = "",
) -> None:
    """Open psql on the warehouse, read-only unless another role is named. What follows `--` goes to psql.

    Example: `loglake sql -- -c 'select * from ops.load_manifest'`
    """
    from stack.postgres import BINARIES, client_environment

    if role not in ROLES:
        raise BadInputError(f"no role {role!r}: there are {', '.join(ROLES)}")
    environment = client_environment(role, database or settings().postgres.database)
    psql = str(BINARIES / "psql")
    sys.stdout.flush()
    os.execve(psql, [psql, *context.args], environment)  # noqa: S606


@app.command()
def jars(
    lock: Annotated[bool, typer.Option("--lock", help="Resolve stack/ivy.xml anew and rewrite stack/jars.sha256.")] = False,
) -> None:
    """Fetch the jars of Kafka, HDFS and Spark, and check each against stack/jars.sha256. `up` does this by itself."""
    if not lock:
        fetch_jars()
        return
    from stack import jars as stack_jars

    out.print(f"{stack_jars.write_lock(lambda _done, line: err.print(line, markup=False))} jars locked")


@app.command()
def serve(
    name: Annotated[str, typer.Argument(help="The service.")],
    mark: Annotated[Path, typer.Option(help="File that is touched whenever the service is healthy.")] = Path("/tmp/healthy"),  # noqa: S108
) -> None:
    """Run one service of the stack in the foreground until it ends, as its container does; its exit code."""
    from loglake import logs
    from stack.serve import serve as run_service

    logs.configure()
    raise typer.Exit(run_service(name, mark))


@app.command()
def secrets(
    take: Annotated[Path | None, typer.Option(help="A file of LOGLAKE_…=value lines that take the place of what is there.")] = None,
) -> None:
    """Generate the secrets that do not exist yet, as `up` does, into a file that only its owner may read."""
    from dotenv import dotenv_values

    from loglake.settings import check_names, generate_secrets, replace_secret

    given = {name: value for name, value in dotenv_values(take).items() if value} if take else {}
    check_names(given)
    generate_secrets()
    for variable, value in given.items():
        replace_secret(variable, value)
    out.print(f"secrets in {settings().runtime.secrets_file}", markup=False, soft_wrap=True)


@app.command()
def clean() -> None:
    """Delete the stack's data, logs and secrets; the fetched jars stay. Refuses while the stack is up."""
    from stack import lifecycle

    lifecycle.clean()
    out.print(f"removed the data in {settings().runtime.runtime_dir}", markup=False)


def fetch_jars() -> None:
    """Fetch the jars unless they are there, with a bar (a line now and then where there is no terminal)."""
    from stack import jars as stack_jars

    columns = (TextColumn("fetching jars"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("jars", total=1.0)
        told = 0.0

        def show(done: float, _line: str) -> None:
            nonlocal told
            progress.update(task, completed=done)
            if not err.is_terminal and done >= told + 0.1:
                told = done
                err.print(f"fetching jars: {done:.0%}")

        fetched = stack_jars.fetch(show)
    if fetched:
        err.print(f"jars fetched and verified: {settings().runtime.jars_dir}", markup=False)


def _tell(service: "Service", what: str, seconds: float) -> None:
    port = f"port {service.ports[0].number}" if service.ports else ""
    if what == "starting":
        if err.is_terminal:
            err.print(f"{service.name:<22} starting …", end="\r")
        return
    took = "was running" if what == "kept" else f"{seconds:5.1f} s"
    out.print(f"{service.name:<22} [green]running[/]  {took:<12} {port}")


def _table(rows: "list[Row]") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("SERVICE", "STATE", "PORT", "PID", "UPTIME", "RESTARTS", "LAST ERROR"):
        table.add_column(heading, overflow="fold" if heading == "LAST ERROR" else "ellipsis", no_wrap=heading != "LAST ERROR")
    for row in rows:
        style = _STYLE.get(row.state, "red")
        shown = [str(value) if value is not None else "" for value in (row.port, row.pid)]
        table.add_row(
            row.service, f"[{style}]{row.state}[/]", *shown, duration(row.uptime_seconds), str(row.restarts or ""), escape(row.last_error)
        )
    return table


def duration(seconds: float | None) -> str:
    """A time span in its two largest units: 41s, 3m 20s, 2h 05m, 4d 03h."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"
