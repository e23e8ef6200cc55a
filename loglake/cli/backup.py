"""`loglake backup`, `restore` and `catalog rebuild`: what to have when a disk dies, and what to do then."""

from pathlib import Path
from typing import Annotated

import typer

from loglake.cli.console import err, out

app = typer.Typer()
catalog_app = typer.Typer(no_args_is_help=True, help="The lake's catalog, when it was lost.")
app.add_typer(catalog_app, name="catalog")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    with_data: Annotated[bool, typer.Option("--with-data", help="The lake's data files too: for when HDFS is lost as well.")] = False,
    without_key: Annotated[bool, typer.Option("--without-key", help="Leave the key of the pseudonyms out; keep it yourself.")] = False,
) -> None:
    """Back up warehouse, catalog and the lake's table metadata, consistent with each other. The stack may go on working.

    The folder holds personal data, and the key of the pseudonyms: nobody but you may read it.
    """
    from stack.backup import run

    record = run(target.absolute(), _tell, with_data=with_data, with_key=not without_key)
    figures = record["books"]
    size = sum(file["bytes"] for file in record["files"].values())
    held = figures["lake"]["good"] + figures["lake"]["rejected"]
    out.print(
        f"backup of {figures['raw_events']:,} events in raw and {held:,} rows in the lake, {size / 1e6:,.1f} MB: {target}", markup=False
    )
    if not with_data:
        out.print("without the lake's data files: it needs HDFS as it is (--with-data takes them along)")
    for finding in record["findings"]:
        err.print(f"the books did not balance: {finding}", markup=False)


@app.command()
def restore(source: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a backup.")]) -> None:
    """Restore a backup into an empty stack, of which only postgres, namenode and datanode are up, and compare the books."""
    from stack.restore import run

    done = run(source.absolute(), _tell)
    out.print(done.note, markup=False)
    if done.upgraded:
        out.print(f"upgraded from an older release: {', '.join(done.upgraded)}", markup=False)
    if done.is_newer:
        out.print("after `loglake up`, `loglake load` brings the warehouse up to the lake, or `loglake load --full` where it asks for that")
    out.print(
        f"next: `loglake up`. If Kafka was lost too, set LOGLAKE_KAFKA_TOPIC to another name than {', '.join(done.topics)} first",
        markup=False,
    )


@catalog_app.command()
def rebuild() -> None:
    """Find the lake's newest metadata on HDFS and register it in a catalog that has lost it."""
    from loglake import catalog

    state = catalog.rebuild()
    out.print(f"registered {state.location}: snapshot {state.snapshot_id}, {state.rows:,} rows", markup=False)
    if state.was_erased_from:
        err.print("records were erased from this lake, or retired by age, and which stood in Postgres: the books will call some missing")
    out.print("next: `loglake load`, `loglake model`, `loglake reconcile`; they make the warehouse from the lake")


def _tell(step: str) -> None:
    err.print(step, markup=False)
