"""The alert rules: pure functions of facts, judged against thresholds that are handed in.

A rule measures; `judge` compares. `Rule.threshold` names the field of `AlertSettings` (or of whatever object takes its place) that holds
the limit, so that thresholds may come from elsewhere later.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Literal, NamedTuple

from loglake.alerts.facts import SOURCES, Facts, Warehouse
from loglake.operation_settings import AlertSettings

State = Literal["ok", "firing", "unknown"]
#: A rate over fewer records than this says nothing.
LEAST_RECORDS = 100
#: Past days that must be known before an hour is taken for unusual.
LEAST_DAYS = 3


class Measured(NamedTuple):
    """What a rule found of a subject (a service, a source; '' where there is but one): None when there is nothing to judge yet."""

    value: float | None
    detail: str
    subject: str = ""


@dataclass(frozen=True)
class Rule:
    """An alert rule. `sources`: parts of the facts it needs. `covered_by`: keys whose incident tells of the same cause, if they fire."""

    name: str
    title: str
    severity: Literal["critical", "warning"]
    meaning: str
    unit: str
    threshold: str
    measure: Callable[[Facts], Iterable[Measured]]
    sources: tuple[str, ...] = ()
    covered_by: tuple[str, ...] = ()
    below: bool = False

    @property
    def anchor(self) -> str:
        """The heading of the rule's entry in docs/alerts.md."""
        return self.name.replace("_", "-")

    def limit(self, thresholds: AlertSettings) -> float:
        """Beyond this the rule fires; 0 where any occurrence is one too many."""
        return float(getattr(thresholds, self.threshold)) if self.threshold else 0.0


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a subject; `key` tells its incidents from others."""

    rule: Rule
    subject: str
    state: State
    value: float | None
    limit: float
    detail: str

    @property
    def key(self) -> str:
        return f"{self.rule.name}:{self.subject}" if self.subject else self.rule.name

    @property
    def title(self) -> str:
        return f"{self.rule.title}: {self.subject}" if self.subject else self.rule.title


def judge(facts: Facts, thresholds: AlertSettings) -> list[Verdict]:
    """The verdict of every rule, in the order of RULES; a rule whose source did not answer is unknown."""
    return [verdict for rule in RULES for verdict in _judge(rule, facts, rule.limit(thresholds))]


def _judge(rule: Rule, facts: Facts, limit: float) -> list[Verdict]:
    silent = [f"{SOURCES[source]}: {facts.unknown[source]}" for source in rule.sources if source in facts.unknown]
    if silent:
        return [Verdict(rule, "", "unknown", None, limit, "; ".join(silent))]
    return [_verdict(rule, measured, limit) for measured in rule.measure(facts)]


def _verdict(rule: Rule, measured: Measured, limit: float) -> Verdict:
    value = measured.value
    fires = value is not None and (value < limit if rule.below else value > limit)
    return Verdict(rule, measured.subject, "firing" if fires else "ok", value, limit, measured.detail)


def to_tell(verdicts: Iterable[Verdict], open_keys: Iterable[str]) -> list[Verdict]:
    """The firing verdicts that deserve an incident: what another incident explains gets none of its own, unless it has one already."""
    firing = {verdict.key: verdict for verdict in verdicts if verdict.state == "firing"}
    known = set(open_keys)
    causes = firing.keys() | known
    return [verdict for key, verdict in firing.items() if key in known or not causes & set(verdict.rule.covered_by)]


def _services(facts: Facts) -> list[Measured]:
    return [Measured(0 if status.ok else 1, status.detail, status.name) for status in facts.services]


def _sources(facts: Facts) -> list[Measured]:
    """A source whose service is known to be down is told by that service."""
    down = {status.name for status in facts.services if not status.ok}
    causes = {"warehouse": {"Postgres"}, "kafka": {"Kafka", "Postgres"}, "lake": {"HDFS", "Postgres"}, "hdfs": {"HDFS"}}
    found = []
    for source, name in SOURCES.items():
        problem = facts.unknown.get(source, "")
        blind = bool(problem) and not causes.get(source, set()) & down
        found.append(Measured(1 if blind else 0, problem or "answers", name))
    return found


def _age(now: datetime, since: datetime | None, what: str, none: str) -> list[Measured]:
    if since is None:
        return [Measured(0, none)]
    seconds = max((now - since).total_seconds(), 0)
    return [Measured(seconds, f"{what} {since:%Y-%m-%d %H:%M:%S} UTC, {seconds:.0f} s ago")]


def _lake_age(facts: Facts) -> list[Measured]:
    oldest = facts.kafka.oldest if facts.kafka else None
    return _age(facts.now, oldest, "the oldest record that is not in the lake is of", "no record waits")


def _load_age(facts: Facts) -> list[Measured]:
    since = facts.lake.unloaded_since if facts.lake else None
    return _age(facts.now, since, "the oldest commit of the lake that is not loaded is of", "everything in the lake is loaded")


def _marts_age(facts: Facts) -> list[Measured]:
    since = facts.warehouse.unbuilt_since if facts.warehouse else None
    return _age(facts.now, since, "the oldest load that is not in the marts is of", "every load is in the marts")


def _live_age(facts: Facts) -> list[Measured]:
    return _age(facts.now, _known(facts).live_seen, "the live stream last reported at", "the live stream has never run")


def _lag(facts: Facts) -> list[Measured]:
    records = facts.kafka.records if facts.kafka else 0
    return [Measured(records, f"{records:,} records in Kafka are not in the lake")]


def _percent(part: int, whole: int, what: str) -> list[Measured]:
    if whole < LEAST_RECORDS:
        return [Measured(None, f"only {whole:,} in the window, {LEAST_RECORDS} are needed to judge")]
    share = 100 * part / whole
    return [Measured(share, f"{part:,} of {whole:,} {what} ({share:.1f} %)")]


def _known(facts: Facts) -> Warehouse:
    """The warehouse's part, which `_judge` has seen to be there."""
    if facts.warehouse is None:
        raise ValueError("the facts have no warehouse part, and do not say why")
    return facts.warehouse


def _rejects(facts: Facts) -> list[Measured]:
    found = _known(facts)
    return _percent(found.rejected, found.arrived, "records that came were rejected")


def _errors(facts: Facts) -> list[Measured]:
    found = _known(facts)
    return _percent(found.errors, found.events, "events are errors")


def _latency(facts: Facts) -> list[Measured]:
    found = _known(facts)
    if found.latency_p95 is None or found.events < LEAST_RECORDS:
        return [Measured(None, f"only {found.events:,} events in the window, {LEAST_RECORDS} are needed to judge")]
    return [Measured(found.latency_p95, f"95 % of {found.events:,} events answered within {found.latency_p95:.0f} ms")]


def _volume(facts: Facts) -> list[Measured]:
    found = _known(facts)
    if found.last_hour is None or len(found.past_hours) < LEAST_DAYS:
        return [Measured(None, f"{len(found.past_hours)} past days are known, {LEAST_DAYS} are needed to judge")]
    usual = median(found.past_hours)
    if max(usual, found.last_hour) < LEAST_RECORDS:
        return [Measured(None, f"{found.last_hour:,} records in the last full hour, usually {usual:,.0f}: too few to judge")]
    factor = max(found.last_hour, usual) / max(min(found.last_hour, usual), 1)
    days = len(found.past_hours)
    detail = f"{found.last_hour:,} records in the last full hour, usually {usual:,.0f} (median of that hour on {days} past days)"
    return [Measured(factor, detail)]


def _books(facts: Facts) -> list[Measured]:
    findings = [*_known(facts).findings, *(facts.lake.findings if facts.lake else ())]
    return [Measured(len(findings), "; ".join(findings) or "manifests, the newest loads in raw and the lake's snapshot agree")]


def _disk(facts: Facts) -> list[Measured]:
    free = (facts.disk_free_bytes or 0) / 2**30
    return [Measured(free, f"{free:.1f} GiB are free on the disk of the runtime folder")]


def _hdfs(facts: Facts) -> list[Measured]:
    if facts.hdfs is None or not facts.hdfs.used + facts.hdfs.remaining:
        return [Measured(None, "HDFS has no room to speak of yet: no DataNode has reported")]
    used, room = facts.hdfs.used, facts.hdfs.used + facts.hdfs.remaining
    return [Measured(100 * used / room, f"HDFS uses {used / 2**30:.2f} of {room / 2**30:.2f} GiB ({100 * used / room:.1f} %)")]


def _small_files(facts: Facts) -> list[Measured]:
    if facts.lake is None:
        return [Measured(None, "the stream has not made the table yet")]
    files, needed = facts.lake.files, facts.lake.needed_files
    return [Measured(files - needed, f"the lake has {files:,} files, and its size needs {needed:,}")]


_STREAM_DOWN = ("service_down:stream", "service_down:Kafka", "service_down:HDFS")
_BATCH_FAILS = ("dag:loglake_batch", "service_down:stream", "service_down:Kafka", "service_down:HDFS", "service_down:Spark")
RULES: tuple[Rule, ...] = (
    Rule("service_down", "Service down", "critical", "a service of the pipeline does not answer, or is not fit", "", "", _services),
    Rule("facts_unknown", "Cannot be judged", "warning", "a source of facts does not answer although its service is up", "", "", _sources),
    Rule("lake_stale", "Records do not reach the lake", "critical", "age of the oldest record in Kafka that is not in the lake",
         "s", "lake_stale_seconds", _lake_age, ("kafka",), _STREAM_DOWN),
    Rule("lag", "The stream lags behind", "warning", "records in Kafka that are not in the lake",
         "records", "lag_records", _lag, ("kafka",), (*_STREAM_DOWN, "lake_stale")),
    Rule("load_stale", "The lake is not loaded", "critical", "age of the lake's oldest commit that is not in Postgres",
         "s", "load_stale_seconds", _load_age, ("lake",), _BATCH_FAILS),
    Rule("marts_stale", "The marts are old", "critical", "age of the oldest load that is not in the marts",
         "s", "marts_stale_seconds", _marts_age, ("warehouse",), _BATCH_FAILS),
    Rule("live_stale", "The live windows stand still", "warning", "time since the live stream last reported",
         "s", "live_stale_seconds", _live_age, ("warehouse",), ("service_down:Kafka", "service_down:Postgres")),
    Rule("reject_rate", "Many records are rejected", "warning", "rejected of the records that came in the window",
         "%", "reject_percent", _rejects, ("warehouse",)),
    Rule("error_rate", "Many events are errors", "warning", "events of type error, or of status 500 and above, of the window's",
         "%", "error_percent", _errors, ("warehouse",)),
    Rule("latency", "Answers are slow", "warning", "95th percentile of latency_ms of the window's events",
         "ms", "latency_p95_ms", _latency, ("warehouse",)),
    Rule("volume", "Unusual volume", "warning", "the last full hour's records against the median of the same hour on past days",
         "times", "volume_factor", _volume, ("warehouse",)),
    Rule("balance", "The books do not balance", "critical", "manifests, newest loads in raw and the lake's snapshot disagree",
         "findings", "", _books, ("warehouse", "lake")),
    Rule("disk_free", "The disk is nearly full", "critical", "free room on the disk of the runtime folder",
         "GiB", "disk_free_gib", _disk, ("disk_free_bytes",), below=True),
    Rule("hdfs_capacity", "HDFS is nearly full", "critical", "what HDFS has used of what it could use",
         "%", "hdfs_used_percent", _hdfs, ("hdfs",)),
    Rule("small_files", "The lake has many small files", "warning", "files of the lake beyond those that its size needs",
         "files", "small_files", _small_files, ("lake",)),
)  # fmt: skip
