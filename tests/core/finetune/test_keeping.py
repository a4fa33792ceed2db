"""Keeping runs: names, trash, comparing, handing on, the published adapter, resuming. No model trains here."""

from __future__ import annotations

import csv
import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock

from core.errors import TrainingError
from core.finetune import published
from core.finetune import runs as runs_module
from core.finetune.config import TrainConfig
from core.finetune.dataset import Example, Turn, stored_examples
from core.finetune.exporting import export_zip
from core.finetune.run import Run
from core.finetune.runs import Runs, write_json
from core.settings import Settings
from tests.small_disk import small_disk_at
from ui import i18n
from ui.model_card import model_card

CONFIG = TrainConfig(model="a/b")
CHAT = {"messages": [{"role": role, "content": text} for role, text in
                     [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]]}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Runs whose workers are started in thought only."""
    monkeypatch.setattr(runs_module, "launch", lambda folder, resume=False: None)
    return Runs(Settings(runs_dir=tmp_path / "runs"))


def make_run(runs: Runs, name: str, *events: dict[str, Any], config: TrainConfig = CONFIG, adapter: bool = True,
             **about: Any) -> Path:
    folder = runs.folder / name
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config.to_dict())
    write_json(folder / "about.json", about)
    now = time.time()
    lines = [json.dumps({"time": now, **event}) for event in events]
    (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    if adapter:
        (folder / "adapter").mkdir()
        (folder / "adapter" / "adapter_config.json").write_text(json.dumps({"of": name}))
        (folder / "adapter" / "adapter_model.safetensors").write_text(f"weights of {name}")
        (folder / "adapter" / "README.md").write_text("made by a library")
    return folder


def steps(*losses: float) -> list[dict[str, Any]]:
    return [{"event": "step", "step": number, "total": len(losses), "loss": loss, "learning_rate": 1e-4, "seconds": 1.0}
            for number, loss in enumerate(losses, start=1)]


def finished(at: float = 1.0) -> dict[str, Any]:
    return {"event": "finished", "time": time.time() + at, "final_loss": 1.0, "seconds": 2}


# Names and trash.


def test_a_run_is_renamed_and_gets_its_name_back(runs: Runs) -> None:
    make_run(runs, "one", finished(), dataset={"name": "mío.csv"}, created=1000.0)
    assert runs.get("one").shown_name == "one"
    renamed = runs.rename("one", "  Mi\nprueba\x00 \u202e" + "x" * 200)
    assert renamed.title.startswith("Mi prueba x") and len(renamed.title) == 100
    assert (renamed.dataset, renamed.created) == ({"name": "mío.csv"}, datetime.fromtimestamp(1000))
    assert runs.rename("one", "  ").shown_name == "one"
    with pytest.raises(TrainingError, match="train_run_not_found"):
        runs.rename("../one", "x")


def test_a_deleted_run_can_be_brought_back_until_the_trash_is_emptied(runs: Runs) -> None:
    make_run(runs, "one", *steps(2.0), finished())
    trashed = runs.delete("one")
    assert runs.list() == []
    make_run(runs, "one", finished())  # a namesake came meanwhile
    assert runs.restore(trashed).name == "one-2"
    assert runs.get("one-2").steps[0]["loss"] == 2.0
    runs.empty_trash()
    runs.empty_trash()
    for name in (trashed, "../one", ""):
        with pytest.raises(TrainingError, match="train_run_not_found"):
            runs.restore(name)


def test_a_living_run_is_not_deleted_nor_resumed(runs: Runs) -> None:
    folder = make_run(runs, "one", {"event": "state", "state": "training"})
    with FileLock(folder / "worker.lock"):
        for refuse, code in ((runs.delete, "train_run_alive"), (runs.resume, "train_already_running")):
            with pytest.raises(TrainingError, match=code):
                refuse("one")
    assert folder.is_dir()


# The published adapter.


def published_text(runs: Runs) -> str:
    path = runs.folder / "adapter_model.safetensors"
    return path.read_text() if path.exists() else ""


def test_the_newest_finished_adapter_is_published_also_after_runs_come_and_go(runs: Runs) -> None:
    published.publish(make_run(runs, "one", finished(1)))
    published.publish(make_run(runs, "two", finished(2)))
    make_run(runs, "three", {"event": "stopped", "step": 1, "seconds": 1})
    assert (published_text(runs), published.published_run(runs.folder)) == ("weights of two", "two")
    assert json.loads((runs.folder / "adapter_config.json").read_text()) == {"of": "two"}
    runs.delete("two")
    assert published_text(runs) == "weights of one"
    runs.delete("three")
    trashed = runs.delete("one")
    assert (published_text(runs), published.published_run(runs.folder)) == ("", "")
    runs.restore(trashed)
    assert published_text(runs) == "weights of one"
    assert [run.name for run in runs.list()] == ["one"]


def test_publishing_that_breaks_off_leaves_a_whole_pair(runs: Runs) -> None:
    published.publish(make_run(runs, "one", finished()))
    broken = make_run(runs, "two", finished())
    (broken / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(OSError):
        published.publish(broken)
    assert published_text(runs) == "weights of one"
    assert json.loads((runs.folder / "adapter_config.json").read_text()) == {"of": "one"}
    assert not list(runs.folder.glob("*.partial"))


# Comparing and handing on.


def test_two_runs_are_compared_by_settings_dataset_and_curves(runs: Runs) -> None:
    make_run(runs, "one", *steps(3.0, 2.0), finished(), dataset={"name": "a.csv", "examples": 5})
    make_run(runs, "two", *steps(2.5), finished(), config=replace(CONFIG, lora_rank=8, seed=1))
    compared = runs.compare("one", "two")
    assert [(each.field, each.first, each.second) for each in compared.differences] == [
        ("dataset", "a.csv (5)", ""), ("lora_rank", 16, 8), ("seed", 42, 1)]
    assert (len(compared.first.steps), compared.second.final_loss) == (2, 2.5)


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_an_adapter_is_handed_on_with_card_recipe_and_losses(runs: Runs, tmp_path: Path, language: str) -> None:
    config = replace(CONFIG, model=str(tmp_path / "Secret Folder" / "Mi Modelo"))
    evals = {"event": "eval", "step": 2, "total": 2, "loss": 2.5}
    result = {"event": "result", "verdict": "helped", "base_loss": 3.0, "tuned_loss": 2.5, "rows": 10, "held_out": True,
              "samples": []}
    make_run(runs, "one", *steps(3.0, 2.0), evals, result, finished(), config=config, title="Mi # prueba",
             dataset={"name": "datos.csv", "examples": 100, "bad_rows": 2})
    run = runs.get("one")
    path = export_zip(run, tmp_path / "out" / "one.zip", model_card(language, run))
    with zipfile.ZipFile(path) as bundle:
        names = sorted(bundle.namelist())
        card = bundle.read("one/README.md").decode()
        table = list(csv.reader(io.StringIO(bundle.read("one/losses.csv").decode())))
        assert json.loads(bundle.read("one/training_config.json"))["lora_rank"] == 16
        assert bundle.read("one/adapter_model.safetensors") == b"weights of one"
    assert names == [f"one/{name}" for name in ("README.md", "adapter_config.json", "adapter_model.safetensors",
                                                "losses.csv", "training_config.json")]
    assert table[1:] == [["1", "3.0", "", "0.0001"], ["2", "2.0", "2.5", "0.0001"]]
    assert card.startswith("---\nlibrary_name: peft\n")
    assert "Mi Modelo" in card and "Secret Folder" not in card
    for text in ("datos.csv", "100", "lora_rank", i18n.translate(language, "train_setting.lora_rank")):
        assert text in card
    assert list(path.parent.iterdir()) == [path]


def test_without_an_adapter_there_is_nothing_to_hand_on(runs: Runs, tmp_path: Path) -> None:
    make_run(runs, "one", adapter=False)
    with pytest.raises(TrainingError, match="train_no_adapter"):
        export_zip(runs.get("one"), tmp_path / "one.zip", "")
    assert not list(tmp_path.glob("*.zip*"))


# Starting and resuming.


@pytest.fixture
def ready(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Nothing stands in the way of a start."""
    monkeypatch.setattr(runs_module.preflight, "check", lambda config, settings: None)
    return runs


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


GOOD = {"pregunta": "a", "respuesta": "b"}


def test_bad_rows_are_left_out_by_choice_only(ready: Runs, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mío.jsonl", GOOD, "rubbish", CHAT)
    with pytest.raises(TrainingError) as refused:
        ready.start(CONFIG, path)
    assert refused.value.code == "dataset_bad_rows"
    assert refused.value.values == {"name": "mío.jsonl", "count": 1, "line": 2, "good": 3}
    for language in i18n.LANGUAGES:
        assert i18n.explain(language, refused.value)
    assert [path.name for path in ready.folder.iterdir()] == []
    run = ready.start(CONFIG, path, skip_bad_rows=True, title="Prueba")
    assert run.shown_name == "Prueba"
    assert {name: run.dataset[name] for name in ("name", "format", "rows", "bad_rows", "examples")} == {
        "name": "mío.jsonl", "format": "jsonl", "rows": 3, "bad_rows": 1, "examples": 3}
    assert [example.line for example in stored_examples(run.folder / "dataset.jsonl")] == [1, 3, 3]


def test_a_run_again_takes_settings_and_dataset_as_they_were(ready: Runs, tmp_path: Path) -> None:
    config = replace(CONFIG, lora_rank=8)
    first = ready.start(config, write_rows(tmp_path / "mío.jsonl", GOOD, "rubbish", CHAT), skip_bad_rows=True)
    again, dataset = ready.settings_of(first.name)
    second = ready.start(again, dataset)
    assert (second.config, second.dataset, second.name) == (config, first.dataset, f"{first.name}-2")
    examples = list(stored_examples(second.folder / "dataset.jsonl"))
    assert examples[2] == Example("c", "d", (Turn("user", "a"), Turn("assistant", "b")))
    assert [example.line for example in examples] == [1, 3, 3]


def test_what_a_killed_start_left_is_removed_a_day_later_and_is_no_run(ready: Runs, tmp_path: Path) -> None:
    old, new = ready.folder / ".new-old", ready.folder / ".new-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        write_json(folder / "config.json", CONFIG.to_dict())
    os.utime(old, (1, 1))
    assert ready.list() == []
    ready.start(CONFIG, write_rows(tmp_path / "a.jsonl", GOOD))
    assert new.is_dir() and not old.exists()


@pytest.mark.parametrize("end", [[], [{"event": "stopped", "step": 1, "seconds": 1}],
                                 [{"event": "failed", "code": "train_crashed", "values": {"reason": "x"}}]])
def test_a_run_that_ended_early_goes_on_with_the_settings_it_had(ready: Runs, end: list[dict[str, Any]]) -> None:
    folder = make_run(ready, "one", {"event": "state", "state": "training"}, *steps(3.0), *end)
    (folder / "stop").touch()
    ready.resume("one")
    assert not (folder / "stop").exists()
    assert ready.events("one")[-1]["state"] == "starting"
    assert ready.get("one").config == CONFIG
    with ready._starting():  # someone starts a run just now
        assert ready.get("one").state == "starting"


def test_settings_that_a_checkpoint_cannot_take_are_refused_with_their_list(ready: Runs) -> None:
    make_run(ready, "one", {"event": "state", "state": "training"}, created=1000.0)
    with pytest.raises(TrainingError) as refused:
        ready.resume("one", replace(CONFIG, batch_size=8, seed=1, epochs=9, target_modules=("q_proj",)))
    assert refused.value.code == "train_resume_differs"
    assert refused.value.values["changes"] == (
        "target_modules: q_proj k_proj v_proj o_proj → q_proj, batch_size: 4 → 8, seed: 42 → 1")
    assert ready.get("one").config == CONFIG
    longer = ready.resume("one", replace(CONFIG, epochs=9, save_steps=5))
    assert (longer.config.epochs, longer.config.save_steps) == (9, 5)
    assert longer.created == datetime.fromtimestamp(1000)


def test_a_finished_run_goes_on_only_with_more_epochs(ready: Runs) -> None:
    make_run(ready, "one", *steps(3.0), finished())
    for wanted in (None, replace(CONFIG, epochs=2)):
        with pytest.raises(TrainingError, match="train_not_resumable"):
            ready.resume("one", wanted)
    ready.resume("one", replace(CONFIG, epochs=5))


# Reading.


def test_a_run_that_ended_between_two_looks_is_not_called_interrupted(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(runs, "one", {"event": "state", "state": "training"})
    looked: list[Path] = []

    def ends_meanwhile(path: Path) -> bool:
        if path.name == "worker.lock" and not looked:
            looked.append(path)
            with (folder / "events.jsonl").open("a") as file:
                file.write(json.dumps(finished()) + "\n")
        return False

    monkeypatch.setattr("core.finetune.run.is_locked", ends_meanwhile)
    assert runs.get("one").state == "finished"


@pytest.mark.parametrize(
    ("log", "told_at", "code"),
    [
        ("", None, "train_interrupted"),
        ("Killed\n", None, "train_interrupted"),
        ("OSError: [Errno 28] No space left on device\n", None, "train_interrupted_disk"),
        ("torch.OutOfMemoryError: CUDA out of memory.\n", None, "train_interrupted_memory"),
        ("CUDA out of memory, trying again\n" + "step\n" * 30, None, "train_interrupted"),
        ("", psutil.boot_time() - 60, "train_interrupted_restart"),
    ],
)
def test_an_interrupted_run_tells_why_as_far_as_can_be_seen(
    runs: Runs, log: str, told_at: float | None, code: str
) -> None:
    folder = make_run(runs, "one", {"event": "state", "state": "training", **({"time": told_at} if told_at else {})})
    (folder / "log.txt").write_text(log)
    run = runs.get("one")
    assert (run.state, run.resumable) == ("interrupted", True)
    assert run.error is not None and run.error[0] == code
    for language in i18n.LANGUAGES:
        assert i18n.translate(language, f"error.{code}", **run.error[1])


def test_a_resumed_run_tells_each_step_once(runs: Runs) -> None:
    again = [{**step, "step": number} for step, number in zip(steps(1.5, 1.0), (2, 3), strict=True)]
    make_run(runs, "one", *steps(3.0, 2.0), {"event": "resumed", "step": 1}, *again, finished())
    run = runs.get("one")
    assert [(step["step"], step["loss"]) for step in run.steps] == [(1, 3.0), (2, 1.5), (3, 1.0)]
    assert isinstance(run, Run) and run.final_loss == 1.0


# A full disk.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk_at(tmp_path / "small", kilobytes=300) as folder:
        yield folder


def test_a_full_disk_is_said_in_words_and_leaves_nothing_half_done(
    ready: Runs, small_disk: Path, tmp_path: Path
) -> None:
    on_small = Runs(Settings(runs_dir=small_disk))
    rows = [{"instruction": "palabra " * 100, "output": str(number)} for number in range(1000)]
    with pytest.raises(TrainingError) as refused:
        on_small.start(CONFIG, write_rows(tmp_path / "a.jsonl", *rows))
    assert (refused.value.code, refused.value.values["folder"]) == ("disk_full_writing", str(small_disk))
    assert not [path for path in small_disk.iterdir() if path.is_dir()]
    adapter = make_run(ready, "one", finished()) / "adapter" / "adapter_model.safetensors"
    adapter.write_bytes(bytes(500_000))
    with pytest.raises(TrainingError, match="disk_full_writing"):
        export_zip(ready.get("one"), small_disk / "one.zip", "")
    assert not list(small_disk.glob("one*"))
    name = on_small.start(CONFIG, write_rows(tmp_path / "b.jsonl", GOOD)).name
    (small_disk / "filler").write_bytes(bytes(4096 * (os.statvfs(small_disk).f_bavail)))
    with pytest.raises(TrainingError, match="disk_full_writing"):
        on_small.rename(name, "Otro")
    assert on_small.get(name).shown_name == name


def test_a_list_of_many_long_runs_is_read_once(runs: Runs) -> None:
    for number in range(40):
        make_run(runs, f"run-{number}", *steps(*[2.0] * 2000), finished())
    runs.list()
    started = time.perf_counter()
    assert len(runs.list()) == 40
    assert time.perf_counter() - started < 0.5
    runs.rename("run-7", "Otro")
    assert runs.get("run-7").title == "Otro"
