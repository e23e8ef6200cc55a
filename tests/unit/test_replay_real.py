"""Replay of the real files: every fact that their README states, and hostile texts."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from loglake.events import Event
from producers.replay import Mapped, outcomes
from producers.replay_entries import Unmapped
from producers.replay_lines import read_lines
from producers.sources import detect, files_of
from tests.realdata import real_data
from tests.unit.test_replay import REES46, VIEW, good, of

pytestmark = pytest.mark.unit


def replayed(paths: Iterable[Path]) -> tuple[list[Event], list[tuple[str, Unmapped]]]:
    events: list[Event] = []
    unmapped: list[tuple[str, Unmapped]] = []
    for path in paths:
        for outcome in outcomes(path, read_lines(path), detect(path)):
            if isinstance(outcome, Mapped):
                assert outcome.record.event is not None
                events.append(outcome.record.event)
            elif outcome is not None:
                unmapped.append((path.name, outcome))
    return events, unmapped


def users(events: Iterable[Event]) -> set[str]:
    return {event.user.user_id for event in events if event.user and event.user.user_id}


def orders(events: Iterable[Event], event_type: str) -> Iterator[tuple[Event, Decimal]]:
    for event in events:
        if event.event_type == event_type:
            assert event.order is not None
            assert event.order.amount is not None
            yield event, event.order.amount


def test_rees46_facts() -> None:
    path = real_data("rees46", "2019-Oct-01.csv")
    events, unmapped = replayed([path])
    prices = dict.fromkeys(("product_view", "add_to_cart", "order_complete_response"), Decimal(0))
    for event in events:
        assert event.product is not None
        assert event.product.price is not None
        prices[event.event_type] += event.product.price
    assert Counter(event.event_type for event in events) == {"product_view": 17_055, "add_to_cart": 165, "order_complete_response": 214}
    assert prices == {
        "product_view": Decimal("4973502.98"),
        "add_to_cart": Decimal("59191.62"),
        "order_complete_response": Decimal("59442.63"),
    }
    assert sum(amount for _, amount in orders(events, "order_complete_response")) == Decimal("59442.63")
    assert len({event.event_id for event in events}) == 17_434, "the three repeated rows are events of their own"
    assert (len(users(events)), len({event.session_id for event in events})) == (4_504, 5_066)
    assert sum(not event.product.category for event in events if event.product) == 5_746
    assert sum(not event.product.brand for event in events if event.product) == 2_477
    [(_, cut)] = unmapped
    assert (cut.lines, cut.reason) == ((17_436,), "cut_line")
    assert path.read_bytes().count(b"\n") == 17_435, "so 17,436 is the last, unfinished line"


@pytest.fixture(scope="module")
def retail() -> tuple[list[Event], list[tuple[str, Unmapped]]]:
    return replayed(files_of([real_data("uci_online_retail")]))


def test_uci_retail_money(retail: tuple[list[Event], list[tuple[str, Unmapped]]]) -> None:
    events, _ = retail
    sold, refunded = list(orders(events, "order_complete_response")), list(orders(events, "order_refunded"))
    assert sum(amount for _, amount in sold) == Decimal("1441033.10")
    assert sum(amount for event, amount in sold if event.event_ts.date() == date(2010, 12, 1)) == Decimal("58960.79")
    assert sum(amount for _, amount in refunded) == Decimal("200556.82")


def test_uci_retail_counts(retail: tuple[list[Event], list[tuple[str, Unmapped]]]) -> None:
    events, unmapped = retail
    items = Counter({event.event_type: 0 for event in events})
    for event in events:
        assert event.order is not None
        items[event.event_type] += len(event.order.items)
    corrections = [lines for _, lines in unmapped]
    assert {lines.reason for lines in corrections} == {"skipped: stock correction, a negative quantity that is no cancellation"}
    # 2,668 invoices: 2,555 orders, and 113 that consist of one stock correction each.
    assert Counter(event.event_type for event in events) == {"order_complete_response": 2_668 - 113, "order_refunded": 535}
    assert sum(len(lines.lines) for lines in corrections) == 113
    # 72,814 lines: 1,259 of cancellations, 113 stock corrections, the rest order lines, repeated ones included.
    assert items == {"order_refunded": 1_259, "order_complete_response": 72_814 - 1_259 - 113}
    assert len({event.event_id for event in events}) == len(events) == 3_090
    assert len({event.order.order_id for event in events if event.order}) == 3_090
    assert len(users(events)) == 1_307
    assert len({event.geo.country for event in events if event.geo}) == 27
    # 2,995 stock codes, of which nine occur in stock corrections only.
    assert len({item.product_id for event in events if event.order for item in event.order.items}) == 2_986
    zero = sum(item.unit_price == 0 for event in events if event.order for item in event.order.items)
    assert zero == 344 - 113


def test_uci_retail_invoices_over_two_minutes_are_one_order(retail: tuple[list[Event], list[tuple[str, Unmapped]]]) -> None:
    events, _ = retail
    [order] = [event for event in events if event.order and event.order.order_id == "536591"]
    assert order.event_ts.isoformat() == "2010-12-01T16:57:00+00:00"


def test_access_log_facts() -> None:
    events, unmapped = replayed([real_data("access_logs", "semicomplete.log")])
    assert [(lines.lines, lines.reason, lines.detail) for _, lines in unmapped] == [((8_899,), "not_combined", "")]
    assert len({event.event_id for event in events}) == 9_999
    statuses = Counter(event.status_code for event in events)
    assert (statuses[404], statuses[500], statuses[416], statuses[403]) == (213, 3, 2, 2)
    assert sum(event.event_type == "error" for event in events) == 220
    assert all(event.geo and event.geo.ip and event.geo.ip not in event.session_id for event in events)


def naughty_strings() -> list[str]:
    found: list[str] = json.loads(real_data("naughty_strings", "blns.json").read_text())
    assert len(found) == 515
    return found


def test_naughty_strings_survive_csv(tmp_path: Path) -> None:
    """Each becomes the brand of a product and comes out as it went in, or its line is reported."""
    strings = [text for text in naughty_strings() if text]
    path = tmp_path / "naughty.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for naughty in strings:
        writer.writerow([*VIEW.split(",")[:5], naughty, "1.00", "u1", "s1"])
    path.write_bytes((REES46 + text.getvalue()).encode())
    found = of(path)
    brands = [event.product.brand for event in good(found) if event.product]
    reported = [outcome for outcome in found if isinstance(outcome, Unmapped)]
    too_long = {naughty for naughty in strings if len(naughty) > 256}
    assert brands == [naughty for naughty in strings if naughty not in too_long]
    assert [outcome.reason for outcome in reported] == ["out_of_range"] * len(too_long)
    assert len({event.event_id for event in good(found)}) == len(brands)


def test_naughty_strings_survive_ndjson(tmp_path: Path) -> None:
    path = tmp_path / "naughty.ndjson"
    base = {"schema_version": 1, "event_type": "search_request", "service": "web", "level": "INFO", "session_id": "s"}
    times = {"event_ts": "2025-01-01T00:00:00Z", "sent_at": "2025-01-01T00:00:00Z"}
    lines = [
        json.dumps(
            {"event_id": _id(number), **base, **times, "search": {"query": naughty}},
            ensure_ascii=bool(number % 2),
        )
        for number, naughty in enumerate(naughty_strings())
    ]
    path.write_text("\n".join(lines))
    found = of(path)
    queries = [event.search.query for event in good(found) if event.search]
    assert queries == [naughty for naughty in naughty_strings() if naughty]
    assert [outcome.reason for outcome in found if isinstance(outcome, Unmapped)] == ["missing_field"] * naughty_strings().count("")


def _id(number: int) -> str:
    return f"0194205a-0000-7000-8000-{number:012x}"
