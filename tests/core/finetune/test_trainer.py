"""What the trainer is told, without training."""

from __future__ import annotations

import pytest

from core.finetune import trainer
from core.finetune.config import TrainConfig
from tests.core.finetune.test_targets import skeleton


def test_rows_are_never_longer_than_the_positions_of_the_model() -> None:
    gpt2 = skeleton("GPT2", n_layer=1, n_embd=64, n_head=2, vocab_size=100, n_positions=128)
    assert trainer.max_length(TrainConfig(max_length=1024), gpt2) == 128
    assert trainer.max_length(TrainConfig(max_length=64), gpt2) == 64


@pytest.mark.parametrize(
    ("rows", "held_out", "epochs", "times"),
    [(54, 6, 3, 5), (900, 100, 3, 5), (9900, 100, 3, 20), (45, 5, 1, 2), (10, 5, 1, 1)],
)
def test_measuring_takes_a_twentieth_of_the_time(rows: int, held_out: int, epochs: int, times: int) -> None:
    assert trainer.evaluations(TrainConfig(epochs=epochs), rows, held_out) == times
