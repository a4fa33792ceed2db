"""A tiny gpt-oss in MXFP4, laid out as the published checkpoints are. For tests, and at any size for benchmarks.

    python -m tests.tiny_gpt_oss FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.tiny_model import make_tokenizer

QUANTIZATION = {
    "quant_method": "mxfp4",
    "modules_to_not_convert": [
        "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head",
    ],
}
TINY = {
    "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2,
    "max_position_embeddings": 2048, "sliding_window": 32,
}
# Scales of 2^-4 to 2^-2 give weights about as large as those of a fresh model.
LOWEST_SCALE, HIGHEST_SCALE = 120, 123


def make_tiny_gpt_oss(folder: Path, **sizes: Any) -> Path:
    """Random weights; the experts packed, everything else in bf16."""
    import torch
    from safetensors.torch import save_file
    from transformers import GptOssConfig, GptOssForCausalLM

    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = GptOssConfig(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        **{**TINY, **sizes},
    )
    weights = GptOssForCausalLM(config).to(torch.bfloat16).state_dict()
    for name in [name for name in weights if name.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        count, columns, rows = weights.pop(name).shape
        blocks = torch.randint(0, 256, (count, rows, columns // 32, 16), dtype=torch.uint8)
        scales = torch.randint(LOWEST_SCALE, HIGHEST_SCALE, (count, rows, columns // 32), dtype=torch.uint8)
        weights |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})
    told = {**config.to_dict(), "architectures": ["GptOssForCausalLM"], "quantization_config": QUANTIZATION}
    (folder / "config.json").write_text(json.dumps(told, indent=2, default=str))
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    print(make_tiny_gpt_oss(Path(sys.argv[1])))
