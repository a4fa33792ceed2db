"""The Fine-tune tab in a real browser: examples checked, a real run on a tiny model followed, reloaded, stopped,
resumed, asked, talked to, kept."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenVisit
from tests.browser.visit import SLOW_MS, Visit
from tests.running_app import RunningApp
from tests.tiny_model import make_tiny_model
from tests.ui.made_runs import make_run

pytestmark = pytest.mark.browser
TRAINING_MS = 120_000  # importing what trains takes most of it


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def finetune(visit: Visit) -> Visit:
    visit.tab("finetune")
    return visit


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


def test_a_run_is_followed_stopped_resumed_and_talked_to(
    finetune: Visit, open_visit: OpenVisit, library: RunningApp, tiny_model: Path, tmp_path: Path
) -> None:
    page = finetune.page
    drop(finetune, examples(tmp_path / "ejemplos.jsonl", 64))
    check_wrong_rows(finetune)
    pick_model(finetune, tiny_model)
    page.locator("#start-training").click()
    expect(page.locator("#training-notices .error")).to_contain_text("64")  # the bad rows are a choice
    page.locator("#skip-bad input").check()
    page.locator("#start-training").click()

    name = page.locator("#run-status .run-head strong")
    badge = page.locator("#run-status .badge")
    expect(page.locator("#run-status .badge.training")).to_be_visible(timeout=TRAINING_MS)
    expect(page.locator("#loss-curve polyline.train")).to_be_visible(timeout=TRAINING_MS)
    started, step = name.inner_text(), current_step(finetune)
    page.wait_for_function(f"document.querySelector('#run-status progress').value > {step}")
    assert page.locator("#training-log pre").inner_text() != ""

    # The same after a reload, and in another window in another language.
    finetune.reload()
    finetune.tab("finetune")
    expect(name).to_have_text(started)
    other = open_visit("en")
    other.tab("finetune")
    expect(other.page.locator("#run-status .run-head strong")).to_have_text(started)
    expect(other.page.locator("#loss-curve polyline.train")).to_be_visible()

    page.locator("#stop-training").click()
    expect(page.locator("#run-status .badge.stopped")).to_be_visible(timeout=TRAINING_MS)
    stopped_at = current_step(finetune)
    check_adapter(library.folder / "gpt_oss_fine_tuned" / started / "adapter", tiny_model)
    page.locator("#resume-training").click()
    expect(page.locator("#run-status .badge.training")).to_be_visible(timeout=TRAINING_MS)
    assert current_step(finetune) >= stopped_at
    expect(page.locator("#run-status .badge:is(.evaluating, .finished)")).to_be_visible(timeout=TRAINING_MS)
    if page.locator("#stop-training").is_visible():
        page.locator("#stop-training").click()  # one sample answer is enough
    expect(other.page.locator("#run-status .badge.finished")).to_be_visible(timeout=2 * TRAINING_MS)
    expect(badge).to_have_text(finetune.text("finetune.state_finished"))
    other.close()

    expect(page.locator("#run-result .loss-bars")).to_be_visible()
    expect(page.locator("#loss-curve polyline.eval")).to_be_visible()
    page.locator("#both-question textarea").fill("¿Cuánto es 3 más uno?")
    page.locator("#ask-both").click()
    expect(page.locator("#both-answers [role=status]")).to_have_text(
        finetune.text("finetune.both_answered"), timeout=TRAINING_MS)
    page.locator("#talk-to-it").click()
    expect(page.locator("#model input")).to_have_value(re.compile(started))
    finetune.ask("¿Cuánto es 5 más uno?")
    expect(finetune.stop).to_be_hidden(timeout=TRAINING_MS)
    assert finetune.answers.last.inner_text().strip()


def test_runs_are_renamed_compared_downloaded_deleted_and_brought_back(
    finetune: Visit, library: RunningApp
) -> None:
    runs = library.folder / "gpt_oss_fine_tuned"
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
    expect(summary).to_contain_text(visit.text("finetune.rows.many", count=64))
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


def current_step(visit: Visit) -> int:
    return int(visit.page.locator("#run-status progress").get_attribute("value") or 0)


def check_adapter(adapter: Path, base: Path) -> None:
    """The adapter loads with PEFT on its base, and has learnt: LoRA's B matrices begin as zeros."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    learnt = [values for name, values in model.named_parameters() if "lora_B" in name]
    assert len(learnt) == 8  # q, k, v and o of two layers
    assert all(torch.any(values != 0) for values in learnt)
