"""The locks that keep two jobs apart."""

from collections.abc import Iterator

import pytest

from loglake import clients, locks
from loglake.errors import LoadInProgressError
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import empty_warehouse

pytestmark = pytest.mark.integration
KEYS = (1, 2)


@pytest.fixture
def database(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with empty_warehouse("locks_test") as name:
        yield name


def test_a_lock_is_waited_for_until_the_time_is_up_or_its_holder_is_gone(database: str) -> None:
    busy = LoadInProgressError("another job is at work")
    with clients.postgres("loader", database) as waiting:
        with clients.postgres("dbt", database) as holder:
            assert locks.take(holder, KEYS[1])
            assert not locks.take(waiting, KEYS[1])
            with pytest.raises(LoadInProgressError, match="another job is at work"):
                locks.wait_for(waiting, KEYS, "10ms", busy)
        locks.wait_for(waiting, KEYS, "30s", busy)
        # what the connection does then waits as long as any other
        assert waiting.execute("show lock_timeout").fetchone() == ("0",)
        with clients.postgres("dbt", database) as other:
            assert not any(locks.take(other, key) for key in KEYS)
