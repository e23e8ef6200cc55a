"""One format for the log of every process of ours: a line of logfmt, or of JSON, with the ids of what it was at work on.

    ts=2026-03-04T12:00:00.123456Z level=INFO logger=spark_jobs.load event="load 7: …" run_id=manual__… load_id=7

`bind` says what this process, or this thread, works on from now on; each line then names it. Libraries speak from warnings on.
"""

import json
import logging
import re
import uuid
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from loglake.settings import run_id, settings

#: Whose INFO lines are wanted.
_OWN = ("loglake", "consumers", "spark_jobs", "producers", "stack")
#: What comes first in a line, in this order; then whatever else it was given.
_FIELDS = ("ts", "level", "logger", "event", "run_id", "query_id", "load_id", "batch_id")
#: The event of a line of logfmt, quoted or not, and what a quoted one escapes.
_EVENT = re.compile(r'^ts=\S+ level=\S+ logger=\S+ event=(?:"((?:[^"\\]|\\.)*)"|(\S*))(?=$| \S+=)')
_ESCAPED = re.compile(r"\\(.)")


def configure() -> None:
    """Log to standard error; the supervisor keeps and rotates it. The id of the Airflow run, or one made up, is bound."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(settings().log.format))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in _OWN:
        logging.getLogger(name).setLevel(logging.INFO)
    bind(run_id=run_id() or uuid.uuid4().hex[:12])


def bind(**ids: object) -> None:
    """Name these ids (`run_id`, `load_id`, `batch_id`, `query_id`) in each line of this thread from now on."""
    structlog.contextvars.bind_contextvars(**ids)


def formatter(style: str) -> logging.Formatter:
    """The formatter of a style, `logfmt` or `json`; also for the records of libraries, which know nothing of it."""
    fields: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.ExtraAdder(),
        _level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
    ]
    render: Processor = structlog.processors.LogfmtRenderer(key_order=_FIELDS, drop_missing=True) if style == "logfmt" else _json
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=fields, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render]
    )


def event_of(line: str) -> str:
    """What a line of ours, or of Airflow's JSON, says without its fields; any other line as it is."""
    if found := _EVENT.match(line):
        quoted, plain = found.groups()
        return plain if quoted is None else _ESCAPED.sub(lambda escape: " " if escape[1] == "n" else escape[1], quoted)
    return _json_event(line) if line.startswith("{") else line


def _json_event(line: str) -> str:
    """The event of a line of JSON, ours or Airflow's; the line where it is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return line
    return str(found["event"]).replace("\n", " ") if {"event", "level"} <= found.keys() else line


def _level(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The level by the name that the servers' logs have for it too: INFO, WARNING, ERROR."""
    event["level"] = event["_record"].levelname
    return event


def _json(_logger: Any, _method: str, event: EventDict) -> str:
    first = {key: event.pop(key) for key in _FIELDS if key in event}
    return json.dumps({**first, **event}, default=str, ensure_ascii=False)
