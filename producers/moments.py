"""When generated events happen: pure sequences of Unix seconds, in order, that end at the time they are told to."""

import math
import random
from collections.abc import Iterator
from itertools import count

_DAY = 86_400.0
#: The shop is busiest at this time of the day (UTC), by this share more than on average, and as much less twelve hours later.
_PEAK_SECONDS, _SWING = 18 * 3600.0, 0.45


def steady(start: float, per_second: float) -> Iterator[float]:
    """Without end, `per_second` evenly from `start`: for events that are sent as they happen."""
    return (start + index / per_second for index in count())


def daily(start: float, end: float, number: int, rng: random.Random) -> Iterator[float]:
    """`number` moments from `start` to `end`, closer together in the evening than in the early morning.

    The k-th lies at a random place of the k-th of `number` equal shares of the period's traffic.
    """
    before, moment = _traffic(start), start
    share = (_traffic(end) - before) / number
    for index in range(number):
        goal = before + share * (index + rng.random())
        for _ in range(2):  # Newton's method from the moment before: it is near, and the function is almost straight
            moment -= (_traffic(moment) - goal) / _intensity(moment)
        moment = min(max(moment, start), end)
        yield moment


def _intensity(moment: float) -> float:
    return 1 + _SWING * math.cos(2 * math.pi * (moment - _PEAK_SECONDS) / _DAY)


def _traffic(moment: float) -> float:
    """The integral of the intensity."""
    return moment + _SWING * _DAY / (2 * math.pi) * math.sin(2 * math.pi * (moment - _PEAK_SECONDS) / _DAY)
