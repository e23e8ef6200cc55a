"""Replay on small hand-made files: what lines become, which are reported, and that ids are the same each time."""

import gzip
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglake import events
from loglake.decode import decode
from loglake.errors import BadInputError, ServiceError
from producers.publisher import Stats
from producers.record import Record
from producers.replay import Mapped, Outcome, outcomes, replay_files
from producers.replay_entries import Identity, Unmapped
from producers.replay_lines import MAX_LINE_BYTES, read_lines
from producers.replay_mapping import SourceMapping, named_mapping
from producers.replay_report import Summary
from producers.sources import detect, files_of
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


def test_lines_of_an_invoice_are_one_order_in_its_first_line_s_time(tmp_path: Path) -> None:
    lines = invoice("1", "a,2,1.50", "a,2,1.50") + invoice("1", "b,1,0", time="2011-07-01 08:27:00") + invoice("2", "c,1,9.99")
    first, second = good(replayed(tmp_path, UCI + lines))
    assert first.order is not None
    assert [(item.product_id, item.quantity) for item in first.order.items] == [("a", 2), ("a", 2), ("b", 1)]
    assert (str(first.order.amount), first.order.currency, first.order.order_id) == ("6.00", "GBP", "1")
    assert first.event_ts == datetime(2011, 7, 1, 7, 26, tzinfo=UTC), "British summer time"
    assert first.user == events.User(user_id="17850", country="EIRE")
    assert second.order is not None
    assert second.order.order_id == "2"


def test_a_cancellation_is_a_refund_of_positive_quantities(tmp_path: Path) -> None:
    [refund] = good(replayed(tmp_path, UCI + invoice("C3", "a,-2,1.50")))
    assert refund.order is not None
    assert (refund.event_type, refund.order.status, refund.order.items[0].quantity, str(refund.order.amount)) == (
        "order_refunded",
        "refunded",
        2,
        "3.00",
    )


def test_a_stock_correction_is_skipped_with_the_mapping_s_reason(tmp_path: Path) -> None:
    found = replayed(tmp_path, UCI + invoice("4", "a,-5,0"))
    assert bad(found) == [((2,), "skipped: stock correction, a negative quantity that is no cancellation")]
    assert good(found) == []


@pytest.mark.parametrize("broken", ["1,b,CUT,1\n", "1,b,X,1,2011-07-01 08:26:00,1,1,EIRE,more\n"])
def test_an_order_with_a_broken_line_is_reported_whole(tmp_path: Path, broken: str) -> None:
    found = replayed(tmp_path, UCI + invoice("1", "a,1,1.00") + broken + invoice("1", "c,1,1.00") + invoice("2", "d,1,1.00"))
    reasons = dict(bad(found))
    assert reasons[2, 4] == "broken_order"
    assert reasons[3,] in ("cut_line", "extra_values")
    assert [each.order.order_id for each in good(found) if each.order] == ["2"]


def test_a_line_nobody_can_read_breaks_both_orders_beside_it_but_no_other(tmp_path: Path) -> None:
    text = (UCI + invoice("0", "z,1,1") + invoice("1", "a,1,1")).encode() + b"\xff\xfe\n" + invoice("2", "b,1,1").encode()
    found = replayed(tmp_path, text + invoice("3", "c,1,1").encode())
    assert bad(found) == [((4,), "wrong_encoding"), ((3,), "broken_order"), ((5,), "broken_order")]
    assert [each.order.order_id for each in good(found) if each.order] == ["0", "3"]


def test_a_line_nobody_can_read_inside_an_order_breaks_only_that_one(tmp_path: Path) -> None:
    text = (UCI + invoice("1", "a,1,1")).encode() + b"\xff\n" + (invoice("1", "b,1,1") + invoice("2", "c,1,1")).encode()
    assert [each.order.order_id for each in good(replayed(tmp_path, text)) if each.order] == ["2"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2019-10-01 00:00:02 UTC,view,45,1,,,10.00,u1\n", "cut_line"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,10.00,u1,s1,more\n", "extra_values"),
        ("2019-10-01 00:00:02 UTC,wish,45,1,,,10.00,u1,s1\n", "no_rule"),
        ("yesterday,view,45,1,,,10.00,u1,s1\n", "bad_time"),
        (",view,45,1,,,10.00,u1,s1\n", "bad_time"),
        ("1999-10-01 00:00:02 UTC,view,45,1,,,10.00,u1,s1\n", "impossible_time"),
        ("2029-10-01 00:00:02 UTC,view,45,1,,,10.00,u1,s1\n", "impossible_time"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,1O.00,u1,s1\n", "wrong_type"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,10.001,u1,s1\n", "impossible_amount"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,-1,u1,s1\n", "impossible_amount"),
        ("2019-10-01 00:00:02 UTC,purchase,45,1,,,,u1,s1\n", "missing_field"),
        ("2019-10-01 00:00:02 UTC,view,,1,,,1,u1,s1\n", "missing_field"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,1,u1,\n", "missing_field"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,a\0b,1,u1,s1\n", "nul_character"),
        ('2019-10-01 00:00:02 UTC,view,45,1,,"open,1,u1,s1\n', "open_quote"),
        ('2019-10-01 00:00:02 UTC,view,45,1,,"a"b,1,u1,s1\n', "not_csv"),
        ("x" * (MAX_LINE_BYTES + 1) + "\n", "line_too_long"),
    ],
)
def test_a_bad_line_is_reported_with_its_number_and_the_others_are_mapped(tmp_path: Path, line: str, reason: str) -> None:
    found = replayed(tmp_path, REES46 + VIEW + "\n" + line + PURCHASE)
    assert bad(found) == [((4,), reason)]
    assert [each.event_type for each in good(found)] == ["product_view", "order_complete_response"]


def test_a_quoted_value_may_run_over_lines(tmp_path: Path) -> None:
    found = replayed(tmp_path, REES46 + '2019-10-01 00:00:02 UTC,view,45,1,,"two\nlines, ""quoted""",1,u1,s1\n' + "cut\n")
    [view] = good(found)
    assert view.product is not None
    assert view.product.brand == 'two\nlines, "quoted"'
    assert bad(found) == [((4,), "cut_line")]


def test_the_same_file_gives_the_same_ids_wherever_and_however_it_is_stored(tmp_path: Path) -> None:
    text = (REES46 + VIEW + VIEW + PURCHASE).encode()
    plain, moved, packed = tmp_path / "a.csv", tmp_path / "deep" / "b.csv", tmp_path / "a.csv.gz"
    moved.parent.mkdir()
    plain.write_bytes(text)
    moved.write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    packed.write_bytes(gzip.compress(text))
    assert ids(of(plain)) == ids(of(moved)) == ids(of(packed))


def test_identical_lines_of_a_file_are_different_events(tmp_path: Path) -> None:
    once, twice = ids(replayed(tmp_path, REES46 + VIEW)), ids(replayed(tmp_path, REES46 + VIEW + PURCHASE + VIEW))
    assert len(set(twice)) == 3
    assert twice[0] == once[0]


@given(st.lists(st.binary(max_size=3), max_size=40), st.binary(max_size=5))
def test_ids_depend_on_what_came_before_only_for_repeats(contents: list[bytes], other: bytes) -> None:
    first, again, elsewhere = Identity("a"), Identity("a"), Identity("b")
    bits = [first.bits(content) for content in contents]
    assert bits == [again.bits(content) for content in contents]
    assert len(set(bits)) == len(bits)
    assert set(bits).isdisjoint(elsewhere.bits(content) for content in contents)
    if other not in contents:
        assert first.bits(other) == Identity("a").bits(other)


def test_a_gzip_file_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    found = replayed(tmp_path, gzip.compress((REES46 + VIEW + PURCHASE * 5000).encode())[:-20])
    assert bad(found)[-1][1] in ("gzip_ends_early", "cut_line")
    assert good(found)[0].event_type == "product_view"


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


def test_a_file_of_no_known_kind_stops_the_replay_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(REES46 + VIEW)
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.log").touch()
    sink = FakeSink()
    with pytest.raises(BadInputError, match=r"b.csv: no built-in mapping"):
        replay_files(files_of([tmp_path]), None, sink, Summary())
    assert sink.records == []


def test_a_header_without_a_column_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="its header has no column 'event_time', which mapping rees46 needs"):
        replayed(tmp_path, "a,b\n1,2\n", named_mapping("rees46"))


class FakeSink:
    """Takes records; refuses those of one session, loses those of another."""

    def __init__(self, refused: str = "", lost: str = "") -> None:
        self.records: list[Record] = []
        self._refused, self._lost, self._failed = refused.encode(), lost.encode(), 0

    def send(self, record: Record) -> bool:
        if record.key == self._refused:
            return False
        self._failed += record.key == self._lost
        self.records.append(record)
        return True

    def flush(self) -> Stats:
        sent = len(self.records)
        return Stats(sent, sent - self._failed, {"KafkaTimeoutError": self._failed} if self._failed else {}, {})


def test_the_summary_adds_up_and_the_report_names_every_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(REES46 + VIEW + "cut\n" * 7)
    (tmp_path / "b.log").write_text("nonsense\n" + HIT.format(path="/", status=200))
    report = tmp_path / "report.ndjson"
    with Summary(report) as summary:
        replay_files([tmp_path / "a.csv", tmp_path / "b.log"], None, FakeSink(), summary)
    assert (summary.files, summary.event_count, summary.mapped_lines, summary.unmapped_lines) == (2, 2, 2, 8)
    assert summary.unmapped["cut_line"].lines == 7
    assert [place.line for place in summary.unmapped["cut_line"].first] == [3, 4, 5, 6, 7]
    lines = report.read_text().splitlines()
    assert len(lines) == 8
    assert '"line":9,"reason":"cut_line"' in lines[6]


def test_a_refused_record_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(REES46 + VIEW)
    summary = Summary()
    replay_files([tmp_path / "a.csv"], None, FakeSink(refused="s1"), summary)
    assert (summary.event_count, summary.unmapped["refused"].first[0].line) == (0, 2)


def test_a_record_that_is_not_acknowledged_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(REES46 + VIEW)
    with pytest.raises(ServiceError, match="1 records were not acknowledged"):
        replay_files([tmp_path / "a.csv"], None, FakeSink(lost="s1"), Summary())
