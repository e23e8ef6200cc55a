"""The options that choose rejected records, named once for all commands of `loglake rejects`."""

import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loglake.errors import BadInputError

if TYPE_CHECKING:
    from loglake.rejects import Selection


@dataclass(frozen=True)
class Chosen:
    """What the options say: `taking` gives it to a command as its parameter `chosen`."""

    code: Annotated[
        str | None, typer.Option("--code", metavar="CODE", help="Rejected for a reason that begins with this code: missing_field, say.")
    ] = None
    topic: Annotated[str | None, typer.Option("--topic", help="Of this topic.")] = None
    partition: Annotated[int | None, typer.Option("--partition", min=0, help="Of this partition.")] = None
    offsets: Annotated[str | None, typer.Option("--offsets", metavar="FIRST-LAST", help="With these offsets: 17, or 17-42.")] = None
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Received by Kafka from then on: UTC, in ISO 8601.")] = None
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Received by Kafka before.")] = None
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", metavar="STATE", help="In this state (may be repeated): open, replaying, replayed, rejected_again, given_up."
        ),
    ] = None

    def selection(self, states: Iterable[str]) -> "Selection":
        """The records that are meant, in these states unless the options name some; BadInputError when an option cannot be used."""
        from loglake import timerange
        from loglake.rejects import Selection

        first, last = offsets_of(self.offsets)
        received = timerange.parse(self.start, self.end)
        return Selection(self.code, self.topic, self.partition, first, last, received, tuple(self.state or states))


def offsets_of(text: str | None) -> tuple[int | None, int | None]:
    """The first and the last offset of `17-42`, or twice that of `17`; BadInputError when the text is neither."""
    if text is None:
        return None, None
    first, _, last = text.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal() and int(first) <= int(last or first)):
        raise BadInputError(f"--offsets {text!r} is no range: write 17, or 17-42")
    return int(first), int(last or first)


def taking(*, without: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of Chosen, but some, in the place of its parameter `chosen`: Typer reads them off the signature."""
    options = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type)
        for option in fields(Chosen)
        if option.name not in without
    ]

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**given: Any) -> None:
            command(chosen=Chosen(**{option.name: given.pop(option.name) for option in options}), **given)

        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in inspect.signature(command).parameters.values()]
        shown = [part for parameter in own for part in (options if parameter.name == "chosen" else [parameter])]
        run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        return run

    return decorated
