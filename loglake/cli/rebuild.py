"""`loglake rebuild`: the warehouse anew, from the lake alone."""

from typing import Annotated

import typer

from loglake.cli.console import err, out

app = typer.Typer()


@app.command()
def rebuild(
    lose_retired: Annotated[bool, typer.Option("--lose-retired", help="Lose the days that only the warehouse still holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one line of JSON.")] = False,
) -> None:
    """Make raw and everything that dbt makes of it anew from the lake, and swap it in at once: readers never see an empty table."""
    from spark_jobs.rebuild import run

    result = run(lambda step: err.print(step, markup=False), lose_retired=lose_retired)
    out.print(result.as_json() if as_json else result.note, markup=False, soft_wrap=True)
