"""Did it help? The loss of base and of tuned model on rows held out, and their answers side by side.

Works on a model with an adapter, which it switches off for the base. Draws no random numbers, so a run with
and one without it learn exactly the same. Knows nothing of runs and their folders.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from core.finetune.config import TrainConfig

SAMPLES = 3
SAMPLE_TOKENS = 128
ANSWERS_SECONDS = 60.0  # for all of them together: a slow machine shows the beginnings
# Parameters up to which one thread answers. So few are multiplied sooner than threads find each other: beside other
# work on two cores a model of 0.2 million took 30 s for 57 tokens with two threads, 2.5 s for 128 with one.
ONE_THREAD_PARAMETERS = 50_000_000
# A difference counts from a hundredth of the base's loss on, and from twice its standard error on: between
# rows it varies by chance, and two standard errors leave 1 in 20 to it.
MIN_CHANGE = 0.01
STANDARD_ERRORS = 2.0

RowLoss = tuple[float, int]  # the sum over the answer's tokens, in nats, and their number


@dataclass(frozen=True)
class Sample:
    prompt: str
    expected: str
    base: str
    tuned: str


@dataclass(frozen=True)
class Result:
    """What a finished run tells. Losses are nats a token of the answers; `held_out` is false when the dataset
    was too small to hold rows out, and the losses are those of training rows.

    `verdict`: helped, no_change, worse; not_measured when nothing was held out, or nothing could be measured.
    """

    verdict: str
    base_loss: float | None
    tuned_loss: float | None
    rows: int
    held_out: bool
    samples: tuple[Sample, ...]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "samples": [asdict(sample) for sample in self.samples]}


UNKNOWN = Result("not_measured", None, None, 0, held_out=False, samples=())


def held_out_places(keys: Sequence[tuple[int, int]], config: TrainConfig) -> set[int]:
    """Places of the rows to hold out, the same for the same seed. `keys` has for each row its conversation and
    a hash of its content. The rows of a conversation stay together, and none of them may stand elsewhere too:
    the model would have seen what it is asked."""
    counts = Counter(content for _, content in keys)
    conversations: dict[int, list[int]] = {}
    for place, (conversation, _) in enumerate(keys):
        conversations.setdefault(conversation, []).append(place)
    wanted = config.eval_rows(len(keys))
    order = list(conversations.values())
    random.Random(config.seed).shuffle(order)  # noqa: S311
    chosen: set[int] = set()
    for places in order:
        if len(chosen) == wanted:
            break
        if len(chosen) + len(places) <= wanted and all(counts[keys[place][1]] == 1 for place in places):
            chosen.update(places)
    return chosen


def row_losses(
    model: Any, rows: Sequence[dict[str, Any]], collate: Callable[..., Any], batch_size: int
) -> list[RowLoss]:
    """The loss of each tokenized row (`input_ids`, `labels`). The model is one that TRL has given its fused
    head: it computes the loss without the logits of the whole vocabulary."""
    import torch

    losses: list[RowLoss] = []
    with torch.no_grad(), evaluating(model):
        for start in range(0, len(rows), batch_size):
            batch = collate([dict(rows[place]) for place in range(start, min(start + batch_size, len(rows)))])
            told = model(**{name: value.to(model.device) for name, value in batch.items()}, fused_lm_head=True)
            sums = (-told.log_probs.float().sum(dim=1)).tolist()
            losses += zip(sums, told.label_mask.sum(dim=1).tolist(), strict=True)
    return losses


def mean_loss(losses: Sequence[RowLoss]) -> float | None:
    """Over all tokens, as the trainer's own loss."""
    tokens = sum(count for _, count in losses)
    return sum(loss for loss, _ in losses) / tokens if tokens else None


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """No dropout meanwhile, and no checkpointing of activations.

    The 4-bit layers stay as they are: told to evaluate on a processor with AVX-512, those of bitsandbytes 0.50
    repack their weights for a kernel that has no gradient, and training goes on with wrong gradients.
    """
    training = model.training
    model.eval()
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.training = True
    try:
        yield
    finally:
        model.train(training)


def judge(base: Sequence[RowLoss], tuned: Sequence[RowLoss], *, held_out: bool) -> str:
    """The verdict on losses of the same rows in the same order."""
    base_loss, tuned_loss = mean_loss(base), mean_loss(tuned)
    if base_loss is None or tuned_loss is None or not math.isfinite(base_loss):
        return "not_measured"
    if not math.isfinite(tuned_loss):
        return "worse"
    gains = [
        (before - after) / count
        for (before, count), (after, _) in zip(base, tuned, strict=True)
        if count
    ]
    error = statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    margin = max(MIN_CHANGE * base_loss, STANDARD_ERRORS * error)
    if abs(base_loss - tuned_loss) < margin:
        return "no_change"
    if tuned_loss > base_loss:
        return "worse"
    return "helped" if held_out else "not_measured"


def answers(
    model: Any, tokenizer: Any, rows: Sequence[dict[str, Any]], stopped: Callable[[], bool],
    tell: Callable[[int, int], None],
) -> Iterator[Sample]:
    """Base and tuned on the first rows (`prompt` and `completion` as messages), until `stopped`. `tell` gets the number
    of the row at hand, from 1, and how many there are."""
    rows = rows[:SAMPLES]
    deadline = time.monotonic() + ANSWERS_SECONDS
    with evaluating(model), threads_for(model):
        for number, row in enumerate(rows):
            if stopped():
                return
            tell(number + 1, len(rows))
            seconds = (deadline - time.monotonic()) / (len(rows) - number) / 2
            with model.disable_adapter():
                base = answer(model, tokenizer, row["prompt"], seconds)
            tuned = answer(model, tokenizer, row["prompt"], seconds)
            asked = "\n\n".join(str(message["content"]) for message in row["prompt"])
            yield Sample(asked, str(row["completion"][-1]["content"]), base, tuned)


@contextmanager
def threads_for(model: Any) -> Iterator[None]:
    """As many threads as make sense to compute one token after the other."""
    import torch

    before = torch.get_num_threads()
    if model.num_parameters() <= ONE_THREAD_PARAMETERS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def answer(model: Any, tokenizer: Any, messages: list[dict[str, str]], seconds: float) -> str:
    """Greedy: the likeliest token each time, at most SAMPLE_TOKENS and what comes in `seconds`."""
    import torch

    prompt = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    ).to(model.device)
    prompt = {name: prompt[name] for name in ("input_ids", "attention_mask")}
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None) or math.inf
    length = prompt["input_ids"].shape[1]
    if length >= positions:
        return ""
    autocast = torch.autocast(model.device.type, dtype=model.dtype) if model.dtype.itemsize == 2 else nullcontext()
    with torch.no_grad(), autocast:
        told = model.generate(
            **prompt, max_new_tokens=int(min(SAMPLE_TOKENS, positions - length)), do_sample=False, use_cache=True,
            temperature=None, top_p=None, top_k=None, max_time=seconds,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=stop_tokens(model, tokenizer),
        )
    return str(tokenizer.decode(told[0, length:], skip_special_tokens=True)).strip()


def stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    known = model.generation_config.eos_token_id
    tokens = {*(known if isinstance(known, list) else [known]), tokenizer.eos_token_id}
    return sorted(token for token in tokens if token is not None)


def evaluate(
    model: Any, tokenizer: Any, texts: Sequence[dict[str, Any]], tokens: Sequence[dict[str, Any]],
    collate: Callable[..., Any], batch_size: int, *, held_out: bool, stopped: Callable[[], bool],
    tell: Callable[[int, int], None],
) -> Result:
    """Scores `tokens` with and without the adapter and answers the first of `texts` both ways, telling which."""
    with model.disable_adapter():
        base = row_losses(model, tokens, collate, batch_size)
    tuned = row_losses(model, tokens, collate, batch_size)
    return Result(
        verdict=judge(base, tuned, held_out=held_out),
        base_loss=mean_loss(base), tuned_loss=mean_loss(tuned), rows=len(base), held_out=held_out,
        samples=tuple(answers(model, tokenizer, texts, stopped, tell)),
    )
