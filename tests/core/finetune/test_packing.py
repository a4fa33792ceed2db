"""Rows packed into one sequence must not see each other; an architecture where they do is told by its logits."""

from __future__ import annotations

from typing import Any

import pytest

from core.finetune.packing import leaks

USUAL = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 64, "vocab_size": 100,
         "num_attention_heads": 2, "num_key_value_heads": 2}


def made(name: str, attention: str, **sizes: Any) -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**sizes)
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=torch.bfloat16)


@pytest.mark.parametrize(
    ("name", "attention", "sizes", "leaking"),
    [
        ("Llama", "sdpa", USUAL, False),
        ("Llama", "eager", USUAL, False),
        ("Qwen3", "sdpa", {**USUAL, "head_dim": 32}, False),
        ("GptOss", "eager", {**USUAL, "num_local_experts": 2, "num_experts_per_tok": 1, "head_dim": 32}, True),
        ("Bloom", "eager", {"hidden_size": 64, "n_layer": 2, "n_head": 2, "vocab_size": 100}, True),
        ("Mamba", "eager", {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100, "state_size": 8}, True),
    ],
)
def test_a_leak_between_packed_rows_is_seen_in_the_logits(
    name: str, attention: str, sizes: dict[str, Any], *, leaking: bool
) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    model = made(name, attention, **sizes)
    together = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    assert leaks(model, together) is leaking
