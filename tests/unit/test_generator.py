"""Generated shop events: pure, valid, unique, and like those of a shop."""

import random
from collections import Counter
from datetime import UTC, datetime
from functools import cache

import pytest

from loglake import decode, events
from producers import generator, ids, moments, pools

pytestmark = pytest.mark.unit
END = datetime(2026, 3, 1, 20, tzinfo=UTC).timestamp()
NUMBER = 20_000


@cache
def pool() -> pools.Pools:
    return pools.make(pools.Recipe(users=300, products=120))


def made(seed: str = "1", number: int = NUMBER) -> list[events.Event]:
    when = moments.daily(END - 7200, END, number, random.Random(1))  # noqa: S311
    return list(generator.shop_events(pool(), seed, when, generator.visits_at_once(number / 7200, number)))


@pytest.fixture(scope="module")
def shop() -> list[events.Event]:
    return made()


def test_same_seed_same_bytes() -> None:
    first, again, other = made("a", 2000), made("a", 2000), made("b", 2000)
    assert [events.encode(event) for event in first] == [events.encode(event) for event in again]
    assert not {event.event_id for event in first} & {event.event_id for event in other}


def test_every_event_is_valid(shop: list[events.Event]) -> None:
    received = datetime.fromtimestamp(END, UTC)
    for event in shop:
        assert decode.decode(events.encode(event), received) == event


def test_ids_are_unique_and_carry_the_time(shop: list[events.Event]) -> None:
    assert len({event.event_id for event in shop}) == NUMBER
    for event in shop:
        assert int(event.event_id.replace("-", "")[:12], 16) == ids.milliseconds(event.event_ts)


def test_events_come_in_order_and_never_after_the_end(shop: list[events.Event]) -> None:
    stamps = [event.event_ts.timestamp() for event in shop]
    assert stamps == sorted(stamps)
    assert stamps[-1] <= END
    assert stamps[-1] > END - 60


def test_funnel_is_that_of_a_shop(shop: list[events.Event]) -> None:
    types, sessions = Counter(event.event_type for event in shop), {event.session_id for event in shop}
    assert types["product_view"] > types["search_response"] > types["login"] > types["add_to_cart"] > types["order_request"]
    assert types["order_request"] >= types["order_complete_response"] > types["payment_failed"]
    assert 0.02 < types["order_complete_response"] / len(sessions) < 0.15
    assert 0.0 < types["error"] / NUMBER < 0.03
    assert set(types) == set(events.REQUIRED), "every type of the contract occurs"


def test_a_session_is_one_story(shop: list[events.Event]) -> None:
    """A search is answered, an order follows its request, a product in a cart was looked at."""
    sessions: dict[str, list[events.Event]] = {}
    for event in shop:
        sessions.setdefault(event.session_id, []).append(event)
    for story in sessions.values():
        seen: set[str] = set()
        requested: dict[str, events.Order] = {}
        for event in story:
            if event.event_type == "product_view" and event.product:
                seen.add(str(event.product.product_id))
            if event.event_type == "add_to_cart" and event.product:
                assert event.product.product_id in seen
            if event.order and event.event_type == "order_request":
                requested[str(event.order.order_id)] = event.order
            elif event.order:
                assert event.order.items == requested[str(event.order.order_id)].items
        assert len({event.user.user_id for event in story if event.user}) <= 1


def test_the_shop_changes_while_it_is_open(shop: list[events.Event]) -> None:
    prices: dict[str, set[object]] = {}
    stocks: dict[str, set[object]] = {}
    cities: dict[str, set[object]] = {}
    visits: dict[str, set[str]] = {}
    for event in shop:
        if event.product:
            prices.setdefault(str(event.product.product_id), set()).add(event.product.price)
            stocks.setdefault(str(event.product.product_id), set()).add(event.product.stock)
        if event.user:
            cities.setdefault(str(event.user.user_id), set()).add((event.user.country, event.user.city))
            visits.setdefault(str(event.user.user_id), set()).add(event.session_id)
    for name, values in {"price": prices, "stock": stocks, "city": cities, "visits": visits}.items():
        assert any(len(found) > 1 for found in values.values()), f"no {name} ever changed"
    assert any(event.order and len(event.order.items) > 1 for event in shop)


def test_places_and_latencies(shop: list[events.Event]) -> None:
    home = [event.geo == events.Geo(event.user.country, event.user.city, event.geo.ip) for event in shop if event.user and event.geo]
    assert 0.9 < sum(home) / len(home) < 1
    assert len({event.geo.country for event in shop if event.geo}) > 10
    latencies = sorted(event.latency_ms or 0 for event in shop)
    assert latencies[int(NUMBER * 0.995)] > 5 * latencies[NUMBER // 2], "the tail is long"


def test_a_day_has_a_rhythm() -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    hours = Counter(int((moment - midnight) // 3600) for moment in moments.daily(midnight, midnight + 86_400, 24_000, random.Random(1)))  # noqa: S311
    assert hours[18] > 2 * hours[6]
    assert hours.total() == 24_000


def test_steady_moments_keep_the_rate() -> None:
    when = moments.steady(100.0, 4.0)
    assert [next(when) for _ in range(3)] == [100.0, 100.25, 100.5]
