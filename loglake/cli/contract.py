"""`loglake contract`: the event contract as JSON Schema, and the generated files."""

from typing import Annotated

import typer

from loglake.cli.console import out
from loglake.errors import LoglakeError

app = typer.Typer()


@app.command()
def contract(
    write: Annotated[bool, typer.Option("--write", help="Write the generated files: docs/, .env.example, the dashboard.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit code 2 when a generated file is out of date.")] = False,
) -> None:
    """Print the JSON Schema of an event, or write and check the files that come from the contract and the settings."""
    from loglake import dictionary, events

    if not write and not check:
        out.print_json(data=events.json_schema())
        return
    for path, content in dictionary.pages().items():
        if write:
            path.write_text(content)
            out.print(f"wrote {path.name}")
        elif not path.exists() or path.read_text() != content:
            raise LoglakeError(f"{path.name} is out of date with the contract or the settings: run `loglake contract --write`")
