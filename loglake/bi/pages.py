"""The pages of the report: which measures are shown by which columns, and how.

Power BI, the HTML report and the tests read these; `loglake.bi.query` gives the SQL of each visual.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["card", "line", "bar", "table", "matrix", "funnel"]
CURRENCY = "fact_order.currency"


@dataclass(frozen=True)
class Visual:
    """`by`: table.column, first the axis (card: one card each; matrix: the rows), then the series (matrix: the columns).

    `order`: the measure that sorts, greatest first; sorted by `by` without it. `top`: only so many members of the first of `by`, those
    with the greatest `order`, over all series. Money does not sort: amounts in two currencies have no order.
    """

    name: str
    title: str
    kind: Kind
    measures: tuple[str, ...]
    by: tuple[str, ...] = ()
    order: str = ""
    top: int = 0


@dataclass(frozen=True)
class Page:
    name: str
    title: str
    visuals: tuple[Visual, ...]


_DAY = "dim_calendar.calendar_date"
_PRODUCT = ("dim_product.product_id", "dim_product.product_name")

SALES = Page(
    "sales",
    "Sales",
    (
        Visual("revenue", "Revenue by currency", "card", ("Revenue", "Orders", "Average order value"), (CURRENCY,)),
        Visual("revenue_by_day", "Revenue by day", "line", ("Revenue",), (_DAY, CURRENCY)),
        Visual("orders_by_day", "Orders by day", "line", ("Orders", "Refunded orders", "Orders with failed payment"), (_DAY,)),
        Visual("revenue_by_category", "Revenue by category", "bar", ("Revenue",), ("dim_product.category", CURRENCY), order="Orders"),
        Visual("revenue_by_country", "Revenue by country: the ten with the most orders", "bar", ("Revenue",),
               ("dim_users.country", CURRENCY), order="Orders", top=10),
        Visual("revenue_by_payment_method", "Revenue by payment method", "bar", ("Revenue",),
               ("fact_order.payment_method", CURRENCY), order="Orders"),
        Visual("lost_revenue", "Refunds and failed payments", "table",
               ("Refunded amount", "Failed payments", "Refund rate", "Payment failure rate"), ("fact_order.payment_method", CURRENCY)),
    ),
)  # fmt: skip

PRODUCT = Page(
    "product",
    "Product",
    (
        Visual("products", "Products", "card", ("Products", "Products out of stock", "Product views", "Cart adds", "Add-to-cart rate")),
        Visual("views_by_day", "Views and cart adds by day", "line", ("Product views", "Cart adds"), (_DAY,)),
        Visual("rates_by_category", "From view to order, by category", "bar", ("Add-to-cart rate", "Orders per view"),
               ("dim_product.category",), order="Add-to-cart rate"),
        Visual("most_viewed", "Most viewed products", "table",
               ("Product views", "Cart adds", "Add-to-cart rate", "Orders", "Orders per view"), _PRODUCT, order="Product views", top=10),
        Visual("best_sellers", "Best sellers", "table", ("Units sold", "Revenue"), (*_PRODUCT, CURRENCY), order="Units sold", top=10),
        Visual("out_of_stock", "Out of stock and looked at most", "table", ("Views of products out of stock",), _PRODUCT,
               order="Views of products out of stock", top=10),
    ),
)  # fmt: skip

USERS = Page(
    "users",
    "Users",
    (
        Visual("activity", "Users and sessions", "card", ("Active users", "Sessions", "Conversion", "Cart abandonment")),
        Visual("active_by_day", "Daily active users", "line", ("Active users",), (_DAY,)),
        Visual("new_by_week", "New users by week", "bar", ("New users",), ("weekly_retention.cohort_week",)),
        Visual("funnel", "From session to order", "funnel",
               ("Sessions", "Viewed a product", "Put into the cart", "Asked for an order", "Bought")),
        Visual("devices", "Sessions by device", "bar", ("Sessions",), ("conversion_funnel.device_type",), order="Sessions"),
        Visual("countries", "Conversion by country: the ten with the most sessions", "table",
               ("Sessions", "Conversion", "Cart abandonment"), ("conversion_funnel.geo_country",), order="Sessions", top=10),
        Visual("retention", "Users who came back, by week of their first visit", "matrix", ("Retention",),
               ("weekly_retention.cohort_week", "weekly_retention.weeks_since")),
    ),
)  # fmt: skip

PAGES = (SALES, PRODUCT, USERS)
