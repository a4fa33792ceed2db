"""The Fine-tune tab in a real browser: examples checked, a real run on a tiny model followed, reloaded, stopped,
resumed, asked, talked to, kept."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from core.finetune.runs import Runs
from core.settings import Settings
from tests.browser.conftest import OpenVisit
from tests.browser.visit import SLOW_MS, Visit
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp, wait_for
from tests.tiny_model import make_tiny_model
from tests.ui.made_runs import make_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.browser
TRAINING_MS = 120_000  # importing what trains takes most of it
ROWS = 160  # steps enough to stop before the end on a fast machine


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny", num_hidden_layers=1)


@pytest.fixture
def finetune(visit: Visit, library: RunningApp) -> Visit:
    """The tab with an empty form: what an earlier test left there is gone."""
    shutil.rmtree(library.data / "new_run", ignore_errors=True)
    visit.tab("finetune")
    return visit


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


def test_the_sample_examples_are_ready_to_use(finetune: Visit) -> None:
    finetune.page.locator("#use-sample").click()
    expect(finetune.page.locator("#dataset-summary .notice.done")).to_contain_text("taller_es.jsonl")


def test_nothing_starts_without_examples_or_with_a_model_that_is_not_there(finetune: Visit, tmp_path: Path) -> None:
    notices = finetune.page.locator("#training-notices")
    finetune.page.locator("#start-training").click()
    expect(notices).to_have_text(finetune.text("finetune.dataset_first"))
    finetune.page.locator("#use-sample").click()
    expect(finetune.page.locator("#dataset-summary .notice.done")).to_be_visible()
    pick_model(finetune, tmp_path / "nowhere")
    finetune.page.locator("#start-training").click()
    expect(notices).to_have_text(
        finetune.text("error.train_model_folder_missing", model=str(tmp_path / "nowhere")))


def test_a_file_without_a_good_example_says_why(finetune: Visit, tmp_path: Path) -> None:
    path = tmp_path / "malo.jsonl"
    path.write_text("hola\n", encoding="utf-8")
    drop(finetune, path)
    expect(finetune.page.locator("#dataset-summary .notice.error")).to_have_text(
        finetune.text("error.dataset_not_jsonl", name="malo.jsonl"))


def test_columns_whose_names_tell_nothing_are_picked(finetune: Visit, tmp_path: Path) -> None:
    path = tmp_path / "frases.csv"
    path.write_text("frase,traducción\nhola,hello\nadiós,bye\n", encoding="utf-8")
    drop(finetune, path)
    summary = finetune.page.locator("#dataset-summary")
    expect(summary.locator(".notice.error")).to_contain_text("frase, traducción")
    for part, column in (("instruction", "frase"), ("output", "traducción")):
        finetune.page.locator(f"#column-{part} input").click()
        finetune.page.get_by_role("option", name=column).click()
    expect(summary.locator(".notice.done")).to_contain_text("frase → traducción")


def test_settings_are_explained_change_the_verdict_and_go_back_to_the_recipe(finetune: Visit, tiny_model: Path) -> None:
    page = finetune.page
    page.locator("#use-sample").click()
    pick_model(finetune, tiny_model)
    verdict = page.locator("#verdict")
    expect(page.locator("#dataset-lengths .histogram")).to_be_visible(timeout=TRAINING_MS)
    expect(verdict.locator(".notice.done")).to_be_visible(timeout=SLOW_MS)
    expect(verdict).to_contain_text(finetune.text("finetune.as_recipe"))
    expect(page.locator("#dataset-preview pre .trained")).to_be_visible()
    page.locator("#dataset-preview [data-act=next]").click()
    expect(page.locator("#dataset-preview .pager")).to_contain_text("2 de 12")
    page.locator("#advanced > button").click()
    page.locator("#set-max_length input").fill("40")
    page.locator("#set-max_length input").press("Enter")
    expect(page.locator("#dataset-lengths .notice.warn")).to_be_visible()
    expect(verdict).to_contain_text(finetune.text("train_setting.max_length") + ": 40 (1024)")
    page.locator("#set-batch_size input").fill("0")
    expect(verdict.locator(".notice.error")).to_contain_text("batch_size")
    page.locator("#reset-recipe").click()
    expect(verdict).to_contain_text(finetune.text("finetune.as_recipe"))


def test_examples_and_settings_are_found_again_after_a_reload_and_in_another_language(
    finetune: Visit, library: RunningApp, tmp_path: Path
) -> None:
    page, draft = finetune.page, library.data / "new_run" / "draft.json"
    drop(finetune, examples(tmp_path / "ejemplos.jsonl", 12))
    pick_model(finetune, tmp_path / "nowhere")
    page.locator("#skip-bad input").check()
    page.locator("#advanced > button").click()
    page.locator("#set-max_length input").fill("40")
    assert wait_for(lambda: is_kept(draft, skip_bad=True, model=str(tmp_path / "nowhere"), max_length=40), 30)
    finetune.reload()
    for language in ("es", "en"):
        if language != finetune.language:
            finetune.switch_to(language)
        finetune.tab("finetune")
        expect(page.locator("#dataset-summary .notice.done")).to_contain_text(
            f"ejemplos.jsonl · {finetune.text('finetune.rows.many', count=12)}")
        expect(page.locator("#skip-bad input")).to_be_checked()
        expect(page.locator("#base-model input")).to_have_value(str(tmp_path / "nowhere"))
        page.locator("#advanced > button").click()
        expect(page.locator("#set-max_length input")).to_have_value("40")
    assert is_kept(draft, skip_bad=True, model=str(tmp_path / "nowhere"), max_length=40)


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


def test_runs_are_renamed_compared_downloaded_deleted_and_brought_back(
    finetune: Visit, library: RunningApp
) -> None:
    runs = library.folder / "gpt_oss_fine_tuned"
    for name in ("made-one", "made-two"):  # of a try before this one
        shutil.rmtree(runs / name, ignore_errors=True)
    made = [make_run(runs, "made-one"), make_run(runs, "made-two", batch_size=2)]
    page = finetune.page
    page.locator('#runs tr[data-name="made-one"] button.open').click()
    act(finetune, "made-one", "rename")
    page.locator("#runs input.rename").fill("Mi modelo <b>")
    page.keyboard.press("Enter")
    expect(page.locator("#run-status .run-head strong")).to_have_text("Mi modelo <b>")
    act(finetune, "made-two", "compare")
    expect(page.locator("#run-result .differences")).to_contain_text(finetune.text("train_setting.batch_size"))
    expect(page.locator("#loss-curve polyline.train.other")).to_be_visible()
    page.locator("#run-result [data-act=uncompare]").click()
    expect(page.locator("#loss-curve polyline.other")).to_have_count(0)
    with page.expect_download() as download:
        act(finetune, "made-one", "zip")
    assert "made-one/adapter_config.json" in zipfile.ZipFile(download.value.path()).namelist()
    act(finetune, "made-two", "delete")
    expect(page.locator('#runs tr[data-name="made-two"]')).to_have_count(0)
    page.locator("#runs [data-act=undo]").click()
    expect(page.locator('#runs tr[data-name="made-two"]')).to_have_count(1)
    act(finetune, "made-two", "again")
    expect(page.locator("#dataset-summary .notice.done")).to_contain_text("ej.jsonl")
    expect(page.locator("#verdict")).to_contain_text(finetune.text("train_setting.batch_size") + ": 2 (4)")
    for folder in made:
        shutil.rmtree(folder)


def drop(visit: Visit, path: Path) -> None:
    visit.page.set_input_files("#drop-dataset input[type=file]", str(path))


def check_wrong_rows(visit: Visit) -> None:
    summary = visit.page.locator("#dataset-summary")
    expect(summary).to_contain_text(visit.text("finetune.rows.many", count=ROWS))
    expect(summary).to_contain_text(visit.text("error.dataset_line_not_json", line=3))
    expect(summary).to_contain_text(visit.text("error.dataset_line_missing_field", line=7, field="output"))


def act(visit: Visit, run: str, deed: str) -> None:
    """What the menu of a run in the list offers."""
    row = visit.page.locator(f'#runs tr[data-name="{run}"]')
    row.locator("summary").click()
    row.locator(f"[data-act={deed}]").click()


def examples(path: Path, count: int) -> Path:
    """A dataset of `count` good lines; the third line is no JSON, and the seventh lacks its output."""
    lines = [json.dumps({"instruction": f"¿Cuánto es {number} más uno?", "output": f"Es {number + 1}."})
             for number in range(count)]
    lines.insert(2, "{not json")
    lines.insert(6, '{"instruction": "sin respuesta"}')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def pick_model(visit: Visit, folder: Path) -> None:
    field = visit.page.locator("#base-model input")
    field.fill(str(folder))
    field.press("Enter")


def run_name(visit: Visit) -> Locator:
    return visit.page.locator("#run-status .run-head strong")


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


def is_kept(draft: Path, *, skip_bad: bool, **values: object) -> bool:
    """Whether the form's draft holds these."""
    if not draft.exists():
        return False
    kept = json.loads(draft.read_text(encoding="utf-8"))
    return kept["skip_bad"] is skip_bad and values.items() <= kept["values"].items()


def check_adapter(adapter: Path) -> None:
    """It has learnt: LoRA's B matrices, of q, k, v and o of the one layer, begin as zeros."""
    from safetensors.torch import load_file

    learnt = [values for name, values in load_file(adapter / "adapter_model.safetensors").items() if "lora_B" in name]
    assert len(learnt) == 4
    assert all(values.any() for values in learnt)
