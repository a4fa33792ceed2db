"""Whether a run helped: what is held out, and the verdict on its losses."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.finetune import evaluation, targets, trainer
from core.finetune.config import TrainConfig
from core.finetune.evaluation import RowLoss, evaluating, held_out_places, judge, mean_loss
from core.finetune.loading import choose_device, load_base, load_model
from core.finetune.models import inspect_folder
from tests.tiny_model import make_tiny_model


def losses(*per_token: float) -> list[RowLoss]:
    return [(loss * 10, 10) for loss in per_token]


def keys(count: int) -> list[tuple[int, int]]:
    return [(place, place) for place in range(count)]


@pytest.mark.parametrize(("rows", "held_out"), [(49, 0), (50, 5), (175, 18), (5000, 100)])
def test_a_tenth_is_held_out_from_fifty_rows_on_and_at_most_a_hundred(rows: int, held_out: int) -> None:
    assert len(held_out_places(keys(rows), TrainConfig())) == held_out


def test_the_same_seed_holds_out_the_same_rows() -> None:
    first, again, other = (held_out_places(keys(100), TrainConfig(seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_rows_that_stand_twice_and_parts_of_a_conversation_are_not_held_out_alone() -> None:
    twice = [(place, place % 50) for place in range(60)]  # the first ten stand again at the end
    assert all(10 <= place < 50 for place in held_out_places(twice, TrainConfig(eval_share=0.5)))
    talks = [(place // 3, place) for place in range(90)]
    chosen = held_out_places(talks, TrainConfig())
    assert len(chosen) == 9
    assert all({place // 3 * 3, place // 3 * 3 + 1, place // 3 * 3 + 2} <= chosen for place in chosen)


@pytest.mark.parametrize(
    ("base", "tuned", "held_out", "verdict"),
    [
        (losses(2.0, 2.1, 2.2), losses(1.0, 1.1, 1.2), True, "helped"),
        (losses(2.0, 2.1, 2.2), losses(2.5, 2.6, 2.7), True, "worse"),
        (losses(2.0, 2.1, 2.2), losses(2.0, 2.1, 2.2), True, "no_change"),
        (losses(2.0, 2.0, 2.0), losses(1.99, 1.99, 1.99), True, "no_change"),  # half a percent
        (losses(2.0, 2.0, 2.0), losses(1.0, 2.9, 1.9), True, "no_change"),  # chance could do that
        (losses(2.0, 2.0), losses(float("nan"), 1.0), True, "worse"),
        (losses(2.0, 2.0), losses(1.0, 1.0), False, "not_measured"),
        ([], [], False, "not_measured"),
    ],
)
def test_the_verdict_follows_the_losses_and_their_spread(
    base: list[RowLoss], tuned: list[RowLoss], verdict: str, *, held_out: bool
) -> None:
    assert judge(base, tuned, held_out=held_out) == verdict


def test_long_answers_count_by_their_tokens() -> None:
    assert mean_loss([(10.0, 10), (90.0, 30)]) == 2.5
    assert mean_loss([]) is None


def test_measuring_leaves_the_4_bit_weights_as_training_needs_them(tmp_path: Path) -> None:
    import torch

    source = inspect_folder(make_tiny_model(tmp_path / "tiny"))
    config = TrainConfig(model=str(source.path))
    model = load_model(source, config, choose_device(config, source))
    tokens = torch.arange(1, 9, device=model.device)[None]

    def gradient() -> torch.Tensor:
        inputs = model.get_input_embeddings()(tokens).detach().requires_grad_(True)
        model(inputs_embeds=inputs).logits.float().square().sum().backward()
        assert inputs.grad is not None
        return inputs.grad

    before = gradient()
    with torch.no_grad(), evaluating(model):
        model(input_ids=tokens)
    assert torch.equal(gradient(), before)


def test_sample_answers_share_their_time_tell_where_they_are_and_end_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from peft import get_peft_model

    config = TrainConfig(model=str(make_tiny_model(tmp_path / "tiny")))
    base = load_base(config)
    model = get_peft_model(base.model, trainer.lora(config, targets.choose(config, base.model)))
    rows = [{"prompt": [{"role": "user", "content": f"pregunta {number}"}],
             "completion": [{"role": "assistant", "content": "respuesta"}]} for number in range(5)]
    monkeypatch.setattr(evaluation, "ANSWERS_SECONDS", 0.0)  # no time: one token each
    told: list[tuple[int, int]] = []
    before = torch.get_num_threads()
    samples = list(evaluation.answers(
        model, base.tokenizer, rows, lambda: len(told) == 2, lambda *now: told.append(now)))
    assert told == [(1, 3), (2, 3)]
    assert [sample.prompt for sample in samples] == ["pregunta 0", "pregunta 1"]
    assert all(sample.base == sample.tuned for sample in samples)  # an adapter that has learnt nothing
    assert all(len(base.tokenizer(sample.base).input_ids) <= 2 for sample in samples)
    assert torch.get_num_threads() == before
