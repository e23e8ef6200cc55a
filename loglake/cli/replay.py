"""`loglake replay`: real files in."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from loglake.cli.console import err, out
from loglake.cli.generate import stop_on_signal
from loglake.errors import BadInputError, ServiceError
from loglake.settings import settings

if TYPE_CHECKING:
    from producers.publisher import Publisher
    from producers.replay_report import Summary

app = typer.Typer()


@app.command()
def replay(  # noqa: PLR0917 - options of a command
    paths: Annotated[list[Path], typer.Argument(help="Files (gzip too) or folders of files, in the order given", metavar="PATH...")],
    mapping: Annotated[
        str | None, typer.Option(help="A mapping file of your own, or a built-in one: access_log, loglake, rees46, uci_online_retail")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what one growing file gains, until stopped; later runs resume")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write every line that gave no event here, one JSON object each")] = None,
    ledger: Annotated[Path | None, typer.Option(help="Write what became of every record here, one JSON object each")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 when a line gave no event")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing: only say what would become of the lines")] = False,
) -> None:
    """Bring real data in: a file's lines become events with their own time and the same ids each time.

    A replay of the same file adds nothing to the warehouse. The kind of file is found by its first lines: REES46 and UCI retail
    CSV, web server logs in combined format, NDJSON of loglake's own contract. For others, write a mapping (docs/replay.md) and try
    it with `--dry-run`:

    `loglake replay shop.csv --mapping my.yaml --dry-run --report unmapped.ndjson`
    """
    from producers.replay_report import Summary

    complete = True
    with Summary(report) as summary:
        if follow:
            _follow(paths, mapping, ledger, summary, dry_run=dry_run)
        else:
            complete = _replay(paths, mapping, ledger, summary, dry_run=dry_run)
    _print(summary, report, dry_run=dry_run)
    if not complete:
        raise ServiceError("stopped before the end: run the same replay again, it adds only what is missing")
    if strict and summary.unmapped_lines:
        raise BadInputError(f"{summary.unmapped_lines} lines gave no event (--strict)")


def _replay(paths: list[Path], mapping: str | None, ledger: Path | None, summary: "Summary", *, dry_run: bool) -> bool:
    """Whether it came to the end; SIGTERM and SIGINT stop it in order."""
    from producers.replay import replay_files
    from producers.replay_mapping import named_mapping
    from producers.sources import files_of

    files, chosen = files_of(paths), named_mapping(mapping) if mapping else None
    with stop_on_signal() as stop, nullcontext() if dry_run else _publisher(ledger) as sink, _progress() as bar:
        task = bar.add_task("replay", total=None, events=0)
        return replay_files(files, chosen, sink, summary, stop=stop, progress=lambda: bar.update(task, events=summary.event_count))


def _follow(paths: list[Path], mapping: str | None, ledger: Path | None, summary: "Summary", *, dry_run: bool) -> None:
    from producers.replay_follow import Follower
    from producers.replay_mapping import named_mapping
    from producers.sources import detect

    if len(paths) != 1 or paths[0].is_dir() or dry_run:
        raise BadInputError("--follow takes one file, and no --dry-run")
    chosen = named_mapping(mapping) if mapping else detect(paths[0])
    with stop_on_signal() as stop, _publisher(ledger) as sink:
        err.print(f"following {paths[0]} as {chosen.source}; stop with Ctrl-C", markup=False)
        Follower(paths[0], chosen, sink, summary).run(stop, lambda text: err.print(text, markup=False))


@contextmanager
def _publisher(ledger: Path | None) -> Iterator["Publisher"]:
    """Leaving it waits for what is in flight."""
    from producers.ledger import Ledger
    from producers.publisher import Publisher

    with ExitStack() as stack:
        book = stack.enter_context(Ledger(ledger)) if ledger else None
        yield stack.enter_context(Publisher(settings().kafka.topic, book))


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[events]:,} events"), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def _print(summary: "Summary", report: Path | None, *, dry_run: bool) -> None:
    verb = "would be sent" if dry_run else "sent and acknowledged"
    table = Table("event type", "events", title=f"{summary.event_count:,} events of {summary.mapped_lines:,} lines {verb}")
    for event_type, count in sorted(summary.events.items()):
        table.add_row(event_type, f"{count:,}")
    out.print(table)
    if not summary.unmapped_lines:
        return
    table = Table("why", "lines", "first", title=f"{summary.unmapped_lines:,} lines gave no event")
    for name, reason in sorted(summary.unmapped.items(), key=lambda item: -item[1].lines):
        first = ", ".join(f"{place.file}:{place.line}" for place in reason.first)
        table.add_row(escape(name), f"{reason.lines:,}", escape(first + (", …" if reason.lines > len(reason.first) else "")))
    out.print(table)
    where = f"all of them are in {report}" if report else "--report FILE writes all of them"
    err.print(f"warning: {summary.unmapped_lines} lines gave no event; {where}", markup=False)
