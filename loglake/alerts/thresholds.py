"""Thresholds of the alert rules that were changed while the stack runs: they take the place of the settings'.

Each change is a row of `ops.alert_threshold`: which, to what, who and when. The newest of a name counts; one without a value goes back to
the setting. Airflow, the command line and the monitor all judge by `in_force`.
"""

import logging
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import psycopg
from psycopg.rows import class_row
from pydantic import TypeAdapter, ValidationError

from loglake import clients
from loglake.alerts.rules import RULES, Rule
from loglake.errors import BadInputError
from loglake.operation_settings import AlertSettings
from loglake.settings import settings

log = logging.getLogger(__name__)

DDL = """
create table if not exists ops.alert_threshold (
    change_id bigint generated always as identity primary key,
    name text not null,
    value double precision,
    set_by text not null,
    set_at timestamptz not null default now(),
    constraint value_is_a_number check (value >= 0 and value < 'infinity')
);
create index if not exists alert_threshold_name on ops.alert_threshold (name, change_id desc);
comment on table ops.alert_threshold is 'One row per change of a threshold; the newest of a name counts, without a value the setting does';
"""
#: The monitor writes nothing but this; the time is the server's.
GRANT = "grant insert (name, value, set_by) on ops.alert_threshold to monitor"

#: The rules that have a threshold, by its name.
RULE_OF: dict[str, Rule] = {rule.threshold: rule for rule in RULES if rule.threshold}
LONGEST_NAME = 80
_HIGHEST_PERCENT = 100

_NEWEST = "select distinct on (name) name, value from ops.alert_threshold order by name, change_id desc"
_HISTORY = "select name, value, set_by, set_at from ops.alert_threshold order by change_id desc limit %s"
_INSERT = "insert into ops.alert_threshold (name, value, set_by) values (%s, %s, %s)"


class Change(NamedTuple):
    """A change of a threshold; `value` None: back to the setting."""

    name: str
    value: float | None
    set_by: str
    set_at: datetime


def in_force(database: str | None = None) -> AlertSettings:
    """The alert settings with the thresholds that were changed; as they are set where Postgres is down, or of an older release."""
    try:
        with clients.postgres("monitor", database) as connection:
            changed = overrides(connection)
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable) as error:
        log.warning("the thresholds are those of the settings: %s", clients.one_line(error))
        changed = {}
    return effective(settings().alerts, changed)


def overrides(connection: psycopg.Connection) -> dict[str, float]:
    """The thresholds that are changed now, by name."""
    return {name: value for name, value in connection.execute(_NEWEST).fetchall() if value is not None}


def effective(config: AlertSettings, changed: Mapping[str, float]) -> AlertSettings:
    """`config` with the changed thresholds. What this release cannot use (another one wrote it) is left out, and the log says so."""
    usable = {}
    for name, value in changed.items():
        try:
            usable[name] = validated(name, value)
        except BadInputError as error:
            log.warning("a threshold in ops.alert_threshold is left out: %s", error)
    return config.model_copy(update=usable)


def validated(name: str, value: float) -> float:
    """A threshold by the rules of its setting; BadInputError says what would do."""
    rule = RULE_OF.get(name)
    if rule is None:
        raise BadInputError(_unknown(name))
    field = AlertSettings.model_fields[name]
    kind: TypeAdapter[float] = TypeAdapter(Annotated[field.annotation, *field.metadata])  # type: ignore[arg-type]
    try:
        found = kind.validate_python(value)
    except ValidationError as error:
        raise BadInputError(f"{name} cannot be {value!r}: {error.errors()[0]['msg'].lower()}") from error
    if not math.isfinite(found):
        raise BadInputError(f"{name} cannot be {value!r}: a number is needed")
    if rule.unit == "%" and found > _HIGHEST_PERCENT:
        raise BadInputError(f"{name} cannot be {value!r}: no share is above {_HIGHEST_PERCENT} %")
    return found


def _unknown(name: str) -> str:
    return f"no threshold {name!r}: there are {', '.join(RULE_OF)}"


def change(connection: psycopg.Connection, name: str, value: float | None, who: str) -> None:
    """Note a change, None for back to the setting; BadInputError when it cannot be. `connection` may be the monitor's."""
    if value is not None:
        value = validated(name, value)
    elif name not in RULE_OF:
        raise BadInputError(_unknown(name))
    author = " ".join(who.split())
    if not author or len(author) > LONGEST_NAME or not author.isprintable():
        raise BadInputError(f"who changes a threshold is needed: a name of 1 to {LONGEST_NAME} characters")
    with connection.transaction():
        # The monitor's transactions only read, unless they say otherwise.
        connection.execute("set transaction read write")
        connection.execute(_INSERT, [name, value, author])


def history(connection: psycopg.Connection[Any], number: int) -> list[Change]:
    """The newest changes, the newest first."""
    with connection.cursor(row_factory=class_row(Change)) as cursor:
        return cursor.execute(_HISTORY, [number]).fetchall()
