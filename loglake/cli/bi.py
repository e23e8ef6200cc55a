"""`loglake bi`: the files of `bi/`, which Power BI and Tableau open."""

from typing import Annotated

import typer

from loglake.cli.console import err, out
from loglake.errors import OutOfDateError

app = typer.Typer()


@app.command()
def bi(check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 when a file is out of date.")] = False) -> None:
    """Write the Power BI project and the Tableau data source in bi/ anew, from dbt's models and the report's pages."""
    from loglake.bi import files
    from loglake.models import read_manifest

    with err.status("dbt parse"):
        expected = files.bi_files(read_manifest())
    if not check:
        out.print(f"bi/: {len(expected)} files, {files.write(expected)} of them changed")
        return
    wrong = [f"bi/{path} {problem}" for path, problem in files.differences(expected).items()]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise OutOfDateError(f"{wrong[0]}{more}: run `loglake bi`")
