"""The panel of Ollama's models in a real browser: a download through reloads and windows, a deletion, a phone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, expect

from core.settings import Settings
from tests.browser.visit import DESKTOP, Visit
from tests.ollama_server import OllamaServer
from tests.running_app import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
PHONE = (390, 844)
MEGABYTE = 1_000_000
MODELS: dict[str, dict[str, Any]] = {"gpt-oss:20b": {"family": "gptoss", "size": 13_780 * MEGABYTE}, "old:1b": {}}
HOSTILE = "x<img/src=http://tracker.invalid/y>:1b"
CATALOGUE: dict[str, dict[str, Any]] = {"qwen3:4b": {"size": 2500 * MEGABYTE, "family": "qwen3"}}


@dataclass
class Panel:
    url: str
    server: OllamaServer


@pytest.fixture
def panel() -> Iterator[Panel]:
    """The panel alone on a page, beside an Ollama that takes its time."""
    import gradio as gr
    from starlette.middleware import Middleware

    from ui import models_panel
    from ui.every_second import EverySecond
    from ui.feedback import page_texts
    from ui.first_script import FirstScript
    from ui.page import head, style, theme
    from ui.workshop import Engines

    with OllamaServer(models=MODELS, catalogue=CATALOGUE) as server:
        server.behave(pull_bytes_per_second=200.0 * MEGABYTE)
        engines = Engines(Settings(ollama_host=server.url))
        with gr.Blocks(analytics_enabled=False) as page:
            every_second = EverySecond()
            models_panel.build(SimpleNamespace(engines=engines), every_second)  # type: ignore[arg-type]
            every_second.wire()
        _, url, _ = page.launch(
            server_name="127.0.0.1", server_port=free_port(), quiet=True, prevent_thread_lock=True, ssr_mode=False,
            footer_links=[], run_history=False, i18n=page_texts(), theme=theme(), css=style(),
            app_kwargs={"middleware": [Middleware(FirstScript, html=head())]})
        yield Panel(url, server)
        page.close()
        engines.close()


class Window(Visit):
    def wait_until_ready(self) -> None:
        self.page.wait_for_selector("#models-installed .model")

    def model(self, name: str) -> Locator:
        return self.page.locator("#models-installed .model").filter(has=self.page.get_by_text(name, exact=True))

    @property
    def pulls(self) -> Locator:
        return self.page.locator("#model-pulls .pull")


def test_a_download_lives_through_a_reload_and_shows_in_every_window(panel: Panel, chromium_browser: Browser) -> None:
    here = Window(chromium_browser, panel.url, "en", DESKTOP)
    there = Window(chromium_browser, panel.url, "es", PHONE)
    here.page.locator("#pull-name textarea, #pull-name input").fill("ollama pull qwen3:4b")
    here.page.locator("#pull-start").click()
    expect(here.pulls.locator("progress[value]")).to_be_visible()
    expect(here.pulls).to_contain_text("of 2.5 GB")
    expect(there.pulls).to_contain_text("de 2,5 GB")
    here.reload()
    expect(here.pulls).to_contain_text("MB/s")
    assert there.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    there.pulls.get_by_role("button", name=there.text("models.cancel_model", model="qwen3:4b")).click()
    expect(here.pulls).to_contain_text(here.text("models.state_cancelled"))
    assert panel.server.wait_until(lambda: panel.server.counters.cancelled_pulls == 1, 1)
    panel.server.behave(pull_bytes_per_second=0)
    here.pulls.get_by_role("button", name=here.text("models.again_model", model="qwen3:4b")).click()
    expect(here.model("qwen3:4b")).to_be_visible()
    expect(there.model("qwen3:4b")).to_be_visible()
    expect(there.pulls).to_contain_text(there.text("models.state_done"))
    assert here.problems == there.problems == []
    here.close()
    there.close()


def test_a_model_is_deleted_only_after_a_yes(panel: Panel, chromium_browser: Browser) -> None:
    visit = Window(chromium_browser, panel.url)
    ask = visit.page.get_by_role("button", name=visit.text("models.delete", model="old:1b"), exact=True)
    ask.click()
    visit.model("old:1b").get_by_role("button", name=visit.text("models.delete_no")).click()
    expect(visit.model("old:1b").locator(".decision")).to_have_count(0)
    ask.click()
    visit.model("old:1b").get_by_role("button", name=visit.text("models.delete_yes"), exact=True).click()
    expect(visit.model("old:1b")).to_have_count(0)
    expect(visit.page.locator("#model-notices")).to_contain_text(visit.text("models.deleted", model="old:1b"))
    assert "old:1b" not in panel.server.models
    assert visit.problems == []
    visit.close()


def test_errors_are_sentences_and_hostile_names_are_text(panel: Panel, chromium_browser: Browser) -> None:
    panel.server.models[HOSTILE] = {"parameters": "<script>window.stolen=1</script>"}
    visit = Window(chromium_browser, panel.url, "en")
    expect(visit.model(HOSTILE)).to_be_visible()
    field = visit.page.locator("#pull-name textarea, #pull-name input")
    field.fill("two words")
    field.press("Enter")
    expect(visit.page.locator("#model-notices [role=alert]")).to_contain_text("is not the name of a model")
    field.fill("nobody:1b")
    field.press("Enter")
    expect(visit.pulls.and_(visit.page.get_by_role("alert"))).to_contain_text("There is no model “nobody:1b”")
    expect(visit.page.locator("#model-notices [role=alert]")).to_have_count(0)
    assert visit.page.evaluate("window.stolen") is None
    assert visit.problems == []
    visit.close()
