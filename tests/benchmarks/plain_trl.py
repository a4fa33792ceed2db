"""The same run as ours, as a plain TRL script: are the losses the same, and what does our page cost?

    python -m tests.benchmarks.plain_trl [--model FOLDER] [--dataset FILE] [--set name=value …] [--rounds 3]
    python -m tests.benchmarks.plain_trl --only-plain RUN      the script alone, on the files of a run

Each round runs the script, ours, ours with length grouping and ours with packing, each in a process of its own and each
round beginning with another, for the machine's mood changes. Prints step losses' largest difference, then medians:
tokens a second and seconds from start to first step. About 6 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from core import processes
from core.finetune.config import TrainConfig, assignments
from core.finetune.dataset import check_dataset, stored_examples, to_rows
from core.finetune.evaluation import held_out_places
from core.finetune.events import read_events

WAYS: dict[str, dict[str, str]] = {
    "script": {}, "ours": {}, "grouped": {"group_by_length": "yes"}, "packed": {"packing": "yes"},
}
SAMPLES = Path(__file__).parents[2] / "core" / "finetune" / "samples" / "taller_en.jsonl"


def plain(run: Path) -> None:
    """The script, as the documentation of TRL and PEFT would have one write it."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    processes.step_back(10)  # as ours does, or the two could not be compared beside other work
    config = TrainConfig.from_dict(json.loads((run / "config.json").read_text(encoding="utf-8")))
    cuda = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        config.model, dtype=torch.bfloat16, device_map={"": 0 if cuda else "cpu"},
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
    )
    model.config.use_cache = False
    tokenizer = AutoTokenizer.from_pretrained(config.model)
    steps: list[dict[str, Any]] = []

    class Clock(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                steps.append({"time": time.time(), "loss": logs["loss"], "tokens": logs["num_tokens"]})

    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(run / "plain"), per_device_train_batch_size=config.batch_size,
            gradient_accumulation_steps=config.gradient_accumulation, learning_rate=config.learning_rate,
            num_train_epochs=config.epochs, optim="paged_adamw_32bit", max_length=config.max_length,
            seed=config.seed, logging_steps=1, bf16=True, use_cpu=not cuda, dataloader_pin_memory=cuda,
            gradient_checkpointing=True, completion_only_loss=True, report_to=[], save_strategy="epoch",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(training_rows(run, config)),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            task_type="CAUSAL_LM", r=config.lora_rank, lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        ),
        callbacks=[Clock()],
    )
    trainer.train()
    trainer.save_model(str(run / "plain" / "adapter"))
    (run / "plain.json").write_text(json.dumps(steps))


def training_rows(run: Path, config: TrainConfig) -> list[dict[str, Any]]:
    """Without those our run holds out."""
    examples = list(stored_examples(run / "dataset.jsonl"))
    keys = [(one.line or -place, hash(one)) for place, one in enumerate(examples, 1)]
    apart = held_out_places(keys, config)
    return [to_rows(one) for place, one in enumerate(examples) if place not in apart]


def make_run(folder: Path, config: TrainConfig, dataset: Path) -> Path:
    folder.mkdir(parents=True)
    check_dataset(dataset, write_to=folder / "dataset.jsonl")
    (folder / "config.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
    return folder


def timed(module: str, *arguments: str) -> float:
    """Starts a program and waits for it; when it was started, in seconds since 1970."""
    started = time.time()
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, capture_output=True)
    return started


def ours(run: Path) -> tuple[list[dict[str, Any]], float]:
    """The steps, and the seconds to the first of them. What comes behind the last is cut short."""
    started = time.time()
    worker = subprocess.Popen([sys.executable, "-m", "core.finetune.worker", str(run)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    while worker.poll() is None:
        if any(one.get("state") == "evaluating" for one in read_events(run / "events.jsonl")):
            (run / "stop").touch()
        time.sleep(1)
    told = [one for one in read_events(run / "events.jsonl") if one["event"] == "step"]
    return told, told[0]["time"] - started


def script(run: Path) -> tuple[list[dict[str, Any]], float]:
    """The same of the plain script, on the files of a run of ours."""
    started = timed("tests.benchmarks.plain_trl", "--only-plain", str(run))
    steps = json.loads((run / "plain.json").read_text())
    return steps, steps[0]["time"] - started


def our_speed(steps: list[dict[str, Any]]) -> float:
    """Tokens a second without the first step, which warms up. Measuring and saving, which the script does not do
    between its steps, do not count."""
    seconds = sum(
        (after["tokens"] - before["tokens"]) / after["tokens_per_second"]
        for before, after in itertools.pairwise(steps)
    )
    return float(steps[-1]["tokens"] - steps[0]["tokens"]) / seconds


def plain_speed(steps: list[dict[str, Any]]) -> float:
    return float(steps[-1]["tokens"] - steps[0]["tokens"]) / (steps[-1]["time"] - steps[0]["time"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path)
    parser.add_argument("--dataset", type=Path, default=SAMPLES)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--only-plain", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.only_plain:
        plain(options.only_plain)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    model = options.model
    if model is None:
        from tests.tiny_model import make_tiny_model

        model = make_tiny_model(folder / "small", hidden_size=256, intermediate_size=512, num_hidden_layers=4)
    asked = {"max_length": "512", **assignments(options.set)}
    config = TrainConfig(model=str(model.resolve()), epochs=1).with_settings(asked)
    speeds: dict[str, list[float]] = {name: [] for name in WAYS}
    first: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(options.rounds):
        losses = {}
        for name in rotated(list(WAYS), number):
            run = make_run(folder / f"{name}-{number}", config.with_settings(WAYS[name]), options.dataset)
            steps, seconds = script(run) if name == "script" else ours(run)
            speeds[name].append(plain_speed(steps) if name == "script" else our_speed(steps))
            first[name].append(seconds)
            losses[name] = [step["loss"] for step in steps]
        apart = max(abs(a - b) for a, b in zip(losses["script"], losses["ours"], strict=True))
        print(f"round {number + 1}: {len(losses['ours'])} steps, losses at most {apart:.2e} apart", flush=True)
    speed, start = ({name: statistics.median(told[name]) for name in told} for told in (speeds, first))
    for name in WAYS:
        print(f"{name}: {speed[name]:.0f} tokens/s, first step after {start[name]:.1f} s")
    print(f"ours / script: tokens/s {speed['ours'] / speed['script']:.3f}, "
          f"first step {start['ours'] / start['script']:.2f}")
    print(f"grouped / ours {speed['grouped'] / speed['ours']:.2f}, packed / ours {speed['packed'] / speed['ours']:.2f}")


def rotated(names: list[str], by: int) -> list[str]:
    place = by % len(names)
    return names[place:] + names[:place]


if __name__ == "__main__":
    main()
