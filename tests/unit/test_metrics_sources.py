"""Where the metrics come from: each source by itself, and a scrape of all of them, whatever is down."""

import json
import sys
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from loglake.decode import REASONS
from loglake.errors import ServiceError
from loglake.metrics import audit, auditor, sources
from loglake.metrics.collector import SOURCES, Source, StackCollector
from loglake.metrics.definitions import DEFINITIONS
from loglake.metrics.facts import Audit, Lake
from loglake.operation_settings import MetricsSettings
from loglake.topic import Bounds
from tests.metricfacts import DISK, HDFS, NOW, value

pytestmark = pytest.mark.unit


def test_reasons_outside_the_decoder_share_one_label() -> None:
    counted = audit.by_code({"not_json": 3, "typed by hand": 2, "another": 1})

    assert counted.keys() == {*REASONS, "other"}
    assert (counted["not_json"], counted["other"], counted["too_large"]) == (3, 3, 0)


def test_an_audit_is_read_as_it_is_written() -> None:
    text = json.dumps({"checked_at": NOW.timestamp(), "findings": ["raw: …"], "rows": {"lake": 1}, "rejects": {"empty": 0}})

    assert auditor.read(text) == Audit(NOW, ("raw: …",), {"lake": 1}, {"empty": 0})


def snapshot(number: int, rows: int) -> dict[str, Any]:
    summary = {"total-records": str(rows), "total-data-files": "2", "total-files-size": "300"}
    return {"snapshot-id": number, "timestamp-ms": int(NOW.timestamp() * 1000), "summary": summary}


@pytest.mark.parametrize(("loaded_to", "backlog"), [(None, 150), (1, 50), (2, 0), (99, None)])
def test_the_backlog_is_what_came_after_the_loaded_snapshot(loaded_to: int | None, backlog: int | None) -> None:
    document = {"current-snapshot-id": 2, "snapshots": [snapshot(1, 100), snapshot(2, 150)]}

    assert sources.lake_facts(document, loaded_to) == Lake(150, 2, 300, 2, NOW, backlog)


def test_a_table_without_a_snapshot_has_no_rows_to_tell() -> None:
    assert sources.lake_facts({"current-snapshot-id": -1, "snapshots": []}, None) is None


def collector(sources_: Mapping[str, Source], **settings: float) -> StackCollector:
    return StackCollector(MetricsSettings(cache_seconds=0, **settings), lambda: None, sources_)  # type: ignore[arg-type]


def refuse() -> None:
    raise ServiceError("refused")


def test_what_is_down_is_0_and_the_others_are_told() -> None:
    made = collector({"postgres": refuse, "kafka": lambda: {0: Bounds(0, 5)}, "hdfs": lambda: (HDFS, False), "disk": lambda: DISK})

    assert {service: value(made, "loglake_up", service=service) for service in ("postgres", "kafka", "hdfs", "spark", "stream")} == {
        "postgres": 0,
        "kafka": 1,
        "hdfs": 0,
        "spark": 0,
        "stream": 0,
    }
    assert value(made, "loglake_hdfs_files") == 1
    assert value(made, "loglake_kafka_records_total", topic="LogEvents", partition="0") == 5


def test_a_source_that_hangs_delays_a_scrape_by_no_more_than_the_setting_and_holds_one_thread() -> None:
    release = threading.Event()
    asked: list[int] = []

    def hang() -> dict[int, Bounds]:
        asked.append(1)
        release.wait(30)
        return {0: Bounds(0, 1)}

    made = collector({"kafka": hang, "disk": lambda: DISK}, timeout_seconds=0.1)
    try:
        assert [value(made, "loglake_up", service="kafka") for _ in range(3)] == [0, 0, 0]
        assert value(made, "loglake_disk_free_bytes") == 1
        assert len(asked) == 1
    finally:
        release.set()


def test_scrapes_soon_after_each_other_share_an_answer() -> None:
    asked: list[int] = []

    def count() -> dict[str, float]:
        asked.append(1)
        return DISK

    made = StackCollector(MetricsSettings(cache_seconds=60), lambda: None, {"disk": count})
    assert [value(made, "loglake_disk_free_bytes") for _ in range(3)] == [1, 1, 1]

    assert len(asked) == 1


def test_a_fault_of_the_program_in_one_source_costs_its_metrics_alone_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fault() -> dict[int, Bounds]:
        return {0: Bounds(0, 1) + None}  # type: ignore[operator]

    made = collector({"kafka": fault, "disk": lambda: DISK})

    assert [value(made, "loglake_up", service="kafka") for _ in range(3)] == [0, 0, 0]
    assert value(made, "loglake_disk_free_bytes") == 1
    (told,) = [record for record in caplog.records if record.exc_info]
    assert (told.levelname, told.exc_info[0]) == ("ERROR", TypeError)  # type: ignore[index]


def test_a_check_of_the_books_that_fails_in_any_way_leaves_the_last_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    good = json.dumps({"checked_at": NOW.timestamp(), "findings": [], "rows": {}, "rejects": {}})
    ways = {
        "No such file": ("/no/such/program",),
        "Expecting value": (sys.executable, "-c", "print('no JSON')"),
        "the answer has no 'checked_at'": (sys.executable, "-c", "print('{}')"),
        "list indices": (sys.executable, "-c", "print('[]')"),
        "no server": (sys.executable, "-c", "exit('no server')"),
    }
    for said, command in ways.items():
        checked = auditor.Auditor(300, command)
        checked.last = Audit(NOW, ("before",), {}, {})
        checked.check()
        assert checked.last.findings == ("before",)
        assert said in caplog.messages[-1]

    checked = auditor.Auditor(300, (sys.executable, "-c", f"print({good!r})"))
    assert checked.pause_seconds < 60, "the first check is tried again soon"
    checked.check()
    assert checked.pause_seconds == 300
    assert checked.last == Audit(NOW, (), {}, {})


def test_registering_asks_no_server() -> None:
    registry = CollectorRegistry(auto_describe=True)

    registry.register(collector(dict.fromkeys(SOURCES, refuse)))

    assert set(registry._names_to_collectors) >= {definition.name for definition in DEFINITIONS}
