"""The form and the list of the Fine-tune tab in a real browser: examples checked, settings explained and kept, runs
compared, downloaded, deleted."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.finetune_visit import TRAINING_MS, drop, examples, pick_model
from tests.browser.visit import SLOW_MS, Visit
from tests.running_app import RunningApp, wait_for
from tests.ui.made_runs import make_run

pytestmark = pytest.mark.browser


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


def act(visit: Visit, run: str, deed: str) -> None:
    """What the menu of a run in the list offers."""
    row = visit.page.locator(f'#runs tr[data-name="{run}"]')
    row.locator("summary").click()
    row.locator(f"[data-act={deed}]").click()


def is_kept(draft: Path, *, skip_bad: bool, **values: object) -> bool:
    """Whether the form's draft holds these."""
    if not draft.exists():
        return False
    kept = json.loads(draft.read_text(encoding="utf-8"))
    return kept["skip_bad"] is skip_bad and values.items() <= kept["values"].items()
