"""Advisory locks in the warehouse's database: who has one keeps all others out for as long as the connection lives."""

from collections.abc import Iterable

import psycopg

from loglake.errors import LoglakeError


def take(connection: psycopg.Connection, key: int) -> bool:
    """Take a lock if it is free; whether it was."""
    return connection.execute("select pg_try_advisory_lock(%s)", [key]).fetchone() == (True,)


def wait_for(connection: psycopg.Connection, keys: Iterable[int], timeout: str, busy: LoglakeError) -> None:
    """Take these locks, one after the other; raise `busy` when one is not free within the timeout, "30s" say."""
    connection.execute("select set_config('lock_timeout', %s, false)", [timeout])
    try:
        for key in keys:
            connection.execute("select pg_advisory_lock(%s)", [key])
    except psycopg.errors.LockNotAvailable as error:
        raise busy from error
    connection.execute("select set_config('lock_timeout', '0', false)")
