"""The generated files: `docs/event.schema.json` and `docs/data-dictionary.md` from the contract, `.env.example` from the settings,
and the Grafana dashboard."""

import json
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from loglake import events
from loglake.columns import COLUMNS, LAKE_COLUMNS
from loglake.decode import REASONS
from loglake.metrics import dashboard
from loglake.settings import GROUPS, PROJECT
from loglake.tables import FULL_NAME, spark_type

_HEAD = """# Data dictionary

Generated from `loglake/events.py` and `loglake/columns.py` by `loglake contract --write`; a test fails when it is out of date.
The event as JSON Schema: [event.schema.json](event.schema.json).
"""

_ENV_HEAD = """\
# Every setting of loglake with its default. Copy this file to .env and uncomment what you change; a variable of the environment wins.
# Generated from loglake/settings.py by `loglake contract --write`; a test fails when it is out of date.
"""


def pages() -> dict[Path, str]:
    """The generated files and what they should hold."""
    docs = PROJECT / "docs"
    return {
        docs / "event.schema.json": json.dumps(events.json_schema(), indent=2, ensure_ascii=False) + "\n",
        docs / "data-dictionary.md": data_dictionary(),
        PROJECT / ".env.example": env_example(),
        PROJECT / "monitoring" / "grafana" / "loglake.json": dashboard.render(),
    }


def data_dictionary() -> str:
    return "\n".join([_HEAD, *_event_types(), *_lake_table(), *_reasons()])


def _event_types() -> list[str]:
    lines = ["## Event types", "", "| Type | Must carry, beyond the envelope |", "|---|---|"]
    lines += [f"| {name} | {', '.join(f'`{path}`' for path in required) or 'nothing'} |" for name, required in events.REQUIRED.items()]
    return [*lines, ""]


def _lake_table() -> list[str]:
    contract = {column.name for column in COLUMNS}
    lines = [
        f"## Columns of `{FULL_NAME}` and `raw.log_events`",
        "",
        "`reject_reason` and `payload` are in the lake and in `raw.rejected_events`; `raw.log_events` adds `load_id`, the load that "
        "brought the row.",
        "",
        "| Column | In the event | Lake type | Postgres type | What it is |",
        "|---|---|---|---|---|",
    ]
    for column in LAKE_COLUMNS:
        path = f"`{column.group + '.' if column.group else ''}{column.field}`" if column.name in contract else ""
        lines.append(f"| {column.name} | {path} | {spark_type(column.arrow)} | {column.postgres} | {column.description} |")
    return [*lines, ""]


def _reasons() -> list[str]:
    lines = ["## Why a record is rejected", "", "`reject_reason` is `code: detail`.", "", "| Code | Meaning |", "|---|---|"]
    return [*lines, *(f"| {code} | {meaning} |" for code, meaning in REASONS.items()), ""]


def env_example() -> str:
    """Every setting as a commented line `# LOGLAKE_…=default`, below what it does."""
    lines = [_ENV_HEAD]
    for group in GROUPS:
        prefix = str(group.model_config["env_prefix"])
        lines.append(f"# ---- {group.__name__.removesuffix('Settings')}\n")
        for name, field in group.model_fields.items():
            lines.append(f"# {field.description}\n# {prefix}{name.upper()}={_shown_default(field)}\n")
    return "\n".join(lines)


def _shown_default(field: FieldInfo) -> str:
    """A default as one would write it in `.env`: the project's folder as <project>, a generated secret as nothing."""
    if isinstance(field.default, Path):
        return f"<project>/{field.default.relative_to(PROJECT)}"
    if isinstance(field.default, SecretStr):
        return field.default.get_secret_value()
    return "" if field.default is None or field.default_factory else str(field.default)
