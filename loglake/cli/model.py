"""`loglake model`: bring snapshots and marts up to date with dbt."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from loglake.cli.console import err, out
from loglake.errors import BadInputError
from loglake.settings import settings

if TYPE_CHECKING:
    from loglake.models import ModelRun

app = typer.Typer()


@app.command()
def model(
    snapshot_only: Annotated[bool, typer.Option("--snapshot-only", help="Only the snapshot of products, no marts.")] = False,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Make the marts anew from all of raw.")] = False,
    full_tests: Annotated[bool, typer.Option("--full-tests", help="Build nothing; run every test over all history.")] = False,
    select: Annotated[str, typer.Option(help="Only these nodes, in dbt's selection syntax.", metavar="NODES")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show dbt's own lines.")] = False,
) -> None:
    """Bring the snapshot and the star schema up to date with dbt, and test what is new. Reads only loads it has not seen."""
    from loglake.models import run_dbt

    args = dbt_arguments(snapshot_only=snapshot_only, full_refresh=full_refresh, full_tests=full_tests, select=select)
    if verbose:
        run = run_dbt(args, on_line=lambda line: err.print(line, markup=False))
    else:
        with err.status(f"dbt {' '.join(args)}"):
            run = run_dbt(args)
    if select and not run.nodes:
        raise BadInputError(f"--select {select}: no model, snapshot or test is called so; `dbt/` holds what there is")
    print_run(run)


@app.command()
def docs(
    output: Annotated[Path | None, typer.Option(help="Where to write the page; in the runtime folder when not given.")] = None,
) -> None:
    """Write dbt's documentation of the models: one HTML page that opens without internet."""
    from loglake.models import write_docs

    target = output or settings().runtime.runtime_dir / "docs" / "models.html"
    with err.status("dbt docs generate"):
        write_docs(target)
    out.print(f"wrote {target}", markup=False, soft_wrap=True)


def dbt_arguments(*, snapshot_only: bool, full_refresh: bool, full_tests: bool, select: str) -> list[str]:
    """The dbt command for the options; BadInputError when they contradict each other."""
    from loglake.models import FULL_TESTS, SNAPSHOT

    if snapshot_only + full_refresh + full_tests > 1:
        raise BadInputError("--snapshot-only, --full-refresh and --full-tests exclude each other: give one of them")
    if select and (snapshot_only or full_tests):
        raise BadInputError("--snapshot-only and --full-tests say what to run: leave --select out")
    if full_tests:
        return FULL_TESTS
    if snapshot_only:
        return SNAPSHOT
    chosen = ["--select", *select.split(), "--exclude", "tag:full", "test_type:unit"] if select else []
    return ["build"] + (["--full-refresh"] if full_refresh else []) + chosen


def print_run(run: "ModelRun") -> None:
    """A table of what was written, and one line on the tests."""
    table = Table("model", Column("rows", justify="right"), Column("seconds", justify="right"), box=None, pad_edge=False)
    for node in run.of_kind("model", "snapshot"):
        table.add_row(node.name, "view" if node.rows is None else f"{node.rows:,}", f"{node.seconds:.1f}")
    if table.row_count:
        out.print(table)
    tests = run.of_kind("test", "unit_test")
    for test in tests:
        if test.status == "warn":
            out.print(f"[yellow]warning[/] {test.name}: {escape(test.message)}")
    passed = sum(test.status == "pass" for test in tests)
    out.print(f"{passed} of {len(tests)} tests passed, {run.seconds:.1f} s")
