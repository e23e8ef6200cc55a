"""`loglake export`: marts as CSV or Parquet files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from loglake.cli.console import err, out
from loglake.cli.signals import ending_in_order
from loglake.errors import BadInputError

app = typer.Typer()


@app.command()
def export(
    mart: Annotated[str | None, typer.Argument(help="A table or view of the schema marts (docs/bi.md lists them)", metavar="MART")] = None,
    kind: Annotated[
        str | None, typer.Option("--format", help="csv or parquet", show_default="what --output ends with, else csv", metavar="FORMAT")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; `-` for standard output (CSV)", show_default="MART.FORMAT")
    ] = None,
    everything: Annotated[Path | None, typer.Option("--all", help="Every mart, each into a file in this folder", metavar="FOLDER")] = None,
) -> None:
    """Write a mart, or all of them, to files: CSV for spreadsheets, Parquet for DuckDB, pandas and Spark.

    `loglake export daily_revenue`, `loglake export fact_order -o orders.parquet`, `loglake export --all marts --format parquet`.
    All files of one run show the same state. A file is there whole or not at all.
    """
    from loglake import exports, marts

    if (mart is None) == (everything is None) or (everything and output):
        raise BadInputError("name one mart (and an --output if you like), or a folder for --all of them")
    chosen = file_format(kind, output)
    with ending_in_order(), marts.reading() as connection:
        known = marts.catalogue(connection)
        if output == Path("-"):
            marts.require(known, str(mart))
            rows = exports.write_csv(connection, str(mart), sys.stdout.buffer)
            marts.require_same_tables(connection)
            err.print(f"{rows:,} rows of {mart}", markup=False)
            return
        for name in known if everything else [str(mart)]:
            target = (everything or Path()) / f"{name}.{chosen}" if output is None else output
            rows = exports.export(connection, known, name, target, chosen)
            out.print(f"wrote {target}: {rows:,} rows, {target.stat().st_size:,} bytes", markup=False)


def file_format(named: str | None, output: Path | None) -> str:
    """csv or parquet: as named, else by the file's ending, else csv; BadInputError for any other, or for Parquet to standard output."""
    from loglake.exports import FORMATS

    ending = output.suffix.removeprefix(".").lower() if output else ""
    chosen = named or (ending if ending in FORMATS else "csv")
    if chosen not in FORMATS:
        raise BadInputError(f"--format {chosen}: there are {' and '.join(FORMATS)}")
    if output == Path("-") and chosen != "csv":
        raise BadInputError("Parquet needs a file, since its index stands at its end: name one with --output")
    return chosen
