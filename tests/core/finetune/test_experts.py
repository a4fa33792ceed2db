"""gpt-oss with its experts kept in MXFP4: a tiny checkpoint of the real architecture, made here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.finetune import loading, trainer
from core.finetune.config import TrainConfig
from core.finetune.dataset import Example, write_dataset
from core.finetune.events import Event, EventWriter, read_events
from core.finetune.models import inspect_folder
from tests.tiny_gpt_oss import make_tiny_gpt_oss

ROWS = [Example(f"pregunta {number}", f"respuesta {number}") for number in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_gpt_oss(tmp_path_factory.mktemp("model") / "tiny-gpt-oss")


def load(folder: Path, *, packed: bool) -> Any:
    source = inspect_folder(folder)
    config = TrainConfig(model=str(folder), load_in_4bit=packed)
    return loading.load_model(source, config, loading.choose_device(config, source))


def logits(model: Any, *, gradient: bool = False) -> Any:
    import torch

    tokens = torch.arange(1, 33, device=model.device).reshape(2, 16)
    with torch.set_grad_enabled(gradient):
        return model(input_ids=tokens, use_cache=False).logits


def test_packed_experts_compute_what_dequantized_ones_do_forward_and_backward(folder: Path) -> None:
    import torch

    told = []
    for packed in (True, False):
        model = load(folder, packed=packed)
        model.requires_grad_(False)
        inputs = model.get_input_embeddings()
        inputs.weight.requires_grad_(True)
        result = logits(model, gradient=True)
        result.float().square().sum().backward()
        told.append((result.detach().float(), inputs.weight.grad.float()))
    (packed_logits, packed_gradient), (plain_logits, plain_gradient) = told
    assert plain_logits.std() > 0.01
    torch.testing.assert_close(packed_logits, plain_logits, rtol=0.02, atol=0.01 * float(plain_logits.std()))
    scale = float(plain_gradient.abs().max())
    torch.testing.assert_close(packed_gradient, plain_gradient, rtol=0.05, atol=0.02 * scale)


def test_the_experts_stay_in_four_bits_and_the_rest_is_told(folder: Path) -> None:
    in_4bit, other = loading.weight_bytes(load(folder, packed=True))
    config = json.loads((folder / "config.json").read_text())
    hidden, inner, experts = (config[name] for name in ("hidden_size", "intermediate_size", "num_local_experts"))
    weights = config["num_hidden_layers"] * experts * 3 * hidden * inner
    assert in_4bit == weights // 2 + weights // 32
    assert loading.weight_bytes(load(folder, packed=False))[0] == 0
    assert other < (folder / "model.safetensors").stat().st_size


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("work") / "run"
    run.mkdir()
    config = TrainConfig(model=str(folder), epochs=2, learning_rate=1e-2, packing=True, lora_rank=8)
    write_dataset(run / "dataset.jsonl", ROWS)
    (run / "config.json").write_text(json.dumps(config.to_dict()))
    trainer.train(run, config, EventWriter(run / "events.jsonl"), lambda: None)
    return run


def of_kind(run: Path, kind: str) -> list[Event]:
    return [event for event in read_events(run / "events.jsonl") if event["event"] == kind]


def test_it_trains_through_the_same_code_in_bf16_without_packing(run: Path) -> None:
    (plan,) = of_kind(run, "start")
    assert (plan["precision"], plan["packing"], plan["matched_modules"]) == ("bf16", "leaks", 8)
    assert plan["target_modules"] == ["k_proj", "o_proj", "q_proj", "v_proj"]
    assert plan["bytes_4bit"] > 0
    losses = [step["loss"] for step in of_kind(run, "step")]
    assert losses[-1] < losses[0]
    assert of_kind(run, "finished")
    (result,) = of_kind(run, "result")
    assert (result["verdict"], result["held_out"], len(result["samples"])) == ("not_measured", False, 3)
    assert result["samples"][0]["expected"] == "respuesta 0"


def test_its_adapter_loads_on_the_dequantized_model_and_changes_the_logits(run: Path, folder: Path) -> None:
    from peft import PeftModel

    model = load(folder, packed=False)
    before = logits(model).float()
    tuned = PeftModel.from_pretrained(model, str(run / "adapter"))
    assert (logits(tuned).float() - before).abs().max() > 0.05 * before.std()


def test_a_published_quantization_config_does_not_hide_the_packed_one(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    config["quantization_config"]["modules_to_not_convert"] = ["model.layers.*.self_attn", "lm_head"]
    (copy / "config.json").write_text(json.dumps(config))
    assert loading.weight_bytes(load(copy, packed=True))[0] > 0
