"""The attention's layers by architecture, on skeletons without weights."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import TrainingError
from core.finetune.config import AUTO_MODULES, TrainConfig
from core.finetune.targets import RECIPE, Targets, choose, ends_with, linear_layers
from ui import i18n

GPT2 = {"n_layer": 2, "n_embd": 64, "n_head": 2, "vocab_size": 100}
USUAL = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 64, "vocab_size": 100,
         "num_attention_heads": 2}
FUSED = {"hidden_size": 64, "vocab_size": 100}


def skeleton(name: str, **sizes: Any) -> Any:
    """A model of one architecture without weights."""
    import torch
    import transformers

    config = getattr(transformers, f"{name}Config")(**sizes)
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config)


def matched(model: Any, chosen: Targets) -> int:
    return sum(any(ends_with(path, name) for name in chosen.names) for path in linear_layers(model))


@pytest.mark.parametrize(
    ("name", "sizes", "names", "count"),
    [
        ("Llama", {**USUAL, "num_key_value_heads": 1}, RECIPE, 8),
        ("GptOss", {**USUAL, "num_local_experts": 2, "head_dim": 32}, RECIPE, 8),
        ("Phi3", {**USUAL, "num_key_value_heads": 2, "pad_token_id": 0}, ("self_attn.o_proj", "self_attn.qkv_proj"), 4),
        ("GPT2", GPT2, ("attn.c_attn", "attn.c_proj"), 4),
        ("Falcon", {**FUSED, "num_hidden_layers": 2, "num_attention_heads": 2},
         ("self_attention.dense", "self_attention.query_key_value"), 4),
        ("Bloom", {**FUSED, "n_layer": 2, "n_head": 2}, ("self_attention.dense", "self_attention.query_key_value"), 4),
        ("GPTNeoX", USUAL, ("attention.dense", "attention.query_key_value"), 4),
        ("OPT", {**FUSED, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 64, "word_embed_proj_dim": 64},
         ("self_attn.k_proj", "self_attn.out_proj", "self_attn.q_proj", "self_attn.v_proj"), 8),
        ("Phi", USUAL, ("self_attn.dense", "self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj"), 8),
    ],
)
@pytest.mark.parametrize("wanted", [RECIPE, (AUTO_MODULES,)])
def test_the_recipes_layers_are_the_attention_whatever_it_is_called(
    name: str, sizes: dict[str, Any], names: tuple[str, ...], count: int, wanted: tuple[str, ...]
) -> None:
    model = skeleton(name, **sizes)
    chosen = choose(TrainConfig(target_modules=wanted), model)
    assert chosen == Targets(tuple(sorted(names)), ())
    assert matched(model, chosen) == count


def test_other_layers_are_taken_as_named_and_those_missing_are_told() -> None:
    llama = skeleton("Llama", **USUAL)
    chosen = choose(TrainConfig(target_modules=("q_proj", "up_proj", "c_attn")), llama)
    assert chosen == Targets(("q_proj", "up_proj"), ("c_attn",))


def test_a_model_without_any_of_the_layers_is_refused_with_those_it_has() -> None:
    gpt2 = skeleton("GPT2", **GPT2)
    with pytest.raises(TrainingError) as refused:
        choose(TrainConfig(target_modules=("gate_proj",)), gpt2)
    assert refused.value.code == "train_no_target_modules"
    assert refused.value.values["found"] == "c_attn, c_fc, c_proj"
    for language in i18n.LANGUAGES:
        assert "c_attn" in i18n.explain(language, refused.value)


def test_a_model_without_attention_is_refused() -> None:
    mamba = skeleton("Mamba", hidden_size=64, num_hidden_layers=1, vocab_size=100, state_size=8)
    with pytest.raises(TrainingError, match="in_proj"):
        choose(TrainConfig(), mamba)
