"""Which bytes are an event, and why the others are not."""

from datetime import timedelta
from decimal import Decimal

import pytest

from loglake import decode, events
from loglake.events import Product
from tests.sample import NOW, event, order

pytestmark = pytest.mark.unit

GOOD = events.encode(event())


def reason(payload, received=NOW, **options):
    with pytest.raises(decode.Reject) as caught:
        decode.decode(payload, received, **options)
    assert str(caught.value).startswith(f"{caught.value.code}: ")
    assert caught.value.code in decode.REASONS
    return caught.value.code


def test_an_event_comes_back_as_it_was():
    assert decode.decode(GOOD, NOW) == event()


def test_a_field_that_the_contract_does_not_name_is_ignored():
    assert decode.decode(GOOD[:-1] + b',"shop":{"id":1}}', NOW) == event()


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (None, "null_value"),
        (b"", "empty"),
        (b" \n", "empty"),
        (GOOD.replace(b"bob", b"b\xff"), "not_utf8"),
        (b"hello", "not_json"),
        (GOOD[:-1], "not_json"),
        (GOOD + b"{}", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (GOOD[:-1] + b',"level":"INFO"}', "duplicate_key"),
        (GOOD.replace(b'"type":"mobile"', b'"type":"mobile","type":"desktop"'), "duplicate_key"),
        (GOOD.replace(b"bob", b"b\\u0000"), "nul_character"),
        (GOOD[:-1] + b',"shop":"\\u0000"}', "nul_character"),
        (GOOD.replace(b"bob", b"b\\ud800"), "lone_surrogate"),
        (GOOD.replace(b'"schema_version":1', b'"schema_version":99'), "unknown_version"),
        (GOOD.replace(b'"schema_version":1', b'"schema_version":99').replace(b'"session-1"', b"5"), "unknown_version"),
        (GOOD.replace(b"product_view", b"teleport"), "unknown_type"),
        (GOOD.replace(b'"session_id":"session-1",', b""), "missing_field"),
        (GOOD.replace(b"product_view", b"search_request"), "missing_field"),
        (GOOD.replace(b'"session-1"', b"5"), "wrong_type"),
        (GOOD.replace(b'"bob"', b'{"a":1}'), "wrong_type"),
        (GOOD.replace(b'"latency_ms":30', b'"latency_ms":"30"'), "wrong_type"),
        (GOOD.replace(b'"latency_ms":30', b'"latency_ms":true'), "wrong_type"),
        (GOOD.replace(b"-7", b"-4", 1) if b"-7" in GOOD[:60] else b"[]", "wrong_type"),
        (GOOD.replace(b'"age":33', b'"age":333'), "out_of_range"),
        (GOOD.replace(b'"rating":"4.5"', b'"rating":"5.5"'), "out_of_range"),
        (GOOD.replace(b"12.50", b"12.555"), "impossible_amount"),
        (GOOD.replace(b"12.50", b"-1"), "impossible_amount"),
        (GOOD.replace(b"12.50", b"1e400"), "impossible_amount"),
        (GOOD.replace(b"12.50", b"NaN"), "impossible_amount"),
    ],
)
def test_a_bad_record_says_why(payload, code):
    assert reason(payload) == code


def test_a_large_record_is_refused_before_it_is_parsed():
    assert reason(GOOD, max_bytes=len(GOOD) - 1) == "too_large"
    assert decode.decode(GOOD, NOW, max_bytes=len(GOOD)) == event()


@pytest.mark.parametrize("shift", [timedelta(days=1, seconds=1), timedelta(days=-365 * 40)])
def test_a_time_that_cannot_be_is_refused(shift):
    assert reason(events.encode(event(event_ts=NOW + shift, event_id=event().event_id))) == "impossible_time"


def test_an_old_event_is_welcome():
    old = event(event_ts=NOW - timedelta(days=365 * 15))
    assert decode.decode(events.encode(old), NOW) == old


def test_money_may_be_a_number_or_a_string_but_never_loses_a_digit():
    assert decode.decode(GOOD.replace(b'"12.50"', b"12.50"), NOW).product.price == Decimal("12.50")
    assert decode.decode(GOOD.replace(b'"12.50"', b"9999999999.99"), NOW).product.price == Decimal("9999999999.99")
    assert reason(GOOD.replace(b'"12.50"', b"0.1000000000000000055511151231257827")) == "impossible_amount"


def test_an_order_must_add_up():
    good = event(event_type="order_complete_response", order=order())
    assert decode.decode(events.encode(good), NOW) == good
    assert reason(events.encode(good).replace(b'"amount":"25.00"', b'"amount":"25.01"')) == "impossible_amount"


def test_an_order_event_carries_the_status_of_its_type():
    assert reason(events.encode(event(event_type="order_refunded", order=order(status="completed")))) == "out_of_range"


def test_an_escaped_backslash_before_u0000_is_plain_text():
    odd = event(product=Product(product_id="p1", product_name="\\u0000"))
    assert decode.decode(events.encode(odd), NOW) == odd
