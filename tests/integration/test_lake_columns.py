"""A lake table that was made for an older contract, on real Spark, HDFS and Kafka: columns are added, and no file is written anew."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loglake.settings import PROJECT
from tests import pipeline
from tests.stackfixture import EmbeddedStack

pytestmark = pytest.mark.integration
EVENTS = 500


def test_new_fields_are_added_to_a_table_that_holds_data(lake_stream: EmbeddedStack, tmp_path: Path) -> None:
    pipeline.generate(lake_stream, tmp_path / "ledger", "--count", str(EVENTS), "--seed", "81")

    command = [sys.executable, "-m", "tests.oldercontract", str(EVENTS)]
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **lake_stream.environment}, capture_output=True, text=True, check=False, timeout=300
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["added"] == [
        [["user_age"], "int", "user_sex"],
        [["order_items", "element", "unit_price"], "decimal(12,2)", "quantity"],
        [["latency_ms"], "int", "status_code"],
    ]
    # the files are what they were, the table is as a new one, with each column in its place, and a second time there is nothing to add
    assert (told["untouched"], told["kept"], told["as_new"], told["again"]) == (True, True, True, 0)
    # the stream wrote the same records once more, with what is new; the load reads old files and new ones
    old_rows, all_rows = told["rows"]
    assert all_rows == 2 * old_rows > 0
    rows, ages, latencies, prices, orders, names = told["old"]
    assert (rows, ages, latencies, prices) == (old_rows, 0, 0, 0)
    assert told["new"][0] == rows
    assert told["new"][4:] == [orders, names]
    assert told["new"][3] == orders > 0 < told["new"][1] < told["new"][2]
    pipeline.wait_in_lake(lake_stream)
