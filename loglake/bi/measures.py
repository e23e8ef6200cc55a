"""The measures of the report: each once in DAX (Power BI) and once in SQL, over the same columns.

A measure either sums up columns of its own table, or is made of other measures, which both languages then name in brackets.
"""

import re
from dataclasses import dataclass

_REFERENCE = re.compile(r"(?<![\w\]])\[([^\]]+)\]")


@dataclass(frozen=True)
class Format:
    """How a number is shown, as Power BI and as Python (and Plotly) write it, and its Postgres type."""

    power_bi: str
    python: str
    postgres: str


WHOLE = Format("#,##0", ",.0f", "bigint")
MONEY = Format("#,##0.00", ",.2f", "numeric(14, 2)")
SHARE = Format("0.0%", ".1%", "numeric(12, 4)")


@dataclass(frozen=True)
class Measure:
    """`table`: where it lives, and the fact it sums up. `sql` names columns as table.column, `dax` as table[column]."""

    name: str
    table: str
    dax: str
    sql: str
    format: Format
    description: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The measures it is made of; empty when it sums up columns."""
        return tuple(dict.fromkeys(_REFERENCE.findall(self.sql)))

    @property
    def is_money(self) -> bool:
        """Amounts of one currency must not be added to another's: who shows it says which currency."""
        return self.format is MONEY


def _by_status(status: str) -> tuple[str, str]:
    return f'fact_order[status] = "{status}"', f"filter (where fact_order.status = '{status}')"


def _amount(name: str, status: str, description: str) -> Measure:
    dax, sql = _by_status(status)
    return Measure(name, "fact_order", f"CALCULATE(SUM(fact_order[amount]), {dax})", f"sum(fact_order.amount) {sql}", MONEY, description)


def _orders(name: str, status: str, description: str) -> Measure:
    dax, sql = _by_status(status)
    return Measure(
        name,
        "fact_order",
        f"CALCULATE(DISTINCTCOUNT(fact_order[order_id]), {dax})",
        f"count(distinct fact_order.order_id) {sql}",
        WHOLE,
        description,
    )


def _sum(name: str, table: str, column: str, description: str) -> Measure:
    return Measure(name, table, f"SUM({table}[{column}])", f"sum({table}.{column})", WHOLE, description)


def _ratio(name: str, table: str, above: str, below: str, description: str, *, unit: Format = SHARE) -> Measure:
    sums = " + ".join(f"[{part}]" for part in below.split(" + "))
    # numeric, as two whole numbers would be divided without a remainder.
    return Measure(name, table, f"DIVIDE([{above}], {sums})", f"[{above}]::numeric / nullif({sums}, 0)", unit, description)


_COMPLETED_DAX, _COMPLETED_SQL = _by_status("completed")
# In DAX an empty cell equals 0, unless asked with ==.
_EMPTY_DAX, _EMPTY_SQL = "dim_product[stock] == 0", "filter (where dim_product.stock = 0)"
_KNOWN_DAX, _KNOWN_SQL = "NOT(ISBLANK(dim_users[user_id]))", "filter (where dim_users.user_id is not null)"

SALES = (
    _amount("Revenue", "completed", "Amount of completed orders"),
    _amount("Refunded amount", "refunded", "Amount of refunded orders"),
    _amount("Failed payments", "payment_failed", "Amount of orders whose payment failed"),
    _amount("Unpaid amount", "requested", "Amount of orders that were requested and no more"),
    _orders("Orders", "completed", "Completed orders"),
    _orders("Refunded orders", "refunded", "Refunded orders"),
    _orders("Orders with failed payment", "payment_failed", "Orders whose payment failed"),
    Measure(
        "All orders",
        "fact_order",
        "DISTINCTCOUNT(fact_order[order_id])",
        "count(distinct fact_order.order_id)",
        WHOLE,
        "Orders of any status",
    ),
    Measure(
        "Units sold",
        "fact_order",
        f"CALCULATE(SUM(fact_order[quantity]), {_COMPLETED_DAX})",
        f"sum(fact_order.quantity) {_COMPLETED_SQL}",
        WHOLE,
        "Units in completed orders",
    ),
    _ratio("Average order value", "fact_order", "Revenue", "Orders", "Revenue per completed order", unit=MONEY),
    _ratio("Refund rate", "fact_order", "Refunded orders", "Orders + Refunded orders", "Share of paid orders that were refunded"),
    _ratio("Payment failure rate", "fact_order", "Orders with failed payment", "All orders", "Share of orders whose payment failed"),
)

PRODUCT = (
    Measure(
        "Products",
        "dim_product",
        "COUNTA(dim_product[product_id])",
        "count(dim_product.product_id)",
        WHOLE,
        "Products that events or orders name",
    ),
    Measure(
        "Products out of stock",
        "dim_product",
        f"CALCULATE(COUNTROWS(dim_product), {_EMPTY_DAX})",
        f"count(*) {_EMPTY_SQL}",
        WHOLE,
        "Products with no unit in stock, as last seen",
    ),
    _sum("Product views", "fct_product_day", "views", "Times a product was looked at"),
    _sum("Cart adds", "fct_product_day", "cart_adds", "Times a product was put into a cart"),
    _ratio("Add-to-cart rate", "fct_product_day", "Cart adds", "Product views", "Cart adds per view"),
    _ratio("Orders per view", "fct_product_day", "Orders", "Product views", "Completed orders with the product, per view"),
    Measure(
        "Views of products out of stock",
        "fct_product_day",
        f"CALCULATE(SUM(fct_product_day[views]), {_EMPTY_DAX})",
        f"sum(fct_product_day.views) {_EMPTY_SQL}",
        WHOLE,
        "Views of products that have no unit in stock now: what demand waits for them",
    ),
)

USERS = (
    Measure(
        "Active users",
        "fct_user_day",
        f"CALCULATE(DISTINCTCOUNT(fct_user_day[user_sk]), {_KNOWN_DAX})",
        f"count(distinct fct_user_day.user_sk) {_KNOWN_SQL}",
        WHOLE,
        "Users of whom any event is known",
    ),
    Measure(
        "New users",
        "weekly_retention",
        "CALCULATE(SUM(weekly_retention[active_users]), weekly_retention[weeks_since] == 0)",
        "sum(weekly_retention.active_users) filter (where weekly_retention.weeks_since = 0)",
        WHOLE,
        "Users in the week in which they were first active",
    ),
    _sum("Users of the cohort", "weekly_retention", "cohort_users", "Users who were first active in the cohort's week"),
    _sum("Users who came back", "weekly_retention", "active_users", "Users of the cohort who were active so many weeks later"),
    _ratio("Retention", "weekly_retention", "Users who came back", "Users of the cohort", "Share of a cohort that was active again"),
    _sum("Sessions", "conversion_funnel", "sessions", "Sessions"),
    _sum("Viewed a product", "conversion_funnel", "viewed", "Sessions that looked at a product, or got further"),
    _sum("Put into the cart", "conversion_funnel", "added", "Sessions that put something into the cart, or got further"),
    _sum("Asked for an order", "conversion_funnel", "requested", "Sessions that asked for an order, or got further"),
    _sum("Bought", "conversion_funnel", "bought", "Sessions with a completed order"),
    _sum("Abandoned carts", "conversion_funnel", "abandoned_carts", "Sessions with a filled cart and no completed order"),
    _ratio("Conversion", "conversion_funnel", "Bought", "Sessions", "Share of sessions with a completed order"),
    _ratio("Cart abandonment", "conversion_funnel", "Abandoned carts", "Put into the cart", "Share of filled carts that were left"),
)

MEASURES = {measure.name: measure for measure in (*SALES, *PRODUCT, *USERS)}


def base_measures(name: str) -> tuple[Measure, ...]:
    """The measures over columns that a measure comes down to: itself, when it sums up columns."""
    measure = MEASURES[name]
    if not measure.parts:
        return (measure,)
    return tuple(dict.fromkeys(base for part in measure.parts for base in base_measures(part)))


def replace_parts(text: str, replacement: dict[str, str]) -> str:
    """A measure's DAX or SQL with each measure that it names in brackets replaced."""
    return _REFERENCE.sub(lambda match: replacement[match.group(1)], text)
