"""Pseudonyms for personal data in the marts: HMAC-SHA256 with a secret key (RFC 2104), computed by Postgres itself.

The key lies in a table that no role of the pipeline can read; dbt may only call the function. The same value gives the same
pseudonym, so analysts can still count and join people, and without the key it cannot be guessed from a list of addresses.
"""

import hashlib

import psycopg

from loglake.errors import SettingsError

_BLOCK_BYTES = 64

#: `vault` belongs to the superuser. Postgres has sha256(), but no XOR on bytea: so the key's two pads are stored, not the key.
_DDL = """
create schema if not exists vault;
create table if not exists vault.pseudonym_key (inner_pad bytea not null, outer_pad bytea not null);
create or replace function vault.pseudonym(value text) returns text
language sql stable strict parallel safe security definer set search_path = pg_catalog, pg_temp as $$
    select encode(sha256(outer_pad || sha256(inner_pad || convert_to(lower(trim(value)), 'UTF8'))), 'hex') from vault.pseudonym_key
$$;
revoke all on function vault.pseudonym(text) from public;
grant usage on schema vault to dbt;
grant execute on function vault.pseudonym(text) to dbt;
"""


def pads(key: bytes) -> tuple[bytes, bytes]:
    """The inner and outer pad of HMAC-SHA256's key, 64 bytes each."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def apply(connection: psycopg.Connection, key: str) -> None:
    """Create the function and give it its key, once: with another key the same person would get another pseudonym.

    `connection` is the superuser's, in the warehouse database. SettingsError when the warehouse has no key yet and `key` is empty.
    """
    with connection.transaction():
        connection.execute(_DDL)
        if connection.execute("select from vault.pseudonym_key").fetchone() is not None:
            return
        if not key:
            raise SettingsError("LOGLAKE_PRIVACY_KEY is not set: `loglake up` generates it")
        connection.execute("insert into vault.pseudonym_key values (%s, %s)", pads(key.encode()))
