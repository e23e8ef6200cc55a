"""`loglake load` and `loglake reconcile`: one batch now, and the books."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from loglake.cli.console import out
from loglake.errors import NotBalancedError

if TYPE_CHECKING:
    from loglake.balance import Books

app = typer.Typer()


@app.command()
def load(
    full: Annotated[bool, typer.Option("--full", help="Read the whole lake again; rows that are there count as duplicates.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one line of JSON.")] = False,
) -> None:
    """Load what is new in the lake into Postgres, once, without Airflow."""
    from spark_jobs.load import run

    result = run(full=full)
    out.print(result.as_json() if as_json else result.note, markup=False)


@app.command()
def reconcile(as_json: Annotated[bool, typer.Option("--json", help="The books as JSON.")] = False) -> None:
    """Print the books: Kafka, lake, loads and marts, and whether each accounts for the one before. Exit code 1 when not."""
    from loglake import books
    from loglake.balance import balance

    result = balance(books.gather())
    if as_json:
        out.print(json.dumps(result.as_dict()), markup=False)
    else:
        print_books(result)
    if not result.balanced:
        raise NotBalancedError(f"the books do not balance: {result.findings[0]}")


def print_books(result: "Books") -> None:
    """The books as a table, the notes, and the verdict."""
    facts, loaded = result.facts, result.facts.loaded
    table = Table("stage", "what", Column("rows", justify="right"), box=None, pad_edge=False)
    rows: list[tuple[str, str, int | None]] = [
        ("Kafka", "records, all partitions", sum(bounds.end for bounds in facts.kafka.values())),
        ("lake", "good", facts.lake.good),
        ("", "rejected", facts.lake.rejected),
        *[("", what, number) for what, number in (("erased", facts.lake.erased), ("retired", facts.lake.retired)) if number],
        ("load", f"read, in {loaded.loads} loads", loaded.rows_read),
        ("", "inserted", loaded.rows_inserted),
        ("", "duplicate", loaded.rows_duplicate),
        ("", "rejected", loaded.rows_rejected),
        ("raw", "log_events", facts.raw_events),
        *([("", "retired", facts.raw_retired)] if facts.raw_retired else []),
        ("", "rejected_events", facts.raw_rejected),
        *[("", f"  of them {what.replace('_', ' ')}", number) for what, number in vars(facts.rejects).items() if number],
    ]
    rows += [("marts" if not index else "", name, count) for index, (name, count) in enumerate(facts.marts.items())]
    for stage, what, count in rows:
        table.add_row(stage, what, "not built" if count is None else f"{count:,}")
    out.print(table)
    for note in result.notes:
        out.print(f"note: {note}", markup=False)
    for finding in result.findings:
        out.print(f"[bold red]finding:[/] {escape(finding)}")
    out.print("[bold green]balanced[/]" if result.balanced else "[bold red]not balanced[/]")
