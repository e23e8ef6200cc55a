"""The report and the exports on real Postgres: what they write is what SQL says, of one moment, or nothing at all."""

import csv
import subprocess
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from loglake import clients, exports, marts
from loglake.bi.measures import MEASURES
from loglake.bi.pages import PAGES
from loglake.bi.query import Slice, query
from loglake.errors import BadInputError, ServiceError
from loglake.report.page import render
from loglake.report.read import read
from loglake.report.text import member, shown
from tests.reportrows import Parsed
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import copied_warehouse, empty_warehouse

pytestmark = pytest.mark.integration

VISUALS = [visual for part in PAGES for visual in part.visuals]


def run(postgres: EmbeddedStack, database: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return postgres.cli(*map(str, arguments), LOGLAKE_POSTGRES_DATABASE=database)


def wrote(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def words_of(page: str) -> set[str]:
    return {words.strip() for words in Parsed(page).words}


def test_the_page_shows_what_sql_says(postgres: EmbeddedStack, sold: str, tmp_path: Path) -> None:
    target = tmp_path / "a" / "report.html"
    assert f"wrote {target}: " in wrote(run(postgres, sold, "report", "--output", target))

    page = target.read_text()
    words = words_of(page)
    with clients.postgres("bi_reader", sold) as reader:
        amounts = reader.execute(
            "select currency, sum(amount) from marts.fact_order where status = 'completed' group by currency order by currency"
        ).fetchall()
        for visual in VISUALS:
            for row in reader.execute(query(visual).encode()).fetchall():
                # A matrix has its columns' members in the head, and a card its currency in the title.
                wanted = {member(key) for key in row[: len(visual.by)] if visual.kind not in {"matrix", "card"}}
                wanted |= {shown(value, MEASURES[name].format) for name, value in zip(visual.measures, row[len(visual.by) :], strict=True)}
                assert wanted <= words, visual.name
    assert amounts == [("EUR", Decimal("25.99")), ("USD", Decimal("20.00"))]
    assert {"25.99", "20.00", "Hut 🎩"} <= words
    assert "up to load 1" in " ".join(page.split())


def test_a_page_about_some_days_or_one_currency_holds_nothing_else(sold: str) -> None:
    dollars = words_of(render(read(Slice(currency="USD"), sold)))
    assert "20.00" in dollars
    assert "25.99" not in dollars

    first_day = words_of(render(read(Slice(until=date(2026, 3, 4)), sold)))
    assert "25.99" in first_day
    assert "20.00" not in first_day
    assert "5 Mar 2026" not in first_day


def test_a_currency_of_no_order_is_refused_with_those_there_are(sold: str) -> None:
    with pytest.raises(BadInputError, match="no order is in XYZ: there are EUR, USD"):
        read(Slice(currency="XYZ"), sold)


def test_a_warehouse_without_events_gives_a_page_that_says_so(sold: str) -> None:
    with copied_warehouse("report_test_empty", sold) as name:
        with clients.postgres("dbt", name) as owner:
            tables = owner.execute("select relname from pg_class where relnamespace = 'marts'::regnamespace and relkind = 'r'").fetchall()
            for (table,) in tables:
                owner.execute(sql.SQL("delete from {} where load_id <> -1").format(sql.Identifier("marts", table)))
        assert "hold no event yet" in render(read(Slice(), name))


def test_without_marts_there_is_one_line_and_no_file(postgres: EmbeddedStack, sold: str, tmp_path: Path) -> None:
    with empty_warehouse("report_test_new") as name:
        done = run(postgres, name, "report", "-o", tmp_path / "a.html")
        assert (done.returncode, done.stderr) == (2, "error: there are no marts yet: run `loglake load`, then `loglake model`\n")
    with copied_warehouse("report_test_old", sold) as name:
        with clients.postgres("dbt", name) as owner:
            owner.execute("drop view marts.weekly_retention")
        with pytest.raises(BadInputError, match=r"not those of this version .*weekly_retention.*: run `loglake model --full-refresh`"):
            read(Slice(), name)
    assert list(tmp_path.iterdir()) == []


def test_exports_of_every_mart_are_the_marts_in_either_format(postgres: EmbeddedStack, sold: str, tmp_path: Path) -> None:
    wrote(run(postgres, sold, "export", "--all", tmp_path, "--format", "parquet"))
    with marts.reading(sold) as reader:
        known = marts.catalogue(reader)
        assert {"fact_order", "daily_revenue"} <= known.keys()  # a table and a view
        assert {path.name for path in tmp_path.iterdir()} == {f"{mart}.parquet" for mart in known}
        for mart, columns in known.items():
            names = [column.name for column in columns]
            rows = reader.execute(sql.SQL("select * from {}").format(sql.Identifier("marts", mart))).fetchall()
            parquet = pq.read_table(tmp_path / f"{mart}.parquet")
            assert parquet.column_names == names
            assert sorted(map(repr, zip(*parquet.to_pydict().values(), strict=True))) == sorted(map(repr, map(plain, rows))), mart
            assert exports.export(reader, known, mart, tmp_path / "mart.csv", "csv") == len(rows)
            with (tmp_path / "mart.csv").open(newline="", encoding="utf-8") as file:
                lines = list(csv.reader(file))
            assert lines[0] == names
            assert sorted(lines[1:]) == sorted(as_text(reader, mart, columns)), mart


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row of Postgres as Parquet gives it back: keys as text, moments with pyarrow's UTC."""
    return tuple(
        pa.scalar(value, pa.timestamp("us", tz="UTC")).as_py()
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, UUID)
        else value
        for value in row
    )


def as_text(reader: psycopg.Connection, mart: str, columns: tuple[marts.Column, ...]) -> list[list[str]]:
    """A mart's rows as Postgres writes each value, a boolean as COPY does, nothing for null."""
    value = {"bool": "coalesce(left({}::text, 1), '')"}
    fields = [sql.SQL(value.get(column.type, "coalesce({}::text, '')")).format(sql.Identifier(column.name)) for column in columns]
    statement = sql.SQL("select {} from {}").format(sql.SQL(", ").join(fields), sql.Identifier("marts", mart))
    return [list(row) for row in reader.execute(statement).fetchall()]


def test_parquet_keeps_amounts_to_the_cent_and_moments_in_utc(sold: str, tmp_path: Path) -> None:
    with marts.reading(sold) as reader:
        exports.export(reader, marts.catalogue(reader), "fact_order", tmp_path / "orders.parquet", "parquet")
        [(total, first)] = reader.execute("select sum(amount), min(ordered_at) from marts.fact_order").fetchall()
    orders = pq.read_table(tmp_path / "orders.parquet")

    assert orders.schema.field("amount").type == pa.decimal128(12, 2)
    assert orders.schema.field("ordered_at").type == pa.timestamp("us", tz="UTC")
    assert orders.schema.field("order_sk").type == pa.string()
    assert sum(orders.column("amount").to_pylist()) == total
    assert min(orders.column("ordered_at").to_pylist()) == first


def test_csv_goes_to_standard_output_and_an_unknown_mart_is_named(postgres: EmbeddedStack, sold: str, tmp_path: Path) -> None:
    lines = wrote(run(postgres, sold, "export", "dim_product", "-o", "-")).splitlines()
    assert lines[0].startswith("product_sk,product_id,product_name")
    assert len([line for line in lines if "Hut 🎩" in line]) == 1

    done = run(postgres, sold, "export", "fact_ordr", "-o", tmp_path / "a.csv")
    assert (done.returncode, done.stderr) == (2, "error: no mart 'fact_ordr': did you mean fact_order?\n")
    assert list(tmp_path.iterdir()) == []


def test_all_files_of_a_run_show_the_same_state(sold: str, tmp_path: Path) -> None:
    with marts.reading(sold) as connection:
        known = marts.catalogue(connection)
        before = exports.export(connection, known, "dim_date", tmp_path / "a.csv", "csv")
        with clients.postgres("dbt", sold) as writer:
            writer.execute("insert into marts.dim_date (date_sk, load_id) values (1, 9)")
        try:
            assert [exports.export(connection, known, "dim_date", tmp_path / f"a.{kind}", kind) for kind in exports.FORMATS] == [before] * 2
        finally:
            with clients.postgres("dbt", sold) as writer:
                writer.execute("delete from marts.dim_date where date_sk = 1")


ANEW = """
create schema made authorization dbt;
create table made.dim_date as select * from marts.dim_date;
alter table made.dim_date owner to dbt;
grant usage on schema made to bi_reader;
grant select on made.dim_date to bi_reader;
"""


@pytest.mark.parametrize(
    "swap",
    [
        "alter schema marts rename to aside; alter schema made rename to marts",
        "alter table marts.dim_date rename to aside; alter table made.dim_date set schema marts",
    ],
    ids=["schema", "table"],
)
def test_a_table_made_anew_meanwhile_is_not_taken_for_an_empty_one(sold: str, tmp_path: Path, swap: str) -> None:
    with copied_warehouse("report_test_anew", sold) as name, marts.reading(name) as connection:
        known = marts.catalogue(connection)
        with clients.postgres("postgres", name) as owner:
            owner.execute(ANEW)
            owner.execute(swap.encode())
        for kind in exports.FORMATS:
            with pytest.raises(ServiceError, match=r"was made anew while it was read: run the command again"):
                exports.export(connection, known, "dim_date", tmp_path / f"a.{kind}", kind)
    assert list(tmp_path.iterdir()) == []


def test_a_slice_is_bound_and_not_written_into_the_query(sold: str) -> None:
    hostile = Slice(currency="EUR' or 1 = 1 --")
    with clients.postgres("bi_reader", sold) as reader:
        for visual in (visual for visual in VISUALS if "Revenue" in visual.measures):
            assert reader.execute(query(visual, hostile).encode(), hostile.parameters).fetchall() == []
