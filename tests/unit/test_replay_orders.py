"""Orders whose lines follow each other in a file: one event each, or reported whole."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from loglake import events
from producers import replay_entries
from tests.unit.test_replay import UCI, bad, good, invoice, replayed

pytestmark = pytest.mark.unit


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


def test_an_order_without_end_is_reported_and_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_entries, "_MOST_ROWS", 3)
    found = replayed(tmp_path, UCI + invoice("1", *["a,1,1.00"] * 5) + invoice("2", *["b,1,1.00"] * 3))
    assert bad(found) == [((5,), "broken_order"), ((6,), "broken_order"), ((2, 3, 4), "broken_order")]
    assert [each.order.order_id for each in good(found) if each.order] == ["2"]
