"""Rejected records and what became of them, on real Postgres."""

import json
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction
from typer.testing import CliRunner

from loglake import clients, erasure, reference, rejects, resolutions, shadow
from loglake.cli.rejects import app
from loglake.erasure import Position
from loglake.errors import BadInputError, LoadInProgressError
from loglake.rejects import Counts, Selection
from loglake.resolutions import Note
from loglake.settings import settings
from loglake.timerange import TimeRange
from producers import replay_rejects
from spark_jobs import forget
from tests.sample import NOW, event, event_id
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import deliver, empty_warehouse

pytestmark = pytest.mark.integration
HOUR = timedelta(hours=1)
NOTE = Note("after fix f", "Ada", "b1")
#: offset → reason and payload of four rejected records of partition 0, an hour apart.
BROKEN = {
    1: ("empty: 0 bytes", b""),
    2: ("not_json: no", b"{\xff"),
    3: ("empty: 0 bytes", None),
    4: ("wrong_type: service", b'{"service": 5}'),
}


@pytest.fixture
def database(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with empty_warehouse("rejects_test") as name:
        with clients.postgres("loader", name) as loader:
            for offset, (reason, payload) in BROKEN.items():
                loader.execute(
                    "insert into raw.rejected_events values ('t', 0, %s, %s, %s, %s, %s, 1)",
                    [offset, NOW + offset * HOUR, NOW, reason, payload],
                )
        yield name
    settings.cache_clear()


@pytest.fixture
def loader(database: str) -> Iterator[psycopg.Connection]:
    with clients.postgres("loader", database) as connection:
        yield connection


@pytest.fixture
def monitor(database: str) -> Iterator[psycopg.Connection]:
    with clients.postgres("monitor", database) as connection:
        yield connection


def place(offset: int) -> Position:
    return Position("t", 0, offset)


def found(monitor: psycopg.Connection, **selection: object) -> dict[int, str]:
    """The state of each record of a selection, by offset."""
    return {record.offset: record.state for record in rejects.listed(monitor, Selection(**selection), 100)}  # type: ignore[arg-type]


def replayed(loader: psycopg.Connection, offset: int, number: int, sent: Position) -> None:
    """What a replay notes of a record that becomes event `number`."""
    record = rejects.one(loader, place(offset))
    resolutions.begin(loader, [(record, event_id(number))], NOTE)
    resolutions.sent(loader, [(record, sent)])


def test_records_are_selected_by_code_place_time_and_state(loader: psycopg.Connection, monitor: psycopg.Connection) -> None:
    resolutions.give_up(loader, [place(1)], NOTE)
    assert found(monitor) == {4: "open", 3: "open", 2: "open", 1: "given_up"}
    assert found(monitor, code="empty").keys() == {1, 3}
    assert found(monitor, code="empty", states=("open",)).keys() == {3}
    assert found(monitor, topic="u") == found(monitor, partition=1) == {}
    assert found(monitor, first_offset=2, last_offset=3).keys() == {2, 3}
    assert found(monitor, received=TimeRange(NOW + 2 * HOUR, NOW + 4 * HOUR)).keys() == {2, 3}
    assert [record.offset for record in rejects.listed(monitor, Selection(), 2)] == [4, 3]


def test_pages_come_in_order_while_states_change(loader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "_PAGE_RECORDS", 1)
    seen = []
    for (record,) in rejects.pages(loader, Selection(states=("open",))):
        seen.append(record.offset)
        resolutions.give_up(loader, [record.position], NOTE)
    assert seen == [1, 2, 3, 4]


def test_groups_say_how_many_and_show_the_newest(loader: psycopg.Connection, monitor: psycopg.Connection) -> None:
    resolutions.give_up(loader, [place(1)], NOTE)
    first, *others = rejects.groups(monitor, Selection())
    assert first == {
        "code": "empty", "records": 2, "open": 1, "first_seen": NOW + HOUR, "last_seen": NOW + 3 * HOUR,
        "sample": "t/0/3", "sample_reason": "empty: 0 bytes",
    }  # fmt: skip
    assert [row["code"] for row in others] == ["not_json", "wrong_type"]


def test_a_replayed_record_is_missing_until_its_event_is_in_raw(database: str, loader: psycopg.Connection) -> None:
    record = rejects.one(loader, place(4))
    resolutions.begin(loader, [(record, event_id(1))], NOTE)
    assert rejects.counts(loader) == Counts(open=3, replaying=1)
    resolutions.sent(loader, [(record, Position("t", 1, 50))])
    assert rejects.counts(loader) == Counts(open=3, replayed=1, missing=1)
    deliver(database, 2, [event(1)])
    assert rejects.counts(loader) == Counts(open=3, replayed=1)
    # what a load has noted stays so when raw drops the event
    assert (resolutions.settle(loader), resolutions.settle(loader)) == (1, 0)
    loader.execute("truncate raw.log_events")
    assert rejects.counts(loader) == Counts(open=3, replayed=1)
    noted = rejects.one(loader, place(4))
    assert (noted.event_id, noted.reason, noted.resolved_by, noted.batch, noted.arrived) == (event_id(1), *NOTE, True)


def test_what_is_rejected_again_is_told_with_its_new_reason(loader: psycopg.Connection) -> None:
    replayed(loader, 4, 1, sent=place(2))
    again = rejects.one(loader, place(4))
    assert (again.state, again.rejected_again, again.sent_offset) == ("rejected_again", "not_json: no", 2)
    assert rejects.counts(loader) == Counts(open=3, rejected_again=1)
    resolutions.give_up(loader, [place(4)], NOTE)
    assert rejects.counts(loader) == Counts(open=3, given_up=1)


def test_nobody_but_the_loader_writes_and_the_marts_readers_see_nothing(database: str, monitor: psycopg.Connection) -> None:
    with pytest.raises(ReadOnlySqlTransaction):
        resolutions.give_up(monitor, [place(1)], NOTE)
    for role in ("dbt", "bi_reader"):
        with clients.postgres(role, database) as connection, pytest.raises((InsufficientPrivilege, ReadOnlySqlTransaction)):
            resolutions.give_up(connection, [place(1)], NOTE)
    assert found(monitor)[1] == "open"


def test_one_repair_at_a_time(database: str, loader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolutions, "LOCK_TIMEOUT", "10ms")
    resolutions.only_repair(loader)
    with clients.postgres("loader", database) as other, pytest.raises(LoadInProgressError, match="a replay of rejects"):
        resolutions.only_repair(other)


def test_of_a_person_who_is_erased_no_note_stays(database: str, loader: psycopg.Connection) -> None:
    replayed(loader, 4, 1, sent=Position("t", 1, 50))
    resolutions.give_up(loader, [place(1), place(2)], Note("Bob asked for it", "Ada", "b2"))
    with clients.postgres("postgres", database) as admin:
        # given that the rejected record 1 was his, and the event that record 4 became
        erasure.book(admin, "bob", [place(1), Position("t", 1, 50)], NOW)
        resolutions.forget(admin, erasure.unfinished(admin).ids)
        kept = dict(admin.execute('select "offset", to_jsonb(noted) from ops.reject_resolution as noted').fetchall())
    assert kept.keys() == {2, 4}
    assert (kept[4]["event_id"], kept[4]["state"], kept[4]["reason"]) == (None, "given_up", "the event it became was erased")
    assert rejects.counts(loader) == Counts(open=2, given_up=2)


def test_a_replay_leaves_out_what_was_erased_or_became_an_event_that_was(database: str, loader: psycopg.Connection) -> None:
    replayed(loader, 4, 1, sent=Position("t", 1, 50))
    # sent, but the replay was killed before it could note where to
    resolutions.begin(loader, [(rejects.one(loader, place(3)), event_id(2))], NOTE)
    with clients.postgres("postgres", database) as admin:
        # given an erasure that is booked: raw still holds record 1, which is theirs, and records 3 and 4, whose bytes name nobody
        theirs = [Position("t", 1, 50), Position("t", 1, 51)]
        resolutions.locate(admin, [(event_id(1), theirs[0]), (event_id(2), theirs[1]), (event_id(3), Position("t", 1, 52))])
        erasure.book(admin, "bob", [place(1), *theirs], NOW)
        resolutions.forget(admin, erasure.unfinished(admin).ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGLAKE_POSTGRES_DATABASE", database)
        settings.cache_clear()
        tried = replay_rejects.run(Selection(states=("open", "given_up")), None, "Ada", dry_run=True)
    assert tried.failed == {"erased": 3, "not_utf8": 1}
    assert [record.offset for record in rejects.listed(loader, Selection(), 9) if record.erased] == [4, 3, 1]


def test_nobody_is_forgotten_while_a_replay_runs(database: str, loader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolutions, "LOCK_TIMEOUT", "10ms")
    monkeypatch.setenv("LOGLAKE_POSTGRES_DATABASE", database)
    settings.cache_clear()
    resolutions.only_repair(loader)
    with pytest.raises(LoadInProgressError, match="a replay of rejects"):
        forget.run("bob", lambda step: pytest.fail(f"it began: {step}"))


def test_what_is_noted_outlives_a_rebuild(database: str, loader: psycopg.Connection) -> None:
    resolutions.give_up(loader, [place(1)], NOTE)
    with clients.postgres("postgres", database) as admin:
        shadow.swap(admin, shadow.create(admin))
        admin.execute("insert into raw.rejected_events select * from replaced_raw.rejected_events")
        assert shadow.drop_leftovers(admin)
    assert rejects.counts(loader) == Counts(open=3, given_up=1)


def test_a_first_load_of_nothing_but_rejects_does_not_stop_the_models(database: str, loader: psycopg.Connection) -> None:
    deliver(database, 2, [], rejected=1)
    reference.fill(database)
    assert loader.execute("select load_id from raw.ref_position").fetchall() == [(2,)]


def test_the_command_line_lists_groups_shows_and_gives_up(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_POSTGRES_DATABASE", database)
    settings.cache_clear()

    def said(*arguments: str) -> str:
        done = CliRunner().invoke(app, arguments)
        if done.exception:
            raise done.exception
        return done.stdout

    assert "t/0/4 " in said("list", "--code", "wrong_type")
    assert [row["records"] for row in json.loads(said("group", "--json"))] == [2, 1, 1]
    shown = said("show", "t/0/2")
    assert "7b ff" in shown
    assert "not_utf8" in next(line for line in shown.splitlines() if line.startswith("now "))
    assert said("show", "t/0/4", "--payload") == '{"service": 5}'
    for arguments, told in (
        (("show", "t/0/9"), "no rejected record at t/0/9"),
        (("give-up", "--reason", "old", "--by", "Ada"), "say which"),
        (("give-up", "--reason", " ", "--by", "Ada", "--all"), "must not be empty"),
    ):
        with pytest.raises(BadInputError, match=told):
            said(*arguments)
    assert said("give-up", "--code", "empty", "--reason", "a test", "--by", "Ada") == "2 rejected records are given up\n"
    assert "no rejected record is meant" in said("list", "--code", "empty", "--state", "open")
    (given_up, _) = json.loads(said("list", "--state", "given_up", "--json"))
    assert (given_up["reason"], given_up["resolved_by"], given_up["bytes"]) == ("a test", "Ada", None)
