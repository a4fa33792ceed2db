"""A whole causal language model, made in a few seconds without a network: Llama's architecture, random
weights, a byte-level tokenizer trained on a few sentences. For any test that needs a model folder.

    python -m tests.tiny_model FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL_TOKENS = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def sentences() -> Iterator[str]:
    samples = Path(__file__).parent.parent / "core" / "finetune" / "samples"
    for path in sorted(samples.glob("*.jsonl")):
        yield from path.read_text(encoding="utf-8").splitlines()


def make_tokenizer(*, chat_template: bool = True) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=SPECIAL_TOKENS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>", model_max_length=2048
    )
    if chat_template:
        wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def make_tiny_model(folder: Path, *, chat_template: bool = True, **sizes: int) -> Path:
    """A Llama of about 0.2 million parameters in `folder`, or of other `sizes`. Its widths are multiples of 64, as
    4-bit loading wants them."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(chat_template=chat_template)
    torch.manual_seed(0)
    shape = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048, **sizes,
    }
    config = LlamaConfig(
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=None, **shape
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    print(make_tiny_model(Path(sys.argv[1])))
