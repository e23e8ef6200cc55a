"""Reference data that SQL cannot compute: what a user agent, the name of a country and a referring host mean, and public holidays.

Each table in `raw` holds a value once, with what the library makes of it; dbt joins them. They are filled before each dbt run
(`loglake.models.only_run`), from the loads that were not read yet, and a dbt run reads no load beyond (`begin_run` in
`dbt/macros/loads.sql`): so no mart can meet a value that is not there. What a library does not know is kept as unknown.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from loglake import clients
from loglake.errors import ServiceError

if TYPE_CHECKING:
    from tldextract import TLDExtract

#: In the schema raw. A user agent may have 4,096 characters, too many for an index: so its key is its SHA-256.
_TABLES = """
create table if not exists ref_user_agent (
    user_agent_sha bytea primary key,
    browser text not null,
    browser_version text,
    os text not null,
    os_version text,
    device text not null
);
comment on table ref_user_agent is 'One row per user agent of any event, by the SHA-256 of its text: what ua-parser makes of it';
create table if not exists ref_country (
    spelling text primary key,
    country_code text,
    country_name text not null,
    region text,
    continent text
);
comment on table ref_country is 'One row per value of geo_country: the country it means, by country-converter; code null when none';
create table if not exists ref_domain (
    host text primary key,
    domain text not null
);
comment on table ref_domain is 'One row per host of a referrer: its registered domain, by the public suffix list';
create table if not exists ref_holiday (
    country_code text,
    holiday_date date,
    name text not null,
    primary key (country_code, holiday_date)
);
comment on table ref_holiday is 'One row per country of any event and nationwide public holiday, by the library holidays';
create table if not exists ref_position (
    is_only boolean primary key default true check (is_only),
    load_id bigint not null,
    committed_at timestamptz not null
);
comment on table ref_position is 'The last load whose values are in the tables beside';
"""

UNKNOWN = "Other"
#: The host in an address, without port and `www.`; nothing in what is no address. (To bound the repetitions makes it 40 times as slow.)
HOST = r"(?i)^[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?:www\.)?(\[[^]]+\]|[^][/?#:]+)"
#: No host's name is longer; what is would not fit into an index.
HOST_MAX = 253

#: The last committed load, and the one that was read last; a load that the books no longer name as it was read was not.
_LOADS = """
select coalesce(held.load_id, -1), last.load_id, last.committed_at
from (select load_id, committed_at from load_manifest order by load_id desc limit 1) as last
left join (select load_id from ref_position natural join load_manifest) as held on true
"""
_NEW = "log_events where load_id > %(after)s and load_id <= %(upto)s"
_USER_AGENTS = f"""
select value from (select distinct device_user_agent as value from {_NEW}) as told
where value is not null and not exists (
    select from ref_user_agent as held where held.user_agent_sha = sha256(convert_to(told.value, 'UTF8'))
)
"""  # noqa: S608 - constants
_COUNTRIES = f"""
select value from (select distinct geo_country as value from {_NEW}) as told
where value is not null and not exists (select from ref_country as held where held.spelling = told.value)
"""  # noqa: S608
_HOSTS = f"""
select value from (select distinct left(lower(substring(page_referrer from %(host)s::text)), {HOST_MAX}) as value from {_NEW}) as told
where value is not null and not exists (select from ref_domain as held where held.host = told.value)
"""  # noqa: S608
_FIRST_YEAR = f"select extract(year from min(event_ts) at time zone 'UTC')::integer from {_NEW}"  # noqa: S608
_HOLIDAYS_HELD = """
select min(extract(year from holiday_date))::integer, max(extract(year from holiday_date))::integer, array_agg(distinct country_code)
from ref_holiday
"""
_MOVE = """
insert into ref_position (load_id, committed_at) values (%s, %s)
on conflict (is_only) do update set load_id = excluded.load_id, committed_at = excluded.committed_at
"""


class Client(NamedTuple):
    """What a user agent says. Versions are the major ones."""

    browser: str
    browser_version: str | None
    os: str
    os_version: str | None
    device: str


class Country(NamedTuple):
    """What the name of a country means: ISO 3166 alpha-2 code, English short name, the UN's sub-region, continent."""

    code: str | None
    name: str
    region: str | None
    continent: str | None


def create(connection: psycopg.Connection, prefix: str = "") -> None:
    """Create the tables in the schema raw with `prefix` before its name; as the role `loader`, in a transaction."""
    _look_into(connection, prefix)
    connection.execute(_TABLES)
    connection.execute("set local search_path to default")


def fill(database: str | None = None, prefix: str = "") -> None:
    """Bring the tables up to the last committed load, in one transaction; ServiceError when they are not there.

    `prefix`: of the schemas raw and ops with this prefix.
    """
    try:
        with clients.postgres("loader", database, autocommit=False) as connection:
            _look_into(connection, prefix)
            _fill(connection)
    except psycopg.errors.UndefinedTable as error:
        raise ServiceError(f"the warehouse is older than this release ({clients.one_line(error)}): run `loglake up`") from error


def _look_into(connection: psycopg.Connection, prefix: str) -> None:
    connection.execute("select set_config('search_path', %s, true)", [f"{prefix}raw, {prefix}ops"])


def _fill(connection: psycopg.Connection) -> None:
    loads = connection.execute(_LOADS).fetchone()
    if loads is None or loads[0] == loads[1]:
        return
    after, upto, committed_at = loads
    span = {"after": after, "upto": upto, "host": HOST}

    def new(query: str) -> list[str]:
        return [value for (value,) in connection.execute(query, span).fetchall()]

    with connection.cursor() as cursor:
        agents = [(hashlib.sha256(text.encode()).digest(), *client(text)) for text in new(_USER_AGENTS)]
        cursor.executemany("insert into ref_user_agent values (%s, %s, %s, %s, %s, %s) on conflict do nothing", agents)
        countries = [(spelling, *country(spelling)) for spelling in new(_COUNTRIES)]
        cursor.executemany("insert into ref_country values (%s, %s, %s, %s, %s) on conflict do nothing", countries)
        domains = [(host, domain(host)) for host in new(_HOSTS)]
        cursor.executemany("insert into ref_domain values (%s, %s) on conflict do nothing", domains)
        _fill_holidays(cursor, span)
        cursor.execute(_MOVE, [upto, committed_at])


def _fill_holidays(cursor: psycopg.Cursor, span: dict[str, object]) -> None:
    """The holidays of each country met so far, from the first event's year to the end of next year, as marts.dim_calendar."""
    [(first,)] = cursor.execute(_FIRST_YEAR, span).fetchall()
    [(held_from, held_to, held_codes)] = cursor.execute(_HOLIDAYS_HELD).fetchall()
    codes = {code for (code,) in cursor.execute("select distinct country_code from ref_country where country_code is not null")}
    last = datetime.now(UTC).year + 1
    years = range(min(year for year in (first, held_from, last) if year), last + 1)
    if held_codes is not None and codes <= set(held_codes) and held_from <= years.start and held_to >= last:
        return
    rows = [(code, day, name) for code in sorted(codes) for day, name in holidays(code, years).items()]
    cursor.executemany("insert into ref_holiday values (%s, %s, %s) on conflict do nothing", rows)


def client(user_agent: str) -> Client:
    """Browser, operating system and device of a User-Agent header; `Other` for what the parser does not know."""
    from ua_parser import parse

    found = parse(user_agent)
    browser, system, device = found.user_agent, found.os, found.device
    return Client(
        browser.family if browser else UNKNOWN,
        browser.major if browser else None,
        system.family if system else UNKNOWN,
        system.major if system else None,
        device.family if device else UNKNOWN,
    )


def country(spelling: str) -> Country:
    """The one country that a name or a code (two or three letters) can mean; when none or several, only the name as it is told."""
    text = spelling.strip()
    entries = _countries()
    found = [entry for entry, code, _ in entries if code.fullmatch(text)] or [entry for entry, _, name in entries if name.search(text)]
    return found[0] if len(found) == 1 else Country(None, spelling, None, None)


def domain(host: str) -> str:
    """The registered domain of a host (`shop.co.uk` of `m.shop.co.uk`); the host itself when it has none, such as an address."""
    return _suffixes()(host).top_domain_under_public_suffix or host


def holidays(country_code: str, years: Iterable[int]) -> dict[date, str]:
    """The nationwide public holidays of a country by day, with English names; none for a country that the library does not know."""
    from holidays import country_holidays, list_supported_countries

    if country_code not in list_supported_countries():
        return {}
    return dict(country_holidays(country_code, years=years, language="en_US"))


@cache
def _countries() -> tuple[tuple[Country, re.Pattern[str], re.Pattern[str]], ...]:
    """Each country with the patterns of its codes and of its names. Imported here: it takes two seconds, and is seldom needed."""
    from country_converter import CountryConverter

    rows = CountryConverter().data[["ISO2", "ISO3", "name_short", "UNregion", "continent", "regex"]].itertuples(index=False)
    return tuple(
        (
            # Of a country with two codes (`^GR$|^EL$`) the first is ISO's.
            Country(re.findall("[A-Z]{2}", iso2)[0], name, region, continent),
            re.compile(f"{iso2}|{iso3}", re.IGNORECASE),
            re.compile(regex, re.IGNORECASE),
        )
        for iso2, iso3, name, region, continent, regex in rows
    )


@cache
def _suffixes() -> "TLDExtract":
    """tldextract with the list of suffixes that it brings along: nothing is fetched, nothing written."""
    from tldextract import TLDExtract

    return TLDExtract(suffix_list_urls=(), cache_dir=None)
