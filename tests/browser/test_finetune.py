"""The Fine-tune tab in a real browser: examples checked, a real run on a tiny model followed, reloaded, kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenVisit
from tests.browser.visit import Visit
from tests.running_app import RunningApp
from tests.tiny_model import make_tiny_model

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
    finetune.page.set_input_files("#drop-dataset input[type=file]", str(path))
    expect(finetune.page.locator("#dataset-summary .notice.error")).to_have_text(
        finetune.text("error.dataset_not_jsonl", name="malo.jsonl"))


def test_a_run_is_followed_through_a_reload_to_an_adapter(
    finetune: Visit, open_visit: OpenVisit, library: RunningApp, tiny_model: Path, tmp_path: Path
) -> None:
    page = finetune.page
    page.set_input_files("#drop-dataset input[type=file]", str(examples(tmp_path / "ejemplos.jsonl", 400)))
    summary = page.locator("#dataset-summary")
    expect(summary).to_contain_text(finetune.text("finetune.rows.many", count=400))
    expect(summary).to_contain_text(finetune.text("error.dataset_line_not_json", line=3))
    expect(summary).to_contain_text(
        finetune.text("error.dataset_line_missing_field", line=7, field="output"))
    pick_model(finetune, tiny_model)
    page.locator("#start-training").click()

    name = page.locator("#run-status .run-head strong")
    expect(page.locator("#run-status .badge.training")).to_be_visible(timeout=TRAINING_MS)
    expect(page.locator("#run-status progress")).to_be_visible(timeout=TRAINING_MS)
    started, step = name.inner_text(), current_step(finetune)
    assert page.locator("#start-training").is_disabled()
    page.wait_for_function(f"document.querySelector('#run-status progress').value > {step}")
    curve = page.locator("#loss-curve :is(svg, canvas)").first
    curve.wait_for()
    chart, block = curve.bounding_box(), page.locator("#loss-curve").bounding_box()
    assert chart is not None and block is not None and chart["height"] > 150
    assert chart["y"] + chart["height"] <= block["y"] + block["height"]  # nothing of it is cut off
    assert page.locator("#training-log pre").inner_text() != ""

    finetune.open()
    finetune.tab("finetune")
    expect(page.locator("#run-status .badge.training")).to_be_visible()
    expect(name).to_have_text(started)
    other = open_visit("en")
    other.tab("finetune")
    expect(other.page.locator("#run-status .run-head strong")).to_have_text(started)

    # It has learnt enough: it is stopped, and keeps that.
    page.locator("#stop-training").click()
    page.wait_for_selector("#run-status .badge:is(.stopped, .finished)", timeout=TRAINING_MS)
    saved = finetune.text("finetune.saved", folder=f"gpt_oss_fine_tuned/{started}/adapter")
    expect(page.locator("#run-status")).to_contain_text(saved)
    expect(page.locator("#start-training")).to_be_enabled()
    check_adapter(library.folder / "gpt_oss_fine_tuned" / started / "adapter", tiny_model)
    assert finetune.problems == []


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
