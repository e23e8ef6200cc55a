"""The swap of a shadow on real Postgres: nothing of what others made or were granted is lost."""

from collections.abc import Iterator

import psycopg
import pytest

from loglake import clients, shadow, validate, warehouse
from loglake.errors import ServiceError
from tests.stackfixture import EmbeddedStack
from tests.starloads import LOADS
from tests.warehouserows import deliver, empty_warehouse

pytestmark = pytest.mark.integration
#: What an administrator may have set up beside what `loglake up` does; `made` is a mart.
_BY_HAND = """
create role shadow_analyst;
grant usage on schema restricted to shadow_analyst;
grant select on raw.log_events to shadow_analyst with grant option;
grant select (topic) on raw.rejected_events to shadow_analyst;
alter default privileges for role dbt in schema restricted grant select on tables to shadow_analyst;
comment on schema marts is 'the bank''s';
set role dbt;
create table marts.made as select 1 as load_id;
create table snapshots.cdc_product as
    select 'p1' as product_id, price, version::text as dbt_scd_id, valid_from as dbt_valid_from, null::integer as dbt_valid_to,
           (select event_id from raw.log_events order by event_id offset known limit 1) as described_by
    from (values (1, 10, 1, 0), (2, 20, 2, null), (3, 30, 3, 1)) as v (version, price, valid_from, known);
update snapshots.cdc_product set described_by = gen_random_uuid() where price = 20;
reset role;
"""
_SET_UP = """
select relnamespace::regnamespace || '.' || relname || ' ' || relacl::text from pg_class
where relnamespace::regnamespace::text = any(%(names)s) and relacl is not null
union all
select attrelid::regclass || '.' || attname || ' ' || attacl::text from pg_attribute where attacl is not null
    and attrelid in (select oid from pg_class where relnamespace::regnamespace::text = any(%(names)s))
union all
select nspname || ' ' || nspacl::text || coalesce(obj_description(oid, 'pg_namespace'), '') from pg_namespace where nspname = any(%(names)s)
union all
select defaclnamespace::regnamespace || ' ' || defaclrole::regrole || ' ' || defaclacl::text from pg_default_acl
    where defaclnamespace::regnamespace::text = any(%(names)s)
union all
select schemaname || '.' || indexname from pg_indexes where schemaname = 'raw'
order by 1
"""


@pytest.fixture
def admin(postgres: EmbeddedStack) -> Iterator[psycopg.Connection]:
    """The superuser in a warehouse of one load, with grants and objects made by hand."""
    assert postgres.runtime.exists()
    with empty_warehouse("shadow_test") as name, clients.postgres("postgres", name) as connection:
        deliver(name, 1, LOADS[0])
        connection.execute(_BY_HAND)
        yield connection
        connection.execute("drop owned by shadow_analyst; drop role shadow_analyst")


def set_up(admin: psycopg.Connection) -> list[str]:
    return [row[0] for row in admin.execute(_SET_UP, {"names": list(shadow.SWAPPED)}).fetchall()]


def filled(admin: psycopg.Connection) -> str:
    """A shadow as a rebuild fills it."""
    prefix = shadow.create(admin)
    admin.execute(f"insert into {prefix}raw.log_events select * from raw.log_events")
    admin.execute(f"set role dbt; create table {prefix}marts.made as select 2 as load_id; reset role")
    shadow.copy_snapshot(admin, prefix)
    return prefix


def test_grants_comments_and_indexes_are_as_they_were(admin: psycopg.Connection) -> None:
    before = set_up(admin)
    assert any("shadow_analyst=r*" in line for line in before)

    shadow.swap(admin, filled(admin))

    assert set_up(admin) == before
    assert admin.execute("select load_id from marts.made").fetchall() == [(2,)]
    assert admin.execute("select count(*) from ops.load_manifest").fetchall() == [(0,)]
    assert shadow.drop_leftovers(admin)
    assert admin.execute("select nspname from pg_namespace where nspname ~ '^re(build|placed)_'").fetchall() == []
    # and `loglake up` finds nothing to add
    warehouse.apply_schema(admin)
    assert set_up(admin) == before
    assert validate.validate_warehouse(admin) == []


def test_the_snapshot_is_kept_but_for_what_the_lake_does_not_bear_out(admin: psycopg.Connection) -> None:
    shadow.swap(admin, filled(admin))

    found = admin.execute("select price, dbt_valid_from, dbt_valid_to from snapshots.cdc_product order by 2").fetchall()
    assert found == [(10, 1, 3), (30, 3, None)]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        ("create view public.mine as select * from marts.made", "mine reads marts.made, which a rebuild replaces"),
        ("create view public.mine as select * from ops.load_manifest", "mine reads ops.load_manifest, which a rebuild replaces"),
        ("create table marts.mine (x integer)", "no model makes marts.mine, and the rebuild would lose it"),
    ],
)
def test_a_swap_that_would_break_or_lose_something_is_refused(admin: psycopg.Connection, make: str, told: str) -> None:
    prefix, before = filled(admin), set_up(admin)
    admin.execute(make)

    with pytest.raises(ServiceError, match=told):
        shadow.swap(admin, prefix)

    assert set_up(admin) == before
    assert admin.execute("select load_id from marts.made").fetchall() == [(1,)]
