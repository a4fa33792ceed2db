"""What all tests share: the browser, the sample data, and a page that asks nobody for updates.

Tests that need something this machine lacks skip and say so; with REQUIRE_BROWSER=1 a missing browser fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

PROJECT = Path(__file__).resolve().parent.parent
BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
BROWSER_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)


def browser_path() -> str | None:
    """The Chromium or Chrome of this machine; the environment variable CHROME names another one."""
    named = os.environ.get("CHROME")
    if named:
        return named
    on_path = (shutil.which(name) for name in BROWSER_NAMES)
    installed = (path for path in BROWSER_PATHS if Path(path).is_file())
    return next((path for path in on_path if path), None) or next(installed, None)


def needs_browser(item: pytest.Item) -> bool:
    fixtures: tuple[str, ...] = getattr(item, "fixturenames", ())
    return item.get_closest_marker("browser") is not None or "chromium_browser" in fixtures


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Last, because playwright's loop stays in the thread: asyncio.run would refuse to work beside it.
    items.sort(key=needs_browser)
    for item in filter(needs_browser, items):
        # A browser on a busy machine misses a moment now and then; the summary lists what had to be tried again.
        item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if needs_browser(item) and browser_path() is None:
        reason = "no Chromium or Chrome found; install one or set CHROME to its path"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium_browser() -> Iterator[Browser]:
    """A headless Chromium, driven through playwright's sync interface."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(BROWSER_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The sample PDFs, questions and training examples beside the project, where they are present."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the sample data is not at {folder}")
    return folder
