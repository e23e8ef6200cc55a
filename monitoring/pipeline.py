"""The pipeline as a flow of stages, each with its state and figures. Pure: from what servers and books say.

What is down or late the rules of `loglake.health` and `loglake.alerts` decide; here it is only put to the stage that it concerns.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Literal

from loglake.alerts.rules import Verdict
from loglake.health import Status
from loglake.metrics.facts import Lake
from loglake.topic import Bounds
from monitoring.text import NOTHING, ago, number, size, span

#: What a detail names as a command stands between backticks.
_COMMAND = re.compile(r"`([^`]+)`")
State = Literal["ok", "late", "down", "unknown"]
WORDS: dict[State, str] = {"ok": "running", "late": "late", "down": "down", "unknown": "unknown"}


@dataclass(frozen=True)
class Stage:
    name: str
    state: State
    facts: tuple[tuple[str, str], ...]
    detail: str = ""
    is_branch: bool = False


@dataclass(frozen=True)
class Inputs:
    """What the stages are made of; None or empty where it is not known."""

    now: datetime
    services: tuple[Status, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    kafka: Mapping[int, Bounds] | None = None
    lake: Lake | None = None
    stream: Mapping[str, Any] | None = None
    load: Mapping[str, Any] | None = None
    built: Mapping[str, Any] | None = None
    live: Mapping[str, Any] | None = None


def state_of(inputs: Inputs, services: Iterable[str], rules: Iterable[str]) -> tuple[State, str]:
    """Down when one of the services is, late when one of the rules fires, unknown when nobody can say; and why."""
    wanted = tuple(services)
    statuses = [status for status in inputs.services if status.name in wanted]
    for status in statuses:
        if not status.ok:
            return "down", status.detail
    verdicts = [verdict for verdict in inputs.verdicts if verdict.rule.name in tuple(rules)]
    for verdict in verdicts:
        if verdict.state == "firing":
            return "late", verdict.detail
    if len(statuses) < len(wanted) or any(verdict.state == "unknown" for verdict in verdicts):
        return "unknown", next((verdict.detail for verdict in verdicts if verdict.state == "unknown"), "")
    return "ok", ""


def stages(inputs: Inputs) -> list[Stage]:
    """From the topic to the marts, in the order of the data's way; the live windows last."""
    return [_topic(inputs), _stream(inputs), _lake(inputs), _load(inputs), _marts(inputs), _live(inputs)]


def _topic(inputs: Inputs) -> Stage:
    state, why = state_of(inputs, ["Kafka"], [])
    held = None if inputs.kafka is None else sum(bounds.end - bounds.first for bounds in inputs.kafka.values())
    ever = None if inputs.kafka is None else sum(bounds.end for bounds in inputs.kafka.values())
    facts = (("held", number(held)), ("ever", number(ever)), ("partitions", number(None if inputs.kafka is None else len(inputs.kafka))))
    return Stage("Kafka topic", state, facts, why)


def _stream(inputs: Inputs) -> Stage:
    state, why = state_of(inputs, ["stream"], ["lake_stale", "lag"])
    said = inputs.stream or {}
    facts = (
        ("rate", _rate(said.get("rate"))),
        ("lag", number(said.get("lag"))),
        ("last batch", ago(said.get("finished_at"), inputs.now)),
        ("event delay", span(said.get("event_delay_seconds"))),
    )
    return Stage("Lake stream", state, facts, why)


def _lake(inputs: Inputs) -> Stage:
    state, why = state_of(inputs, ["HDFS"], ["small_files", "hdfs_capacity"])
    held = inputs.lake
    facts = (
        ("rows", number(held.rows if held else None)),
        ("files", number(held.files if held else None)),
        ("size", size(held.size if held else None)),
        ("last commit", ago(held.committed_at if held else None, inputs.now)),
    )
    return Stage("Lake", state, facts, why)


def _load(inputs: Inputs) -> Stage:
    state, why = state_of(inputs, ["Postgres"], ["load_stale"])
    said = inputs.load or {}
    rate = said["rows_read"] / said["seconds"] if said and said["seconds"] else None
    facts = (
        ("rate", _rate(rate)),
        ("backlog", number(inputs.lake.backlog if inputs.lake else None)),
        ("last load", ago(said.get("committed_at"), inputs.now)),
        ("rows", number(said.get("rows_read"))),
    )
    return Stage("Load", state, facts, why)


def _marts(inputs: Inputs) -> Stage:
    state, why = state_of(inputs, ["Postgres"], ["marts_stale"])
    said = inputs.built or {}
    facts = (
        ("last build", ago(said.get("updated_at"), inputs.now)),
        ("loads behind", number(said.get("behind"))),
        ("models", number(said.get("models"))),
    )
    return Stage("Marts", state, facts, why)


def _live(inputs: Inputs) -> Stage:
    said = inputs.live
    if said is None:
        return Stage("Live windows", "unknown", (("last batch", NOTHING),), "the live stream has not reported", is_branch=True)
    silent = said["silent_seconds"]
    stale = silent is None or silent > said["stale_seconds"]
    facts = (
        ("last batch", ago(said["updated_at"], inputs.now)),
        ("took", span(said["batch_ms"] / 1000)),
        ("records", number(said["batch_rows"])),
        ("watermark", ago(said["watermark"], inputs.now)),
    )
    return Stage(
        "Live windows",
        "down" if stale else "ok",
        facts,
        "the live stream is silent: see `loglake logs live-stream`" if stale else "",
        is_branch=True,
    )


def _rate(value: float | None) -> str:
    return NOTHING if value is None else f"{number(value, 1 if value < 100 else 0)}/s"


def lag_rows(kafka: Mapping[int, Bounds], reached: Mapping[str, int]) -> list[dict[str, int]]:
    """Per partition: what it holds, how far the lake stream has come, and how far that is behind."""
    rows = []
    for partition, bounds in sorted(kafka.items()):
        come = max(int(reached.get(str(partition), bounds.first)), bounds.first)
        row = {"partition": partition, "first": bounds.first, "end": bounds.end, "in_lake": come, "lag": max(bounds.end - come, 0)}
        rows.append(row)
    return rows


def flow(found: Iterable[Stage]) -> str:
    """The stages as an HTML list; every text is escaped."""
    return '<ol class="flow" aria-label="Stages of the pipeline">' + "".join(_item(stage) for stage in found) + "</ol>"


def _item(stage: Stage) -> str:
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in stage.facts)
    said = _COMMAND.sub(r"<code>\1</code>", escape(stage.detail))
    detail = f"<p>{said}</p>" if said else ""
    kind = f"{stage.state} branch" if stage.is_branch else stage.state
    state = f'<span class="state">{WORDS[stage.state]}</span>'
    return f'<li class="{kind}"><h4>{escape(stage.name)}</h4>{state}<dl>{facts}</dl>{detail}</li>'
