"""The doctor asks a Postgres that runs: what `up` left is in order, and what was changed by hand is found."""

import json
import socket

import pytest

from loglake import clients, validate
from loglake.settings import LOOPBACK, settings
from stack import doctor_servers
from stack.postgres import SUPERUSER
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import empty_warehouse

pytestmark = pytest.mark.integration
_MADE = """
select relnamespace::regnamespace || '.' || relname from pg_class
where relnamespace::regnamespace::text in ('raw', 'ops', 'live') and relkind in ('r', 'p') and not relispartition
"""


def test_a_right_that_was_given_by_hand_is_found_and_told_how_to_mend(postgres: EmbeddedStack) -> None:
    assert [found.level for found in doctor_servers.warehouse_schema()] == ["ok"]
    with clients.postgres(SUPERUSER) as connection:
        connection.execute("grant usage on schema ops to bi_reader")
        try:
            (found,) = doctor_servers.warehouse_schema()
        finally:
            connection.execute("revoke usage on schema ops from bi_reader")

    assert (found.level, found.detail, found.fix) == ("problem", "role bi_reader can use schema ops", "run `loglake up`")


def test_every_table_that_up_makes_is_looked_for_and_missed(postgres: EmbeddedStack) -> None:
    assert postgres.runtime.exists()
    with empty_warehouse("doctor_test") as name, clients.postgres(SUPERUSER, name) as admin:
        made = {table for (table,) in admin.execute(_MADE).fetchall()}
        assert made == set(validate.TABLES)
        assert validate.missing_objects(admin) == []

        admin.execute("drop table ops.outbox_channel, ops.retired_progress")

        assert validate.missing_objects(admin) == [
            "table ops.retired_progress is missing: run `loglake up`",
            "table ops.outbox_channel is missing: run `loglake up`",
        ]


def test_the_lake_is_asked_where_the_settings_say(postgres: EmbeddedStack) -> None:
    assert postgres.runtime.exists()
    (down,) = doctor_servers.lake_columns()
    with socket.create_server((LOOPBACK, 0)) as standby, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGLAKE_HDFS_WEB_URL", f"{settings().hdfs.http_url};http://{LOOPBACK}:{standby.getsockname()[1]}")
        settings.cache_clear()
        try:
            (found,) = doctor_servers.lake_columns()
        finally:
            settings.cache_clear()

    assert (down.level, down.detail) == ("skipped", f"nothing listens at {LOOPBACK}:{settings().hdfs.namenode_http_port}")
    assert (found.level, found.detail) == ("skipped", "the stream has not made the table yet")


def test_the_command_asks_what_runs_and_skips_what_does_not(postgres: EmbeddedStack) -> None:
    shown = postgres.cli("doctor", "--json")

    found = {one["check"]: one for one in json.loads(shown.stdout)}
    assert found["postgres version"]["level"] == found["warehouse schema"]["level"] == found["secrets"]["level"] == "ok"
    assert found["lake columns"]["level"] == "skipped"
    assert found["ports"]["level"] == found["schema version"]["level"] == "ok"
    assert shown.returncode == (1 if any(one["level"] == "problem" for one in found.values()) else 0)
