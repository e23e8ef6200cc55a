"""The shop while it is open: prices and stock that change, users who move. All chance comes from the caller's `rng`."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate

from loglake import events
from producers.catalogue import CLIENTS
from producers.pools import Pools, PoolUser

_CENT = Decimal("0.01")
_RESTOCK_BELOW, _RESTOCK_TO = 5, 400
#: A move takes the user to another country this often, otherwise to another city of the same one.
_EMIGRATION_SHARE = 0.1


class Weighted:
    """Draws indices by weight in O(log n); `random.choices` sums the weights anew on each call."""

    def __init__(self, weights: Iterable[float]) -> None:
        self._cumulated = list(accumulate(weights))
        self._total = self._cumulated[-1]

    def draw(self, rng: random.Random) -> int:
        return bisect_right(self._cumulated, rng.random() * self._total)


class Shop:
    """The state of products and users at one moment of the generated time."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        #: What an event says of a product now, by index; replaced when price or stock changes.
        self.products = [
            events.Product(p.product_id, p.product_name, p.category, p.subcategory, p.brand, p.description, p.price, p.stock, p.rating)
            for p in pools.products
        ]
        self.urls = [f"https://shop.example/product/{product.product_id}" for product in pools.products]
        self.users = [_user(user) for user in pools.users]
        self.devices = [events.Device(c.type, c.os, c.browser, c.user_agent) for c in CLIENTS]
        self._shelves = _shelves(pools)
        self._popularity = [Weighted(1 / rank for rank in range(1, len(shelf) + 1)) for shelf in self._shelves]
        self._countries = tuple(pools.cities)

    def shelf(self, rng: random.Random) -> int:
        return int(rng.random() * len(self._shelves))

    def query(self, shelf: int, rng: random.Random) -> str:
        """What somebody types who looks for the products of a shelf."""
        product = self.products[self.product(shelf, rng)]
        return f"{product.brand} {product.subcategory}".lower() if rng.random() < 0.4 else str(product.subcategory).lower()

    def shelf_size(self, shelf: int) -> int:
        return len(self._shelves[shelf])

    def product(self, shelf: int, rng: random.Random) -> int:
        """A product of a shelf, a few of them much more often than the others."""
        return self._shelves[shelf][self._popularity[shelf].draw(rng)]

    def visitor(self, rng: random.Random) -> int:
        """A user; the square makes some of them come back often."""
        return int(len(self.users) * rng.random() ** 2)

    def home(self, user: int) -> PoolUser:
        return self._pools.users[user]

    def sell(self, index: int, quantity: int) -> None:
        product = self.products[index]
        left = (product.stock or 0) - quantity
        self.products[index] = _changed(product, product.price, left if left >= _RESTOCK_BELOW else _RESTOCK_TO)

    def take_back(self, index: int, quantity: int) -> None:
        product = self.products[index]
        self.products[index] = _changed(product, product.price, (product.stock or 0) + quantity)

    def reprice(self, rng: random.Random) -> None:
        """One product becomes up to a tenth cheaper or dearer, within half and double its first price."""
        index = int(rng.random() * len(self.products))
        product, first = self.products[index], self._pools.products[index].price
        price = (product.price or first) * Decimal(round(rng.uniform(0.9, 1.1), 3)).quantize(Decimal("0.001"))
        price = min(max(price, first / 2), first * 2).quantize(_CENT)
        self.products[index] = _changed(product, price, product.stock or 0)

    def move(self, index: int, rng: random.Random) -> None:
        """A user moves to another city."""
        user = self.users[index]
        country = rng.choice(self._countries) if rng.random() < _EMIGRATION_SHARE else str(user.country)
        city = rng.choice(self._pools.cities[country])
        self.users[index] = events.User(user.user_id, user.username, user.email, user.sex, user.age, country, city)

    def geo(self, index: int, rng: random.Random) -> events.Geo:
        """Where the user's request comes from: mostly their home, now and then a place they travel to."""
        if rng.random() < 0.97:
            user = self.users[index]
            return events.Geo(user.country, user.city, self._pools.users[index].ip)
        host = self._pools.users[int(rng.random() * len(self._pools.users))]
        return events.Geo(host.country, host.city, host.ip)


def _user(user: PoolUser) -> events.User:
    return events.User(user.user_id, user.username, user.email, user.sex, user.age, user.country, user.city)  # type: ignore[arg-type]


def _changed(product: events.Product, price: Decimal | None, stock: int) -> events.Product:
    p = product
    return events.Product(p.product_id, p.product_name, p.category, p.subcategory, p.brand, p.description, price, stock, p.rating)


def _shelves(pools: Pools) -> Sequence[tuple[int, ...]]:
    shelves: dict[str, list[int]] = {}
    for index, product in enumerate(pools.products):
        shelves.setdefault(product.subcategory, []).append(index)
    return [tuple(shelf) for shelf in shelves.values()]
