"""Every way an engine can fail, seen in the page: the sentence in both languages, and what was written kept.

The app here loses patience within seconds. The faults of one engine are walked through in one conversation; then the
page's language is switched, and every answer tells the same in the other one.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from core.engines.config import FILE_NAME
from tests.browser.visit import SLOW_MS, Visit
from tests.ollama_chat import Behaviour
from tests.ollama_server import OllamaServer
from tests.openai_server import OpenAIServer
from tests.running_app import RunningApp, free_port

pytestmark = pytest.mark.browser
PATIENCE_SECONDS = 2
PATIENCE = {"first_token_timeout_seconds": PATIENCE_SECONDS, "token_timeout_seconds": PATIENCE_SECONDS}
MODEL, BIG = "gpt-oss:20b", "llama-3.3-70b"
KEY = "a-very-secret-key"
LOADING_MS = 180_000  # torch is imported in it, on a busy machine too
PARTIAL = "Esto es lo que dio tiempo a"  # the first half of each reply
REPLY = f"{PARTIAL} escribir antes de que pasara algo malo."


@dataclass
class Faults:
    """A conversation in which one thing after another goes wrong."""

    visit: Visit
    seen: list[tuple[str, bool, dict[str, Any]]] = field(default_factory=list)  # code, whether words came, values

    def expect(self, code: str, *, partial: bool = False, **values: Any) -> None:
        """Ask, and be told of it."""
        self.visit.ask(self.visit.text("chat.example_1"))
        self.seen.append((code, partial, values))
        self._expect(len(self.seen) - 1)
        self.visit.wait_for_answer()

    def expect_in(self, language: str) -> None:
        """All of it, in another language."""
        self.visit.switch_to(language)
        expect(self.visit.answers).to_have_count(len(self.seen))
        for number in range(len(self.seen)):
            self._expect(number)

    def _expect(self, number: int) -> None:
        code, partial, values = self.seen[number]
        answer = self.visit.answers.nth(number)
        expect(answer).to_contain_text(self.visit.text(f"error.{code}", **values), timeout=SLOW_MS)
        if partial:
            expect(answer).to_contain_text(PARTIAL)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    url = f"http://127.0.0.1:{free_port()}"
    with RunningApp(tmp_path_factory.mktemp("hasty"), ollama_url=url, settings=PATIENCE) as running:
        yield running


@pytest.fixture
def ollama(hasty: RunningApp) -> Iterator[OllamaServer]:
    with ollama_of(hasty) as server:
        yield server


def ollama_of(app: RunningApp) -> OllamaServer:
    behaviour = Behaviour(reply=REPLY)
    return OllamaServer({MODEL: {"family": "gptoss"}}, int(app.ollama_url.rpartition(":")[2]), behaviour)


def test_every_fault_of_ollama_is_told_in_both_languages(
    hasty: RunningApp, chromium_browser: Browser, ollama: OllamaServer
) -> None:
    visit = Visit(chromium_browser, hasty.url)
    visit.pick(f"Ollama · {MODEL}")
    faults = Faults(visit)
    stopped = "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, " \
              "check ollama server logs for details"
    host: dict[str, Any] = {"host": ollama.url}
    for fault, code, partial, values in (
        ("stall_before", "engine_timeout", False, {"seconds": PATIENCE_SECONDS}),
        ("stall_middle", "engine_timeout", True, {"seconds": PATIENCE_SECONDS}),
        ("break_middle", "engine_broken_stream", True, {}),
        ("error_in_stream", "engine_refused", True, {"detail": stopped}),
        ("out_of_memory", "engine_out_of_memory", False, {"model": MODEL}),
        ("context_overflow", "engine_context_too_small", False, {"num_ctx": 8192}),
        ("not_json", "engine_bad_answer", False, {}),
        ("unauthorized", "engine_unauthorized", False, host),
    ):
        ollama.behave(fault=fault)
        faults.expect(code, partial=partial, **values)
    ollama.behave(fault="none")
    model = ollama.models.pop(MODEL)
    faults.expect("engine_model_missing", model=MODEL)
    ollama.models[MODEL] = model
    ollama.stop()
    faults.expect("engine_unreachable", **host)
    assert ollama.active_chats == 0
    with ollama_of(hasty):
        faults.expect_in("en")
    assert visit.problems == []
    visit.close()


def test_a_server_of_ones_own_is_entered_asked_and_its_faults_told_while_its_key_is_nowhere(
    hasty: RunningApp, chromium_browser: Browser, ollama: OllamaServer
) -> None:
    visit = Visit(chromium_browser, hasty.url)
    page = visit.page
    visit.engine_drawer("other-server")
    address, secret = page.locator("#server-url input, #server-url textarea"), page.locator("#server-key input")
    told = page.locator("#server-notices")
    with OpenAIServer([{"id": BIG, "max_model_len": 16384}], key=KEY) as server:
        server.behave(reply=REPLY)
        for written, key, sentence in (
            ("http://127.0.0.1:9", "", visit.text("error.engine_server_unreachable", host="http://127.0.0.1:9/v1")),
            (server.url, "wrong-key-words", visit.text("error.engine_server_key", status=401)),
            (server.url, KEY, visit.text("engines.server_saved.one", count=1)),
            (f"{server.url}/v1/", KEY, visit.text("engines.server_saved.one", count=1)),
        ):
            address.fill(written)
            secret.fill(key)
            page.locator("#server-save").click()
            expect(told).to_contain_text(sentence)
        expect(address).to_have_value(f"{server.url}/v1")
        expect(secret).to_have_value("")
        page.locator("#models-panel .drawer-close").first.click()
        visit.pick(BIG)
        visit.ask(visit.text("chat.example_1"))
        expect(visit.answers.last).to_contain_text(REPLY)
        visit.wait_for_answer()
        visit.page.locator("#new-conversation").click()
        expect(visit.answers).to_have_count(0)
        faults = Faults(visit)
        refused = {"detail": "the engine core has died"}
        for fault, code, partial, values in (
            ("break_middle", "engine_broken_stream", True, {}),
            ("error_in_stream", "engine_server_refused", True, refused),
            ("not_json_middle", "engine_server_bad_answer", True, {}),
            ("overloaded", "engine_server_busy", False, {"detail": "HTTP 503: Loading model"}),
        ):
            server.behave(fault=fault)
            faults.expect(code, partial=partial, **values)
        server.behave(fault="none")
        server.key = "another"
        faults.expect("engine_server_key", status=401)
        server.key, models = KEY, server.models
        server.models = []
        faults.expect("engine_server_model_missing", model=BIG)
        server.models = models
        faults.expect_in("en")
        shown = page.content()
        assert {headers["Authorization"] for path, headers, _ in server.requests} >= {f"Bearer {KEY}"}
    saved = hasty.data / FILE_NAME
    assert KEY in saved.read_text()
    assert sys.platform == "win32" or stat.S_IMODE(saved.stat().st_mode) == 0o600
    others = [file for file in hasty.folder.rglob("*") if file.is_file() and file != saved]
    assert not [file for file in others if KEY.encode() in file.read_bytes()]
    assert KEY not in shown
    assert visit.problems == []
    visit.close()


def test_a_model_of_this_machine_that_is_killed_in_the_middle_keeps_what_it_wrote(
    app: RunningApp, visit: Visit, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.tiny_model import make_tiny_model

    folder = make_tiny_model(tmp_path_factory.mktemp("tiny") / "model", max_position_embeddings=8192)
    visit.engine_drawer("embedded-models")
    place = visit.page.locator("#embedded-place input, #embedded-place textarea")
    place.fill(str(folder))
    place.press("Enter")
    expect(visit.page.locator("#embedded-shelf")).to_contain_text(str(folder))
    visit.page.locator("#models-panel .drawer-close").first.click()
    visit.pick(str(folder))
    visit.ask(visit.text("chat.example_1"))
    expect(visit.page.locator("#messages .bot.message .status")).to_have_count(0, timeout=LOADING_MS)
    child = next(process for process in app.children() if "core.engines.generation_server" in process.cmdline())
    child.kill()
    before, after = visit.text("error.engine_embedded_died", detail="¦").split("¦")
    expect(visit.answers.last).to_contain_text(before, timeout=SLOW_MS)
    told = visit.answers.last.inner_text()
    assert after in told and len(told) > len(before + after) + 20
    visit.wait_for_answer()
