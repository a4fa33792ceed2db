"""How far the page is behind a model: `python -m tests.benchmarks.chat_lag [--messages 200] [--rate 50]`.

A conversation of so many messages is put into the database and opened in Chromium; then a server in Ollama's place
writes numbered words at `rate` a second. Ten times a second the page is asked which word it shows; the lag is how long
ago that word was due, counted from when the question reached the server.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import statistics
import tempfile
import time
import uuid
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.conftest import BROWSER_FLAGS, browser_path
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp, wait_for
from tests.sample_files import make_pdf

QUESTION = "¿Cada cuánto se revisa la bomba X22?"
FACT = "La bomba X22 debe revisarse cada 220 horas de funcionamiento. El técnico responsable firma cada revisión."
ANSWER = ("La bomba **X22** se revisa cada *220 horas* [1].\n\n| Bomba | Horas |\n|---|---|\n| X21 | 210 |\n"
          "| X22 | 220 |\n\n- Una cosa\n- Otra cosa con `código`\n\n"
          + "Y un párrafo más, que dice poco pero ocupa. " * 6)
WORDS = 500


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--messages", type=int, nargs="+", default=[2, 200])
    options.add_argument("--rate", type=float, default=50.0, help="tokens a second")
    given = options.parse_args()
    with (tempfile.TemporaryDirectory() as folder, OllamaServer({"gpt-oss:20b": {}}) as ollama,
          RunningApp(Path(folder), ollama_url=ollama.url) as app, sync_playwright() as playwright):
        make_pdf(app.docs / "bombas.pdf", [FACT])
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(BROWSER_FLAGS))
        for count in given.messages:
            page = browser.new_page(locale="es-ES")
            page.goto(app.url)
            page.wait_for_selector("#engine .pill.ready", timeout=120_000)
            open_conversation(page, app, ollama, count)
            report(count, given.rate, lags(page, ollama, given.rate))
            page.close()
        browser.close()


def open_conversation(page: Page, app: RunningApp, ollama: OllamaServer, count: int) -> None:
    """One real turn, and as many like it as make `count` messages."""
    ollama.behave(reply=ANSWER, tokens_per_second=0)
    ask(page)
    page.wait_for_selector("#question button.submit-button", timeout=60_000)
    page.wait_for_timeout(500)
    conversation = page.evaluate("sessionStorage.getItem('taller_conversation')")
    db = sqlite3.connect(app.data / "conversations.sqlite3", timeout=10)
    turn = json.loads(db.execute("SELECT content FROM turns WHERE conversation = ?", (conversation,)).fetchone()[0])
    for number in range(count // 2 - 1):
        turn.update(id=uuid.uuid4().hex, question=f"{number}: {QUESTION}")
        db.execute("INSERT INTO turns (id, conversation, state, content, folded) VALUES (?, ?, 'done', ?, '')",
                   (turn["id"], conversation, json.dumps(turn)))
    db.commit()
    db.close()
    page.reload()
    shown = min(count, 100) // 2
    assert wait_for(lambda: page.locator("#messages .user.message").count() == shown, 30)


def lags(page: Page, ollama: OllamaServer, rate: float) -> list[float]:
    """Seconds that the word shown is behind the word due, ten times a second while the answer is written."""
    ollama.behave(tokens_per_second=rate, thinking="", reply=" ".join(f"w{number}" for number in range(WORDS)))
    ask(page)
    assert ollama.wait_until(lambda: ollama.active_chats == 1, seconds=30)
    begin = time.monotonic()
    last = page.locator("#messages .bot.message").last
    written: list[tuple[float, int]] = []
    while page.locator("#question button.stop-button").is_visible() or not written:
        words = re.findall(r"\bw(\d+)\b", last.inner_text())
        if words:
            written.append((time.monotonic(), int(words[-1])))
        page.wait_for_timeout(100)
        if written and written[-1][1] == WORDS - 1:
            break
    page.locator("#question button.submit-button").wait_for(timeout=60_000)
    return [seen - begin - word / rate for seen, word in written]


def ask(page: Page) -> None:
    page.locator("#question textarea").fill(QUESTION)
    page.locator("#question textarea").press("Enter")
    page.locator("#question button.stop-button").wait_for(timeout=30_000)


def report(count: int, rate: float, found: list[float]) -> None:
    in_ms = sorted(1000 * lag for lag in found)
    p95 = in_ms[int(0.95 * (len(in_ms) - 1))]
    print(f"{count:5} messages, {rate:.0f} tokens/s: {len(in_ms)} looks, lag "
          f"p50 {statistics.median(in_ms):.0f} ms, p95 {p95:.0f} ms, most {in_ms[-1]:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
