"""What the tab's handlers do with runs on disk and with dropped files, without a browser and without training."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from core.finetune.config import TrainConfig
from core.finetune.runs import Runs
from core.settings import Settings
from tests.ui.made_runs import GOOD, make_run
from ui.finetune_dataset import MAPPED, DatasetEvents, Examples
from ui.finetune_filling import FillingEvents
from ui.finetune_form import SETTINGS, config_of, values_of
from ui.finetune_runs import PARTS, RunEvents, Seen
from ui.finetune_start import Shown, StartEvents
from ui.i18n import translate
from ui.workshop import Engines, Workshop

ENGLISH = gr.Request(request=Request({"type": "http", "headers": [(b"accept-language", b"en")]}))


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Ollama
    settings = Settings(data_dir=tmp_path / "data", runs_dir=tmp_path / "runs", ollama_host="http://127.0.0.1:1",
                        connect_timeout_seconds=2)
    engines = Engines(settings)
    yield SimpleNamespace(settings=settings, engines=engines, runs=Runs(settings),  # type: ignore[misc]
                          default_base_model="m")
    engines.close()


@pytest.fixture
def events(workshop: Workshop) -> RunEvents:
    return RunEvents(workshop, StartEvents(workshop))


def drawn(events: RunEvents, shown: Shown, seen: Seen | None = None) -> tuple[Seen, dict[str, Any]]:
    now, *parts = asyncio.run(events.refresh(seen or Seen(), shown, ENGLISH))
    return now, dict(zip(PARTS, parts, strict=True))


def pressed(act: str, name: str = "", **values: str) -> Any:
    return SimpleNamespace(_data={"act": act, "name": name, **values})


def test_the_newest_run_is_shown_unless_another_is_picked(workshop: Workshop, events: RunEvents) -> None:
    assert "<ol" in drawn(events, Shown())[1]["card"]
    make_run(workshop.settings.runs_dir, "old", batch_size=1)
    make_run(workshop.settings.runs_dir, "new")
    seen, parts = drawn(events, Shown())
    assert "<strong>new</strong>" in parts["card"] and "&lt;b&gt;a line" in parts["log"]["value"]
    assert parts["talk"]["visible"] and not parts["stop"]["visible"] and not parts["resume"]["visible"]
    assert "<strong>old</strong>" in drawn(events, Shown("old"))[1]["card"]
    again, nothing = drawn(events, Shown(), seen)
    assert all(part == gr.skip() for part in nothing.values()) and again == gr.skip()  # nothing changed


def test_a_run_without_an_end_is_interrupted_and_can_be_resumed(workshop: Workshop, events: RunEvents) -> None:
    make_run(workshop.settings.runs_dir, "cut", end="")
    parts = drawn(events, Shown())[1]
    assert parts["resume"]["visible"] and 'class="badge interrupted"' in parts["card"]
    assert 'role="alert"' in parts["card"]


def test_two_runs_are_compared_until_one_is_deleted_which_can_be_undone(workshop: Workshop, events: RunEvents) -> None:
    make_run(workshop.settings.runs_dir, "one")
    make_run(workshop.settings.runs_dir, "two", batch_size=2)
    _, shown, _ = asyncio.run(events.act(pressed("compare", "two"), Shown("one"), ENGLISH))
    assert (shown.run, shown.against) == ("one", "two")
    parts = drawn(events, shown)[1]
    assert "Batch size" in parts["result"] and "train other" in parts["curve"]
    _, shown, _ = asyncio.run(events.act(pressed("delete", "two"), shown, ENGLISH))
    assert shown.against == "" and 'data-act="undo"' in drawn(events, shown)[1]["runs"]
    _, shown, _ = asyncio.run(events.act(pressed("undo", shown.undo), shown, ENGLISH))
    assert shown.run == "two" and shown.undo == ""
    assert {run.name for run in workshop.runs.list()} == {"one", "two"}


def test_a_name_is_changed_and_a_run_that_is_gone_is_told(workshop: Workshop, events: RunEvents) -> None:
    make_run(workshop.settings.runs_dir, "one")
    asyncio.run(events.act(pressed("rename", "one", value=" Mi  modelo "), Shown(), ENGLISH))
    assert workshop.runs.get("one").title == "Mi modelo"
    told, *_ = asyncio.run(events.act(pressed("rename", "../one", value="x"), Shown(), ENGLISH))
    assert translate("en", "error.train_run_not_found", name="../one") in told
    assert asyncio.run(events.act(pressed("format-disk"), Shown(), ENGLISH))[0] == gr.skip()


def test_an_adapter_is_handed_out_as_a_zip_from_the_uploads(workshop: Workshop, events: RunEvents) -> None:
    make_run(workshop.settings.runs_dir, "one")
    _, _, link = asyncio.run(events.act(pressed("zip", "one"), Shown(), ENGLISH))
    assert 'download="one.zip"' in link
    assert list((workshop.settings.data_dir / "uploads" / "exports").glob("*/one.zip"))


def test_run_again_fills_form_and_examples(workshop: Workshop) -> None:
    make_run(workshop.settings.runs_dir, "one", batch_size=2)
    again = FillingEvents(workshop, DatasetEvents(workshop))
    update = asyncio.run(again.again(pressed("again", "one"), ENGLISH))
    assert len(update) == 4 + len(MAPPED) + 1 + len(SETTINGS) + 1
    assert update[0].name == "ej.jsonl" and update[0].report.examples == 1
    assert config_of(update[4 + len(MAPPED):-1]) == TrainConfig(model="m", batch_size=2)
    gone = asyncio.run(again.again(pressed("again", "none"), ENGLISH))
    assert len(gone) == len(update) and "notice error" in gone[-1]


def test_bad_rows_are_skipped_by_choice_alone(workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "ej.jsonl"
    path.write_text(GOOD + "bad\n", encoding="utf-8")
    (tmp_path / "model").mkdir()
    whole = {"config.json": '{"model_type": "llama"}', "tokenizer.json": "{}", "model.safetensors": "x"}
    for name, text in whole.items():
        (tmp_path / "model" / name).write_text(text, encoding="utf-8")
    taken = asyncio.run(DatasetEvents(workshop).take(str(path), ENGLISH))
    examples = taken[0]
    assert examples.report.bad_rows == 1 and taken[2] == gr.update(visible=True, value=False)
    values = values_of(TrainConfig(model=str(tmp_path / "model")))
    told, shown = asyncio.run(StartEvents(workshop).start(ENGLISH, examples, False, Shown(), *values))
    assert translate("en", "error.dataset_bad_rows", name="ej.jsonl", count=1, line=2, good=1) in told
    assert shown == gr.skip() and workshop.runs.list() == []


def test_columns_that_tell_nothing_can_be_picked(workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("frase,traducción\nhola,hello\n", encoding="utf-8")
    dataset = DatasetEvents(workshop)
    taken = asyncio.run(dataset.take(str(path), ENGLISH))
    assert taken[0].columns == ("frase", "traducción") and taken[3]["visible"] and taken[3]["open"]
    picked = {"instruction": "frase", "output": "traducción"}
    mapped = asyncio.run(dataset.map(ENGLISH, taken[0], *(picked.get(name, "") for name in MAPPED)))
    assert mapped[0].report.examples == 1 and "frase → traducción" in mapped[1]


def test_a_model_that_is_not_there_leaves_the_rest_shown(workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "ej.jsonl"
    path.write_text(GOOD, encoding="utf-8")
    dataset = DatasetEvents(workshop)
    examples = asyncio.run(dataset.take(str(path), ENGLISH))[0]

    async def last() -> list[Any]:
        return [update async for update in dataset.look(examples, str(tmp_path / "no"), 1024, ENGLISH)][-1]
    looked, told, preview = asyncio.run(last())
    assert "notice error" in told and "example-row" in preview
    assert looked.error.code == "train_model_folder_missing"


def test_what_was_chosen_while_another_file_was_counted_stays(workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "ej.jsonl"
    path.write_text(GOOD, encoding="utf-8")
    dataset = DatasetEvents(workshop)
    examples = asyncio.run(dataset.take(str(path), ENGLISH))[0]

    async def overtaken() -> list[Any]:
        first = dataset.look(examples, str(tmp_path / "no"), 1024, ENGLISH)
        await anext(first)
        second = [update async for update in dataset.look(Examples(), "", 1024, ENGLISH)]
        return [second, [update async for update in first]]
    assert asyncio.run(overtaken()) == [[[Examples(), "", ""]], []]
