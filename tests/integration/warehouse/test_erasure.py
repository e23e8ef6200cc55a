"""The books of erasures, on real Postgres."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from loglake import clients, erasure
from loglake.erasure import Position
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import empty_warehouse

pytestmark = pytest.mark.integration
FOUND = [Position("t", 0, 7), Position("t", 1, 3)]
NEWEST = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture
def connection(postgres: EmbeddedStack) -> Iterator[psycopg.Connection]:
    assert postgres.runtime.exists()
    with empty_warehouse("erasure_test") as name, clients.postgres("postgres", name) as admin:
        yield admin


def test_what_was_brought_back_after_its_erasure_is_erased_again(connection: psycopg.Connection) -> None:
    began = datetime.now(UTC)
    erasure.book(connection, "u1", FOUND, NEWEST)
    (first,) = erasure.unfinished(connection).ids
    assert erasure.positions(connection) == FOUND
    erasure.finish(connection, [first])
    assert (erasure.positions(connection), erasure.unfinished(connection)) == ([], ([], None))

    erasure.book(connection, "u1", FOUND[:1], NEWEST)

    assert erasure.positions(connection) == FOUND[:1]
    assert {place: list(found) for place, found in erasure.offsets(connection).items()} == {("t", 0): [7], ("t", 1): [3]}
    # what was read before the first one was finished may still hold its records
    assert erasure.open_since(connection, began) == 2
    assert erasure.open_since(connection, datetime.now(UTC)) == 1


def test_of_a_person_only_positions_and_a_pseudonym_are_kept(connection: psycopg.Connection) -> None:
    erasure.book(connection, "bob@example.org", FOUND, NEWEST)
    kept = connection.execute("select to_jsonb(erasure)::text from ops.erasure").fetchall()
    kept += connection.execute("select to_jsonb(erased_record)::text from ops.erased_record").fetchall()
    assert len(kept) == 3
    assert [line for (line,) in kept if "bob" in line] == []
