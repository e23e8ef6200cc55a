"""The pages a user opens: the NameNode shows the table's Parquet files, Airflow the DAG."""

import re

import pytest
from playwright.sync_api import Page, expect

from loglake.lake import data_files, table
from loglake.settings import LOOPBACK, settings
from loglake.tables import path_of
from tests import pipeline
from tests.stackfixture import EmbeddedStack

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def filled(airflow: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStack:
    """The whole stack with some events in the lake."""
    pipeline.generate(airflow, tmp_path_factory.mktemp("ledger") / "ledger", "--count", "3000", "--seed", "31")
    pipeline.wait_in_lake(airflow)
    return airflow


@pytest.mark.usefixtures("filled")
def test_the_namenode_shows_the_parquet_files(page: Page, pictures):
    bronze = table()
    assert bronze is not None
    folder, name = path_of(data_files(bronze)[0].file_path).rsplit("/", 1)
    page.goto(f"http://{LOOPBACK}:{settings().hdfs.namenode_http_port}/explorer.html#{folder}")
    expect(page.get_by_text(re.compile(r"\.parquet$")).first).to_be_visible()
    listed = page.get_by_text(re.compile(r"\.parquet$")).all_inner_texts()
    assert name in listed or len(listed) >= 25  # the page shows 25 entries at a time
    page.screenshot(path=pictures / "namenode.png")


@pytest.mark.usefixtures("filled")
def test_the_namenode_says_that_its_datanode_lives(page: Page):
    page.goto(f"http://{LOOPBACK}:{settings().hdfs.namenode_http_port}/dfshealth.html#tab-overview")
    expect(page.get_by_role("row", name=re.compile(r"Live Nodes")).first).to_contain_text("1")


def test_airflow_shows_the_dag_and_its_tasks(filled: EmbeddedStack, page: Page, pictures):
    pipeline.run_dag(filled)
    config = settings().airflow
    page.goto(f"http://{LOOPBACK}:{config.port}/dags/loglake_batch")
    page.get_by_label("Username").fill(config.user)
    page.locator("input[type=password]").fill(config.password.get_secret_value())
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    for group in ("check_services_group", "validate_and_processing_group", "dbt_group"):
        expect(page.get_by_text(group).first).to_be_visible()
    page.screenshot(path=pictures / "airflow.png")


@pytest.mark.usefixtures("filled")
def test_the_spark_master_shows_the_stream(page: Page):
    page.goto(f"http://{LOOPBACK}:{settings().spark.master_ui_port}")
    expect(page.get_by_text("loglake-lake-stream").first).to_be_visible()
