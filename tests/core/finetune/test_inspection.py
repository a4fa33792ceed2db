"""Counting tokens before training: the same as the trainer will see, on every row or on a sample."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from core.errors import TrainingError
from core.finetune.dataset import Example, Turn, stored_examples, to_rows, write_dataset
from core.finetune.inspect_worker import Counter
from core.finetune.inspection import Inspection, inspect
from core.finetune.loading import PLAIN_CHAT_TEMPLATE
from tests.tiny_model import CHAT_TEMPLATE, make_tiny_model, make_tokenizer
from ui import i18n

EXAMPLES = [
    Example("¿Qué es LoRA?", "Un adaptador pequeño.", line=1),
    Example("¿Y QLoRA?", "LoRA en 4 bits.", (Turn("system", "Sé breve"), Turn("user", "¿Qué es LoRA?"),
                                             Turn("assistant", "Un adaptador.")), line=2),
    Example("palabra " * 100, "nunca se verá", line=3),
    Example("¿Sí?", "respuesta larga " * 40, line=4),
    Example("Di <|end|> y calla 👍", "Nada de <|assistant|> aquí.", line=5),
]
LIMIT = 64


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "dataset.jsonl"
    write_dataset(path, EXAMPLES)
    return path


@pytest.fixture(scope="module")
def seen(tiny: Path, dataset: Path) -> Inspection:
    return inspect(str(tiny), dataset, max_length=LIMIT, log_path=dataset.with_name("log.txt"),
                   preview_lines=[1, 3, 4])


def test_lengths_and_losses_are_those_of_the_trainer(seen: Inspection, dataset: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    tokenizer = make_tokenizer()
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8,
                                         num_hidden_layers=1, num_attention_heads=1))
    rows = [to_rows(example) for example in stored_examples(dataset)]
    for limit in (LIMIT, 2048):
        trainer = SFTTrainer(model, SFTConfig(str(tmp_path), max_length=limit, use_cpu=True, bf16=False, report_to=[],
                                              completion_only_loss=True),
                             train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        trained = trainer.train_dataset
        assert len(trained) == len(rows) - seen.dropped(limit)
        assert sum(len(ids) for ids in trained["input_ids"]) == seen.tokens(limit)
    assert tuple(len(ids) for ids in trained["input_ids"]) == seen.totals
    masked = [sum(label == -100 for label in labels) for labels in trained["labels"]]
    assert tuple(masked) == seen.prompts


def test_rows_that_would_be_cut_or_dropped_are_counted(seen: Inspection) -> None:
    assert (seen.examples, seen.sampled, seen.whole, seen.refused, seen.positions) == (5, 5, True, 0, 2048)
    assert (seen.dropped(LIMIT), seen.cut(LIMIT)) == (1, 1)
    assert (seen.dropped(2048), seen.cut(2048)) == (0, 0)
    assert seen.limit(10**6) == 2048
    bins = seen.histogram(10)
    assert sum(count for *_, count in bins) == 5
    assert bins[0][0] == 0 and bins[-1][1] > max(seen.totals)
    assert seen.percentile(1.0) == max(seen.totals) >= seen.percentile(0.5)


def test_a_row_is_shown_as_the_model_sees_it(seen: Inspection) -> None:
    whole, dropped, cut = seen.preview
    assert [(span.text, span.trained, span.cut) for span in whole.spans] == [
        ("<|user|>¿Qué es LoRA?<|end|><|assistant|>", False, False), ("Un adaptador pequeño.<|end|>", True, False)]
    assert [(span.trained, span.cut) for span in dropped.spans] == [(False, False), (False, True)]
    assert [(span.trained, span.cut) for span in cut.spans] == [(False, False), (True, False), (False, True)]
    assert cut.line == 4 and cut.tokens > LIMIT > cut.prompt_tokens


def test_of_a_large_dataset_a_sample_is_counted_and_said_to_be_one(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "dataset.jsonl"
    write_dataset(path, (Example("a " * (number % 50), "b", line=number + 1) for number in range(4000)))
    seen = inspect(str(tiny), path, max_length=40, log_path=tmp_path / "log.txt", sample=500)
    assert (seen.examples, seen.sampled, seen.whole, len(seen.preview)) == (4000, 500, False, 3)
    exact = inspect(str(tiny), path, max_length=40, log_path=tmp_path / "log.txt", sample=4000)
    assert exact.whole and 0 < exact.dropped(40) < 4000
    assert seen.dropped(40) == pytest.approx(exact.dropped(40), abs=240)
    assert seen.tokens(40) == pytest.approx(exact.tokens(40), rel=0.1)


def test_a_template_that_refuses_rows_is_heard(tiny: Path, dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "strict"
    shutil.copytree(tiny, folder)
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role here') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refusing + CHAT_TEMPLATE, encoding="utf-8")
    seen = inspect(str(folder), dataset, max_length=LIMIT, log_path=tmp_path / "log.txt")
    assert (seen.refused, seen.refused_line, seen.sampled) == (1, 2, 5)
    assert seen.refusal == "No system role here"


def test_a_model_without_template_gets_the_plain_one() -> None:
    tokenizer = make_tokenizer(chat_template=False)
    tokenizer.chat_template = PLAIN_CHAT_TEMPLATE
    counter = Counter(tokenizer)
    assert counter.is_plain
    shown = counter.show(EXAMPLES[0], 1000)
    assert shown is not None
    assert [text for text, *_ in shown["spans"]] == [
        "### Question:\n¿Qué es LoRA?\n\n### Answer:\n", "Un adaptador pequeño.<|end|>\n"]


@pytest.mark.parametrize(
    ("model", "code"),
    [("/no/such/folder", "train_model_folder_missing"), ("Qwen/Qwen3-0.6B", "train_hub_unreachable")],
)
def test_a_model_that_is_not_there_is_said_soon(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, code: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    started = time.monotonic()
    with pytest.raises(TrainingError) as refused:
        inspect(model, dataset, max_length=LIMIT, log_path=tmp_path / "log.txt")
    assert refused.value.code == code
    assert time.monotonic() - started < 30


def test_a_model_in_the_cache_needs_no_hub(
    tiny: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "hub" / "models--someone--something"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    shutil.copytree(tiny, repository / "snapshots" / "abc", ignore=shutil.ignore_patterns("*.safetensors"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    seen = inspect("someone/something", dataset, max_length=LIMIT, log_path=tmp_path / "log.txt")
    assert len(seen.totals) == 5


def test_a_broken_tokenizer_is_a_sentence(tiny: Path, dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(tiny, folder)
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0"}), encoding="utf-8")
    with pytest.raises(TrainingError, match="inspect_failed") as refused:
        inspect(str(folder), dataset, max_length=LIMIT, log_path=tmp_path / "log.txt")
    for language in i18n.LANGUAGES:
        assert i18n.explain(language, refused.value)


def test_a_child_that_hangs_is_ended(dataset: Path, tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(TrainingError, match="inspect_failed"):
        inspect(str(tiny), dataset, max_length=LIMIT, log_path=tmp_path / "log.txt", timeout_seconds=0.2)
