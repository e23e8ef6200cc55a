"""What the stream reports of a batch."""

import json

import pytest

from consumers.progress import batch_report

pytestmark = pytest.mark.unit

PROGRESS = {
    "id": "q",
    "runId": "r",
    "batchId": 4,
    "durationMs": {"triggerExecution": 1500},
    "observedMetrics": {"records": {"rows_read": 12, "rows_rejected": 2, "event_delay_seconds": 3.5}},
    "sources": [{"startOffset": {"t": {"0": 5, "1": 0}}, "endOffset": {"t": {"0": 10, "1": 7}}, "latestOffset": {"t": {"0": 11, "1": 9}}}],
}


def test_a_batch_says_what_it_read_and_how_far_it_lags():
    report = batch_report(PROGRESS)
    assert (report["topic"], report["batch_id"], report["rows_read"], report["rows_rejected"]) == ("t", 4, 12, 2)
    assert report["end_offsets"].obj == {"0": 10, "1": 7}
    assert report["lag"] == 3
    assert report["event_delay_seconds"] == 3.5


def test_offsets_may_come_as_text():
    source = {name: json.dumps(value) for name, value in PROGRESS["sources"][0].items()}
    report = batch_report({**PROGRESS, "sources": [source]})
    assert report["end_offsets"].obj == {"0": 10, "1": 7}
    assert report["lag"] == 3


def test_the_first_batch_has_no_start_and_an_idle_one_no_metrics():
    source = {**PROGRESS["sources"][0], "startOffset": None}
    report = batch_report({**PROGRESS, "sources": [source], "observedMetrics": {}})
    assert report["start_offsets"].obj == {}
    assert report["rows_read"] == 0
