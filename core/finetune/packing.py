"""Whether rows may share a sequence: asked of the model itself, not of a list of architectures.

Packed rows stand one after the other in one sequence, and attention must keep them apart by their positions.
Some implementations do not (gpt-oss with eager attention): a row would then be learnt with its neighbours in
view. Knows nothing of datasets.
"""

from __future__ import annotations

from typing import Any

from core.finetune.evaluation import evaluating

ROW_TOKENS = 8
# In units of the logits' spread, measured on untrained models of ten architectures in bf16. Behind one row or
# another of the same length a row's logits are the same to the last bit, or they leak: .04 (BLOOM) to 2.6 (gpt-oss).
LEAK = 0.001
# Alone, in a sequence of another length, rounding makes .03; wrong positions would make more than 1.
ROUNDING = 0.25


def leaks(model: Any, collate: Any) -> bool:
    """Whether a row's logits depend on what is packed before it. `collate` is a padding-free collator."""
    import torch

    vocabulary = model.get_input_embeddings().num_embeddings
    places = torch.arange(1, ROW_TOKENS + 1)
    first, other, second = ((places * step % vocabulary).tolist() for step in (7, 31, 13))
    nothing: list[int] = []
    with torch.no_grad(), evaluating(model):
        behind_first, behind_other, alone = (
            second_logits(model, collate, before, second) for before in (first, other, nothing)
        )
    spread = alone.std()
    apart = (behind_first - behind_other).abs().max() <= LEAK * spread
    same = (behind_first - alone).abs().max() <= ROUNDING * spread
    return not bool(apart and same)


def second_logits(model: Any, collate: Any, before: list[int], row: list[int]) -> Any:
    """float32 `(tokens, vocabulary)` of `row`, packed behind `before`."""
    lengths = [len(part) for part in (before, row) if part]
    batch = collate([{"input_ids": before + row, "labels": before + row, "seq_lengths": lengths}])
    batch.pop("labels")
    moved = {name: value.to(model.device) if hasattr(value, "to") else value for name, value in batch.items()}
    return model(**moved, use_cache=False).logits[0, -len(row):].float()
