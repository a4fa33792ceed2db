"""`kill -9` of the training process at random moments: the run is always resumable, and no file of it is torn.

A few kills with the tests; KILLS=50, or `make kill-train`, for as many as one likes.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import psutil

from core.finetune import checkpoints
from core.finetune.config import TrainConfig
from core.finetune.dataset import Example, write_dataset
from core.finetune.events import read_events, valid_events
from core.finetune.run import Run, is_locked
from core.finetune.runs import Runs
from core.settings import Settings
from tests.tiny_model import make_tiny_model

KILLS = int(os.environ.get("KILLS", "2"))
PATIENCE_SECONDS = 300.0


def worker_of(run: Run) -> psutil.Process | None:
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "core.finetune.worker" in command and str(run.folder) in command:
            return process
    return None


def kill_at_random(runs: Runs, run: Run, dice: random.Random) -> None:
    """Half of the kills fall while libraries and model load, half among steps and checkpoints."""
    if dice.random() < 0.5:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while runs.get(run.name).state in ("starting", "loading") and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(dice.uniform(0.0, 1.5))
    else:
        time.sleep(dice.uniform(0.0, 8.0))
    worker = worker_of(run)
    if worker is not None:
        worker.kill()
        psutil.wait_procs([worker], timeout=10)


def assert_nothing_torn(folder: Path) -> None:
    import torch
    from safetensors import safe_open

    json.loads((folder / "config.json").read_text(encoding="utf-8"))
    whole = [folder / "adapter"] if (folder / "adapter").exists() else []
    for checkpoint in checkpoints.whole_checkpoints(folder / "checkpoints"):
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        assert state["global_step"] == checkpoints.step_of(checkpoint)
        for name in ("optimizer.pt", "scheduler.pt"):
            torch.load(checkpoint / name, weights_only=True)
        whole.append(checkpoint)
    for adapter in whole:
        json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        with safe_open(adapter / "adapter_model.safetensors", framework="pt") as file:
            assert all(file.get_tensor(name).isfinite().all() for name in file.keys())  # noqa: SIM118
    if (folder / "result.json").exists():
        json.loads((folder / "result.json").read_text(encoding="utf-8"))


def test_a_run_killed_at_random_moments_is_always_resumable_and_ends_whole(tmp_path: Path) -> None:
    dice = random.Random(os.environ.get("SEED", "1"))
    tiny = make_tiny_model(tmp_path / "tiny")
    write_dataset(tmp_path / "rows.jsonl", [Example(f"pregunta {n}", f"respuesta {n}") for n in range(60)])
    runs = Runs(Settings(runs_dir=tmp_path / "runs"))
    config = TrainConfig(model=str(tiny), epochs=max(2, KILLS), batch_size=2, save_steps=1, learning_rate=1e-3)
    run = runs.start(config, tmp_path / "rows.jsonl")
    try:
        for _ in range(KILLS):
            kill_at_random(runs, run, dice)
            assert not is_locked(run.folder / "worker.lock")
            run = runs.get(run.name)
            assert_nothing_torn(run.folder)
            if run.state == "finished":
                break
            assert run.state == "interrupted" and run.resumable
            run = runs.resume(run.name)
        deadline = time.monotonic() + PATIENCE_SECONDS + 20 * KILLS  # more kills need more epochs to fall into
        while runs.get(run.name).alive and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        left = worker_of(run)
        if left is not None:
            left.kill()
    run = runs.get(run.name)
    assert run.state == "finished", (run.error, run.log_tail)
    steps = Counter(event["step"] for event in valid_events(read_events(run.folder / "events.jsonl"))
                    if event["event"] == "step")
    assert steps == Counter(range(1, run.plan["total_steps"] + 1))
    assert_nothing_torn(run.folder)
