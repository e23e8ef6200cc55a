"""`loglake report`: the marts as one HTML page."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from loglake.cli.console import err, out
from loglake.cli.signals import ending_in_order
from loglake.errors import BadInputError

app = typer.Typer()


@app.command()
def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("report.html"),
    currency: Annotated[
        str | None, typer.Option(help="Only orders in this currency, such as EUR.", show_default="all, side by side")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first UTC day, YYYY-MM-DD.", metavar="DAY", show_default="all")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last UTC day, YYYY-MM-DD.", metavar="DAY", show_default="all")
    ] = None,
) -> None:
    """Write the report (sales, product, users) as one HTML file that opens without internet, for people without Power BI.

    `loglake report --since 2026-11-01 --currency EUR -o november.html`. For a mart's rows, see `loglake export`.
    """
    from loglake.bi.query import Slice
    from loglake.files import replacing
    from loglake.report.page import render
    from loglake.report.read import read

    part = Slice(since and since.date(), until and until.date(), currency)
    if part.since and part.until and part.since > part.until:
        raise BadInputError(f"--since {part.since} is after --until {part.until}")
    with ending_in_order(), replacing(output) as draft:
        with err.status("reading the marts"):
            found = read(part)
        draft.write_text(render(found), encoding="utf-8")
    what = f"{found.freshness.events:,} events, up to load {found.freshness.load_id}" if found.freshness else "the marts hold no event yet"
    out.print(f"wrote {output}: {what}", markup=False)
