"""What an open page costs while nothing happens: `python -m tests.benchmarks.idle`.

Shares of one core, of the app's process and of the browser's page, with each tab in front in turn. What a tab has built
stays in the page, so the later figures count the earlier tabs too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

from tests.benchmarks.responsive import opened
from tests.browser.visit import Visit
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp

SECONDS = 10


def main() -> None:
    with (tempfile.TemporaryDirectory() as folder, OllamaServer({"gpt-oss:20b": {}}) as ollama,
          RunningApp(Path(folder), ollama_url=ollama.url) as app, sync_playwright() as playwright):
        visit = opened(playwright, app)
        for tab in ("chat", "documents", "finetune", "chat"):
            visit.tab(tab)
            visit.page.wait_for_timeout(3000)
            served, shown = shares(visit, app)
            print(f"{tab:10} app {served:5.1%}, page in the browser {shown:5.1%}", flush=True)
        visit.close()


def shares(visit: Visit, app: RunningApp) -> tuple[float, float]:
    """Of one core, while the window is left alone: the app's, the page's."""
    pages = [process for process in psutil.Process().children(recursive=True)
             if "--type=renderer" in process.cmdline()]
    before = [spent(app.process), sum(map(spent, pages))]
    visit.page.wait_for_timeout(1000 * SECONDS)
    after = [spent(app.process), sum(map(spent, pages))]
    served, shown = ((now - then) / SECONDS for now, then in zip(after, before, strict=True))
    return served, shown


def spent(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


if __name__ == "__main__":
    main()
