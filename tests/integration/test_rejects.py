"""Replays of rejects and backfills on the real stack: killed or run twice, each event is there once, and the books add up."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import NewTopic

from loglake import books, clients, events, repair_steps
from loglake.balance import Books, balance
from loglake.erasure import Position
from loglake.rejects import Counts
from loglake.settings import settings
from producers.fix import event_id_of
from producers.publisher import Publisher
from producers.record import Record, record_of
from tests import pipeline
from tests.integration.test_forget import kill
from tests.sample import event, event_id
from tests.stackfixture import EmbeddedStack
from tests.waiting import wait_for

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC)
#: Records that are events after FIX: some with an id of their own, some without a usable one; and some that nothing mends.
NUMBERED, UNNUMBERED, HOPELESS = 300, 5, 2
FIX = """
fix: service_as_number
convert: {service: text}
id_from_position: true
"""
#: A topic beside the one in use, of which the lake got only the end.
TOPIC = "Backfilled"
_HELD_LOCK = 7_265_999
#: Stops a replay when its records are acknowledged, and not yet noted.
_HOLD = f"""
create function public.hold() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock({_HELD_LOCK}); return new; end $$;
create trigger hold before update on ops.reject_resolution for each row when (new.state = 'replayed') execute function public.hold();
select pg_advisory_lock({_HELD_LOCK});
"""
_RELEASE = f"""
select pg_advisory_unlock({_HELD_LOCK});
drop trigger hold on ops.reject_resolution;
drop function public.hold;
"""
_WAITING = f"select count(*) from pg_locks where locktype = 'advisory' and objid = {_HELD_LOCK} and not granted"
_ONCE = "select count(*), count(distinct event_id) from raw.log_events where session_id = 'rejected-session'"
_UNNUMBERED = """
select topic, partition, "offset", kafka_timestamp from raw.rejected_events
where position('"42"' in encode(payload, 'escape')) > 0 and kafka_timestamp >= %s
"""


def broken(number: int, **changes: Any) -> Record:
    """An event that names its service by a number."""
    document = json.loads(events.encode(event(event_id=event_id(50_000 + number, NOW), event_ts=NOW, session_id="rejected-session")))
    return Record(b"rejected-session", json.dumps({**document, "service": 5, **changes}).encode())


def publish(topic: str, records: list[Record]) -> None:
    with Publisher(topic) as publisher:
        for record in records:
            publisher.send(record)
        assert publisher.flush().complete


def told() -> Books:
    return balance(books.gather())


def repair(**parameters: Any) -> dict[str, Any]:
    """What the task of the repair DAG does."""
    return repair_steps.repair({"dry_run": False, **parameters}, "test")


def balanced() -> None:
    found = told()
    assert (found.findings, found.notes) == ([], [])


@contextmanager
def held_before_it_is_noted() -> Iterator[None]:
    with clients.postgres("postgres") as admin:
        admin.execute(_HOLD)
        try:
            yield
        finally:
            admin.execute(_RELEASE)


@pytest.fixture(scope="module")
def fix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fix") / "fix.yaml"
    path.write_text(FIX)
    return path


@dataclass(frozen=True)
class Before:
    """What there was of rejects before any was made here, and when that was."""

    counts: Counts
    moment: str


@pytest.fixture(scope="module")
def rejected(lake_stream: EmbeddedStack) -> Before:
    """Rejected records in the warehouse, and good ones beside them."""
    pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    before = Before(told().facts.rejects, datetime.now(UTC).isoformat())
    good = [broken(number) for number in range(NUMBERED)] + [broken(9_000 + number, event_id="42") for number in range(UNNUMBERED)]
    beside = [record_of(event(event_id=event_id(70_000 + number, NOW), event_ts=NOW, session_id="lost-session")) for number in range(50)]
    publish(settings().kafka.topic, [*beside, *good, *([Record(b"rejected-session", b'{"session_id": "rejected-session"')] * HOPELESS)])
    pipeline.wait_in_lake(lake_stream)
    assert pipeline.load(lake_stream)["rows_rejected"] == NUMBERED + UNNUMBERED + HOPELESS
    return before


def test_a_replay_that_was_killed_is_taken_up_and_each_event_is_there_once(lake_stream: EmbeddedStack, rejected: Before, fix: Path) -> None:
    before, since = rejected.counts, {"from": rejected.moment}
    command = ["rejects", "replay", "--fix", str(fix), "--from", rejected.moment]
    tried = pipeline.run(lake_stream, *command, "--dry-run")
    assert f"{NUMBERED + UNNUMBERED:,} would be replayed; {HOPELESS} would fail: not_json {HOPELESS}" in tried
    # given a replay that is killed when the broker has its first page, and nothing says so yet
    with held_before_it_is_noted():
        victim = pipeline.popen(lake_stream, *command)
        wait_for("the replay to be acknowledged", lambda: victim.poll() is not None or pipeline.scalar(_WAITING) == 1)
        assert victim.poll() is None, victim.communicate()[0]
        kill(victim)
    sent_twice = told().facts.rejects.replaying
    assert 0 < sent_twice < NUMBERED
    # when it is run again, and again
    again = repair(action="replay", fix=str(fix), **since)
    assert (again["replayed"], again["failed"]) == (NUMBERED + UNNUMBERED, {"not_json": HOPELESS})
    assert repair(action="replay", fix=str(fix), **since)["replayed"] == 0
    # then the events arrive, each once, under their own ids or those of their positions
    pipeline.wait_in_lake(lake_stream)
    loaded = pipeline.load(lake_stream)
    assert (loaded["rows_inserted"], loaded["rows_duplicate"], loaded["rows_rejected"]) == (NUMBERED + UNNUMBERED, sent_twice, 0)
    assert pipeline.query(_ONCE) == [(NUMBERED + UNNUMBERED, NUMBERED + UNNUMBERED)]
    made = pipeline.query(_UNNUMBERED, rejected.moment)
    assert len(made) == UNNUMBERED
    ids = [event_id_of(Position(topic, partition, offset), received) for topic, partition, offset, received in made]
    assert pipeline.scalar("select count(*) from raw.log_events where event_id = any(%s::uuid[])", ids) == UNNUMBERED
    counts = told().facts.rejects
    assert (counts.open - before.open, counts.replaying, counts.replayed - before.replayed) == (HOPELESS, 0, NUMBERED + UNNUMBERED)
    balanced()
    # and what nothing mends is given up
    pipeline.run(lake_stream, "rejects", "give-up", "--code", "not_json", "--from", rejected.moment, "--reason", "cut off", "--by", "Ada")
    assert told().facts.rejects.given_up - before.given_up == HOPELESS


def test_what_raw_lost_comes_back_from_the_lake(lake_stream: EmbeddedStack, rejected: Before) -> None:
    pipeline.run(lake_stream, "model")
    times = {"from": rejected.moment, "to": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}
    before = pipeline.query("select event_id, load_id from raw.log_events order by 1")
    with clients.postgres("postgres") as admin:
        lost = admin.execute("delete from raw.log_events where session_id = 'lost-session'").rowcount
    assert any(finding.startswith("raw: ") for finding in told().findings)
    result = repair(action="backfill", source="lake", **times)
    assert (result["events_restored"], result["events_known"], result["rejects_restored"]) == (50, lost, 0)
    assert pipeline.query("select event_id, load_id from raw.log_events order by 1") == before
    balanced()
    assert repair(action="backfill", source="lake", **times)["load_id"] is None
    balanced()
    # the marts had them, and have them once
    assert pipeline.query("select count(*), count(distinct event_sk) from marts.fact_event") == [(len(before), len(before))]


def test_what_the_lake_never_got_comes_from_kafka(lake_stream: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a topic of which the lake has the end only, as after a stream that began too late
    with clients.kafka_admin() as admin:
        admin.create_topics([NewTopic(TOPIC, 1, 1)])
    values = [event(event_id=event_id(60_000 + number, NOW), event_ts=NOW, session_id="backfilled") for number in range(40)]
    publish(TOPIC, [Record(b"backfilled", events.encode(value)) for value in values])
    end = "from loglake.spark import batch_session\nfrom consumers.backfill import append\n"
    end += f"with batch_session('test') as spark: append(spark, '{TOPIC}', [(0, 30, 40)], 10)"
    repair_steps.run_job("the end of the topic", (sys.executable, "-c", end + '\nprint(\'{"note": "done"}\')'))
    # and an offset that an erasure accounts for
    erased = "with made as (insert into ops.erasure values (default, 's', now(), now(), now()) returning erasure_id) "
    with clients.postgres("postgres") as postgres:
        postgres.execute(erased + "insert into ops.erased_record select %s, 0, 7, erasure_id from made", [TOPIC])
    assert told().findings == [f"lake: 22 offsets of partition 0 of {TOPIC} between 7 and 39 are missing"]
    # when a part of it is filled, then all of it, then nothing is left
    monkeypatch.setenv("LOGLAKE_KAFKA_TOPIC", TOPIC)
    times = {"from": NOW.isoformat(), "to": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}
    assert repair(action="backfill", source="kafka", dry_run=True, **times)["appended"] == 29
    assert repair(action="backfill", source="kafka", **times)["appended"] == 29
    assert repair(action="backfill", source="kafka", **times)["appended"] == 0
    # then each record is in the lake once, but the erased one, and the next load brings them
    assert pipeline.load(lake_stream)["rows_inserted"] == 39
    assert pipeline.query('select count(*), count(distinct "offset"), min("offset") from raw.log_events where topic = %s', TOPIC) == [
        (39, 39, 0)
    ]
    balanced()
