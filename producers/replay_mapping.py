"""What a mapping file says: how a source's lines become events of the contract. docs/replay.md explains the language.

The files of `producers/mappings` are built in; a user's own one is named on the command line.
"""

from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from loglake import events
from loglake.columns import COLUMNS
from loglake.errors import BadInputError
from producers import yaml_file
from producers.replay_expression import BUILT_IN, Expression, Pattern, StrictModel
from producers.replay_rows import COMBINED_COLUMNS

BUILT_IN_FOLDER = Path(__file__).parent / "mappings"
#: What replay fills itself: they follow from the line, the rules and the items.
_OWN_FIELDS = {"event_id", "schema_version", "event_type", "event_ts", "sent_at", "order.items", "order.status"}
#: Every field a mapping may fill, as `group.field` (or the envelope's plain name).
FIELDS = frozenset(
    path for column in COLUMNS if (path := f"{column.group}.{column.field}" if column.group else column.name) not in _OWN_FIELDS
)
EVENT_TYPES = frozenset(get_args(events.EventType))
_REQUIRED_FIELDS = ("service", "session_id")


def _expression(value: object) -> object:
    return {"from": value} if isinstance(value, str) else value


def _known_field(path: str) -> str:
    if path not in FIELDS:
        raise ValueError(f"{path!r} is no field that a mapping can fill; see docs/replay.md for the fields")
    return path


def _known_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise ValueError(f"{name!r} is no event type of the contract: {', '.join(sorted(EVENT_TYPES))}")
    return name


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; an example is Europe/London") from error
    return name


Shaped = Annotated[Expression, BeforeValidator(_expression)]
Fields = dict[Annotated[str, AfterValidator(_known_field)], Shaped]


class Time(StrictModel):
    """When the event happened: `format` is iso, unix, unix_ms or a strptime format; `zone` counts where the text names none."""

    expression: Shaped = Field(alias="from")
    format: str = "iso"
    zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"


class Item(StrictModel):
    """How a row becomes an order item."""

    product_id: Shaped
    quantity: Shaped
    unit_price: Shaped

    @cached_property
    def parts(self) -> tuple[Expression, Expression, Expression]:
        return self.product_id, self.quantity, self.unit_price


class Rule(StrictModel):
    """The rows whose columns match all of `when` (whole, null is empty) become an event of this type, or are left out."""

    when: dict[str, Pattern] = Field({})
    event_type: Annotated[str, AfterValidator(_known_type)] | None = None
    skip: str | None = None
    fields: Fields = Field({})

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.event_type is None) == (self.skip is None):
            raise ValueError("a rule needs either event_type or skip (a text that says why)")
        return self


class SourceMapping(StrictModel):
    """One mapping file. `source` is part of every event id: a source that is renamed gives new ids."""

    source: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    format: Literal["csv", "combined", "ndjson"]
    columns: tuple[str, ...] = ()
    has_header: bool = True
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"
    passthrough: bool = False
    time: Time | None = None
    group_by: Shaped | None = None
    fields: Fields = Field({})
    rules: tuple[Rule, ...] = ()
    item: Item | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _check_encoding(self.encoding)
        if self.passthrough:
            if self.format != "ndjson" or self.time or self.group_by or self.fields or self.rules or self.item:
                raise ValueError("passthrough sends the lines of an ndjson file as they are: no time, group_by, fields, rules or item")
            return self
        if self.time is None or not self.rules:
            raise ValueError("time and rules are needed")
        if self.format == "csv" and not self.columns:
            raise ValueError("columns are needed for csv: the names in the header")
        for rule in self.rules:
            missing = [name for name in _REQUIRED_FIELDS if rule.event_type and name not in self.fields | rule.fields]
            if missing:
                raise ValueError(f"fields: {missing[0]} is needed for {rule.event_type}")
            if rule.event_type in events.STATUS_OF and self.item is None:
                raise ValueError(f"item is needed for {rule.event_type}")
        self._check_columns()
        return self

    def _check_columns(self) -> None:
        if self.format == "ndjson":
            return  # a document's keys are its own
        known = COMBINED_COLUMNS if self.format == "combined" else self.columns
        for key, names in self._used_columns():
            unknown = [name for name in sorted(names) if name not in known]
            if unknown:
                raise ValueError(
                    f"{key}: the source has no column {unknown[0]!r}; it has {', '.join(sorted(known))} and {', '.join(BUILT_IN)}"
                )

    def _used_columns(self) -> Iterable[tuple[str, Iterable[str]]]:
        if self.time is not None:
            yield "time", self.time.expression.columns
        if self.group_by is not None:
            yield "group_by", self.group_by.columns
        for path, expression in self.fields.items():
            yield f"fields.{path}", expression.columns
        for number, rule in enumerate(self.rules):
            yield f"rules.{number}.when", rule.when
            for path, expression in rule.fields.items():
                yield f"rules.{number}.fields.{path}", expression.columns
        if self.item is not None:
            for name in Item.model_fields:
                yield f"item.{name}", getattr(self.item, name).columns


def _check_encoding(name: str) -> None:
    try:
        b"a".decode(name)
    except (LookupError, UnicodeDecodeError) as error:
        raise ValueError(f"encoding: {name!r} is no encoding of text whose line ends are single bytes") from error


def load_mapping(path: Path) -> SourceMapping:
    """The mapping in a YAML file; BadInputError names the file and the key that is wrong."""
    return yaml_file.load(path, SourceMapping, "mapping", "source, format and rules")


@cache
def built_in_mappings() -> dict[str, SourceMapping]:
    """The mappings that come with loglake, by source name."""
    found = [load_mapping(path) for path in sorted(BUILT_IN_FOLDER.glob("*.yaml"))]
    return {mapping.source: mapping for mapping in found}


def named_mapping(name: str) -> SourceMapping:
    """A built-in mapping by its name, or a user's by its file; BadInputError when it is neither."""
    known = built_in_mappings()
    if name in known:
        return known[name]
    if Path(name).exists():
        return load_mapping(Path(name))
    raise BadInputError(f"mapping {name} is neither a file nor built in: {', '.join(known)}")
