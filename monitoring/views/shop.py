"""Shop: sessions, funnel, revenue, payments, products, searches, errors and retention, from the marts."""

import streamlit as st

from monitoring import charts, parts, shop_figures, text
from monitoring.filters import Filter
from monitoring.queries import marts
from monitoring.reading import read

chosen: Filter = st.session_state["choice"]
choice = chosen.at_least_a_day()
every = 60
wanted = parts.of_marts(choice)
is_long = choice.length.days > 2
whole = st.column_config.NumberColumn

parts.title("Shop", choice, what="From the marts, a day at least; region and device are applied to sessions, the region to orders")


@st.fragment(run_every=every)
def overview() -> None:
    with parts.guarded("The shop's marts"):
        sessions, revenue = read(marts.SESSIONS, **wanted), read(marts.REVENUE, length=choice.length, country=choice.country)
        now, _ = shop_figures.now_and_before(sessions)
        if not now:
            parts.empty("No session in this range", "The range ends with the newest hour in the marts; choose a longer one.")
            return
        st.caption(f"Up to {text.moment(now['upto'])} UTC")
        currencies = sorted(
            revenue["currency"].dropna().unique(), key=lambda one: -int(revenue.loc[revenue["currency"] == one, "orders"].sum())
        )
        currency = currencies[0] if currencies else ""
        if len(currencies) > 1:
            currency = st.segmented_control("Currency", currencies, default=currency, required=True, key="currency") or currency
        parts.figures(shop_figures.figures(sessions, revenue, currency))
        left, right = st.columns([3, 2])
        paid = revenue[revenue["currency"] == currency]
        with left, parts.card(f"Revenue {currency}", revenue, "revenue", choice, note="Completed orders; the export has every currency"):
            if paid.empty:
                parts.empty("No order in this range")
            else:
                drawn = charts.area(paid, "at", "revenue", title=currency, colour=charts.CALM, days=is_long)
                parts.chart(
                    drawn, "revenue", f"Revenue over time: {paid['revenue'].sum():,.2f} {currency} in {int(paid['orders'].sum()):,} orders"
                )
        steps = shop_figures.funnel(now)
        with right, parts.card("Funnel", steps, "funnel", choice, note="Sessions that got at least so far"):
            said = ", ".join(f"{row.step}: {row.sessions:,}" for row in steps.itertuples())
            parts.chart(charts.funnel(steps, parts.ink()), "funnel", said)


@st.fragment(run_every=every)
def sessions_and_payments() -> None:
    left, right = st.columns([3, 2])
    with left, parts.guarded("The sessions"):
        frame = read(marts.SESSIONS_OVER_TIME, **wanted)
        with parts.card("Sessions", frame, "sessions", choice):
            if frame.empty:
                parts.empty("No session in this range")
            else:
                drawn = charts.area(frame, "at", "sessions", title="sessions", days=is_long)
                parts.chart(drawn, "sessions", f"{int(frame['sessions'].sum()):,} sessions over time")
    with right, parts.guarded("The payments"):
        frame = read(marts.PAYMENTS, length=choice.length, country=choice.country)
        with parts.card("Payment methods", frame, "payment-methods", choice, note="Orders by their last status"):
            if frame.empty:
                parts.empty("No order in this range")
            else:
                table = frame.pivot_table("orders", "payment_method", "status", "sum", 0).reset_index()
                labels = {"completed": "Completed", "requested": "Unpaid", "payment_failed": "Failed", "refunded": "Refunded"}
                columns = {name: whole(label, format="localized") for name, label in labels.items() if name in table}
                order = ["payment_method", *columns]
                table = table.sort_values(list(columns), ascending=False)
                parts.table(table[order], "payment-methods", "Orders by payment method and status", {"payment_method": "Method", **columns})


@st.fragment(run_every=every)
def products() -> None:
    with parts.guarded("The products"):
        frame = read(marts.PRODUCTS, length=choice.length, days=choice.days)
        with parts.card("Products", frame, "products", choice, note="Views and carts by whole days; the 25 with the most revenue"):
            if frame.empty:
                parts.empty("No product in this range")
                return
            labels = {"views": "Views", "cart_adds": "In carts", "orders": "Orders", "units": "Units"}
            columns = {
                "product": st.column_config.TextColumn("Product", width="large"),
                "category": "Category",
                "currency": "Currency",
                **{name: whole(label, format="localized") for name, label in labels.items()},
                "revenue": whole("Revenue", format="accounting"),
            }
            parts.table(frame.fillna({"currency": ""}), "products", "Products by revenue", columns, height=parts.of_rows(10))


@st.fragment(run_every=every)
def searches_and_errors() -> None:
    left, right = st.columns(2)
    with left, parts.guarded("The searches"):
        frame = read(marts.SEARCHES, length=choice.length)
        with parts.card("Searches", frame, "searches", choice, note="By whole hours"):
            if frame.empty:
                parts.empty("Nobody searched in this range")
            else:
                labels = {"searches": "Searches", "without_result": "No result"}
                columns = {
                    "query": st.column_config.TextColumn("Text", width="medium"),
                    **{name: whole(label, format="localized") for name, label in labels.items()},
                    "average_results": whole("Results", format="%.1f", help="On average"),
                }
                parts.table(frame, "searches", "Search texts by how often", columns, height=parts.of_rows(8))
    with right, parts.guarded("The errors"):
        frame = read(marts.ERRORS, length=choice.length)
        with parts.card("Errors", frame, "errors", choice, note="Events of type error, by whole hours"):
            if frame.empty:
                parts.empty("No error in this range")
            else:
                by_code = frame.groupby("error_code", as_index=False)["errors"].sum().sort_values("errors", ascending=False).head(10)
                drawn = charts.bars(by_code, "error_code", "errors", title="errors", form=",")
                parts.chart(drawn, "errors", f"Errors by code: first is {by_code['error_code'].iloc[0]}")


@st.fragment(run_every=every)
def retention() -> None:
    with parts.guarded("The retention"):
        frame = read(marts.RETENTION)
        with parts.card(
            "Retention", frame, "retention", choice, note="Users by the week of their first event: how many came back so many weeks later"
        ):
            if frame.empty:
                parts.empty("No cohort yet")
                return
            shown = frame.assign(
                week=[f"{week:%-d %b %Y}  ({users:,})" for week, users in zip(frame["cohort_week"], frame["cohort_users"], strict=True)]
            )
            titles = ("weeks since", "week of the first event (users)", "came back")
            drawn = charts.heat(shown, "weeks_since", "week", "share", titles=titles, ink=parts.ink())
            parts.chart(drawn, "retention", f"Share of each of {shown['week'].nunique()} weeks' new users that came back, by weeks since")


overview()
sessions_and_payments()
products()
searches_and_errors()
retention()
