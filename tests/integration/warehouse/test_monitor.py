"""The monitor's pages on real Postgres: each shows what is there, filters hold, nothing hostile reaches SQL, and what is down is said."""

import io
import re
from collections.abc import Iterator
from datetime import timedelta

import pandas as pd
import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from loglake import clients
from loglake.alerts import thresholds
from loglake.errors import BadInputError
from loglake.settings import settings
from monitoring import database, exports
from monitoring.database import NotThereError, TooSlowError
from monitoring.queries import Query, live, marts, quality
from tests.monitorapp import PAGES, filled, forget, opened
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import copied_warehouse

pytestmark = pytest.mark.integration
HOSTILE = "x'; drop table live.latest_event; --%_\\"


@pytest.fixture(scope="module")
def shop(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with filled("monitor_test") as name:
        yield name


@pytest.fixture(autouse=True)
def nothing_remembered(shop: str) -> Iterator[None]:
    assert shop
    forget()
    yield
    forget()


def shown(app: AppTest) -> str:
    """Every text of the page, with what its tables hold."""
    kinds = (app.markdown, app.caption, app.title, app.subheader, app.error, app.warning, app.info, app.success)
    texts = [str(element.value) for kind in kinds for element in kind]
    return "\n".join([*texts, *(table.value.to_csv() for table in (*app.dataframe, *app.table))])


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(page: str) -> None:
    app = opened(page, range="30d")
    assert not app.exception
    assert app.title[0].value.lower() == page
    # Of the pipeline only Postgres is up.
    assert page == "pipeline" or "cannot be read" not in shown(app)


def test_live_shows_the_newest_minute(shop: str) -> None:
    with clients.postgres("loader", shop) as connection:
        connection.execute("update live.stream_state set updated_at = now()")
        connection.execute("update ops.stream_heartbeat set seen_at = now() where stream = 'live'")
    app = opened("live")
    with clients.postgres("monitor", shop) as connection:
        # The newest six windows of ten seconds that have ended, and had two seconds for what was under way.
        [(events,)] = connection.execute(
            "select sum(events) from (select events from live.window_total where width_seconds = 10 "
            "and window_start <= now() - interval '12 seconds' order by window_start desc limit 6) as newest"
        ).fetchall()
    assert metrics(app)["Events / min"] == f"{events:,}"
    assert {"Users", "Sessions", "Orders", "Errors"} < metrics(app).keys()
    assert "green-badge[:material/sensors: live]" in shown(app)


def test_a_filter_of_the_url_holds_on_every_page(shop: str) -> None:
    app = opened("live", country="Germany", type="product_view", range="1h")
    tail = next(table.value for table in app.dataframe if "payload" in table.value)
    assert set(tail["country"]) == {"Germany"}
    assert set(tail["event_type"]) == {"product_view"}
    app.switch_page("views/pipeline.py").run()
    assert "region\\: Germany · event type\\: product\\_view" in shown(app)
    assert "Last hour" in shown(app)


def test_a_choice_reaches_the_queries(shop: str) -> None:
    app = opened("live")
    app.selectbox(key="device").set_value("mobile").run()
    tail = next(table.value for table in app.dataframe if "payload" in table.value)
    assert set(tail["device"]) == {"mobile"}


def test_a_search_finds_text_and_a_hostile_one_is_only_text(shop: str) -> None:
    app = opened("live")
    app.text_input(key="search").set_value("SEARCH_response").run()
    tail = next(table.value for table in app.dataframe if "payload" in table.value)
    assert set(tail["event_type"]) == {"search_response"}
    app.text_input(key="search").set_value(HOSTILE).run()
    assert "No event matches" in shown(app)
    with clients.postgres("monitor", shop) as connection:
        assert connection.execute("select count(*) > 0 from live.latest_event").fetchone() == (True,)


@pytest.mark.parametrize("params", [{"range": "9999d"}, {"country": HOSTILE}, {"type": HOSTILE}, {"device": "<script>"}, {"range": ""}])
def test_a_forged_url_is_left_out_and_said(params: dict[str, str]) -> None:
    app = opened("live", **params)
    assert not app.exception
    assert [warning for warning in app.warning if "is not used" in warning.value]
    assert app.session_state["choice"] == type(app.session_state["choice"])()


def test_what_is_chosen_after_a_forged_url_ends_the_message() -> None:
    app = opened("live", device="<script>")
    app.run()
    assert app.warning
    app.selectbox(key="device").set_value("tablet").run()
    assert not app.warning


def test_the_shop_counts_what_the_marts_hold(shop: str) -> None:
    app = opened("shop", range="30d")
    with clients.postgres("monitor", shop) as connection:
        [(sessions, abandoned)] = connection.execute(
            "select count(*), count(*) filter (where orders > 0) from marts.fct_session"
        ).fetchall()
    assert metrics(app)["Sessions"] == f"{sessions:,}"
    assert metrics(app)["Conversion"] == f"{100 * abandoned / sessions:.1f} %"


def test_a_range_without_data_says_so() -> None:
    app = opened("shop", range="30d", country="Atlantis")
    assert "No session in this range" in shown(app)


def test_quality_names_every_reason() -> None:
    page = shown(opened("quality", range="30d"))
    for reason in ("not_json", "missing_field"):
        assert reason in page
    assert "passed" in page


def test_a_threshold_is_kept_with_who_and_when_and_everybody_judges_by_it(shop: str) -> None:
    app = opened("alerts")
    app.selectbox(key="threshold").set_value("latency_p95_ms").run()
    app.number_input[0].set_value(1.0)
    app.text_input(key="who").set_value("Ada  Lovelace")
    next(button for button in app.button if button.label == "Save").click().run()
    assert "Answers are slow: now 1 ms" in shown(app).replace("\\", "")
    with clients.postgres("monitor", shop) as connection:
        [change] = thresholds.history(connection, 5)
    assert (change.name, change.value, change.set_by) == ("latency_p95_ms", 1.0, "Ada Lovelace")
    assert thresholds.in_force().latency_p95_ms == 1.0
    firing = next(table.value for table in app.table if "Fires at" in table.value)
    assert "firing" in firing[firing["Rule"] == "Answers are slow"]["State"].iloc[0]
    next(button for button in app.button if button.label == "Back to the setting").click().run()
    assert thresholds.in_force().latency_p95_ms == settings().alerts.latency_p95_ms


def test_a_threshold_without_a_name_or_that_cannot_be_is_refused(shop: str) -> None:
    app = opened("alerts")
    before = thresholds.in_force()
    next(button for button in app.button if button.label == "Save").click().run()
    assert "who changes a threshold is needed" in shown(app)
    app.text_input(key="who").set_value("Ada")
    app.number_input[0].set_value(-1.0)
    next(button for button in app.button if button.label == "Save").click().run()
    assert "cannot be" in shown(app)
    assert thresholds.in_force() == before


def test_the_monitor_may_write_thresholds_in_a_transaction_that_says_so(shop: str) -> None:
    with clients.postgres("monitor", shop) as connection:
        thresholds.change(connection, "lag_records", 5, "Ada")
        thresholds.change(connection, "lag_records", None, "Ada")
        with pytest.raises(BadInputError):
            thresholds.change(connection, "no_such", 5, "Ada")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("insert into ops.alert_threshold (name, value, set_by) values ('lag_records', 1, 'x')")


@pytest.mark.parametrize(
    "statement", ["delete from ops.alert_threshold", "insert into live.late_count values (now(), 1)", "update ops.incident set key = ''"]
)
def test_the_monitor_has_no_right_to_write_elsewhere(shop: str, statement: str) -> None:
    with clients.postgres("monitor", shop) as connection:
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_a_query_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_MONITOR_QUERY_SECONDS", "0.2")
    settings.cache_clear()
    with pytest.raises(TooSlowError):
        database.database().ask(Query("slow", "select pg_sleep(30)::text limit %(rows)s", 1), {})
    monkeypatch.undo()
    settings.cache_clear()


def test_a_bound_is_on_the_rows(shop: str) -> None:
    few = Query("few", live.TAIL.text, 3)
    assert len(database.database().ask(few, {"country": None, "event_type": None, "device": None, "search": ""})) == 3


def test_no_marts_yet_is_said_and_the_rest_of_the_page_is_there(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Query(marts.REVENUE.name, "select * from marts.no_such limit %(rows)s", 1)
    with pytest.raises(NotThereError):
        database.database().ask(missing, {})
    monkeypatch.setattr(marts, "REVENUE", missing)
    page = shown(opened("shop", range="30d"))
    assert "nothing there yet" in page
    assert "Retention" in page


def test_a_postgres_that_is_down_is_said_on_every_page_soon(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_POSTGRES_PORT", "1")
    monkeypatch.setenv("LOGLAKE_MONITOR_QUERY_SECONDS", "0.5")
    settings.cache_clear()
    try:
        for page in ("live", "shop", "quality", "pipeline"):
            app = opened(page)
            assert not app.exception
            assert "Postgres does not answer" in shown(app).replace("\\", "") or page == "pipeline"
        (flow,) = (html.proto.body for html in app.get("html") if 'class="flow"' in html.proto.body)
        assert '<li class="down"' in flow
    finally:
        monkeypatch.undo()
        settings.cache_clear()


def test_marts_that_were_built_before_anything_was_loaded_are_shown(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    with copied_warehouse("monitor_unloaded", shop) as name:
        with clients.postgres("postgres", name) as connection:
            connection.execute("update staging.load_position set load_id = -1")
            connection.execute("truncate ops.load_manifest cascade")
        monkeypatch.setenv("LOGLAKE_POSTGRES_DATABASE", name)
        settings.cache_clear()
        try:
            for page in ("pipeline", "quality"):
                app = opened(page)
                assert not app.exception
                if page == "quality":
                    [freshness] = [table.value for table in app.dataframe if "behind" in table.value]
                    assert set(freshness["behind"]) == {0}
        finally:
            forget()
    monkeypatch.undo()
    settings.cache_clear()


def test_a_city_whose_name_has_a_slash_is_shown_whole_and_in_its_country_only(shop: str) -> None:
    with clients.postgres("loader", shop) as connection:
        connection.execute(
            """
            insert into live.window_count
            select 10, max(window_start), 'city', key, 5
            from live.window_total, unnest(array['Germany/Biel/Bienne', 'Germany East/Mitte']) as key
            where width_seconds = 10 and window_start <= now() - interval '12 seconds' group by key
            """
        )
    try:
        cities = database.database().ask(live.CITIES, {"length": timedelta(minutes=15), "of": "Germany"})
        held = dict(zip(cities["city"], cities["events"], strict=True))
        assert held["Biel/Bienne"] == 5
        assert not {"Biel", "East/Mitte", "Mitte"} & held.keys()
    finally:
        with clients.postgres("loader", shop) as connection:
            connection.execute("delete from live.window_count where key in ('Germany/Biel/Bienne', 'Germany East/Mitte')")


@pytest.mark.parametrize(
    ("query", "table"),
    [
        (marts.SESSIONS, "fct_session"),
        (marts.SESSIONS_OVER_TIME, "fct_session"),
        (marts.COUNTRIES, "fct_session"),
        (marts.COUNTRIES_OF_TYPE, "fact_event"),
        (marts.CITIES, "fact_event"),
    ],
    ids=lambda value: value.name if isinstance(value, Query) else "",
)
def test_what_reads_most_rows_is_answered_from_an_index_alone(query: Query, table: str, shop: str) -> None:
    wanted = {
        "length": timedelta(days=30),
        "country": None,
        "device": "mobile",
        "event_type": "page_view",
        "of": "Germany",
        "rows": query.rows,
    }
    with clients.postgres("monitor", shop) as connection:
        # The tables of a test are so small that reading them whole would be cheaper.
        connection.execute("set enable_seqscan = off")
        plan = "\n".join(line for (line,) in connection.execute(f"explain {query.text}".encode(), wanted))
    assert re.search(rf"Index Only Scan using \w+ on {table}\b", plan.replace('"', "")), plan


def test_the_server_is_told_the_name_of_each_question(shop: str) -> None:
    seen = Query("seen_by_name", "select query from pg_stat_activity where pid = pg_backend_pid() limit %(rows)s", 1)
    assert database.database().ask(seen, {})["query"].iloc[0].startswith("/* seen_by_name */ select")


def test_the_exports_are_the_rows_that_are_shown(shop: str) -> None:
    app = opened("quality", range="30d")
    frame = database.database().ask(quality.SAMPLES, {})
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels.count("CSV") == labels.count("Parquet") >= 4

    assert len(pd.read_csv(io.BytesIO(exports.csv(frame)))) == len(frame)


def test_the_service_comes_up_behind_its_gate(postgres: EmbeddedStack) -> None:
    postgres.start(("monitor",))
    # Supervisor calls a process running once it has lived for three seconds; the pages may be there before.
    row = postgres.wait_healthy("monitor")
    assert row["url"] == f"http://127.0.0.1:{postgres.environment['LOGLAKE_MONITOR_PORT']}"
    with clients.web() as session:
        answer = session.get(row["url"], timeout=10)
    assert answer.status_code == 200
    postgres.stop("monitor")
