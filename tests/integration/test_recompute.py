"""Marts against a second reckoning: DuckDB on the lake's Parquet files, and events whose text and times are hard to carry."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from loglake import topic
from loglake.events import Event, Geo, Product, Search, User
from loglake.settings import settings
from producers.publisher import Publisher
from producers.record import record_of
from tests import duckmarts, pipeline
from tests.sample import event, event_id, order
from tests.stackfixture import EmbeddedStack

pytestmark = pytest.mark.integration

#: Four bytes, joined emoji, combining and composed é, right to left with marks, what COPY, CSV and JSON quote, line separators.
TEXTS = (
    "𝒳𠀀𐍈",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "cafe\u0301",
    "caf\u00e9",
    "\u200fשלום\u200e مَرحبًا",  # noqa: RUF001
    "a\\b \\N \\. \"c\" 'd' {e},f;\t\r\n%s $1",
    "\u2028\ufeff\u00a0ﬀ",
)
FIRST_SECONDS = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
_FEW = 20_000


def told(number: int, text: str) -> tuple[Event, ...]:
    """A view, a search and an order in which every text of a person's or shop's own is `text`, on the last of a leap February."""
    product = Product(text, text, text, text, text, text, price=Decimal("0.01"), stock=0)
    common = {
        "session_id": f"text-{number}",
        "event_ts": FIRST_SECONDS,
        "user": User(user_id=text, username=text, country=text, city=text),
        "geo": Geo(country=text, city=text),
    }
    ids = [event_id(7_000 + 3 * number + place, FIRST_SECONDS) for place in range(3)]
    return (
        event(event_id=ids[0], product=product, **common),
        event(event_id=ids[1], event_type="search_response", product=None, search=Search(text, 0), **common),
        event(
            event_id=ids[2],
            event_type="order_complete_response",
            product=None,
            order=order(f"text-{number}", "completed", ((text, 3, "0.01"),)),
            **common,
        ),
    )


@pytest.fixture(scope="module")
def brought(lake_stream: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStack:
    """All that the session's tests ever sent, at least a few thousand events and TEXTS, in the lake and in the marts."""
    if sum(bounds.end for bounds in topic.bounds(settings().kafka.topic).values()) < _FEW:
        flaws = ("--late", "0.02", "--resent", "0.02", "--malformed", "0.01")
        pipeline.generate(lake_stream, tmp_path_factory.mktemp("ledger") / "ledger.ndjson", "--count", str(_FEW), "--seed", "5", *flaws)
    with Publisher(settings().kafka.topic) as publisher:
        for number, text in enumerate(TEXTS):
            for one in told(number, text):
                assert publisher.send(record_of(one))
    pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    pipeline.run(lake_stream, "model")
    return lake_stream


@pytest.fixture(scope="module")
def engine(brought: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder: Path = tmp_path_factory.mktemp("lake")
    with duckmarts.prepare(duckmarts.download(folder)) as engine:
        yield engine


@pytest.mark.parametrize("mart", duckmarts.MARTS)
def test_a_mart_equals_what_duckdb_makes_of_the_lakes_files(engine: duckdb.DuckDBPyConnection, mart: str) -> None:
    reckoned, held = duckmarts.reckoned(engine, mart), duckmarts.held(mart)

    assert (held - reckoned, reckoned - held) == ({}, {})
    assert held


def test_the_lakes_orders_are_worth_what_their_lines_are(engine: duckdb.DuckDBPyConnection) -> None:
    query = "select (select sum(amount) from purchase), (select sum(price) from line)"
    [(amount, lines)] = engine.execute(query).fetchall()

    assert amount == lines > 0


@pytest.mark.usefixtures("brought")
@pytest.mark.parametrize("text", TEXTS)
def test_text_arrives_in_the_marts_as_it_was_sent(text: str) -> None:
    found = pipeline.query(
        """
        select username, u.country, u.city, geo_country, geo_city, product_name, category, subcategory, brand, description
        from marts.fact_event join marts.dim_users as u using (user_sk) join marts.dim_product as p using (product_sk)
        where event_type = 'product_view' and user_id = %s and product_id = %s
        """,
        text,
        text,
        role="bi_reader",
    )
    sold = pipeline.query(
        "select product_name, orders, units, revenue from marts.product_performance where product_id = %s", text, role="bi_reader"
    )

    assert found == [(text,) * 10]
    assert sold == [(text, 1, 3, Decimal("0.03"))]


@pytest.mark.usefixtures("brought")
def test_what_differs_in_bytes_only_is_told_apart_and_the_leap_day_is_a_day() -> None:
    query = "select order_date, sum(completed_orders), sum(revenue) from marts.daily_revenue where country = any(%s) group by 1"

    assert pipeline.query(query, list(TEXTS), role="bi_reader") == [(FIRST_SECONDS.date(), len(TEXTS), Decimal("0.03") * len(TEXTS))]
