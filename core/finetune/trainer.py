"""The QLoRA run: a frozen base in 4 bits, a small adapter that learns the dataset, events as it goes.

Runs in the worker's process only. Knows nothing of who started it: it reads the run's folder and writes
there.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import TrainingError
from core.finetune import checkpoints, evaluation, packing, published, targets
from core.finetune.config import TrainConfig
from core.finetune.dataset import stored_examples, to_rows
from core.finetune.events import EventWriter, read_events, valid_events
from core.finetune.loading import Base, load_base, weight_bytes
from core.finetune.progress import Progress, is_follower, peak_memory_bytes, progress_callback

CHECKPOINTS_KEPT = 2
MAX_EVALUATIONS = 20  # points enough to see where the curve turns
# Rows of a smaller file are kept in memory, which starts sooner; larger ones on disk.
IN_MEMORY_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Rows:
    """Each row has `prompt` and `completion` as messages. Of a small dataset nothing is held out."""

    training: Any  # datasets.Dataset
    held_out: list[dict[str, Any]]


def train(
    run: Path, config: TrainConfig, events: EventWriter, before_steps: Callable[[], None], *, resume: bool = False
) -> None:
    """Train, save the adapter and tell whether it helped. `before_steps` is called when from now on the steps
    look for `stop`. With `resume` the run goes on from its last whole checkpoint, or from the start if none.

    Raises TrainingError, and whatever the libraries raise: `failures.explain` tells those.
    """
    checkpoint = prepare_checkpoints(run, resume=resume)
    base = load_base(config)
    rows = read_rows(run, config)
    progress = begin_progress(run, config, events, checkpoint)
    chosen = targets.choose(config, base.model)
    trainer = build_trainer(run, config, base, rows, chosen, progress)
    plan = describe(trainer, rows, config, base, chosen)
    before_steps()
    if resume:
        step = checkpoints.step_of(checkpoint) if checkpoint else 0
        events.write("resumed", step=step, seconds=progress.seconds_before)
    events.write("start", **plan)
    events.write("state", state="training")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if is_follower():
        return
    events.write("state", state="saving")
    saved_bytes = save_adapter(trainer.model, base.tokenizer, run / "adapter", config.model)
    events.write("saved", adapter_bytes=saved_bytes, peak_memory_bytes=peak_memory_bytes())
    if progress.stopped:
        events.write("stopped", step=trainer.state.global_step, seconds=progress.seconds)
        return
    seconds = progress.seconds
    with contextlib.suppress(OSError):  # the adapter is safe in its run; the next one to finish publishes again
        published.publish(run)
    events.write("state", state="evaluating")
    tell_result(run, trainer, base.tokenizer, rows, events)
    shutil.rmtree(run / "cache", ignore_errors=True)
    events.write("finished", final_loss=progress.last_loss, seconds=seconds)


def prepare_checkpoints(run: Path, *, resume: bool) -> Path | None:
    """The checkpoint to go on from."""
    folder = run / "checkpoints"
    checkpoints.remove_torn(folder)
    return checkpoints.last_checkpoint(folder) if resume else None


def begin_progress(run: Path, config: TrainConfig, events: EventWriter, checkpoint: Path | None) -> Progress:
    """Counts on where the checkpoint was written."""
    progress = Progress(events, run / "stop", checkpoints.Pace(config.save_steps, saved_at=0.0))
    if checkpoint is not None:
        done = checkpoints.step_of(checkpoint)
        told = valid_events(read_events(run / "events.jsonl"))
        before = [one for one in told if one["event"] == "step" and one.get("step", 0) <= done]
        if before:
            progress.seconds_before = float(before[-1].get("seconds") or 0.0)
            progress.last_loss = before[-1].get("loss")
    return progress


def read_rows(run: Path, config: TrainConfig) -> Rows:
    """The dataset of the run, read twice rather than held: it may have a million rows."""
    from datasets import Dataset

    path = run / "dataset.jsonl"
    keys = [(example.line or -place, hash(example)) for place, example in enumerate(stored_examples(path), 1)]
    held_out = evaluation.held_out_places(keys, config)

    def training() -> Iterator[dict[str, Any]]:
        for place, example in enumerate(stored_examples(path)):
            if place not in held_out:
                yield to_rows(example)

    if path.stat().st_size <= IN_MEMORY_BYTES:
        rows = Dataset.from_list(list(training()))
    else:
        rows = Dataset.from_generator(training, cache_dir=str(run / "cache"))
    apart = [to_rows(example) for place, example in enumerate(stored_examples(path)) if place in held_out]
    return Rows(rows, apart)


def build_trainer(
    run: Path, config: TrainConfig, base: Base, rows: Rows, chosen: targets.Targets, progress: Progress
) -> Any:
    """TRL's trainer over the rows. Raises TrainingError when no row has an answer left."""
    from datasets import Dataset
    from trl import SFTTrainer
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    length = max_length(config, base.model)
    padded = DataCollatorForLanguageModeling(pad_token_id=base.tokenizer.pad_token_id)
    packed = config.packing and may_pack(base)
    trainer = SFTTrainer(
        model=base.model,
        args=sft_arguments(run, config, base, length, packed=packed),
        train_dataset=rows.training,
        eval_dataset=Dataset.from_list(rows.held_out) if rows.held_out else None,
        processing_class=base.tokenizer,
        peft_config=lora(config, chosen),
        callbacks=[progress_callback(progress)],
    )
    if len(trainer.train_dataset) == 0:
        raise TrainingError("train_all_rows_dropped", max_length=length)
    if base.device.precision == "fp16":
        # The trainer makes the adapter bf16, which the loss scaling of fp16 cannot work with.
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    trainer.add_callback(same_formats(trainer.model))
    if trainer.eval_dataset:
        progress.evaluations = evaluations(config, len(trainer.train_dataset), len(trainer.eval_dataset))
        progress.evaluate = lambda: evaluation.mean_loss(
            evaluation.row_losses(trainer.model, trainer.eval_dataset, padded, config.batch_size)
        )
    return trainer


def same_formats(model: Any) -> Any:
    """Keeps the adapter in the number format it began with: PEFT makes one read from a checkpoint fp32, and the
    losses after it would not be those of a run never interrupted."""
    from transformers import TrainerCallback

    formats = {name: parameter.dtype for name, parameter in model.named_parameters() if parameter.requires_grad}

    class SameFormats(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            for name, parameter in model.named_parameters():
                if name in formats:
                    parameter.data = parameter.data.to(formats[name])

    return SameFormats()


def evaluations(config: TrainConfig, rows: int, held_out_rows: int) -> int:
    """How often to measure: in a twentieth of the time, for a row only read costs a quarter of one learnt."""
    affordable = round(0.05 * rows * config.epochs / (0.25 * held_out_rows))
    return max(1, min(MAX_EVALUATIONS, affordable))


def may_pack(base: Base) -> bool:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    together = DataCollatorForLanguageModeling(pad_token_id=base.tokenizer.pad_token_id, padding_free=True)
    return not packing.leaks(base.model, together)


def sft_arguments(run: Path, config: TrainConfig, base: Base, length: int, *, packed: bool) -> Any:
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(run / "checkpoints"),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup,  # below 1 it is a fraction of all steps
        weight_decay=config.weight_decay,
        num_train_epochs=config.epochs,
        optim=config.optimizer,
        max_length=length,
        packing=packed,
        eval_packing=False,
        train_sampling_strategy="group_by_length" if config.group_by_length and not packed else "random",
        seed=config.seed,
        logging_steps=config.logging_steps,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen
        eval_strategy="no",  # `progress` measures, without drawing random numbers
        save_strategy="no",  # `progress` says when
        save_total_limit=CHECKPOINTS_KEPT,
        bf16=base.device.precision == "bf16",
        fp16=base.device.precision == "fp16",
        use_cpu=base.device.kind == "cpu",
        dataloader_pin_memory=base.device.kind == "cuda",
        gradient_checkpointing=True,
        completion_only_loss=True,
        router_aux_loss_coef=0.0,  # the routers of a mixture of experts stay frozen
        report_to=[],
        disable_tqdm=True,  # the events tell the progress; the log gets plain lines
    )


def max_length(config: TrainConfig, model: Any) -> int:
    """Tokens a row may have: the user's limit, within what the model has positions for."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(config.max_length, positions) if positions else config.max_length


def lora(config: TrainConfig, chosen: targets.Targets) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(chosen.names),
        bias="none",
    )


def describe(trainer: Any, rows: Rows, config: TrainConfig, base: Base, chosen: targets.Targets) -> dict[str, Any]:
    """The values of the `start` event. Rows cut at the limit are those that fill it to the last token."""
    packed = trainer.padding_free
    column = trainer.train_dataset["seq_lengths" if packed else "input_ids"]
    lengths = [length for row in column for length in row] if packed else [len(row) for row in column]
    in_4bit, other = weight_bytes(trainer.model)
    batches = -(-len(column) // (config.batch_size * trainer.args.world_size))
    return {
        "total_steps": -(-batches // config.gradient_accumulation) * config.epochs,
        "rows": len(rows.training) + len(rows.held_out),
        "held_out_rows": len(rows.held_out),
        "dropped_rows": len(rows.training) - len(lengths),
        "shortened_rows": sum(length >= trainer.args.max_length for length in lengths),
        "matched_modules": sum(name.endswith(".lora_A") for name, _ in trainer.model.named_modules()),
        "target_modules": list(chosen.names),
        "missing_modules": list(chosen.missing),
        "device": base.device.name,
        "precision": base.device.precision,
        "bytes_4bit": in_4bit,
        "bytes_other": other,
        "packing": "off" if not config.packing else "on" if packed else "leaks",
    }


def save_adapter(model: Any, tokenizer: Any, target: Path, base: str) -> int:
    """The adapter and its tokenizer in `target`, whole or not at all; returns its bytes.

    The base is named as the user named it, so that the adapter finds it on another machine too.
    """
    partial = target.with_name(target.name + ".partial")
    old = target.with_name(target.name + ".old")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    for adapter in model.peft_config.values():
        adapter.base_model_name_or_path = base
    # The embeddings never change; left to decide, PEFT would ask the hub.
    model.save_pretrained(partial, save_embedding_layers=False)
    tokenizer.save_pretrained(partial)
    if target.exists():
        target.replace(old)
    partial.replace(target)
    shutil.rmtree(old, ignore_errors=True)
    return sum(file.stat().st_size for file in target.iterdir() if file.is_file())


def tell_result(run: Path, trainer: Any, tokenizer: Any, rows: Rows, events: EventWriter) -> None:
    """The `result` event, and the same as result.json. The adapter is saved: a failure here only leaves the
    question open."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    held_out = bool(rows.held_out and trainer.eval_dataset)
    scored = trainer.eval_dataset if held_out else []
    asked = rows.held_out or [rows.training[place] for place in range(min(evaluation.SAMPLES, len(rows.training)))]
    try:
        result = evaluation.evaluate(
            trainer.model, tokenizer, asked, scored,
            DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id),
            trainer.args.per_device_train_batch_size, held_out=held_out, stopped=(run / "stop").exists,
            tell=lambda number, total: events.write("answering", number=number, total=total),
        ).to_dict()
    except Exception:
        traceback.print_exc()
        result = evaluation.UNKNOWN.to_dict()
    partial = run / "result.partial"
    partial.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    partial.replace(run / "result.json")
    events.write("result", **result)
