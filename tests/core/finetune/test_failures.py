"""What ends a run, as a sentence."""

from __future__ import annotations

import errno

import pytest

from core.errors import TrainingError
from core.finetune.config import TrainConfig
from core.finetune.failures import explain
from ui import i18n


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB."), "train_out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
         "train_out_of_memory"),
        (MemoryError(), "train_out_of_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "train_out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "train_disk_full"),
        (ValueError("SafetensorError: I/O error: No space left on device (os error 28)"), "train_disk_full"),
        (chained(RuntimeError("could not save"), OSError(errno.ENOSPC, "x")), "train_disk_full"),
        (ConnectionResetError("peer"), "train_hub_unreachable"),
        (TrainingError("train_all_rows_dropped", max_length=16), "train_all_rows_dropped"),
        (ValueError("first\nsecond"), "train_crashed"),
    ],
)
def test_each_failure_has_its_sentence(error: Exception, code: str) -> None:
    known = explain(error, TrainConfig(model="a/b"))
    assert known.code == code
    for language in i18n.LANGUAGES:
        assert i18n.explain(language, known)


def test_what_nobody_foresaw_keeps_its_kind_and_words_on_one_line() -> None:
    known = explain(ValueError("first\nsecond"), TrainConfig())
    assert known.values == {"reason": "ValueError: first second"}


def test_an_error_that_is_its_own_context_is_told_too() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert explain(first, TrainConfig()).code == "train_crashed"
