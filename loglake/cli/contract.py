"""`loglake contract`: the event contract as JSON Schema, and the pages generated from it."""

from typing import Annotated

import typer

from loglake.cli.console import out
from loglake.errors import LoglakeError

app = typer.Typer()


@app.command()
def contract(
    write: Annotated[bool, typer.Option("--write", help="Write the generated pages in docs/.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit code 2 when a generated page is out of date.")] = False,
) -> None:
    """Print the JSON Schema of an event, or write and check the pages in docs/ that come from the contract."""
    from loglake import dictionary

    pages = dictionary.pages()
    for path, content in pages.items():
        if write:
            path.write_text(content)
            out.print(f"wrote {path.name}")
        elif check and (not path.exists() or path.read_text() != content):
            raise LoglakeError(f"docs/{path.name} does not follow from loglake/events.py: run `loglake contract --write`")
    if not write and not check:
        out.print_json(next(iter(pages.values())))
