"""`kill -9` of the training process, of the page, and of both at random moments: the run goes on or can be resumed,
no file of it is torn, and two pages that start at once give one run.

The page here is what a page does with runs: it starts one, resumes it or finds it going on, and looks at the list all
the time. A few kills with the tests; KILLS=50, or `make kill-train`, for as many as one likes.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
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

KILLS = int(os.environ.get("KILLS", "3"))
VICTIMS = ("worker", "page", "both")
SILENCE_SECONDS = 300.0  # a busy machine needs minutes to load a model; who says nothing for longer hangs
PAGE = """
import json, sys, time
from pathlib import Path
from core.errors import TrainingError
from core.finetune.config import TrainConfig
from core.finetune.runs import Runs
from core.settings import Settings

folder, dataset, config = Path(sys.argv[1]), Path(sys.argv[2]), TrainConfig.from_dict(json.loads(sys.argv[3]))
runs = Runs(Settings(runs_dir=folder))
try:
    newest = next(iter(runs.list()), None)
    if newest is None or newest.state == "finished":
        runs.start(config, dataset)
    elif newest.resumable:
        runs.resume(newest.name)
except TrainingError as error:
    if error.code not in ("train_already_running", "train_not_resumable"):
        raise
while True:
    runs.list()
    time.sleep(0.05)
"""


class Scene:
    """A folder of runs, the pages open on it, and the workers they started."""

    def __init__(self, folder: Path) -> None:
        self.runs = Runs(Settings(runs_dir=folder / "runs"))
        self.dataset = folder / "rows.jsonl"
        write_dataset(self.dataset, [Example(f"pregunta {n}", f"respuesta {n}") for n in range(60)])
        tiny = make_tiny_model(folder / "tiny")
        self.config = TrainConfig(model=str(tiny), epochs=1, batch_size=2, save_steps=1, learning_rate=1e-3)
        self.log = folder / "pages.txt"
        self.pages: list[psutil.Popen] = []

    def open_page(self) -> None:
        command = [sys.executable, "-c", PAGE, str(self.runs.folder), str(self.dataset),
                   json.dumps(self.config.to_dict())]
        with self.log.open("ab") as log:
            self.pages.append(psutil.Popen(command, stdout=log, stderr=subprocess.STDOUT))

    def workers(self) -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline"])
        return [one for one in found if "core.finetune.worker" in (command := one.info["cmdline"] or [])
                and any(part.startswith(str(self.runs.folder)) for part in command)]

    def kill(self, victim: str, dice: random.Random) -> None:
        """Half of the kills fall while pages, libraries and model load, half among steps and checkpoints."""
        if dice.random() < 0.5:
            self.wait(lambda run: run.state not in ("starting", "loading"))
            time.sleep(dice.uniform(0.0, 1.5))
        else:
            time.sleep(dice.uniform(0.0, 8.0))
        if victim == "worker":
            kill(self.workers())
            assert all(page.poll() is None for page in self.pages), self.log.read_text()
        elif victim == "page":
            lives = any(is_locked(run.folder / "worker.lock") for run in self.runs.list())
            kill(self.pages)
            states = [run.state for run in self.runs.list()]
            assert not lives or (self.runs.active() or "finished" in states), states
        else:
            kill(dice.sample([*self.pages, *self.workers()], k=len(self.pages) + len(self.workers())))
            kill(self.workers())  # one that was just being started
        kill(self.pages)
        self.pages.clear()

    def wait(self, done: Callable[[Run], bool]) -> None:
        """Until the newest run is `done`, as long as anything happens."""
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < SILENCE_SECONDS:
            newest = next(iter(self.runs.list()), None)
            if newest is not None and done(newest):
                return
            told = len(self.runs.events(newest.name)) if newest else 0
            if told != seen:
                seen, since = told, time.monotonic()
            time.sleep(0.05)
        raise AssertionError(f"nothing happens: {newest}\n{newest.log_tail if newest else self.log.read_text()}")


def kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(timeout=10)


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


def test_a_run_whose_worker_or_page_is_killed_goes_on_or_is_resumable_and_ends_whole(tmp_path: Path) -> None:
    dice = random.Random(os.environ.get("SEED", "1"))
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(KILLS)]
    dice.shuffle(victims)
    scene = Scene(tmp_path)
    try:
        for victim in victims:
            before = len(scene.runs.list())
            scene.open_page()
            scene.open_page()  # two at once
            scene.kill(victim, dice)
            found = scene.runs.list()
            assert len(found) <= before + 1
            for run in found:
                assert run.alive or run.state in ("interrupted", "finished"), (run.error, run.log_tail)
                if not is_locked(run.folder / "worker.lock"):
                    assert_nothing_torn(run.folder)
        if any(run.state != "finished" for run in scene.runs.list()):
            scene.open_page()
            scene.wait(lambda run: run.state == "finished")
    finally:
        kill([*scene.pages, *scene.workers()])
    for run in scene.runs.list():
        assert run.state == "finished", (run.error, run.log_tail)
        steps = Counter(event["step"] for event in valid_events(read_events(run.folder / "events.jsonl"))
                        if event["event"] == "step")
        assert steps == Counter(range(1, run.plan["total_steps"] + 1))
        assert_nothing_torn(run.folder)
