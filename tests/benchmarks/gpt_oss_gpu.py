"""What gpt-oss-20b and an 8B Llama take on a GPU: peak memory and tokens a second, with random weights.

    python -m tests.benchmarks.gpt_oss_gpu [--only NAME …] [--steps 8] [--folder FOLDER]

Needs a CUDA GPU, 14 GB of disk for gpt-oss (16 GB for the Llama), and no network: weights are made here, of the
published shapes. Each way of loading runs in the worker, as from the page. Copy the table into NOTES.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from core.finetune import blueprints, memory, models
from core.finetune.config import TrainConfig
from core.finetune.dataset import Example, write_dataset
from core.finetune.events import read_events
from tests.tiny_model import make_tokenizer

# The shapes of openai/gpt-oss-20b and meta-llama/Llama-3.1-8B.
GPT_OSS = {
    "vocab_size": 201088, "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 24,
    "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 32,
    "num_experts_per_tok": 4, "max_position_embeddings": 131072, "sliding_window": 128,
}
LLAMA = {
    "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192,
}
ROW_WORDS = 400  # about 1024 tokens of the small tokenizer: every row is cut at the limit
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt-oss packed, 4 rows": ("gpt-oss-20b", {}),
    "gpt-oss packed, 1 row x 4": ("gpt-oss-20b", {"batch_size": 1, "gradient_accumulation": 4}),
    "gpt-oss dequantized, 4 rows": ("gpt-oss-20b", {"load_in_4bit": False}),
    "llama-8b nf4, 4 rows": ("llama-8b", {}),
    "llama-8b nf4, 4 rows, packed": ("llama-8b", {"packing": True}),
}


def make_model(folder: Path, name: str) -> Path:
    """Random weights of the published shape, written shard by shard so that 2 GB of memory are enough."""
    import torch
    import transformers
    from safetensors.torch import save_file

    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    gpt_oss = name.startswith("gpt-oss")
    kind = "GptOss" if gpt_oss else "Llama"
    config = getattr(transformers, f"{kind}Config")(
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, **(GPT_OSS if gpt_oss else LLAMA)
    )
    with torch.device("meta"):
        shapes = getattr(transformers, f"{kind}ForCausalLM")(config).state_dict()
    places: dict[str, str] = {}
    for number, (tensor, meta) in enumerate(shapes.items()):
        made = random_tensors(tensor, tuple(meta.shape), packed=gpt_oss)
        shard = f"model-{number:05d}.safetensors"
        save_file(made, folder / shard, metadata={"format": "pt"})
        places |= dict.fromkeys(made, shard)
    (folder / models.WEIGHTS_INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    told = {**config.to_dict(), "architectures": [f"{kind}ForCausalLM"], "dtype": "bfloat16"}
    if gpt_oss:
        told["quantization_config"] = {"quant_method": "mxfp4"}
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(told, default=str))
    return folder


def random_tensors(name: str, shape: tuple[int, ...], *, packed: bool) -> dict[str, Any]:
    import torch

    if packed and name.endswith(("experts.gate_up_proj", "experts.down_proj")):
        count, columns, rows = shape
        blocks = torch.randint(0, 256, (count, rows, columns // 32, 16), dtype=torch.uint8)
        scales = torch.randint(118, 121, (count, rows, columns // 32), dtype=torch.uint8)
        return {f"{name}_blocks": blocks, f"{name}_scales": scales}
    if "norm" in name:
        return {name: torch.ones(shape, dtype=torch.bfloat16)}
    return {name: (torch.randn(shape) * 0.02).to(torch.bfloat16)}


def measure(folder: Path, model: Path, name: str, changes: dict[str, Any], steps: int) -> None:
    run = folder / name.replace(" ", "-").replace(",", "")
    run.mkdir(parents=True)
    config = TrainConfig(model=str(model), epochs=1, max_length=1024, eval_share=0.0, **changes)
    rows = steps * config.batch_size * config.gradient_accumulation
    write_dataset(run / "dataset.jsonl", [Example(f"{n}", "una palabra larga " * ROW_WORDS) for n in range(rows)])
    (run / "config.json").write_text(json.dumps(config.to_dict()))
    command = [sys.executable, "-m", "core.finetune.worker", str(run)]
    subprocess.run(command, stdout=(run / "log.txt").open("w"), stderr=subprocess.STDOUT, check=False)
    told = {one["event"]: one for one in read_events(run / "events.jsonl")}
    if "saved" not in told:
        print(f"{name}: {told.get('failed', 'killed')}")
        return
    speeds = [one["tokens_per_second"] for one in read_events(run / "events.jsonl") if one["event"] == "step"]
    made = blueprints.of_folder(model)
    predicted = memory.need(made.config, memory.weigh(made, config), config, 1024, memory.CUDA)
    peak = told["saved"]["peak_memory_bytes"]
    start = told["start"]
    print(
        f"{name}: peak {peak / 1e9:.1f} GB (predicted {predicted.total / 1e9:.1f}), "
        f"{statistics.median(speeds[1:]):.0f} tokens/s, in 4 bits {start['bytes_4bit'] / 1e9:.1f} GB, "
        f"other {start['bytes_other'] / 1e9:.1f} GB, {start['device']}, packing {start['packing']}", flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        sys.exit("no CUDA GPU here")
    with tempfile.TemporaryDirectory() as own:
        folder = options.folder or Path(own)
        for name in options.only:
            model, changes = WAYS[name]
            measure(Path(own) / "runs", make_model(folder / model, model), name, changes, options.steps)


if __name__ == "__main__":
    main()
