"""Which layers of a model take the adapter: the attention's projections, whatever an architecture calls them.

Most have q_proj, k_proj, v_proj and o_proj. Phi-3 keeps the first three in one qkv_proj, Falcon, BLOOM and
GPT-NeoX in query_key_value, GPT-2 in c_attn. Knows module names and shapes, not what they compute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from core.errors import TrainingError
from core.finetune.config import AUTO_MODULES, TrainConfig

RECIPE = ("q_proj", "k_proj", "v_proj", "o_proj")
ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)
# Layers inside an attention module that project nothing: gates, norms, positions.
NOT_PROJECTIONS = re.compile(r"norm|rotary|position|bias|gate$|sinks", re.IGNORECASE)


@dataclass(frozen=True)
class Targets:
    """`names` are endings of module names, as PEFT takes them; `missing` were asked for and are not there."""

    names: tuple[str, ...]
    missing: tuple[str, ...]


def choose(config: TrainConfig, model: Any) -> Targets:
    """The layers to train. The recipe's four names mean "the attention": where an architecture has not all of
    them, its own projections stand in. Other names are taken as they are.

    Raises TrainingError train_no_target_modules naming the layers the model has instead.
    """
    linear = linear_layers(model)
    automatic = set(config.target_modules) in ({AUTO_MODULES}, set(RECIPE))
    wanted = RECIPE if automatic else config.target_modules
    matched = tuple(name for name in wanted if any(ends_with(path, name) for path in linear))
    missing = tuple(name for name in wanted if name not in matched)
    if automatic and missing:
        matched, missing = attention_names(linear), ()
    if not matched:
        found = sorted({path.rpartition(".")[2] for path in linear})
        raise TrainingError(
            "train_no_target_modules", wanted=", ".join(wanted), found=", ".join(found[:20]) or "-"
        )
    return Targets(tuple(sorted(matched)), missing)


def linear_layers(model: Any) -> list[str]:
    """Full names of the layers that multiply by a matrix, in 4 bits or not. Embeddings and the output head are
    none of them: the trainer refuses an adapter there."""
    import torch

    left_out = {id(model.get_input_embeddings()), id(model.get_output_embeddings())}
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"
        if id(module) not in left_out
    ]


def attention_names(linear: list[str]) -> tuple[str, ...]:
    """`self_attn.qkv_proj`, `self_attn.o_proj`: each with its parent, for GPT-2 has a c_proj outside too."""
    names = {
        ".".join(path.split(".")[-2:])
        for path in linear
        if ATTENTION.search(path.rpartition(".")[0]) and not NOT_PROJECTIONS.search(path.rpartition(".")[2])
    }
    return tuple(sorted(names))


def ends_with(path: str, name: str) -> bool:
    return path == name or path.endswith(f".{name}")
