"""The frozen base of a run: model and tokenizer on their device, quantized as their kind allows.

Runs in the worker's process only. Knows nothing of datasets, adapters or runs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from core.errors import TrainingError
from core.finetune import models
from core.finetune.config import TrainConfig

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


def load_base(config: TrainConfig) -> Base:
    """Raises TrainingError, and what the libraries raise."""
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
        # Each process of `accelerate launch` has a GPU of its own.
        "device_map": {"": int(os.environ.get("LOCAL_RANK", "0")) if device.kind == "cuda" else "cpu"},
        "local_files_only": True,
    }
    if source.model_type == "gpt_oss":
        options["attn_implementation"] = "eager"  # it refuses SDPA, which has no attention sinks
    if source.quant_method == "mxfp4" and source.model_type == "gpt_oss" and config.load_in_4bit:
        from core.finetune.experts import packed_options

        options.update(packed_options(source.path))
    else:
        options["quantization_config"] = quantization(source, config, dtype)
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


def weight_bytes(model: Any) -> tuple[int, int]:
    """Bytes of the weights held in 4 bits with their scales, and of all the others."""
    in_4bit = other = 0
    for module in model.modules():
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is None:
                continue
            size = tensor.numel() * tensor.element_size()
            if type(tensor).__name__ == "Params4bit":
                in_4bit += size + state_bytes(tensor.quant_state)
            elif name in getattr(module, "packed", ()):  # experts.PackedExperts
                in_4bit += size
            else:
                other += size
    return in_4bit, other


def state_bytes(state: Any) -> int:
    """Bytes of the scales that go with a 4-bit weight, those of its scales included."""
    if state is None:
        return 0
    return int(state.absmax.numel() * state.absmax.element_size()) + state_bytes(state.state2)
