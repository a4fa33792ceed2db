"""Runs: real workers on a tiny model. Each takes a few seconds to import what trains, so they are few."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.errors import TrainingError
from core.finetune import dataset
from core.finetune.config import TrainConfig
from core.finetune.run import Run, is_locked, read_tail
from core.finetune.runs import Runs, model_slug
from core.settings import Settings
from tests.tiny_model import make_tiny_model
from ui import i18n

SAMPLE = Path(dataset.__file__).parent / "samples" / "taller_es.jsonl"
PATIENCE_SECONDS = 120.0
ENDLESS = 500  # epochs: no test waits for them


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(runs_dir=tmp_path_factory.mktemp("work") / "runs")


@pytest.fixture
def runs(settings: Settings) -> Iterator[Runs]:
    """Nothing trains on after a test, also when it failed."""
    each = Runs(settings)
    yield each
    while (left := each.active()) is not None:
        kill_worker(left)


def worker_of(run: Run) -> psutil.Process:
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "core.finetune.worker" in command and str(run.folder) in command:
            return process
    raise AssertionError("the worker is gone")


def kill_worker(run: Run) -> None:
    worker = worker_of(run)
    worker.kill()
    psutil.wait_procs([worker], timeout=10)


def wait(runs: Runs, name: str, done: Callable[[Run], bool]) -> Run:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        run = runs.get(name)
        if done(run):
            return run
        if not run.alive:
            break
        time.sleep(0.05)
    raise AssertionError(f"{run.state} {run.error}\n{run.log_tail}")


def ended(run: Run) -> bool:
    return not run.alive


@pytest.fixture(scope="module")
def finished(settings: Settings, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run: a model without chat template, one bad line, one row whose answer is cut away."""
    plain = tmp_path_factory.mktemp("plain") / "Plain Model"
    shutil.copytree(tiny, plain)
    (plain / "chat_template.jinja").unlink()
    rows = SAMPLE.read_text(encoding="utf-8").splitlines()[:8]
    rows.append(json.dumps({"instruction": "palabra " * 400, "output": "nunca se verá"}))
    rows.append("not json")
    examples = plain.parent / "examples.jsonl"
    examples.write_text("\n".join(rows), encoding="utf-8")
    config = TrainConfig(model=str(plain), epochs=2, max_length=512, learning_rate=1e-2)
    runs = Runs(settings)
    run = wait(runs, runs.start(config, examples, skip_bad_rows=True).name, ended)
    assert run.state == "finished", (run.error, run.log_tail)
    return run


def test_a_run_tells_every_step_and_ends_with_its_loss(finished: Run, settings: Settings) -> None:
    events = Runs(settings).events(finished.name)
    kinds = [event["event"] for event in events]
    assert kinds == ["state", "start", "state", *["step"] * 4, "state", "saved", "state",
                     *["answering"] * 3, "result", "finished"]
    assert [event["state"] for event in events if event["event"] == "state"] == [
        "loading", "training", "saving", "evaluating"]
    assert [step["step"] for step in finished.steps] == [1, 2, 3, 4]
    assert all(step["total"] == 4 and step["loss"] > 0 for step in finished.steps)
    assert all(step["tokens_per_second"] > 0 and step["memory_bytes"] > 0 for step in finished.steps)
    assert events[-1]["final_loss"] == finished.steps[-1]["loss"] < finished.steps[0]["loss"]
    assert finished.steps[0]["learning_rate"] == pytest.approx(1e-2)


def test_a_run_tells_what_was_left_out_and_what_is_in_4_bits(finished: Run) -> None:
    plan = finished.plan
    assert (plan["rows"], plan["dropped_rows"], plan["total_steps"]) == (9, 1, 4)
    assert plan["matched_modules"] == 8  # four layers in each of two blocks
    assert (plan["device"], plan["precision"]) == ("CPU", "bf16") or plan["device"] != "CPU"
    linear_parameters = 2 * (64 * 64 * 2 + 64 * 32 * 2 + 64 * 128 * 3)
    assert linear_parameters // 2 <= plan["bytes_4bit"] < linear_parameters  # with the scales of a tiny model
    assert plan["bytes_other"] > 0
    assert len((finished.folder / "dataset.jsonl").read_text(encoding="utf-8").splitlines()) == 9


def test_the_folder_is_named_by_date_and_model_and_holds_an_absolute_path(finished: Run) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{4}-plain-model", finished.name)
    assert Path(finished.config.model).is_absolute()
    assert (finished.folder / "checkpoints" / "checkpoint-4").is_dir()


def test_the_adapter_loads_and_changes_what_the_model_says(finished: Run, tiny: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert finished.adapter is not None
    base = AutoModelForCausalLM.from_pretrained(tiny)
    tokenizer = AutoTokenizer.from_pretrained(finished.adapter)
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hola"}], tokenize=False)
    assert "### Question:\nHola" in text  # the fallback template went along
    tokens = tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        before = base(tokens).logits
        tuned = PeftModel.from_pretrained(base, str(finished.adapter))
        after = tuned(tokens).logits
    assert tuned.peft_config["default"].base_model_name_or_path == finished.config.model
    newest = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(finished.folder.parent))
    with torch.no_grad():
        assert torch.equal(newest(tokens).logits, after)  # the newest finished one is that of the whole folder
    assert (after - before).abs().max() > 1e-3


def test_a_second_start_is_refused_and_stop_keeps_what_was_learnt(runs: Runs, tiny: Path) -> None:
    config = TrainConfig(model=str(tiny), epochs=ENDLESS)
    run = runs.start(config, SAMPLE)
    assert run.alive
    with pytest.raises(TrainingError, match="train_already_running"):
        Runs(runs.settings).start(config, SAMPLE)
    wait(runs, run.name, lambda now: len(now.steps) >= 2)
    assert (active := runs.active()) is not None
    assert active.name == run.name
    runs.stop(run.name)
    stopped = wait(runs, run.name, ended)
    assert stopped.state == "stopped"
    assert stopped.adapter is not None
    assert len(stopped.steps) < stopped.plan["total_steps"]
    last = runs.events(run.name)[-1]
    assert (last["event"], last["step"]) == ("stopped", stopped.steps[-1]["step"])
    assert (stopped.folder / "checkpoints" / f"checkpoint-{last['step']}").is_dir()
    assert runs.active() is None
    with pytest.raises(TrainingError, match="train_not_running"):
        runs.stop(run.name)


def start_elsewhere(settings: Settings, config: TrainConfig) -> str:
    """Start a run from a process of its own, which ends; the run's name."""
    code = (
        "import json, sys; from pathlib import Path; from core.finetune.config import TrainConfig;"
        "from core.finetune.runs import Runs; from core.settings import Settings;"
        "runs = Runs(Settings(runs_dir=Path(sys.argv[1])));"
        "print(runs.start(TrainConfig.from_dict(json.loads(sys.argv[2])), Path(sys.argv[3])).name)"
    )
    command = [sys.executable, "-c", code, str(settings.runs_dir), json.dumps(config.to_dict()), str(SAMPLE)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_run_outlives_who_started_it_and_a_killed_worker_leaves_it_interrupted(
    runs: Runs, settings: Settings, tiny: Path
) -> None:
    name = start_elsewhere(settings, TrainConfig(model=str(tiny), epochs=ENDLESS))
    run = runs.get(name)
    wait(runs, run.name, lambda now: len(now.steps) >= 1)
    kill_worker(run)
    with (run.folder / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "step", "lo')  # what a line cut by a kill looks like
    dead = runs.get(run.name)
    assert (dead.state, dead.error, dead.adapter) == ("interrupted", ("train_interrupted", {}), None)
    assert dead.resumable
    assert dead.steps
    assert runs.active() is None


def test_a_double_click_gives_one_run_and_stop_before_its_first_step_ends_it_at_once(
    runs: Runs, tiny: Path
) -> None:
    config = TrainConfig(model=str(tiny), epochs=ENDLESS)
    with ThreadPoolExecutor() as pool:
        clicks = [pool.submit(runs.start, config, SAMPLE) for _ in range(3)]
    refused = [click.exception() for click in clicks if click.exception()]
    assert [getattr(error, "code", error) for error in refused] == ["train_already_running"] * 2
    (run,) = (click.result() for click in clicks if not click.exception())
    runs.stop(run.name)
    stopped = wait(runs, run.name, ended)
    assert (stopped.state, stopped.steps, stopped.adapter) == ("stopped", (), None)


def test_without_a_hub_the_run_fails_soon_with_a_sentence(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    before = time.monotonic()
    run = wait(runs, runs.start(TrainConfig(model="Qwen/Qwen3-0.6B"), SAMPLE).name, ended)
    assert time.monotonic() - before < 60
    assert run.state == "failed"
    assert run.error is not None
    code, values = run.error
    assert code == "train_hub_unreachable"
    assert "Qwen/Qwen3-0.6B" in i18n.translate("es", f"error.{code}", **values)
    assert "ConnectError" in run.log_tail


def test_a_worker_that_dies_at_once_is_a_failed_run(
    runs: Runs, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "filelock.py").write_text("raise ImportError('no lock today')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    run = runs.start(TrainConfig(model=str(tiny)), SAMPLE)
    assert run.state == "failed"
    assert run.error == ("train_crashed", {"reason": "ImportError: no lock today"})


@pytest.mark.parametrize("change", [{"model": "/no/such/folder"}, {"epochs": 0}, {"model": "../tiny"}])
def test_what_cannot_work_leaves_no_folder(
    runs: Runs, finished: Run, tiny: Path, change: dict[str, Any]
) -> None:
    before = sorted(runs.folder.iterdir())
    with pytest.raises(TrainingError):
        runs.start(replace(TrainConfig(model=str(tiny)), **change), SAMPLE)
    assert sorted(runs.folder.iterdir()) == before


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../work", "/etc", "a/b", "a\\b", "C:", "x\0y", ".start.lock", "x" * 300, "none\n"],
)
def test_a_name_never_leads_out_of_the_folder(runs: Runs, name: str) -> None:
    for ask in (runs.get, runs.stop, runs.events):
        with pytest.raises(TrainingError, match="train_run_not_found"):
            ask(name)


def test_other_folders_are_no_runs_and_the_newest_run_comes_first(tmp_path: Path) -> None:
    runs = Runs(Settings(runs_dir=tmp_path / "runs"))
    assert runs.list() == []
    for index, name in enumerate(["b-older", "a-newer"]):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        os.utime(folder / "config.json", (index, index))
    (tmp_path / "runs" / "someones-folder").mkdir()
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "config.json").write_text("[1")
    assert [(run.name, run.state) for run in runs.list()] == [
        ("a-newer", "interrupted"), ("b-older", "interrupted")]


def test_events_are_counted_by_line_and_a_torn_one_waits(tmp_path: Path) -> None:
    runs = Runs(Settings(runs_dir=tmp_path))
    folder = tmp_path / "one"
    folder.mkdir()
    path = folder / "events.jsonl"
    path.write_text('{"event": "state", "state": "loading"}\nrubbish\n{"event": "st')
    assert [event["event"] for event in runs.events("one")] == ["state", "torn"]
    path.write_text('{"event": "state", "state": "loading"}\nrubbish\n{"event": "start"}\n')
    assert runs.events("one", after_line=2) == [{"event": "start"}]


def test_the_log_tail_is_bounded_and_progress_bars_show_their_last_state(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert read_tail(log) == ""
    log.write_bytes(b"x" * 200_000 + b"\n" + b"line\n" * 500 + b"\r 10%\r 50%\r100%\r\n\x1b[31mred\x1b[0m\n")
    lines = read_tail(log).splitlines()
    assert len(lines) <= 200
    assert lines[-3:] == ["line", "100%", "red"]


def test_looking_whether_a_lock_is_held_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "worker.lock")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "slug"),
    [("Qwen/Qwen3-0.6B", "qwen3-0.6b"), ("C:\\Models\\Mi Modelo\\", "mi-modelo"), ("ñ/…", "model"),
     ("/x/" + "y" * 90, "y" * 40)],
)
def test_a_slug_is_fit_for_a_folder(model: str, slug: str) -> None:
    assert model_slug(model) == slug
