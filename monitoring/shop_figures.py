"""What the Shop page makes of the marts' rows. Pure."""

from typing import Any

import pandas as pd

from monitoring import text
from monitoring.parts import Figure

STEPS = {"sessions": "Sessions", "viewed": "Viewed a product", "added": "Added to cart", "requested": "Ordered", "bought": "Paid"}


def now_and_before(frame: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row of the range, and that of the range before; empty where there were no sessions."""
    rows = {bool(row["is_now"]): row.to_dict() for _, row in frame.iterrows()}
    return rows.get(True, {}), rows.get(False, {})


def figures(sessions: pd.DataFrame, revenue: pd.DataFrame, currency: str) -> list[Figure]:
    now, before = now_and_before(sessions)
    paid = revenue[revenue["currency"] == currency]
    total, orders = float(paid["revenue"].sum()), int(paid["orders"].sum())
    average = text.money(total / orders if orders else None, "")
    conversion = text.percent(now.get("bought", 0), now.get("sessions", 0))
    abandoned = text.percent(now.get("abandoned", 0), now.get("added", 0))
    return [
        _counted("Sessions", "sessions", now, before),
        _counted("Orders", "orders", now, before),
        Figure("Conversion", conversion, _points(now, before), help="Sessions with an order"),
        Figure(f"Revenue {currency}".rstrip(), text.money(total, ""), help="Completed orders"),
        Figure("Average order", average, help=f"Completed orders in {currency or 'no currency'}"),
        Figure("Abandoned carts", abandoned, help="Of the sessions that put something in a cart"),
    ]


def _counted(label: str, name: str, now: dict[str, Any], before: dict[str, Any]) -> Figure:
    return Figure(label, text.number(now.get(name)), text.change(now.get(name), before.get(name)), help="Against the range before this one")


def _points(now: dict[str, Any], before: dict[str, Any]) -> str | None:
    """The change of the conversion in points of a percent."""
    if not now.get("sessions") or not before.get("sessions"):
        return None
    change = 100 * (now["bought"] / now["sessions"] - before["bought"] / before["sessions"])
    return text.signed(change, "points")


def funnel(now: dict[str, Any]) -> pd.DataFrame:
    """A row per step, with its share of all sessions."""
    counts = {label: int(now[name]) for name, label in STEPS.items()}
    return pd.DataFrame(
        [
            {"step": label, "sessions": count, "shown": f"{count:,}  ·  {text.percent(count, now['sessions'])}"}
            for label, count in counts.items()
        ]
    )
