"""The live windows: panes, watermark, late and resent events, and panes as bytes."""

import random
import uuid
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from consumers import live_pane
from consumers.live_pane import MOST_METHODS, MOST_VALUES, OTHER, SHOWN, Pane, merged
from consumers.live_rows import LiveRow
from consumers.live_windows import PANE, SECOND, Windows

pytestmark = pytest.mark.unit

#: A moment at which both a pane and a minute begin.
T = 1_800_000_000 * SECOND
LATENESS = 30 * SECOND


def row(offset: int, at: float, *, number: int | None = None, received: float | None = None, partition: int = 0, **values: Any) -> LiveRow:
    """An event `at` seconds after T."""
    given = {"event_type": "login", "session_id": f"s{offset}", "payload": "{}", **values}
    came = T + int((at if received is None else received) * SECOND)
    event_id = str(uuid.UUID(int=offset if number is None else number))
    return LiveRow("t", partition, offset, came, event_id=event_id, event_time=T + int(at * SECOND), **given)


def fresh() -> Windows:
    return Windows(LATENESS)


def totals(windows: Windows, changed: set[int], floor: int = 0) -> dict[tuple[int, int], int]:
    """Events by width and start, in seconds after T."""
    return {(width, (start - T) // SECOND): pane.events for (width, start), pane in windows.changed_windows(changed, floor).items()}


def test_an_event_is_in_one_window_of_ten_seconds_and_in_six_of_a_minute() -> None:
    windows = fresh()
    fold = windows.fold([row(0, 5), row(1, 9.999999), row(2, 10)], 0)
    assert totals(windows, fold.changed) == {
        (10, 0): 2,
        (10, 10): 1,
        (60, -50): 2,
        **{(60, start): 3 for start in range(-40, 1, 10)},
        (60, 10): 1,
    }
    assert (fold.rows, fold.repeated, fold.late.total()) == (3, 0, 0)


def test_only_windows_of_changed_panes_are_written_and_none_that_is_not_kept() -> None:
    windows = fresh()
    windows.fold([row(0, 5)], 0)
    fold = windows.fold([row(1, 65)], 0)
    assert (10, 0) not in totals(windows, fold.changed)
    assert min(start for _, start in totals(windows, fold.changed, floor=T + 30 * SECOND)) == 30


def test_a_late_event_corrects_its_window_until_the_watermark_has_passed_it() -> None:
    windows = fresh()
    windows.fold([row(0, 5), row(1, 39.9)], 0)
    fold = windows.fold([row(2, 9, received=39.9)], 0)
    assert totals(windows, fold.changed)[10, 0] == 2
    windows.fold([row(3, 40, received=130)], 0)
    fold = windows.fold([row(4, 9.9, received=130), row(5, 10, received=130)], 0)
    assert fold.late == Counter({T + 120 * SECOND: 1})
    assert totals(windows, fold.changed)[10, 10] == 1


def test_the_watermark_is_that_of_the_batches_before() -> None:
    windows = fresh()
    fold = windows.fold([row(0, 500), row(1, 5, received=500)], 0)
    assert not fold.late
    assert windows.fold([row(2, 5, received=500)], 0).late.total() == 1


def test_a_greater_lateness_opens_no_window_that_was_closed() -> None:
    windows = fresh()
    windows.fold([row(0, 100)], 0)
    later = Windows(LATENESS * 3, newest=windows.newest, least=windows.watermark or 0)
    fold = later.fold([row(1, 65, received=100), row(2, 71, received=100)], 0)
    assert (fold.late.total(), fold.changed) == (1, {T + 70 * SECOND})


def test_a_clock_that_is_ahead_closes_no_windows_of_others() -> None:
    windows = fresh()
    windows.fold([row(0, 80_000, received=1)], 0)
    assert windows.watermark == T + SECOND - LATENESS
    assert not windows.fold([row(1, 2)], 0).late


def test_a_resent_event_counts_once_also_with_another_time() -> None:
    windows = fresh()
    first = windows.fold([row(0, 5), row(1, 5, number=0)], 0)
    again = windows.fold([row(2, 5, number=0, partition=1), row(3, 15, number=0)], 0)
    assert (first.repeated, again.repeated) == (1, 2)
    assert windows.panes[T].events == 1
    assert not again.changed


def test_a_batch_that_comes_again_changes_nothing() -> None:
    windows, batch = fresh(), [row(0, 5), row(7, 5, partition=1)]
    windows.fold(batch, 0)
    fold = windows.fold([*batch, row(1, 6)], 0)
    assert (fold.known, fold.rows, windows.panes[T].events, windows.next_offsets) == (2, 1, 3, {0: 2, 1: 8})


def test_rejects_and_what_is_no_longer_kept_are_told_apart_from_late_ones() -> None:
    windows = fresh()
    fold = windows.fold([LiveRow("t", 0, 0, T, reject_reason="empty"), row(1, 5), row(2, 15)], T + 10 * SECOND)
    assert (fold.rows, fold.rejected, fold.too_old, fold.late.total()) == (3, 1, 1, 0)
    assert fold.changed == {T + PANE}


def test_panes_are_forgotten_once_no_open_window_has_them() -> None:
    windows = fresh()
    windows.fold([row(0, 5), row(1, 65), row(2, 89.9)], 0)
    windows.close(0)
    assert (T in windows.panes, len(windows.seen)) == (True, 3)
    windows.fold([row(3, 90)], 0)
    useful, is_open = windows.close(0)
    assert (T in windows.panes, len(windows.seen)) == (False, 3)
    assert (useful, is_open) == (T + 1, T + 50 * SECOND + 1)
    windows.close(T + 85 * SECOND)
    assert sorted(windows.panes) == [T + 60 * SECOND, T + 80 * SECOND, T + 90 * SECOND]


def test_batches_cut_otherwise_give_the_same_windows() -> None:
    rng = random.Random(7)  # noqa: S311 - no secret
    rows = [row(number, rng.uniform(0, 29), product=f"p{rng.randrange(30)}", latency_ms=rng.randrange(500)) for number in range(400)]
    whole, parts = fresh(), fresh()
    changed = whole.fold(rows, 0).changed
    for start in range(0, 400, 23):
        parts.fold(rows[start : start + 23], 0)
    assert [pane.values() for pane in whole.changed_windows(changed, 0).values()] == [
        pane.values() for pane in parts.changed_windows(changed, 0).values()
    ]


def pane(*rows: LiveRow) -> Pane:
    made = Pane()
    for one in rows:
        made.add(one)
    return made


def sold(offset: int, method: str, amount: str, **values: Any) -> LiveRow:
    return row(offset, 1, payment_method=method, currency="EUR", amount=Decimal(amount), **values)


def test_a_pane_counts_what_its_events_have() -> None:
    found = pane(
        sold(0, "card", "10.10", user_id="u1", country="Chile", city="Chile/Arica", device="mobile", latency_ms=10),
        sold(1, "card", "0.20", user_id="u1", session_id="s0", latency_ms=1000),
        row(2, 1, event_type="error", error_code="E1", is_error=1, user_id="u2"),
    )
    assert (found.events, found.orders, found.errors) == (3, 2, 1)
    assert found.revenue == {("card", "EUR"): (2, Decimal("10.30"))}
    assert (round(found.users.get_estimate()), round(found.sessions.get_estimate())) == (2, 2)
    assert set(found.values()) == {
        ("event_type", "login", 2),
        ("event_type", "error", 1),
        ("country", "Chile", 1),
        ("city", "Chile/Arica", 1),
        ("device", "mobile", 1),
        ("error_code", "E1", 1),
    }
    assert Pane().quantiles() == (None, None, None)


def test_panes_as_bytes_are_the_same_panes() -> None:
    rows = [
        sold(number, f"m{number % 3}", "1.25", product=f"p{number % 7}", search="x", user_id=f"u{number}", latency_ms=number, device="tv")
        for number in range(2000)
    ]
    first = pane(*rows)
    again = live_pane.decode(first.encode())
    assert (again.values(), again.revenue, again.quantiles()) == (first.values(), first.revenue, first.quantiles())
    assert (again.users.get_estimate(), again.events) == (first.users.get_estimate(), 2000)
    again.add(sold(2000, "m0", "1", product="p0"))
    assert again.events == first.events + 1
    with pytest.raises(msgspec.MsgspecError):
        live_pane.decode(msgspec.msgpack.encode([1, 2]))


def test_merged_panes_are_their_union_and_stay_as_they_are() -> None:
    one = pane(*(row(number, 1, user_id=f"u{number % 100}", product="a", latency_ms=10) for number in range(500)))
    two = pane(*(row(number, 1, user_id=f"u{number % 150}", product="b", latency_ms=20) for number in range(500)), sold(500, "card", "2"))
    both = merged([one, two])
    assert (both.events, both.orders, both.counts["event_type"]["login"]) == (1001, 1, 1001)
    assert abs(both.users.get_estimate() - 150) < 5
    assert [value for name, value, _ in both.values() if name == "product"] == ["a", "b"]
    assert (one.events, abs(one.users.get_estimate() - 100) < 5) == (500, True)


def test_sketches_are_as_good_as_the_documentation_says() -> None:
    rng = random.Random(3)  # noqa: S311 - no secret
    latencies = [rng.lognormvariate(4, 1) for _ in range(20_000)]
    found = pane(*(row(number, 1, user_id=f"u{number}", latency_ms=int(value)) for number, value in enumerate(latencies)))
    assert abs(found.users.get_estimate() / 20_000 - 1) < 0.05
    ordered = sorted(latencies)
    for rank, error, value in zip((0.5, 0.95, 0.99), (0.02, 0.01, 0.005), found.quantiles(), strict=True):
        assert ordered[int((rank - error) * 20_000)] - 1 <= (value or 0) <= ordered[int((rank + error) * 20_000)]


def test_what_a_window_counts_by_name_it_never_counts_as_other_later() -> None:
    windows, written = fresh(), dict[str, int]()

    def write(*rows: LiveRow) -> None:
        for (width, start), pane in windows.changed_windows(windows.fold(rows, 0).changed, 0).items():
            if (width, start) == (60, T):
                written.update({value: events for name, value, events in pane.values() if name == "city"})

    write(*(row(number, 1, city=f"a{number}") for number in range(600)))
    write(*(row(number, 11, city=f"b{number}") for number in range(600, 1000)))
    write(*(row(number, 2, city=f"c{number}") for number in range(1000, 1100)))
    assert sum(written.values()) == 1100


def test_an_event_of_a_clock_that_is_ahead_opens_no_window_that_would_stay_open() -> None:
    windows = fresh()
    fold = windows.fold([row(0, 1), row(1, 80_000, received=1), row(2, 25, received=1)], 0)
    assert (fold.ahead, fold.rows, sorted(windows.panes)) == (1, 3, [T, T + 2 * PANE])
    assert len(windows.seen) == 2


def test_a_flood_of_payment_methods_stays_bounded_and_loses_no_money() -> None:
    pane = Pane()
    for number in range(3 * MOST_METHODS):
        pane.add(row(number, 1, payment_method=f"m{number}", currency="USD", amount=Decimal("2.50")))
    assert len(pane.revenue) == MOST_METHODS + 1
    assert pane.revenue[OTHER, "USD"] == (2 * MOST_METHODS, Decimal("2.50") * 2 * MOST_METHODS)


def test_a_flood_of_values_stays_bounded_and_the_frequent_ones_come_first() -> None:
    rows = [row(number, 1, city=f"X/{number}", product=f"p{number}" if number % 5 else "hit") for number in range(8000)]
    found = pane(*rows)
    cities = {value: events for name, value, events in found.values() if name == "city"}
    assert len(cities) == MOST_VALUES + 1
    assert (sum(cities.values()), cities[OTHER]) == (8000, 7000)
    products = [value for name, value, _ in found.values() if name == "product"]
    assert (len(products), products[0]) == (SHOWN, "hit")
    assert len(found.encode()) < 200_000
