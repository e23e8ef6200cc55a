"""How the monitor asks Postgres: a few connections that all viewers share, as the role `monitor`, with bounds of rows and time."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd
import psycopg

from loglake import clients
from loglake.alerts import thresholds
from loglake.errors import ServiceError
from loglake.settings import settings
from monitoring.queries import Query

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool


class NotThereError(ServiceError):
    """What is asked for has not been made yet: the marts before the first dbt run, say."""


class TooSlowError(ServiceError):
    """Postgres ended the query at its time limit."""


class Database:
    """The pool, and whether the server was there when it was last asked: one that is down is not waited for by each query of a page."""

    def __init__(self, pool: "ConnectionPool", pause_seconds: float) -> None:
        self._pool = pool
        self._pause = pause_seconds
        # A pool that is busy is no server that is down, though both end in its PoolTimeout.
        self._free = threading.BoundedSemaphore(pool.max_size)
        self._lock = threading.Lock()
        self._down: tuple[float, str] = (float("-inf"), "")

    def ask(self, query: Query, params: Mapping[str, object]) -> pd.DataFrame:
        """The rows of a query; NotThereError, TooSlowError, or another ServiceError when Postgres does not answer."""
        with self._connection(query.name) as connection, connection.cursor() as cursor:
            # The name first, for who looks at the server: in its log, in pg_stat_activity.
            cursor.execute(f"/* {query.name} */ {query.text}", {**params, "rows": query.rows})
            columns = [column.name for column in cursor.description or ()]
            return pd.DataFrame(cursor.fetchall(), columns=columns)

    def change_threshold(self, name: str, value: float | None, who: str) -> None:
        """Keep a threshold; BadInputError when it cannot be, ServiceError when Postgres does not answer."""
        with self._connection("the change of a threshold") as connection:
            thresholds.change(connection, name, value, who)

    @contextmanager
    def _connection(self, what: str) -> Iterator[psycopg.Connection]:
        """One of the pool's; what goes wrong with it, or with what is asked over it, is a ServiceError."""
        self._fail_fast()
        if not self._free.acquire(timeout=settings().monitor.query_seconds):
            raise TooSlowError(f"{what} had to wait longer than {settings().monitor.query_seconds:g} s for other queries")
        try:
            with self._pool.connection() as connection:
                yield connection
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName) as error:
            raise NotThereError(clients.one_line(error)) from error
        except psycopg.errors.QueryCanceled as error:
            raise TooSlowError(f"{what} took longer than {settings().monitor.query_seconds:g} s") from error
        except psycopg.OperationalError as error:
            raise self._note_down(error) from error
        except psycopg.Error as error:
            raise ServiceError(f"Postgres refuses {what}: {clients.one_line(error)}") from error
        finally:
            self._free.release()

    def close(self) -> None:
        self._pool.close()

    def _fail_fast(self) -> None:
        with self._lock:
            until, reason = self._down
        if time.monotonic() < until:
            raise ServiceError(reason)

    def _note_down(self, error: psycopg.OperationalError) -> ServiceError:
        reason = f"Postgres does not answer: {clients.one_line(error)}"
        with self._lock:
            self._down = (time.monotonic() + self._pause, reason)
        return ServiceError(reason)


@cache
def database() -> Database:
    """The one of this process."""
    config = settings().monitor
    return Database(clients.postgres_pool("monitor", config.connections, config.query_seconds), config.refresh_seconds)


@cache
def airflow_database() -> Database:
    """Airflow's metadata, as the role that owns it: nobody else may read it. One connection, whose transactions only read."""
    config = settings()
    pool = clients.postgres_pool("airflow", 1, config.monitor.query_seconds, config.postgres.airflow_database, read_only=True)
    return Database(pool, config.monitor.refresh_seconds)
