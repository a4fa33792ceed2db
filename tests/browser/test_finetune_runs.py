"""Training runs in a real browser: one on a tiny model followed, reloaded, stopped, resumed, asked and talked to, and
one that goes on while its page dies and comes back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from core.finetune.runs import Runs
from core.settings import Settings
from tests.browser.conftest import OpenVisit
from tests.browser.finetune_visit import TRAINING_MS, drop, examples, pick_model, run_name
from tests.browser.visit import Visit
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
ROWS = 160  # steps enough to stop before the end on a fast machine


@pytest.fixture
def own_app(ollama_server: OllamaServer, tmp_path: Path) -> Iterator[RunningApp]:
    """An app to be started by the test; a run that still goes on at its end is stopped."""
    app = RunningApp(tmp_path, ollama_url=ollama_server.url)
    yield app
    runs = Runs(Settings(data_dir=app.data, runs_dir=tmp_path / "gpt_oss_fine_tuned"))
    going_on = runs.active()
    if going_on is not None:
        runs.stop(going_on.name)
        assert wait_for(lambda: runs.active() is None, TRAINING_MS / 1000)


def test_a_run_goes_on_when_the_app_is_killed_or_closed_and_started_anew(
    chromium_browser: Browser, own_app: RunningApp, tiny_model: Path, tmp_path: Path
) -> None:
    with own_app as app:
        window = Visit(chromium_browser, app.url)
        window.tab("finetune")
        drop(window, examples(tmp_path / "ejemplos.jsonl", 64))
        window.page.locator("#skip-bad input").check()
        pick_model(window, tiny_model)
        window.page.locator("#advanced > button").click()
        window.page.locator("#set-epochs input").fill("500")
        window.page.locator("#start-training").click()
        expect(window.page.locator("#loss-curve polyline.train")).to_be_visible(timeout=TRAINING_MS)
        started = run_name(window).inner_text()
        app.kill()
    with own_app:
        expect_going_on(window, started)
    with own_app:
        expect_going_on(window, started)
        window.close()


def test_a_run_is_followed_stopped_resumed_and_talked_to(
    finetune: Visit, open_visit: OpenVisit, library: RunningApp, tiny_model: Path, tmp_path: Path
) -> None:
    page, status = finetune.page, finetune.page.locator("#run-status")
    drop(finetune, examples(tmp_path / "ejemplos.jsonl", ROWS))
    check_wrong_rows(finetune)
    pick_model(finetune, tiny_model)
    page.locator("#start-training").click()
    expect(page.locator("#training-notices .error")).to_contain_text(str(ROWS))  # the bad rows are a choice
    page.locator("#skip-bad input").check()
    page.locator("#start-training").click()
    expect(page.locator("#loss-curve polyline.train")).to_be_visible(timeout=TRAINING_MS)
    started = run_name(finetune).inner_text()
    # Stopped at once, before its end on the fastest machine; the same run after a reload.
    page.locator("#stop-training").click()
    finetune.reload()
    finetune.tab("finetune")
    expect(run_name(finetune)).to_have_text(started)
    expect(status.locator(".badge.stopped")).to_be_visible(timeout=TRAINING_MS)
    expect(page.locator("#training-log pre")).not_to_be_empty()
    stopped_at = current_step(finetune)
    check_adapter(library.folder / "gpt_oss_fine_tuned" / started / "adapter")

    # Resumed, and seen in another window in another language.
    page.locator("#resume-training").click()
    other = open_visit("en")
    other.tab("finetune")
    expect(run_name(other)).to_have_text(started)
    expect(other.page.locator("#loss-curve polyline.train")).to_be_visible()
    finetune.reload()
    finetune.tab("finetune")
    expect(run_name(finetune)).to_have_text(started)
    expect(status.locator(".badge:is(.training, .evaluating, .finished)")).to_be_visible(timeout=TRAINING_MS)
    assert current_step(finetune) >= stopped_at
    expect(status.locator(".badge:is(.evaluating, .finished)")).to_be_visible(timeout=TRAINING_MS)
    if page.locator("#stop-training").is_visible():
        page.locator("#stop-training").click()  # one sample answer is enough
    expect(other.page.locator("#run-status .badge.finished")).to_be_visible(timeout=TRAINING_MS)
    expect(status.locator(".badge")).to_have_text(finetune.text("finetune.state_finished"))
    other.close()

    expect(page.locator("#run-result .loss-bars")).to_be_visible()
    expect(page.locator("#loss-curve polyline.eval")).to_be_visible()
    page.locator("#both-question textarea").fill("¿Cuánto es 3 más uno?")
    page.locator("#ask-both").click()
    expect(page.locator("#both-answers [role=status]")).to_have_text(
        finetune.text("finetune.both_answered"), timeout=2 * TRAINING_MS)
    page.locator("#talk-to-it").click()
    expect(page.locator("#model input")).to_have_value(re.compile(started))
    finetune.ask("¿Cuánto es 5 más uno?")
    expect(finetune.stop).to_be_hidden(timeout=TRAINING_MS)
    assert finetune.answers.last.inner_text().strip()


def check_wrong_rows(visit: Visit) -> None:
    summary = visit.page.locator("#dataset-summary")
    expect(summary).to_contain_text(visit.text("finetune.rows.many", count=ROWS))
    expect(summary).to_contain_text(visit.text("error.dataset_line_not_json", line=3))
    expect(summary).to_contain_text(visit.text("error.dataset_line_missing_field", line=7, field="output"))


def current_step(visit: Visit) -> int:
    return int(visit.page.locator("#run-status progress").get_attribute("value") or 0)


def wait_for_step(visit: Visit, step: int) -> None:
    visit.page.wait_for_function(f"document.querySelector('#run-status progress')?.value >= {step}",
                                 timeout=TRAINING_MS)


def expect_going_on(visit: Visit, run: str) -> None:
    """A page opened anew shows the run where it is, and the form it was started with."""
    visit.page.goto(visit.url)
    visit.tab("finetune")
    expect(run_name(visit)).to_have_text(run)
    expect(visit.page.locator("#run-status .badge.training")).to_be_visible()
    wait_for_step(visit, current_step(visit) + 1)
    expect(visit.page.locator("#dataset-summary .notice.done")).to_contain_text("ejemplos.jsonl")


def check_adapter(adapter: Path) -> None:
    """It has learnt: LoRA's B matrices, of q, k, v and o of the one layer, begin as zeros."""
    from safetensors.torch import load_file

    learnt = [values for name, values in load_file(adapter / "adapter_model.safetensors").items() if "lora_B" in name]
    assert len(learnt) == 4
    assert all(values.any() for values in learnt)
