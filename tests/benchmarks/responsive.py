"""How the page answers while documents are read: `python -m tests.benchmarks.responsive [--pdfs DIR] [--rounds N]`.

All PDFs of a folder are dropped into the page at once, with one window open on its table. Meanwhile the whole page is
fetched ten times a second by somebody else. Prints how long that took, and what became of the documents. Without a
folder the PDFs are made on the spot.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
from playwright.sync_api import Playwright, sync_playwright

from core.documents.store import Store
from tests.benchmarks.scale import sample
from tests.browser.conftest import settled
from tests.browser.visit import Visit
from tests.conftest import BROWSER_FLAGS, browser_path
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp, wait_for
from tests.sample_files import make_pdf

MADE = 200
PATIENCE_SECONDS = 300.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--pdfs", type=Path, help="the folder of the PDFs to drop")
    arguments.add_argument("--rounds", type=int, default=1)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pdfs = sorted(options.pdfs.glob("*.pdf")) if options.pdfs else made(Path(folder) / "pdfs")
        for number in range(options.rounds):
            (Path(folder) / str(number)).mkdir()
            measure(Path(folder) / str(number), pdfs)


def made(folder: Path) -> list[Path]:
    """PDFs of ten pages each."""
    folder.mkdir()
    texts, _ = sample(None)
    choice = random.Random(7)
    paths = [folder / f"document {number}.pdf" for number in range(MADE)]
    for path in paths:
        make_pdf(path, choice.sample(texts, 10))
    return paths


def measure(folder: Path, pdfs: list[Path]) -> None:
    with (OllamaServer({"gpt-oss:20b": {}}) as ollama, RunningApp(folder, ollama_url=ollama.url) as app,
          sync_playwright() as playwright):
        visit = opened(playwright, app)
        assert wait_for(lambda: settled(app.data), PATIENCE_SECONDS)
        visit.tab("documents")
        quiet = Fetching(app.url)
        time.sleep(5)
        report("quiet", quiet.end())
        begun = time.monotonic()
        fetching = Fetching(app.url)
        visit.drop(*pdfs)
        # Within the browser's own loop, so that it draws on.
        while not settled(app.data, *(path.name for path in pdfs)):
            visit.page.wait_for_timeout(200)
            assert time.monotonic() - begun < PATIENCE_SECONDS, app.output
        seconds = time.monotonic() - begun
        report("while indexing", fetching.end())
        states = Counter(document.state for document in Store(app.data / "taller.sqlite3").documents())
        print(f"{len(pdfs)} PDFs in {seconds:.0f} s: {dict(states)}", flush=True)
        visit.close()


def opened(playwright: Playwright, app: RunningApp) -> Visit:
    """A window on the page, in a browser of its own."""
    return Visit(playwright.chromium.launch(executable_path=browser_path(), args=list(BROWSER_FLAGS)), app.url)


class Fetching:
    """The page, fetched by a thread ten times a second until `end`, which gives the seconds each took."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seconds: list[float] = []
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._fetch)
        self._thread.start()

    def end(self) -> list[float]:
        self._enough.set()
        self._thread.join()
        return self._seconds

    def _fetch(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._enough.wait(0.1):
                begun = time.monotonic()
                client.get(self._url).raise_for_status()
                self._seconds.append(time.monotonic() - begun)


def report(name: str, seconds: list[float]) -> None:
    ordered = sorted(1000 * took for took in seconds)
    print(f"{name:15} {len(ordered):4} GETs: p50 {statistics.median(ordered):.0f} ms, "
          f"p95 {ordered[int(0.95 * (len(ordered) - 1))]:.0f} ms, most {ordered[-1]:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
