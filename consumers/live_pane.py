"""What is known of the events of ten seconds: counters and sketches that can be merged, so that longer windows are sums of panes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
from datasketches import frequent_items_error_type, frequent_strings_sketch, hll_sketch, hll_union, tdigest_double, tgt_hll_type

from consumers.live_rows import LiveRow

#: Dimensions whose values are counted one by one, and those whose most frequent values are shown.
COUNTED = ("event_type", "country", "city", "device", "error_code")
RANKED = ("product", "search")
SHOWN = 20
#: A pane counts so many values of a dimension, the others as OTHER: who sends a new city with each event does not fill the memory.
MOST_VALUES = 1000
#: The same of pairs of payment method and currency.
MOST_METHODS = 100
OTHER = "(other)"
QUANTILES = (0.5, 0.95, 0.99)
#: 4096 registers: a standard error of 1.6 %.
_LG_REGISTERS = 12
#: A sketch of frequent texts is exact up to 0.75 · 2^11 = 1,536 different ones in a pane.
_LG_TEXTS = 11
_CENTROIDS = 200


class _Stored(msgspec.Struct, array_like=True):
    """A pane as bytes."""

    events: int
    orders: int
    errors: int
    counts: dict[str, dict[str, int]]
    revenue: list[tuple[str, str, int, Decimal]]
    users: bytes
    sessions: bytes
    latency: bytes
    ranked: dict[str, bytes]


def _distinct() -> hll_sketch:
    return hll_sketch(_LG_REGISTERS, tgt_hll_type.HLL_4)


@dataclass
class Pane:
    """The events of one pane, or of several."""

    events: int = 0
    orders: int = 0
    errors: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in COUNTED})
    revenue: dict[tuple[str, str], tuple[int, Decimal]] = field(default_factory=dict)
    users: hll_sketch = field(default_factory=_distinct)
    sessions: hll_sketch = field(default_factory=_distinct)
    latency: tdigest_double = field(default_factory=lambda: tdigest_double(_CENTROIDS))
    ranked: dict[str, frequent_strings_sketch] = field(
        default_factory=lambda: {name: frequent_strings_sketch(_LG_TEXTS) for name in RANKED}
    )

    def add(self, row: LiveRow) -> None:
        """Count an event."""
        self.events += 1
        self.errors += row.is_error
        self.sessions.update(row.session_id)
        if row.user_id is not None:
            self.users.update(row.user_id)
        if row.latency_ms is not None:
            self.latency.update(float(row.latency_ms))
        for name in COUNTED:
            if (value := getattr(row, name)) is not None:
                self._count(name, value)
        for name in RANKED:
            if value := getattr(row, name):
                self.ranked[name].update(value)
        if row.payment_method is not None and row.currency is not None and row.amount is not None:
            self._sell(row.payment_method, row.currency, row.amount)

    def quantiles(self) -> tuple[float | None, ...]:
        """The latency's QUANTILES; None without any latency."""
        return tuple(None if self.latency.is_empty() else self.latency.get_quantile(rank) for rank in QUANTILES)

    def values(self) -> list[tuple[str, str, int]]:
        """Dimension, value and events of each counted value, and of the SHOWN most frequent of the ranked dimensions."""
        found = [(name, value, events) for name, counter in self.counts.items() for value, events in counter.items()]
        for name, sketch in self.ranked.items():
            items = sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES, 0)
            first = sorted(((value, estimate) for value, estimate, *_ in items), key=lambda item: (-item[1], item[0]))[:SHOWN]
            found += [(name, value, events) for value, events in first]
        return found

    def _count(self, name: str, value: str) -> None:
        counter = self.counts[name]
        counter[value if value in counter or len(counter) < MOST_VALUES else OTHER] += 1

    def _sell(self, method: str, currency: str, amount: Decimal) -> None:
        self.orders += 1
        is_known = (method, currency) in self.revenue or len(self.revenue) < MOST_METHODS
        self._earn((method if is_known else OTHER, currency), 1, amount)

    def _earn(self, key: tuple[str, str], orders: int, amount: Decimal) -> None:
        before = self.revenue.get(key, (0, Decimal(0)))
        self.revenue[key] = before[0] + orders, before[1] + amount

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(
            _Stored(
                self.events,
                self.orders,
                self.errors,
                {name: dict(counter) for name, counter in self.counts.items()},
                [(*key, *sums) for key, sums in self.revenue.items()],
                self.users.serialize_compact(),
                self.sessions.serialize_compact(),
                self.latency.serialize(),
                {name: sketch.serialize() for name, sketch in self.ranked.items()},
            )
        )


def decode(state: bytes) -> Pane:
    """What `Pane.encode` made; msgspec.MsgspecError when it is of another release."""
    stored = msgspec.msgpack.decode(state, type=_Stored)
    return Pane(
        stored.events,
        stored.orders,
        stored.errors,
        {name: Counter(stored.counts[name]) for name in COUNTED},
        {(method, currency): (orders, amount) for method, currency, orders, amount in stored.revenue},
        hll_sketch.deserialize(stored.users),
        hll_sketch.deserialize(stored.sessions),
        tdigest_double.deserialize(stored.latency),
        {name: frequent_strings_sketch.deserialize(stored.ranked[name]) for name in RANKED},
    )


def merged(panes: Iterable[Pane]) -> Pane:
    """All of them as one; they stay as they are."""
    total, users, sessions = Pane(), hll_union(_LG_REGISTERS), hll_union(_LG_REGISTERS)
    for pane in panes:
        total.events += pane.events
        total.orders += pane.orders
        total.errors += pane.errors
        # Without the bound of a pane: what a window once counted by name it must not count as OTHER later, as its row would stay.
        for name, counter in pane.counts.items():
            total.counts[name].update(counter)
        for key, sums in pane.revenue.items():
            total._earn(key, *sums)
        users.update(pane.users)
        sessions.update(pane.sessions)
        total.latency.merge(pane.latency)
        for name, sketch in pane.ranked.items():
            total.ranked[name].merge(sketch)
    total.users, total.sessions = users.get_result(tgt_hll_type.HLL_4), sessions.get_result(tgt_hll_type.HLL_4)
    return total
