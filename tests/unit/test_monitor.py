"""What the monitor decides without a server: filters of a forged URL, exports, states, thresholds, and the bounds of its queries."""

import importlib
import io
import json
import math
import pkgutil
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest

from loglake.alerts import thresholds
from loglake.alerts.rules import RULES, judge
from loglake.errors import BadInputError
from loglake.health import Status
from loglake.operation_settings import AlertSettings
from loglake.settings import PROJECT
from loglake.topic import Bounds
from monitoring import alert_rows, charts, exports, filters, geography, live_figures, parts, pipeline, queries, text
from monitoring.filters import Filter
from monitoring.queries import Query
from tests.alertfacts import WELL

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
HOSTILE = "'; drop table ops.load_manifest; --"


@pytest.mark.parametrize(("given", "seconds"), [("5m", 300), ("2h", 7200), ("366d", 366 * 86400)])
def test_a_range_is_a_number_and_a_unit(given, seconds):
    assert filters.length(given) == timedelta(seconds=seconds)


@pytest.mark.parametrize("given", ["", "0m", "367d", "9999d", "99999h", "1w", "-5m", "5 m", "\u0665m", HOSTILE, "5m\n"])
def test_a_range_that_is_none_or_too_long_is_left_out_and_said(given):
    [line] = filters.problems({"range": given}, [])
    assert "time range" in line
    assert filters.range_options(given) == list(filters.RANGES)


def test_a_range_of_the_url_that_is_no_preset_can_be_chosen():
    assert filters.range_options("45m")[:4] == ["5m", "15m", "45m", "1h"]
    assert filters.problems({"range": "45m"}, []) == []


@pytest.mark.parametrize("name", ["country", "type", "device"])
def test_a_forged_value_is_left_out_and_said_on_one_short_line(name):
    given = HOSTILE + "\n<script>" + "x" * 500
    [line] = filters.problems({name: given}, ["Chile"])
    assert len(line) < 400
    assert line.isprintable()
    assert given not in filters.country_options(given, ["Chile"])


def test_a_country_that_nobody_has_seen_is_kept_when_it_could_be_one():
    assert filters.problems({"country": "Côte d'Ivoire"}, []) == []
    assert filters.country_options("Côte d'Ivoire", ["Chile"]) == ["All", "Chile", "Côte d'Ivoire"]


def test_what_is_fine_is_no_problem():
    fine = {"range": "7d", "country": "All", "type": "login", "device": "mobile", "embed": "true"}
    assert filters.problems(fine, []) == []


def test_the_file_name_says_filter_and_time():
    choice = Filter("7d", "Côte d'Ivoire", "product_view", "mobile")
    assert exports.file_name("rejects", choice, NOW) == "loglake_rejects_7d_côte-d-ivoire_product_view_mobile_20260304T123000Z"
    assert exports.file_name("rejects", Filter("7d", "../../etc"), NOW) == "loglake_rejects_7d_etc_20260304T123000Z"


def test_the_marts_show_a_day_at_least():
    assert Filter("15m", "Chile").at_least_a_day() == Filter("24h", "Chile")
    assert Filter("7d").at_least_a_day() == Filter("7d")


def test_csv_is_what_is_shown_and_no_formula():
    frame = pd.DataFrame({"at": [NOW], "query": ["=HYPERLINK(1)"], "events": [3]})
    read = pd.read_csv(io.BytesIO(exports.csv(frame)))
    assert read.to_dict("records") == [{"at": "2026-03-04 12:30:00+00:00", "query": "'=HYPERLINK(1)", "events": 3}]


def test_parquet_keeps_types():
    frame = pd.DataFrame({"at": [NOW], "query": ["=1"], "events": [3]})
    table = pq.read_table(io.BytesIO(exports.parquet(frame)))
    assert [str(field.type) for field in table.schema] == ["timestamp[us, tz=UTC]", "string", "int64"]
    assert table.to_pylist() == [{"at": NOW, "query": "=1", "events": 3}]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.35, "350 ms"), (4.25, "4.2 s"), (59, "59 s"), (320, "5 min 20 s"), (7200, "2 h"), (187_200, "2 d 4 h"), (None, "—")],
)
def test_lengths_of_time_are_read_at_a_glance(seconds, shown):
    assert text.span(seconds) == shown


def test_numbers_are_read_at_a_glance():
    assert [text.number(value) for value in (0, 1234.4, 2_345_678, None, math.nan)] == ["0", "1,234", "2.35 M", "—", "—"]
    assert [text.size(value) for value in (12, 2048, 3.5 * 2**30)] == ["12 B", "2.0 KiB", "3.5 GiB"]
    assert text.change(110, 100) == "+10.0 %"
    assert [text.change(110, None), text.change(110, 0), text.change(0, 0)] == [None, "from 0", text.SAME]
    assert text.change(100.01, 100) == text.change(99.99, 100) == text.SAME


def test_mark_up_in_a_text_is_shown_and_not_obeyed():
    assert parts.plain("see `loglake logs lake-stream`: *now*") == "see `loglake logs lake-stream`\\: \\*now\\*"
    assert "https://" not in parts.plain("https://evil.example/")
    assert parts.plain("<b> `one") == "\\<b\\> \\`one"


def all_queries() -> list[Query]:
    modules = [importlib.import_module(f"{queries.__name__}.{module.name}") for module in pkgutil.iter_modules(queries.__path__)]
    return [value for module in modules for value in vars(module).values() if isinstance(value, Query)]


def test_every_query_has_a_bound_on_its_rows_and_a_name_of_its_own():
    asked = all_queries()
    assert len(asked) > 30
    assert [query.name for query in asked if not query.text.rstrip().endswith("limit %(rows)s")] == []
    assert max(query.rows for query in asked) <= 20_000
    assert len({query.name for query in asked}) == len(asked)


def test_no_sql_is_asked_from_anywhere_else():
    for path in (PROJECT / "monitoring").rglob("*.py"):
        if path.name != "database.py":
            assert not re.search(r"\.execute\(|psycopg", path.read_text()), path.name


def inputs(**changes):
    services = tuple(Status(name, True, "answers") for name in ("Postgres", "Spark", "HDFS", "Kafka", "stream"))
    made = pipeline.Inputs(now=NOW, services=services, verdicts=tuple(judge(WELL, AlertSettings())), kafka={0: Bounds(0, 10)})
    return replace(made, **changes)


def states(found):
    return {stage.name: stage.state for stage in pipeline.stages(found)}


def test_stages_run_when_all_is_well():
    assert set(
        states(
            inputs(live={"silent_seconds": 1, "stale_seconds": 30, "updated_at": NOW, "batch_ms": 9, "batch_rows": 1, "watermark": NOW})
        ).values()
    ) == {"ok"}


def test_a_service_that_is_down_takes_its_stage_down_and_no_other():
    services = tuple(replace(one, ok=one.name != "Kafka", detail="no broker <answers>") for one in inputs().services)
    found = inputs(services=services)
    assert states(found)["Kafka topic"] == "down"
    assert states(found)["Marts"] == "ok"
    assert "no broker &lt;answers&gt;" in pipeline.flow(pipeline.stages(found))


def test_a_rule_that_fires_makes_its_stage_late():
    strict = AlertSettings(marts_stale_seconds=0.001)
    old = replace(WELL, warehouse=replace(WELL.warehouse, unbuilt_since=WELL.now - timedelta(hours=2)))
    assert states(inputs(verdicts=tuple(judge(old, strict))))["Marts"] == "late"


def test_nothing_known_is_unknown_and_the_page_still_has_every_stage():
    assert set(states(pipeline.Inputs(now=NOW)).values()) == {"unknown"}


def test_lag_is_by_partition_from_what_the_topic_still_has():
    rows = pipeline.lag_rows({0: Bounds(0, 10), 1: Bounds(5, 9)}, {"0": 7})
    assert [row["lag"] for row in rows] == [3, 4]


def test_the_live_view_says_that_it_is_stale():
    row = {"age_seconds": 300.0, "silent_seconds": 300.0, "max_event_time": pd.Timestamp(NOW), "batch_rows": 5, "batch_ms": 100}
    assert live_figures.freshness(pd.DataFrame([row])).word == "stale for 5 min"
    assert live_figures.freshness(pd.DataFrame([{**row, "silent_seconds": 2.0}])).word == "quiet"
    assert live_figures.freshness(pd.DataFrame([{**row, "silent_seconds": 2.0, "age_seconds": 2.0}])).word == "live"
    assert live_figures.freshness(pd.DataFrame()).word == "not started"


def test_a_window_in_which_nothing_came_is_drawn_as_none() -> None:
    starts = pd.to_datetime(["2026-03-04T12:00:00Z", "2026-03-04T12:00:30Z"])
    frame = pd.DataFrame({"window_start": starts, "width_seconds": 10, "events": [100, 50]})
    assert live_figures.per_second(frame)["rate"].tolist() == [10.0, 0.0, 0.0, 5.0]
    keyed = live_figures.per_second(frame.assign(key=["a", "b"]), "key")
    assert keyed.pivot(index="window_start", columns="key", values="rate").to_dict("list") == {"a": [10, 0, 0, 0], "b": [0, 0, 0, 5]}


def test_minutes_in_which_nothing_came_too_late_are_drawn_as_none() -> None:
    minutes = pd.to_datetime(["2026-03-04T12:28:00Z", "2026-03-04T12:30:00Z"])
    drawn = live_figures.late(pd.DataFrame({"minute": minutes, "events": [3, 1]}))
    assert drawn["events"].tolist() == [0] * 12 + [3, 0, 1]
    assert drawn["minute"].iloc[-1] == minutes[1]


def test_a_figure_is_compared_with_the_window_that_ended_when_it_began():
    starts = [pd.Timestamp(NOW) + timedelta(seconds=10 * step) for step in range(7)]
    frame = pd.DataFrame({"window_start": starts, **{name: [100, 1, 1, 1, 1, 1, 150] for name in live_figures._COUNTED}})
    events = live_figures.figures(frame, pd.DataFrame())[0]
    assert (events.value, events.delta) == ("150", "+50.0 %")


def test_thresholds_take_the_place_of_the_settings():
    assert thresholds.effective(AlertSettings(), {"lag_records": 7.0}).lag_records == 7
    assert thresholds.effective(AlertSettings(), {"gone": 7.0, "lag_records": -1.0}) == AlertSettings()
    assert set(thresholds.RULE_OF) == {rule.threshold for rule in RULES if rule.threshold}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lag_records", 0),
        ("lag_records", 1.5),
        ("reject_percent", 101),
        ("latency_p95_ms", math.inf),
        ("latency_p95_ms", math.nan),
        (HOSTILE, 1),
    ],
)
def test_a_threshold_that_cannot_be_is_refused(name, value):
    with pytest.raises(BadInputError):
        thresholds.validated(name, value)


@pytest.mark.parametrize(("values", "opacity"), [([5], 1), ([5, None], 1), ([5, 6], 0)])
def test_one_value_alone_is_drawn_as_a_point(values, opacity):
    frame = pd.DataFrame({"at": pd.date_range(NOW, periods=len(values), freq="min"), "records": values})
    _, points = charts.area(frame, "at", "records", title="records").to_dict()["layer"]
    assert (points["mark"]["type"], points["mark"]["opacity"]) == ("point", opacity)


def test_what_fires_is_shown_first_and_a_changed_limit_is_marked():
    limits = AlertSettings(disk_free_gib=1e9)
    frame = alert_rows.rows(judge(WELL, limits), {"disk_free_gib"})
    assert frame.iloc[0][["state", "rule"]].tolist() == ["▲ firing", "The disk is nearly full"]
    assert frame.iloc[0]["limit"].endswith("(changed)")


@pytest.mark.parametrize(("name", "shape"), [("Germany", "276"), ("UK", "826"), ("Brazil", "076"), ("Atlantis", None), ("", None)])
def test_a_country_is_found_by_its_names(name, shape):
    assert geography.shape_of(name) == shape


def test_the_map_has_a_shape_for_each_country_that_the_generator_knows():
    shapes = json.loads((PROJECT / "monitoring" / "static" / "countries-110m.json").read_text())
    ids = {country.get("id") for country in shapes["objects"]["countries"]["geometries"]}
    assert {geography.shape_of(name) for name in ("United States", "Vietnam", "South Korea", "Czechia", "Türkiye")} <= ids


def test_an_event_type_has_the_same_colour_everywhere():
    one, other = charts.colours(["login", "other"]).to_dict(), charts.colours(["page_view", "login"]).to_dict()
    assert one["range"][0] == other["range"][1]
    assert one["range"][1] == charts.GREY
