"""`loglake bench`: the measurements, on the running stack."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from loglake.cli.console import err, out
from loglake.cli.signals import ending_in_order
from loglake.errors import BadInputError

app = typer.Typer()
bench = typer.Typer()
app.add_typer(bench, name="bench")


def _tell(line: str) -> None:
    err.print(line, markup=False)


def _in_a_folder(path: Path | None) -> Path | None:
    """Refuse what cannot be written before measuring, not after."""
    if path and not path.parent.is_dir():
        raise BadInputError(f"--output {path}: there is no folder {path.parent}")
    return path


Output = Annotated[Path | None, typer.Option("--output", callback=_in_a_folder, help="Write the figures here too, as JSON.")]


@bench.callback(invoke_without_command=True)
def measure_something(context: typer.Context) -> None:
    """Measure: rates and ratios (also without a command), history, dbt, sustained load, live, viewers, scheduled runs, Airflow, idle."""
    if context.invoked_subcommand is None:
        rates()


@bench.command()
def rates(
    events: Annotated[int, typer.Option(min=1000, help="Events each stage is given.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Counted rounds of each measurement, after one warm-up.")] = 3,
    output: Output = None,
) -> None:
    """The rate of each stage on the same events, and its ratio to the plain alternative, in a tenant of the running stack."""
    from bench.rates import measure

    report = measure(events, rounds, _tell)
    table = _table(f"{events:,} events, median of {rounds} rounds", "rate per second", "median", "min", "max")
    for name, found in report.rates.items():
        table.add_row(name, *(f"{found[key]:,.0f}" for key in ("median", "min", "max")))
    out.print(table)
    table = _table("ratios, pair by pair", "ratio", "median", "min", "max", "target")
    for name, found in report.ratios.items():
        table.add_row(name, *(f"{found[key]:.2f}" for key in ("median", "min", "max")), f"{found['target'] or '—'}")
    out.print(table)
    _write(output, asdict(report))


@bench.command()
def history(
    new: Annotated[int, typer.Option(min=1000, help="New events of each measured run.")] = 20_000,
    base: Annotated[int, typer.Option(min=1000, help="Events that the middle run finds; then ten times as many.")] = 50_000,
    rounds: Annotated[int, typer.Option(min=1, help="Measured runs at each size.")] = 3,
    output: Output = None,
) -> None:
    """Load plus dbt for the same number of new events, with a history and with ten times that history."""
    from bench.history import measure

    report = measure(new, base, rounds, _tell)
    table = _table(f"{new:,} new events, median of {rounds} runs", "history", "load s", "dbt s", "both s")
    for run in (report.small, report.large):
        table.add_row(f"{run.history:,}", *(f"{seconds:.1f}" for seconds in (run.load, run.dbt, run.both)))
    out.print(table)
    out.print(f"both, large ÷ small: {report.ratio:.2f} (at most 1.3)")
    _write(output, {**asdict(report), "ratio": report.ratio})


@bench.command()
def model(
    events: Annotated[int, typer.Option(min=1000, help="Events of the one load.")] = 1_000_000,
    top: Annotated[int, typer.Option(min=1, help="How many models to list, the slowest first.")] = 12,
    output: Output = None,
) -> None:
    """dbt build of one large load into empty marts, then of nothing new: wall time, SQL in it, seconds per model. Needs Postgres only."""
    from bench.model import measure

    report = measure(events, _tell)
    table = _table(f"{report.rows:,} new rows", "model, snapshot or test", "rows", "seconds", "SQL s")
    for node in report.load.nodes[:top]:
        table.add_row(node.name, "—" if node.rows is None else f"{node.rows:,}", f"{node.seconds:.1f}", f"{node.sql:.1f}")
    out.print(table)
    table = _table("dbt build", "run", "wall s", "SQL s", "SQL ÷ wall", "statements")
    for name, run in (("one load", report.load), ("nothing new", report.nothing)):
        table.add_row(name, f"{run.wall:.1f}", f"{run.sql:.1f}", f"{run.ratio:.2f}", f"{run.statements:,}")
    out.print(table)
    out.print("SQL ÷ wall of the load: at least 0.5 is asked")
    _write(output, {**asdict(report), "ratio": report.load.ratio})


@bench.command()
def sustain(
    rate: Annotated[int, typer.Option(min=1, help="Events per second to begin with.")] = 2000,
    seconds: Annotated[int, typer.Option(min=30, help="How long the first rate is held; each doubling a fifth of it.")] = 300,
    output: Output = None,
) -> None:
    """Send at a rate with everything running and watch the lag; then double until it no longer holds."""
    from bench.sustain import measure

    steps = measure(rate, seconds, _tell)
    table = _table("sustained load", "events/s asked", "sent/s", "stream lag max", "lag first half", "lag second half", "holds", "busiest")
    for step in steps:
        shown = (
            f"{step.sent:,.0f}",
            f"{step.lag_max:,}",
            f"{step.lag_first:,.0f}",
            f"{step.lag_second:,.0f}",
            "yes" if step.holds else "no",
        )
        table.add_row(f"{step.asked:,}", *shown, step.busiest)
    out.print(table)
    _write(output, [asdict(step) | {"holds": step.holds} for step in steps])


@bench.command()
def schedule(
    runs: Annotated[int, typer.Option(min=4, help="Scheduled runs to watch.")] = 24,
    rate: Annotated[int, typer.Option(min=1, help="Events per second that arrive meanwhile.")] = 200,
    maintain_every: Annotated[int, typer.Option(min=1, help="Maintenance is triggered after every so many runs.")] = 4,
    output: Output = None,
) -> None:
    """Consecutive scheduled runs with events arriving and maintenance in between: books, files, snapshots, and whether run time is flat."""
    from bench.schedule import measure

    report = measure(runs, rate, maintain_every, _tell)
    table = _table(f"{runs} scheduled runs at {rate:,} events/s", "run", "seconds", "events in raw", "data files", "snapshots")
    for run in report.runs:
        table.add_row(run.run_id, f"{run.seconds:.1f}", f"{run.events:,}", f"{run.files:,}", f"{run.snapshots:,}")
    out.print(table)
    out.print("maintenance: " + (", ".join(f"{seconds:.1f} s" for seconds in report.maintenance) or "none"))
    out.print(f"all succeeded, books balanced after each; run time, last quarter ÷ first: {report.ratio:.2f} (at most 1.2)")
    _write(output, {**asdict(report), "ratio": report.ratio})


@bench.command()
def overhead(
    runs: Annotated[int, typer.Option(min=1, help="Counted runs, after one that is not.")] = 5,
    output: Output = None,
) -> None:
    """What Airflow adds to the work of the batch's tasks, with nothing new in the lake."""
    from bench.overhead import measure

    report = measure(runs, _tell)
    table = _table(f"seconds, median of {runs} runs", "task", "waited", "started", "around the work", "work")
    for part in report.parts:
        table.add_row(part.task, *(f"{seconds:.2f}" for seconds in (part.waited, part.started, part.around, part.work)))
    out.print(table)
    out.print(f"beyond the work, a task: {report.per_task:.2f} s ({report.least:.2f} to {report.most:.2f}; at most 1.5)")
    _write(output, asdict(report))


@bench.command()
def live(
    rate: Annotated[int, typer.Option(min=1, help="Events per second.")] = 1000,
    seconds: Annotated[int, typer.Option(min=10, help="How long the rate is held.")] = 60,
    output: Output = None,
) -> None:
    """How long after Kafka has a record the live windows count it, with everything running."""
    from bench.live import measure

    report = measure(rate, seconds, _tell)
    table = _table(f"{report.sent:,.0f} events/s for {seconds} s, {report.samples} samples", "seconds to the live windows", "")
    for name, found in (("median", report.median), ("95th percentile", report.p95), ("longest", report.longest)):
        table.add_row(name, f"{found:.2f}")
    out.print(table)
    out.print(f"a batch takes {report.batch_ms:.0f} ms; cores: " + ", ".join(f"{name} {cores:.2f}" for name, cores in report.cores.items()))
    _write(output, asdict(report))


@bench.command()
def viewers(
    viewers: Annotated[int, typer.Option(min=1, help="Browsers that are open at once.")] = 10,
    seconds: Annotated[int, typer.Option(min=20, help="How long they look.")] = 120,
    days: Annotated[int, typer.Option(min=1, max=366, help="The range that they look at.")] = 30,
    events: Annotated[int, typer.Option(min=0, help="Look at a warehouse made for this, with so many events of these days.")] = 0,
    output: Output = None,
) -> None:
    """Real browsers on every page of the monitor: what Postgres takes for its questions, cores, connections."""
    from bench.viewers import measure

    with ending_in_order():
        report = measure(viewers, seconds, days, events, _tell)
    table = _table(
        f"{viewers} viewers of {days} days for {seconds} s, milliseconds in Postgres", "question", "asked", "median", "95 %", "longest"
    )
    for one in (report.together, *report.questions):
        table.add_row(one.name, f"{one.asked:,}", *(f"{found:,.1f}" for found in (one.median, one.p95, one.longest)))
    out.print(table)
    median, p95, longest = report.drawn
    out.print(f"{report.opened} pages opened, drawn after {median:.1f} s (median), {p95:.1f} s (95 %), {longest:.1f} s (longest)")
    out.print("cores: " + ", ".join(f"{name} {cores:.2f}" for name, cores in report.cores.items()) + f"; connections: {report.connections}")
    _write(output, asdict(report))


@bench.command()
def idle(
    seconds: Annotated[int, typer.Option(min=5, help="How long to watch.")] = 60,
    compose: Annotated[bool, typer.Option("--compose", help="Watch the containers of docker-compose.yaml instead.")] = False,
    output: Output = None,
) -> None:
    """What each service of the running stack takes: memory (PSS; of a container, its control group's) and processor."""
    from bench import containers
    from bench.idle import measure

    usage = containers.measure(seconds) if compose else measure(seconds)
    table = _table(f"over {seconds} s", "service", "memory MiB", "cores")
    for name, found in usage.items():
        table.add_row(name, f"{found.memory_mib:,.0f}", f"{found.cores:.3f}")
    total = (sum(found.memory_mib for found in usage.values()), sum(found.cores for found in usage.values()))
    table.add_row("all", f"{total[0]:,.0f}", f"{total[1]:.3f}")
    out.print(table)
    _write(output, {name: asdict(found) for name, found in usage.items()})


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def _write(output: Path | None, figures: Any) -> None:
    if output:
        output.write_text(json.dumps(figures, indent=2) + "\n")
        _tell(f"wrote {output}")
