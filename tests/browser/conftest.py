"""A real Chromium, headless; and where its pictures go."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.browsing import FLAGS

#: What is waited for comes sooner; five seconds, Playwright's own, are too few for a page on a machine that tests twice at a time.
expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        assert os.environ.get("CI") != "true", "CI must have Chromium: .ci/run installs it"
        pytest.skip("no Chromium in PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder named by `--pictures` (docs/images, to renew the README's), else a temporary one."""
    named = request.config.getoption("--pictures")
    return Path(named) if named else tmp_path_factory.mktemp("pictures")
