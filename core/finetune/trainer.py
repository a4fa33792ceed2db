"""The QLoRA run: a frozen base in 4 bits, a small adapter that learns the dataset, events as it goes.

Runs in the worker's process only. Knows nothing of who started it: it reads the run's folder and writes
there.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import TrainingError
from core.finetune import models
from core.finetune.config import TrainConfig
from core.finetune.dataset import Example, read_dataset, to_rows
from core.finetune.events import EventWriter
from core.finetune.progress import Progress, progress_callback

# For tokenizers that bring no chat template. The prompt alone must be the beginning of prompt and answer
# together, for that is how the trainer finds where the answer starts.
PLAIN_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}### Answer:\n{{ message['content'] }}{{ eos_token }}\n"
    "{% elif message['role'] == 'user' %}### Question:\n{{ message['content'] }}\n\n"
    "{% else %}{{ message['content'] }}\n\n{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}### Answer:\n{% endif %}"
)


@dataclass(frozen=True)
class Device:
    kind: str  # "cuda" or "cpu"
    precision: str  # "bf16" or "fp16"
    name: str


@dataclass(frozen=True)
class Base:
    """The frozen model, ready to take an adapter."""

    model: Any
    tokenizer: Any
    device: Device


def train(run: Path, config: TrainConfig, events: EventWriter, before_steps: Callable[[], None]) -> None:
    """Train and save the adapter. `before_steps` is called when from now on the steps look for `stop`.

    Raises TrainingError, and whatever the libraries raise: `failures.explain` tells those.
    """
    base = load_base(config)
    examples = read_dataset(run / "dataset.jsonl").examples
    progress = Progress(events, run / "stop", started=time.monotonic())
    trainer = build_trainer(run, config, base, examples, progress)
    plan = describe(trainer, len(examples), config, base.device)
    before_steps()
    events.write("start", **plan)
    events.write("state", state="training")
    trainer.train()
    events.write("state", state="saving")
    saved_bytes = save_adapter(trainer.model, base.tokenizer, run / "adapter", config.model)
    events.write("saved", adapter_bytes=saved_bytes)
    seconds = round(time.monotonic() - progress.started, 1)
    if progress.stopped:
        events.write("stopped", step=trainer.state.global_step, seconds=seconds)
    else:
        events.write("finished", final_loss=progress.last_loss, seconds=seconds)


def load_base(config: TrainConfig) -> Base:
    source = models.fetch(config.model)
    device = choose_device(config, source)
    return Base(load_model(source, config, device), load_tokenizer(source), device)


def choose_device(config: TrainConfig, source: models.ModelFolder) -> Device:
    """A CUDA GPU where torch finds one, else the processor; bf16 wherever it is real, else fp16.

    Raises TrainingError train_precision_unsupported: fp16 works on CUDA only and overflows in gpt-oss.
    """
    import torch

    cuda = torch.cuda.is_available()
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else True
    supported = [name for name, usable in (("bf16", bf16), ("fp16", cuda)) if usable]
    if source.model_type == "gpt_oss":
        supported = [name for name in supported if name == "bf16"]
    wanted = supported[:1] if config.precision == "auto" else [config.precision]
    if not wanted or wanted[0] not in supported:
        raise TrainingError(
            "train_precision_unsupported", precision=config.precision, supported=", ".join(supported) or "-"
        )
    name = torch.cuda.get_device_name(0) if cuda else "CPU"
    return Device("cuda" if cuda else "cpu", wanted[0], name)


def load_tokenizer(source: models.ModelFolder) -> Any:
    """The tokenizer, completed where it lacks what training needs."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.path, local_files_only=True)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_CHAT_TEMPLATE
    if tokenizer.pad_token is None:
        # Padding is masked out of attention and loss, so any token will do.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def load_model(source: models.ModelFolder, config: TrainConfig, device: Device) -> Any:
    """The frozen base on its device, quantized as its kind allows."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if device.precision == "bf16" else torch.float16
    options: dict[str, Any] = {
        "dtype": dtype,
        "device_map": {"": 0 if device.kind == "cuda" else "cpu"},
        "local_files_only": True,
        "quantization_config": quantization(source, config, dtype),
    }
    if source.model_type == "gpt_oss":
        options["attn_implementation"] = "eager"  # it refuses SDPA, which has no attention sinks
    options = {name: value for name, value in options.items() if value is not None}
    model = AutoModelForCausalLM.from_pretrained(source.path, **options)
    model.config.use_cache = False
    return model


def quantization(source: models.ModelFolder, config: TrainConfig, dtype: Any) -> Any:
    """How to quantize while loading; None leaves the checkpoint as it is.

    Raises TrainingError train_model_quantized for formats that cannot be trained.
    """
    from transformers import BitsAndBytesConfig, Mxfp4Config

    if source.quant_method == "mxfp4":  # refuses 4-bit loading; the official way is to dequantize it
        return Mxfp4Config(dequantize=True)
    if source.quant_method == "bitsandbytes":
        return None
    if source.quant_method:
        raise TrainingError("train_model_quantized", model=source.path.name, method=source.quant_method)
    if not config.load_in_4bit:
        return None
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=config.quant_type,
        bnb_4bit_use_double_quant=config.double_quant,
        bnb_4bit_compute_dtype=dtype,
    )


def build_trainer(
    run: Path, config: TrainConfig, base: Base, examples: Sequence[Example], progress: Progress
) -> Any:
    """TRL's trainer over the examples. Raises TrainingError when no row has an answer left."""
    from datasets import Dataset
    from trl import SFTTrainer

    length = max_length(config, base.model)
    trainer = SFTTrainer(
        model=base.model,
        args=sft_arguments(run, config, base.device, length),
        train_dataset=Dataset.from_list([to_rows(example) for example in examples]),
        processing_class=base.tokenizer,
        peft_config=lora(config, base.model),
        callbacks=[progress_callback(progress)],
    )
    if len(trainer.train_dataset) == 0:
        raise TrainingError("train_all_rows_dropped", max_length=length)
    if base.device.precision == "fp16":
        # The trainer makes the adapter bf16, which the loss scaling of fp16 cannot work with.
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    return trainer


def sft_arguments(run: Path, config: TrainConfig, device: Device, length: int) -> Any:
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(run / "checkpoints"),
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        num_train_epochs=config.epochs,
        optim=config.optimizer,
        max_length=length,
        seed=config.seed,
        logging_steps=config.logging_steps,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen
        save_strategy="epoch",
        save_total_limit=2,
        bf16=device.precision == "bf16",
        fp16=device.precision == "fp16",
        use_cpu=device.kind == "cpu",
        dataloader_pin_memory=device.kind == "cuda",
        gradient_checkpointing=True,
        packing=False,  # the eager attention of gpt-oss would mix the rows of a pack
        completion_only_loss=True,
        router_aux_loss_coef=0.0,  # the routers of a mixture of experts stay frozen
        report_to=[],
        disable_tqdm=True,  # the events tell the progress; the log gets plain lines
    )


def max_length(config: TrainConfig, model: Any) -> int:
    """Tokens a row may have: the user's limit, within what the model has positions for."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(config.max_length, positions) if positions else config.max_length


def lora(config: TrainConfig, model: Any) -> Any:
    """The adapter on those of the wanted layers that this architecture has.

    Raises TrainingError train_no_target_modules naming the layers it has instead.
    """
    from peft import LoraConfig

    layers = [
        name.rpartition(".")
        for name, module in model.named_modules()
        if getattr(getattr(module, "weight", None), "ndim", 0) == 2
    ]
    targets = sorted({leaf for *_, leaf in layers} & set(config.target_modules))
    if not targets:
        found = sorted({leaf for path, _, leaf in layers if "attn" in path or "attention" in path})
        raise TrainingError(
            "train_no_target_modules", wanted=", ".join(config.target_modules),
            found=", ".join(found[:20]) or "-",
        )
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=targets,
        bias="none",
    )


def describe(trainer: Any, rows: int, config: TrainConfig, device: Device) -> dict[str, Any]:
    """The values of the `start` event. Rows cut at the limit are those that fill it to the last token."""
    lengths = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    in_4bit, other = weight_bytes(trainer.model)
    steps_an_epoch = -(-len(lengths) // config.batch_size)
    return {
        "total_steps": steps_an_epoch * config.epochs,
        "rows": rows,
        "dropped_rows": rows - len(lengths),
        "shortened_rows": sum(length >= trainer.args.max_length for length in lengths),
        "matched_modules": sum(name.endswith(".lora_A") for name, _ in trainer.model.named_modules()),
        "device": device.name,
        "precision": device.precision,
        "bytes_4bit": in_4bit,
        "bytes_other": other,
    }


def weight_bytes(model: Any) -> tuple[int, int]:
    """Bytes of the parameters held in 4 bits, and of all the others."""
    in_4bit = other = 0
    for parameter in model.parameters():
        size = parameter.numel() * parameter.element_size()
        if type(parameter).__name__ == "Params4bit":
            in_4bit += size
        else:
            other += size
    return in_4bit, other


def save_adapter(model: Any, tokenizer: Any, target: Path, base: str) -> int:
    """The adapter and its tokenizer in `target`, whole or not at all; returns its bytes.

    The base is named as the user named it, so that the adapter finds it on another machine too.
    """
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for adapter in model.peft_config.values():
        adapter.base_model_name_or_path = base
    # The embeddings never change; left to decide, PEFT would ask the hub.
    model.save_pretrained(partial, save_embedding_layers=False)
    tokenizer.save_pretrained(partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
    return sum(file.stat().st_size for file in target.iterdir() if file.is_file())
