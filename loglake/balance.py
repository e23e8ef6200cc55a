"""Whether the books balance: facts in, findings out.

The order of the checks is the order of the data's way, so the first finding names the first stage that is not right.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from loglake.lake import LakeCount, PartitionCount
from loglake.rejects import Counts
from loglake.topic import Bounds


@dataclass(frozen=True)
class Loaded:
    """The sums of `ops.load_manifest`; `rows_since_full` since the last load that read the lake from its beginning.

    A backfill, whose range begins where it ends, reads nothing that is new and does not count there; `rows_backfilled` are theirs.
    `lake_retired` of those rows have left the lake by their age since, `lake_retired_before` of these before the last load.
    """

    loads: int
    rows_read: int
    rows_inserted: int
    rows_duplicate: int
    rows_rejected: int
    rows_since_full: int
    snapshot_to: int | None
    rows_backfilled: int = 0
    lake_retired: int = 0
    lake_retired_rejected: int = 0
    lake_retired_before: int = 0

    @property
    def rows_at_load(self) -> int:
        """What the lake's snapshot must hold that the last load ended at."""
        return self.rows_since_full - self.lake_retired_before


@dataclass(frozen=True)
class Facts:
    """Everything the books are made of; `kafka` is the bounds of the topic now in use, `lake_at_load` None: that snapshot has expired."""

    topic: str
    kafka: dict[int, Bounds]
    lake: LakeCount
    lake_at_load: int | None
    loaded: Loaded
    raw_events: int
    raw_rejected: int
    marts: dict[str, int | None]
    dbt_load_id: int | None
    last_load_id: int | None
    open_erasures: int = 0
    open_retirements: int = 0
    raw_retired: int = 0
    rejects: Counts = field(default_factory=Counts)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is being taken out of the lake: half way through, what is there and what is booked may differ."""
        return not (self.open_erasures or self.open_retirements)


@dataclass(frozen=True)
class Books:
    """The facts and the verdict: `findings` is empty when the books balance."""

    facts: Facts
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        return {
            "balanced": self.balanced,
            "findings": self.findings,
            "notes": self.notes,
            "erased": self.facts.lake.erased,
            "retired": self.facts.lake.retired,
            **asdict(self.facts),
        }


def balance(facts: Facts) -> Books:
    """Check each stage against the one before it. Work that is waiting (a backlog) is a note, not a finding."""
    findings, notes = _check_lake(facts)
    found, noted = _check_load(facts)
    is_complete = bool(facts.kafka) and not notes and not noted
    rejected, of_rejects = _check_rejects(facts, is_complete=is_complete)
    return Books(facts, findings + found + rejected + _check_marts(facts), notes + noted + of_rejects)


def _check_lake(facts: Facts) -> tuple[list[str], list[str]]:
    findings: list[str] = []
    for name, partitions in facts.lake.topics.items():
        for partition, held in partitions.items():
            if not facts.open_retirements:
                findings += _check_partition(f"partition {partition} of {name}", held)
            if held.unerased and not facts.open_erasures:
                findings.append(f"lake: {held.unerased:,} records of partition {partition} of {name} are booked as erased, but there")
    held_of_topic = facts.lake.topics.get(facts.topic, {})
    for partition, bounds in sorted(facts.kafka.items()):
        reached = held_of_topic.get(partition)
        if reached and reached.last >= bounds.end:
            findings.append(
                f"lake: partition {partition} of {facts.topic} reaches offset {reached.last}, "
                f"but Kafka ends at {bounds.end - 1}: not the same topic"
            )
    waiting = not_in_lake(facts.kafka, held_of_topic)
    notes = [f"{waiting:,} records in Kafka are not in the lake yet: the stream will bring them"] if waiting else []
    if facts.open_erasures:
        notes.append(f"{facts.open_erasures} erasures are not finished: where no `loglake forget` is running, run it again")
    if facts.open_retirements:
        notes.append(f"{facts.open_retirements} retirements of days are not finished: where no `loglake maintain` is running, run it again")
    return findings, notes


def not_in_lake(kafka: dict[int, Bounds], held: dict[int, PartitionCount]) -> int:
    """Records of a topic after the last that the lake holds of each of its partitions."""
    return sum(max(0, bounds.end - (held[number].last + 1 if number in held else bounds.first)) for number, bounds in kafka.items())


def _check_partition(name: str, held: PartitionCount) -> list[str]:
    findings = []
    if held.missing:
        findings.append(f"lake: {held.missing:,} offsets of {name} between {held.first} and {held.last} are missing")
    if held.repeated:
        findings.append(f"lake: {held.repeated:,} offsets of {name} are there more than once")
    return findings


def _check_load(facts: Facts) -> tuple[list[str], list[str]]:
    loaded, in_lake = facts.loaded, facts.lake.good + facts.lake.rejected
    findings: list[str] = []
    if loaded.rows_read != loaded.rows_inserted + loaded.rows_duplicate + loaded.rows_rejected:
        findings.append(
            f"load: {loaded.rows_read:,} rows read are not {loaded.rows_inserted:,} inserted + {loaded.rows_duplicate:,} duplicate "
            f"+ {loaded.rows_rejected:,} rejected"
        )
    # Between the delete in the lake and the rebuild, loads go on with what they had read of the person.
    if facts.is_settled and (found := differs_at_load(facts.lake_at_load, loaded)):
        findings.append(f"load: {found}")
    if facts.raw_events + facts.raw_retired != loaded.rows_inserted:
        retired = f" and {facts.raw_retired:,} were retired" if facts.raw_retired else ""
        findings.append(
            f"raw: {facts.raw_events:,} events are there{retired}, but the manifests say {loaded.rows_inserted:,} were inserted"
        )
    if facts.raw_rejected != loaded.rows_rejected:
        findings.append(f"raw: {facts.raw_rejected:,} rejects are there, but the manifests say {loaded.rows_rejected:,}")
    at_load = facts.lake_at_load if facts.lake_at_load is not None else loaded.rows_at_load
    backlog = in_lake + loaded.lake_retired - loaded.lake_retired_before - at_load
    if facts.is_settled and backlog < 0:
        findings.append(f"lake: {-backlog:,} rows that were loaded have left it, and nothing accounts for them")
    notes = [f"{backlog:,} rows in the lake are not loaded yet: the next batch will"] if backlog > 0 else []
    is_whole = loaded.rows_read - loaded.rows_backfilled == loaded.rows_since_full
    rejected = facts.lake.rejected + loaded.lake_retired_rejected
    if facts.is_settled and not backlog and rejected != facts.raw_rejected and is_whole:
        retired = f" and has retired {loaded.lake_retired_rejected:,}" if loaded.lake_retired_rejected else ""
        findings.append(f"load: the lake holds {facts.lake.rejected:,} rejects{retired}, raw {facts.raw_rejected:,}")
    return findings, notes


def differs_at_load(lake_at_load: int | None, loaded: Loaded) -> str:
    """What is wrong with the rows that were read, against those of the snapshot that the last load ended at; "" when nothing is."""
    if lake_at_load is None or lake_at_load == loaded.rows_at_load:
        return ""
    less = f" less {loaded.lake_retired_before:,} retired" if loaded.lake_retired_before else ""
    return f"{loaded.rows_since_full:,} rows were read{less} of {lake_at_load:,} in the lake's snapshot {loaded.snapshot_to}"


def _check_rejects(facts: Facts, *, is_complete: bool) -> tuple[list[str], list[str]]:
    """What was replayed must arrive, at the latest when everything that Kafka has is loaded (`is_complete`)."""
    missing, killed = facts.rejects.missing, facts.rejects.replaying
    notes = [f"{killed:,} rejects are being replayed: where no replay is running, run it again"] if killed else []
    if missing and is_complete:
        finding = f"rejects: {missing:,} records are noted as replayed, but raw holds no such event"
        return [f"{finding}: `loglake rejects replay --state replayed` sends them again"], notes
    if missing:
        notes.append(f"{missing:,} replayed rejects have not arrived in raw yet: the next batch will bring them")
    return [], notes


def _check_marts(facts: Facts) -> list[str]:
    events = facts.marts.get("fact_event")
    if events is None or facts.dbt_load_id != facts.last_load_id:
        return []
    # What raw has retired the marts keep, until somebody makes them anew from raw.
    if facts.raw_events <= events <= facts.raw_events + facts.raw_retired:
        return []
    return [f"marts: fact_event has {events:,} rows, raw.log_events {facts.raw_events:,}"]
