"""One visit to the shop, step by step: how a shopper behaves, and how often they get how far.

A visit is a Python generator of steps. A step is what happens now, and after how many seconds the shopper acts again;
the shop's state is read at the moment of the step, so prices and stock are those of its time.
"""

import random
from collections.abc import Generator, Iterator
from decimal import Decimal
from typing import NamedTuple

from loglake import events
from producers.catalogue import ARRIVALS, DECLINES, ERRORS, PAYMENT_METHODS
from producers.shop import Shop, Weighted

#: Quantity and unit price by the product's index.
Cart = dict[int, tuple[int, Decimal]]
CURRENCY = "USD"
HOME = "https://shop.example/"
#: Shares of visits, or of the step before.
LANDS_AT_HOME, ANONYMOUS, LOGS_IN, WRONG_PASSWORD, SEARCHES_AGAIN = 0.4, 0.12, 0.75, 0.03, 0.45
VIEWS_ANOTHER, WANTS_TO_BUY, REMOVES, STEP_FAILS = 0.62, 0.22, 0.15, 0.008
ADDS_WHEN_BUYING, ADDS_WHEN_BROWSING = 0.28, 0.012
CHECKS_OUT, PAYMENT_FAILS, TRIES_AGAIN, REFUNDED, LOGS_OUT, MOVES = 0.4, 0.07, 0.7, 0.06, 0.45, 0.004
_THINKING_SECONDS, _REFUND_SECONDS = 20.0, 1800.0

_ARRIVAL = Weighted(arrival.weight for arrival in ARRIVALS)
_PAYMENT, _PAYMENT_NAMES = Weighted(PAYMENT_METHODS.values()), tuple(PAYMENT_METHODS)
_ERROR = Weighted(error[3] for error in ERRORS)
_DECLINE = Weighted(decline[2] for decline in DECLINES)
_QUANTITY = Weighted((78, 15, 5, 2))


class Step(NamedTuple):
    """What an event says beyond its envelope, user, device and place; `wait` is in seconds until the next step."""

    event_type: events.EventType
    service: str
    wait: float
    page: events.Page
    product: events.Product | None = None
    search: events.Search | None = None
    order: events.Order | None = None
    error: events.Error | None = None
    status_code: int = 200
    level: events.Level = "INFO"


class Visit:
    """A session: who, with what, from where, and the steps to come. Its `user` is None until an anonymous visitor logs in."""

    __slots__ = ("_adds", "_arrival", "_last_url", "_rng", "_shop", "_user", "device", "geo", "session_id", "steps", "user")

    def __init__(self, shop: Shop, rng: random.Random) -> None:
        self._shop, self._rng = shop, rng
        self._user = shop.visitor(rng)
        if rng.random() < MOVES:
            shop.move(self._user, rng)
        self._arrival = ARRIVALS[_ARRIVAL.draw(rng)]
        self._adds = ADDS_WHEN_BUYING if rng.random() < WANTS_TO_BUY else ADDS_WHEN_BROWSING
        self._last_url: str | None = None
        self.session_id = f"{rng.getrandbits(96):024x}"
        self.user: events.User | None = None
        self.device = shop.devices[shop.home(self._user).client]
        self.geo = shop.geo(self._user, rng)
        self.steps = self._steps()

    def _steps(self) -> Iterator[Step]:
        """The whole visit."""
        rng = self._rng
        if rng.random() < LANDS_AT_HOME:
            yield Step("page_view", "web", self._think(), self._page(HOME))
        if rng.random() >= ANONYMOUS:
            if rng.random() < LOGS_IN:
                yield from self._log_in()
            else:
                self.user = self._shop.users[self._user]  # still logged in from the last visit
        cart: Cart = {}
        searching = True
        while searching:
            yield from self._search(cart)
            searching = rng.random() < SEARCHES_AGAIN
        bought: events.Order | None = None
        if cart and rng.random() < CHECKS_OUT:
            if self.user is None:
                yield from self._log_in()
            bought = yield from self._order(cart)
        refund = bought is not None and rng.random() < REFUNDED
        if self.user is not None and (refund or rng.random() < LOGS_OUT):
            yield Step("logout", "auth", self._later(_REFUND_SECONDS) if refund else self._think(), self._page(HOME))
        if refund and bought is not None:
            yield self._refund(bought, cart)

    def _log_in(self) -> Iterator[Step]:
        if self._rng.random() < WRONG_PASSWORD:
            yield self._failure("auth", 401, "INVALID_CREDENTIALS", "The password does not match", "WARN")
        self.user = self._shop.users[self._user]
        yield Step("login", "auth", self._think(), self._page(f"{HOME}login"))

    def _search(self, cart: Cart) -> Iterator[Step]:
        shop, rng = self._shop, self._rng
        shelf = shop.shelf(rng)
        query = shop.query(shelf, rng)
        url = f"{HOME}search?q={query.replace(' ', '+')}"
        yield Step("search_request", "search", 0.2 * rng.random(), self._page(url), search=events.Search(query))
        if rng.random() < STEP_FAILS:
            yield self._random_failure("search")
            return
        found = shop.shelf_size(shelf) if rng.random() < 0.95 else 0
        yield Step("search_response", "search", self._think(), self._page(url), search=events.Search(query, found))
        looking = found > 0
        while looking:
            index = shop.product(shelf, rng)
            if rng.random() < STEP_FAILS:
                yield self._random_failure("catalog")
            yield Step("product_view", "catalog", self._think(), self._page(shop.urls[index]), shop.products[index])
            if rng.random() < self._adds:
                yield from self._add(index, cart)
            looking = rng.random() < VIEWS_ANOTHER

    def _add(self, index: int, cart: Cart) -> Iterator[Step]:
        product, page = self._shop.products[index], self._page(self._shop.urls[index])
        cart[index] = (1 + _QUANTITY.draw(self._rng), product.price or Decimal(0))
        yield Step("add_to_cart", "cart", self._think(), page, product)
        if self._rng.random() < REMOVES:
            del cart[index]
            yield Step("remove_from_cart", "cart", self._think(), self._page(f"{HOME}cart"), self._shop.products[index])

    def _order(self, cart: Cart) -> Generator[Step, None, events.Order | None]:
        """Request, perhaps failed payments, completion; returns the order when it was completed."""
        rng = self._rng
        items = tuple(events.OrderItem(str(self._shop.products[index].product_id), *line) for index, line in cart.items())
        amount = sum((item.quantity * item.unit_price for item in items), Decimal(0))
        method = _PAYMENT_NAMES[_PAYMENT.draw(rng)]
        order = events.Order(f"o{rng.getrandbits(64):016x}", "requested", method, CURRENCY, items, amount)
        page = self._page(f"{HOME}checkout")
        yield Step("order_request", "checkout", 0.5 + rng.random(), page, order=order)
        while rng.random() < PAYMENT_FAILS:
            code, message, _ = DECLINES[_DECLINE.draw(rng)]
            failed = _with_status(order, "payment_failed")
            yield Step("payment_failed", "payment", self._think(), page, None, None, failed, events.Error(code, message), 402, "WARN")
            if rng.random() >= TRIES_AGAIN:
                return None
        for index, (quantity, _) in cart.items():
            self._shop.sell(index, quantity)
        yield Step("order_complete_response", "checkout", self._think(), page, order=_with_status(order, "completed"))
        return order

    def _refund(self, bought: events.Order, cart: Cart) -> Step:
        for index, (quantity, _) in cart.items():
            self._shop.take_back(index, quantity)
        page = self._page(f"{HOME}orders/{bought.order_id}")
        return Step("order_refunded", "checkout", 0.0, page, order=_with_status(bought, "refunded"))

    def _random_failure(self, service: str) -> Step:
        status, code, message, _ = ERRORS[_ERROR.draw(self._rng)]
        return self._failure(service, status, code, message, "ERROR" if status >= 500 else "WARN")

    def _failure(self, service: str, status: int, code: str, message: str, level: events.Level) -> Step:
        page = self._page(self._last_url or HOME)
        return Step("error", service, self._think(), page, None, None, None, events.Error(code, message), status, level)

    def _page(self, url: str) -> events.Page:
        """The page, with the campaign on the first one and the page before it on the others."""
        before, self._last_url = self._last_url, url
        if before is None:
            arrival = self._arrival
            return events.Page(url, arrival.referrer, arrival.utm_source, arrival.utm_medium, arrival.utm_campaign)
        return events.Page(url, before)

    def _think(self) -> float:
        return self._later(_THINKING_SECONDS)

    def _later(self, mean_seconds: float) -> float:
        return self._rng.expovariate(1 / mean_seconds)


def _with_status(order: events.Order, status: events.OrderStatus) -> events.Order:
    return events.Order(order.order_id, status, order.payment_method, order.currency, order.items, order.amount)
