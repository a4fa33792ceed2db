"""Before a run: will it fit, and how long will it take? A verdict with its numbers.

Arithmetic on the model's blueprint, the memory that is free now, and the speed of this machine or of earlier runs on
it; never torch, so the page's process may call it. Knows nothing of how the training is done.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from core.finetune import blueprints, memory, models, preflight, speed
from core.finetune.config import TrainConfig
from core.finetune.events import read_events
from core.settings import Settings

Verdict = Literal["fits", "tight", "does_not_fit", "unknown"]

# Memory is never used to the last byte: other programs grow, and a system without any left slows down first.
COMFORTABLE = 0.9
# Operations a token and a parameter: once forward, once more for the checkpointed activations, once backward for
# the gradient of the inputs. The frozen weights have no gradient of their own, but are unpacked each time.
OPERATIONS, UNPACKINGS = 6, 3
# In units of `speed.Speed`, fitted on the seconds of a step of the six Llamas of `tests/benchmarks/memory.py` on two
# quiet cores, all within a fifth. Of a layer: calls, and passes over what a token makes in it; of the output head:
# passes over the logits. Products of a layer's sizes take more than their share of those that were measured.
LAYER_CALLS, LAYER_PASSES, HEAD_PASSES, PRODUCTS = 10_000, 40, 140, 1.5
ATTENTION = 16  # operations a pair of tokens and a number of the width: two products, each as often as the others
START_SECONDS = 15.0  # importing and loading


@dataclass(frozen=True)
class Estimate:
    """`need` is None and the verdict "unknown" for a hub model that nobody has asked about yet.

    With "tight" `config` holds the settings that fit, one row at a time; with "fits" the ones asked for.
    """

    verdict: Verdict
    config: TrainConfig
    need: memory.Need | None
    free_bytes: int  # of the GPU, or of the machine without one
    on_gpu: bool
    disk_bytes: int  # the run will take
    disk_free_bytes: int
    steps: int
    seconds: float | None  # None when nothing can be said
    measured: bool  # whether the time comes from a run on this machine
    small_model: str = preflight.SMALL_MODEL  # what to choose when nothing else helps


def assess(config: TrainConfig, settings: Settings, row_tokens: Sequence[int], examples: int) -> Estimate:
    """`row_tokens` are the lengths of a sample of the rows (`Inspection.totals`), `examples` all of them. Without a
    sample every row is taken to fill the length limit, and nothing is said of the time.

    Raises TrainingError train_model_folder_missing.
    """
    gpu = preflight.training_gpu()
    free = (preflight.gpu_free_bytes(gpu) if gpu else None) or psutil.virtual_memory().available
    rows = examples - config.eval_rows(examples)
    steps = -(-rows // (config.batch_size * config.gradient_accumulation)) * config.epochs
    nothing = Estimate(
        "unknown", config, None, free, gpu is not None, 0, preflight.free_disk(settings.runs_dir), steps, None, False
    )
    try:
        model = blueprints.find(config.model, settings.cache_dir)
        weights = memory.weigh(model, config) if model else None
    except (OSError, ValueError, KeyError):
        return nothing
    if model is None or weights is None:
        return nothing
    told = model.config
    machine = memory.CUDA if gpu else memory.CPU
    longest = max(row_tokens, default=config.max_length)
    need = memory.need(told, weights, config, longest, machine)
    verdict: Verdict = "fits"
    if need.total > COMFORTABLE * free:
        smaller = memory.smallest_batch(config)
        less = memory.need(told, weights, smaller, longest, machine)
        if less.total <= free:
            verdict, config, need = "tight", smaller, less
        else:
            verdict = "does_not_fit"
    seconds, measured = duration(told, weights, config, settings, row_tokens, rows) if row_tokens else (None, False)
    # Two checkpoints with the optimizer's memory, the adapter and its published copy.
    disk = weights.adapter * (2 * (2 + 8) + 2 * 2) + 20_000_000
    return replace(
        nothing, verdict=verdict, config=config, need=need, disk_bytes=disk, seconds=seconds, measured=measured
    )


def duration(
    told: dict[str, Any], weights: memory.Weights, config: TrainConfig, settings: Settings,
    row_tokens: Sequence[int], rows: int,
) -> tuple[float | None, bool]:
    """Seconds of the whole run, None when nothing can be said, and whether earlier runs here tell them."""
    known = list(measured_speeds(settings.runs_dir, config.model))
    if known:
        tokens = statistics.fmean(row_tokens) * rows * config.epochs
        return START_SECONDS + tokens / statistics.median(known), True
    machine = speed.known(settings.cache_dir)
    if machine is None:
        return None, False
    batches = math.ceil(rows / config.batch_size) * config.epochs
    tokens = padded(row_tokens, config)
    return START_SECONDS + batches * batch_seconds(told, weights, machine, tokens, tokens / config.batch_size), False


def batch_seconds(told: dict[str, Any], weights: memory.Weights, machine: speed.Speed, tokens: float,
                  row_tokens: float) -> float:
    """Of one batch of so many tokens in rows of `row_tokens`, their padding included."""
    layers = memory.number(told, "num_hidden_layers", "n_layer", default=24)
    hidden = memory.number(told, "hidden_size", "n_embd", "d_model", default=1024)
    logits = tokens * memory.number(told, "vocab_size", default=32000)
    calls = layers * LAYER_CALLS * machine.call
    passes = tokens * layers * memory.layer_elements(told) * LAYER_PASSES + logits * HEAD_PASSES
    products = weights.active * (tokens * OPERATIONS * machine.operation + UNPACKINGS * machine.dequantize)
    pairs = tokens * row_tokens * layers * hidden * ATTENTION * machine.operation
    head = logits * hidden * OPERATIONS * machine.operation32
    return calls + passes * machine.element + PRODUCTS * (products + pairs) + head


def padded(row_tokens: Sequence[int], config: TrainConfig) -> float:
    """Tokens of an average batch with its padding: as many times its longest row as it has rows."""
    lengths = sorted(min(length, config.max_length) for length in row_tokens)
    if config.packing:
        return float(config.batch_size * config.max_length)
    if config.group_by_length or config.batch_size == 1:
        return statistics.fmean(lengths) * config.batch_size
    # The longest of n rows lies on average at the place n / (n + 1) of all.
    place = min(len(lengths) - 1, int(len(lengths) * config.batch_size / (config.batch_size + 1)))
    return float(lengths[place] * config.batch_size)


def measured_speeds(runs_dir: Path, model: str) -> Iterable[float]:
    """Tokens a second of earlier runs of this model on this machine, from what they told."""
    for events in runs_dir.glob("*/events.jsonl"):
        config = models.read_json(events.with_name("config.json"))
        if Path(str(config.get("model"))).name != Path(model).name:
            continue
        steps = [one.get("tokens_per_second") for one in read_events(events) if one["event"] == "step"]
        told = [float(speed) for speed in steps[1:] if speed]  # the first step warms up
        if told:
            yield statistics.median(told)
