"""`loglake doctor`: what is wrong with the machine, the installation or the stack, and how to mend it."""

import dataclasses
import json
from typing import Annotated

import typer
from rich.markup import escape

from loglake.cli.console import out

app = typer.Typer()
_STYLES = {"ok": "green", "skipped": "dim", "warning": "yellow", "problem": "bold red"}


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False) -> None:
    """Check machine, versions, ports, disk, secrets, schemas and services, and say how to mend what is wrong.

    Works with the stack up or down, and changes nothing. Exit code 0 without a problem (warnings may be there), else 1.
    """
    from stack.doctor import examine

    found = []
    for finding in examine():
        found.append(finding)
        if not as_json:
            out.print(f"[{_STYLES[finding.level]}]{finding.level:<8}[/] {finding.check:<17} {escape(finding.detail)}")
            if finding.fix:
                out.print(f"{'':<27}do: {finding.fix}", markup=False)
    if as_json:
        out.print(json.dumps([dataclasses.asdict(finding) for finding in found]), markup=False)
    if any(finding.level == "problem" for finding in found):
        raise typer.Exit(1)
