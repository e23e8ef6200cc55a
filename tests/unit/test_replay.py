"""Replay on small hand-made files: what a line of each kind of source becomes. The helpers serve the other tests of replay."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loglake import events
from loglake.decode import decode
from producers.replay import Mapped, Outcome, outcomes
from producers.replay_entries import Unmapped
from producers.replay_lines import read_lines
from producers.replay_mapping import SourceMapping, named_mapping
from producers.sources import detect
from tests.sample import event

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 4, tzinfo=UTC)
REES46 = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
VIEW = "2019-10-01 00:00:01 UTC,view,44,1,computers.notebook.thin,lenovo,251.74,u1,s1\n"
PURCHASE = "2019-10-01 00:00:02 UTC,purchase,45,1,,,10.00,u1,s1\n"
UCI = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
HIT = '192.0.2.7 - - [17/May/2015:12:05:03 +0200] "GET {path} HTTP/1.1" {status} 203 "-" "Mozilla/5.0 (X11; Linux x86_64) Firefox/3"\n'


def invoice(number: str, *lines: str, time: str = "2011-07-01 08:26:00") -> str:
    """Order lines, each given as `product,quantity,price`."""
    rows = (line.split(",") for line in lines)
    return "".join(f"{number},{product},A THING,{quantity},{time},{price},17850.0,EIRE\n" for product, quantity, price in rows)


def of(path: Path, mapping: SourceMapping | None = None) -> list[Outcome]:
    found = outcomes(path, read_lines(path), mapping or detect(path), clock=lambda: NOW)
    return [outcome for outcome in found if outcome is not None]


def replayed(folder: Path, text: str | bytes, mapping: SourceMapping | None = None) -> list[Outcome]:
    path = folder / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return of(path, mapping)


def good(found: Sequence[Outcome]) -> list[events.Event]:
    return [outcome.record.event for outcome in found if isinstance(outcome, Mapped) and outcome.record.event]


def bad(found: Sequence[Outcome]) -> list[tuple[tuple[int, ...], str]]:
    return [(outcome.lines, outcome.reason) for outcome in found if isinstance(outcome, Unmapped)]


def ids(found: Sequence[Outcome]) -> list[str]:
    return [each.event_id for each in good(found)]


def test_a_view_keeps_its_time_and_its_fields(tmp_path: Path) -> None:
    [view] = good(replayed(tmp_path, REES46 + VIEW))
    assert (view.event_type, view.event_ts, view.session_id) == ("product_view", datetime(2019, 10, 1, 0, 0, 1, tzinfo=UTC), "s1")
    assert view.user is not None
    assert view.user.user_id == "u1"
    assert view.product is not None
    assert (view.product.category, view.product.subcategory, view.product.brand) == ("computers", "notebook.thin", "lenovo")
    assert str(view.product.price) == "251.74"
    assert uuid.UUID(view.event_id).int >> 80 == int(view.event_ts.timestamp() * 1000)


def test_what_is_sent_is_what_the_stream_accepts(tmp_path: Path) -> None:
    [sent] = [outcome.record for outcome in replayed(tmp_path, REES46 + PURCHASE) if isinstance(outcome, Mapped)]
    assert sent.value is not None
    assert decode(sent.value, NOW) == sent.event
    assert sent.key == b"s1"


def test_a_purchase_is_an_order_of_one_item_and_missing_values_are_null(tmp_path: Path) -> None:
    [bought] = good(replayed(tmp_path, REES46 + PURCHASE))
    assert bought.order is not None
    assert bought.product is not None
    assert (bought.order.order_id, bought.order.status, bought.order.currency) == (f"rees46-{bought.event_id}", "completed", "USD")
    assert [(item.product_id, item.quantity, str(item.unit_price)) for item in bought.order.items] == [("45", 1, "10.00")]
    assert (bought.product.category, bought.product.subcategory, bought.product.brand) == (None, None, None)


def test_hits_of_a_web_server(tmp_path: Path) -> None:
    paths = (("/a.html?utm_source=feed", 200), ("/missing", 404), ("/find?x=1&q=red+shoes%21", 200), ("/", 503))
    hits = good(replayed(tmp_path, "".join(HIT.format(path=path, status=status) for path, status in paths)))
    assert [(hit.event_type, hit.level, hit.status_code) for hit in hits] == [
        ("page_view", "INFO", 200),
        ("error", "WARN", 404),
        ("search_request", "INFO", 200),
        ("error", "ERROR", 503),
    ]
    assert hits[0].page == events.Page(url="/a.html?utm_source=feed", utm_source="feed")
    assert hits[1].error == events.Error(code="http_404", message="GET /missing HTTP/1.1")
    assert hits[2].search == events.Search(query="red shoes!")
    assert hits[0].event_ts == datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC)
    assert hits[0].geo == events.Geo(ip="192.0.2.7")
    assert hits[0].device is not None
    assert (hits[0].device.type, hits[0].device.os, hits[0].device.browser) == ("desktop", "Linux", "Firefox")
    assert len({hit.session_id for hit in hits}) == 1
    assert "192.0.2.7" not in hits[0].session_id


def test_events_of_the_contract_pass_untouched(tmp_path: Path) -> None:
    line = events.encode(event(1)).replace(b'{"event_id"', b'{ "extra": 1, "event_id"', 1)
    found = replayed(tmp_path, line + b'\n{"event_id": 1, "event_type": "x", "event_ts": 1}\nnot json\n\xff\n')
    [sent] = [outcome.record for outcome in found if isinstance(outcome, Mapped)]
    assert sent.value == line
    assert sent.event == event(1)
    assert bad(found) == [((2,), "wrong_type"), ((3,), "not_json"), ((4,), "not_utf8")]


def test_a_mapping_of_one_s_own_for_ndjson(tmp_path: Path) -> None:
    mapping = tmp_path / "my.yaml"
    mapping.write_text(
        "source: mine\nformat: ndjson\ntime: {from: '{at.ms}', format: unix_ms}\n"
        "fields: {service: '{app}', session_id: '{who}', page.url: '{urls.0}', latency_ms: '{took}'}\nrules: [{event_type: page_view}]\n"
    )
    found = replayed(
        tmp_path,
        '{"at": {"ms": 1569888001250}, "app": "x", "who": "s", "urls": ["/é"], "took": 12}\n[1]\n{"who": 1, "who": 2}\n{"at": NaN}\n'
        '{"at": {"ms": 1569888001250}, "app": "x", "who": "\\ud800", "urls": ["/"]}\n',
        named_mapping(str(mapping)),
    )
    [view] = good(found)
    assert (view.event_ts, view.latency_ms) == (datetime(2019, 10, 1, 0, 0, 1, 250_000, tzinfo=UTC), 12)
    assert view.page == events.Page(url="/é")
    assert bad(found) == [((2,), "not_an_object"), ((3,), "duplicate_key"), ((4,), "not_json"), ((5,), "lone_surrogate")]


def test_ndjson_whose_values_have_the_same_name_is_reported(tmp_path: Path) -> None:
    mapping = own_mapping(tmp_path, "{at}")
    found = replayed(tmp_path, '{"at": "2024-01-01T00:00:00Z", "a": {"b": 1}, "a.b": 2}\n', mapping)
    assert bad(found) == [((1,), "duplicate_key")]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["1e999990", "1_000", "NaN", "soon", "9" * 30])
def test_a_unix_time_is_a_plain_number(tmp_path: Path, text: str) -> None:
    """Python's Decimal takes more, and needs a minute to make a whole number of the first one."""
    mapping = own_mapping(tmp_path, "{at}", ", format: unix")
    assert bad(replayed(tmp_path, f'{{"at": "{text}"}}\n{{"at": 1569888001}}\n', mapping)) == [((1,), "bad_time")]


def own_mapping(folder: Path, at: str, more: str = "") -> SourceMapping:
    path = folder / "own.yaml"
    fields = "{service: x, session_id: s, page.url: /}"
    path.write_text(f"source: mine\nformat: ndjson\ntime: {{from: '{at}'{more}}}\nfields: {fields}\nrules: [{{event_type: page_view}}]\n")
    return named_mapping(str(path))
