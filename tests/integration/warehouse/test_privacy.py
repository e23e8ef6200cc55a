"""Personal data: pseudonyms in the marts, addresses only for those who are granted them, and what the readers cannot reach."""

import hashlib
import hmac
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from loglake import clients, privacy
from loglake.errors import SettingsError
from loglake.events import User
from loglake.models import run_dbt
from loglake.settings import settings
from tests.sample import event
from tests.stackfixture import EmbeddedStack
from tests.starloads import at, login
from tests.warehouserows import deliver, empty_warehouse

pytestmark = pytest.mark.integration
_BEYOND_MARTS = """
select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v') and n.nspname in ('raw', 'stage', 'ops', 'live', 'staging', 'snapshots', 'restricted', 'vault')
"""


@pytest.fixture(scope="module")
def database(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with empty_warehouse("privacy_test") as name:
        bob = User(user_id="u1", username="bob", email="Bob@Example.org")
        deliver(name, 1, [event(1, user=bob), login(2, 1, "u2", email="bob@example.org"), login(3, 1, "u3", city="Köln")])
        run_dbt(["build"], database=name)
        deliver(name, 2, [login(4, 2, "u1", city="Bonn"), login(5, 3, "u1", email="new@example.org")])
        run_dbt(["build"], database=name)
        yield name


def test_the_marts_hold_a_keyed_hash_of_the_address(database):
    key = settings().privacy.key.get_secret_value().encode()
    with clients.postgres("bi_reader", database) as reader:
        found = dict(reader.execute("select user_id, email from marts.dim_users where user_id is not null").fetchall())
    assert found == {
        "u1": hmac.new(key, b"new@example.org", hashlib.sha256).hexdigest(),
        "u2": hmac.new(key, b"bob@example.org", hashlib.sha256).hexdigest(),
        "u3": None,
    }


def test_the_address_is_for_those_who_are_granted_it(database):
    query = "select user_id, email, described_at from restricted.user_contact order by user_id"
    with clients.postgres("dbt", database) as owner:
        found = owner.execute(query).fetchall()
    assert found == [("u1", "new@example.org", at(3)), ("u2", "bob@example.org", at(1))]
    for role in ("bi_reader", "monitor"):
        with clients.postgres(role, database) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(query)


def test_the_key_is_out_of_reach_and_never_replaced(database):
    with clients.postgres("dbt", database) as dbt, pytest.raises(psycopg.errors.InsufficientPrivilege):
        dbt.execute("select * from vault.pseudonym_key")
    with clients.postgres("bi_reader", database) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("select vault.pseudonym('bob@example.org')")
    query = "select vault.pseudonym(' BOB@example.org')"
    with clients.postgres("dbt", database) as dbt, clients.postgres("postgres", database) as server:
        before = dbt.execute(query).fetchone()
        privacy.apply(server, "another key")
        assert dbt.execute(query).fetchone() == before
        server.execute("truncate vault.pseudonym_key")
        with pytest.raises(SettingsError, match="LOGLAKE_PRIVACY_KEY"):
            privacy.apply(server, "")
        privacy.apply(server, settings().privacy.key.get_secret_value())
        assert dbt.execute(query).fetchone() == before


def test_a_bi_reader_sees_the_marts_and_nothing_else(database):
    with clients.postgres("postgres", database) as server:
        others = server.execute(_BEYOND_MARTS).fetchall()
    assert {schema for schema, _ in others} >= {"raw", "ops", "staging", "snapshots", "restricted", "vault"}
    with clients.postgres("bi_reader", database) as reader:
        for schema, name in others:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(sql.SQL("select from {}").format(sql.Identifier(schema, name)))
        reader.execute("set default_transaction_read_only = off")
        for statement in (
            "delete from marts.dim_users",
            "create table marts.mine ()",
            "create schema mine",
            "create temporary table mine ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)


def test_a_grant_outlives_a_view_made_anew(database):
    with clients.postgres("postgres", database) as server:
        server.execute("grant usage on schema restricted to loader")
        server.execute("alter default privileges for role dbt in schema restricted grant select on tables to loader")
    run_dbt(["build", "--full-refresh", "--select", "user_contact"], database=database)
    with clients.postgres("loader", database) as granted:
        assert granted.execute("select count(*) from restricted.user_contact").fetchone() == (2,)
