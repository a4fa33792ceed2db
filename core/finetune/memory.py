"""The memory a run will take, part by part, by arithmetic on a model's blueprint: no weight is read, no torch needed.

The shapes are those of the files, so what stays out of 4 bits is counted as it is: embeddings,
the output head, norms, and experts, which are no linear layers to the libraries. Knows nothing of this machine.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from core.finetune.blueprints import Blueprint
from core.finetune.config import AUTO_MODULES, TrainConfig

ITEM_BYTES = {"F64": 8, "F32": 4, "I64": 8, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1}  # others: 2
EMBEDDING = re.compile(r"embed|wte|wpe|lm_head|shared\.weight")
EXPERTS = re.compile(r"\.experts\.|\.experts$")
NOT_LINEAR = re.compile(r"norm|router|mlp\.gate\.|rotary|bias$")
ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)
RECIPE = {"q_proj", "k_proj", "v_proj", "o_proj"}

# Bytes of a weight in 4 bits: half a byte, and for each 64 a scale, itself in 8 bits when quantized once more.
FOUR_BIT, FOUR_BIT_DOUBLE = 0.5 + 4 / 64, 0.5 + 1 / 64 + 4 / (64 * 256)
# Of an adapter's weight: itself and its gradient in bf16, and what the optimizer remembers of it.
OPTIMIZER_BYTES = {"paged_adamw_32bit": 8, "paged_adamw_8bit": 2, "adamw_torch": 4}
# Tiles in which the output head is computed (trl.kernels): tokens, and words of the vocabulary.
TILE_TOKENS, TILE_WORDS = 4096, 32768


@dataclass(frozen=True)
class Weights:
    """What a model's files hold. `active` counts the parameters that multiply for one token."""

    four_bit_bytes: int
    other_bytes: int
    file_bytes: int  # of those that will be quantized, as the files have them
    largest: int  # parameters of the largest linear layer
    adapter: int  # parameters of the adapter
    active: int


@dataclass(frozen=True)
class Need:
    """Bytes at the peak of a run, by what takes them. `mapped` are pages of the model's files: the system shows
    them as memory of the process but takes them back when others need room."""

    process: int
    four_bit: int
    other_weights: int
    adapter: int
    activations: int
    logits: int
    mapped: int = 0

    @property
    def peak(self) -> int:
        """What the run will show at most."""
        return self.total + self.mapped

    @property
    def total(self) -> int:
        """What must be free."""
        return self.process + self.four_bit + self.other_weights + self.adapter + self.activations + self.logits


@dataclass(frozen=True)
class Machine:
    """How a kind of device spends memory. Measured: on the CPU by `tests/benchmarks/memory.py`; of a GPU these are
    the sizes of the tensors and the usual CUDA context, not yet measured."""

    process: int  # interpreter and libraries, or the CUDA context
    copies: float  # fp32-sized copies of a layer's activations alive at once
    tile_copies: float  # fp32 copies of a tile of logits
    maps_files: bool


CPU = Machine(process=615_000_000, copies=1.5, tile_copies=5.0, maps_files=True)
CUDA = Machine(process=600_000_000, copies=0.5, tile_copies=0.5, maps_files=False)


def weigh(model: Blueprint, config: TrainConfig) -> Weights:
    told = model.config
    packed = model.quant_method == "mxfp4" and config.load_in_4bit
    share = told.get("num_experts_per_tok", 1) / max(told.get("num_local_experts") or told.get("num_experts") or 1, 1)
    small = FOUR_BIT_DOUBLE if config.double_quant else FOUR_BIT
    four_bit = other = active = files = 0.0
    largest = adapter = 0
    for name, (kind, shape) in model.tensors.items():
        count = math.prod(shape)
        if name.endswith(("_blocks", "_scales")):
            weights = 0 if name.endswith("_scales") else count * 2
            active += weights * share
            four_bit, other = (four_bit + count, other) if packed else (four_bit, other + weights * 2)
            continue
        linear = len(shape) == 2 and not (EMBEDDING.search(name) or NOT_LINEAR.search(name))
        expert = bool(EXPERTS.search(name))
        active += count * share if expert else count if linear else 0
        if linear and not expert:
            largest = max(largest, count)
            adapter += sum(shape) * config.lora_rank if learns(name, config) else 0
        if linear and not expert and config.load_in_4bit and not model.quant_method:
            four_bit += count * small
            files += count * ITEM_BYTES.get(kind, 2)
        elif kind == "U8" and model.quant_method == "bitsandbytes":
            four_bit += count
        else:
            other += count * min(ITEM_BYTES.get(kind, 2), 2)
    return Weights(int(four_bit), int(other), int(files), largest, adapter, int(active))


def learns(name: str, config: TrainConfig) -> bool:
    """Whether the adapter will sit on this weight, as `targets.choose` decides on the loaded model."""
    path = name.removesuffix(".weight")
    wanted = set(config.target_modules)
    if wanted in (RECIPE, {AUTO_MODULES}):
        return bool(ATTENTION.search(path.rpartition(".")[0]))
    return any(path == one or path.endswith(f".{one}") for one in wanted)


def need(told: dict[str, Any], weights: Weights, config: TrainConfig, longest_row: int, machine: Machine) -> Need:
    """`told` is the model's config.json; `longest_row` in tokens, before it is cut at the limit."""
    tokens, columns = batch_shape(told, config, longest_row)
    hidden = number(told, "hidden_size", "n_embd", "d_model", default=1024)
    layers = number(told, "num_hidden_layers", "n_layer", default=24)
    heads = number(told, "num_attention_heads", "n_head", default=16)
    vocabulary = number(told, "vocab_size", default=32000)
    kept = layers * tokens * hidden * 2
    # One layer is computed again at a time.
    layer = tokens * layer_elements(told) * 4 * machine.copies
    # Implementations without a fused kernel hold the scores of every token with every other.
    scores = tokens * columns * heads * 2 * 5 if told.get("model_type") == "gpt_oss" else 0
    dequantized = weights.largest * 2 * 2
    tile = min(tokens, TILE_TOKENS) * min(vocabulary, TILE_WORDS) * (2 + 4 * machine.tile_copies)
    adapter = weights.adapter * (4 + OPTIMIZER_BYTES.get(config.optimizer, 8))
    return Need(
        process=machine.process, four_bit=weights.four_bit_bytes, other_weights=weights.other_bytes,
        adapter=adapter, activations=int(kept + layer + scores + dequantized), logits=int(tile),
        # Of the weights that are not quantized about half are the mapped pages themselves.
        mapped=weights.file_bytes + weights.other_bytes // 2 if machine.maps_files else 0,
    )


def layer_elements(told: dict[str, Any]) -> int:
    """Numbers a token makes in one layer: its projections, its norms, the inputs the adapter keeps for itself."""
    hidden = number(told, "hidden_size", "n_embd", "d_model", default=1024)
    inner = number(told, "intermediate_size", "n_inner", "ffn_dim", default=4 * hidden)
    return 14 * hidden + 5 * inner * number(told, "num_experts_per_tok", default=1)


def batch_shape(told: dict[str, Any], config: TrainConfig, longest_row: int) -> tuple[int, int]:
    """Tokens of the largest batch, and of its longest row."""
    positions = number(told, "max_position_embeddings", "n_positions", default=config.max_length)
    length = min(config.max_length, positions)
    row = length if config.packing else min(longest_row, length)
    return config.batch_size * row, row


def smallest_batch(config: TrainConfig) -> TrainConfig:
    """The same steps with as little memory as can be: one row at a time."""
    return replace(config, batch_size=1, gradient_accumulation=config.gradient_accumulation * config.batch_size)


def number(told: dict[str, Any], *names: str, default: int) -> int:
    inner = told.get("text_config")
    for one in (told, inner if isinstance(inner, dict) else {}):
        for name in names:
            if isinstance(one.get(name), int) and one[name] > 0:
                return int(one[name])
    return default
