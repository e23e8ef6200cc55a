"""`loglake maintain`: keep the lake, the warehouse's notes and Airflow small, without Airflow."""

from collections.abc import Callable
from typing import Annotated

import typer
from rich.table import Column, Table

from loglake.cli.console import out
from loglake.errors import BadInputError

app = typer.Typer()


@app.command()
def maintain(
    only: Annotated[str, typer.Option("--only", help="Some steps, with commas; all when not given.", metavar="STEPS")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The figures of each step as one line of JSON.")] = False,
) -> None:
    """Keep small what grows: the lake's days, files, manifests and snapshots, old notes of the stream, Airflow's metadata and logs.

    Steps: lake, compact, manifests, expire, orphans (of the lake); raw, progress, airflow, logs. `LOGLAKE_MAINTENANCE_…` says what is kept.
    """
    from loglake import retention, upkeep
    from spark_jobs import maintain as lake

    others: dict[str, Callable[..., upkeep.Step]] = {"raw": retention.retire, **upkeep.STEPS}
    names = chosen(only, (*lake.STEPS, *others))
    steps = lake.run(names, dry_run=dry_run) if not set(names).isdisjoint(lake.STEPS) else []
    steps += [step(dry_run=dry_run) for name, step in others.items() if name in names]
    if as_json:
        out.print(upkeep.as_json(steps), markup=False, soft_wrap=True)
        return
    table = Table("step", "what", Column("seconds", justify="right"), box=None, pad_edge=False)
    for step in steps:
        table.add_row(step.step, step.note, f"{step.seconds:.1f}")
    out.print(table)


def chosen(only: str, known: tuple[str, ...]) -> list[str]:
    """The named steps, all when none is; BadInputError on a name that is none."""
    names = [name.strip() for name in only.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise BadInputError(f"--only: no step {name!r}: there are {', '.join(known)}")
    return names or list(known)
