"""What is decided for each model when it is loaded: formats, precision, templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import TrainingError
from core.finetune import loading
from core.finetune.config import TrainConfig
from core.finetune.models import ModelFolder
from tests.tiny_model import make_tokenizer


def folder(model_type: str = "llama", quant_method: str = "", path: Path = Path("m")) -> ModelFolder:
    return ModelFolder(path, model_type, quant_method, 0)


def test_plain_weights_are_loaded_in_4_bits_as_the_recipe_says() -> None:
    import torch

    wanted = loading.quantization(folder(), TrainConfig(), torch.bfloat16)
    assert (wanted.load_in_4bit, wanted.bnb_4bit_quant_type, wanted.bnb_4bit_use_double_quant) == (
        True, "nf4", True)
    assert wanted.bnb_4bit_compute_dtype == torch.bfloat16
    assert loading.quantization(folder(), TrainConfig(load_in_4bit=False), torch.bfloat16) is None


def test_stored_formats_are_dequantized_kept_or_refused() -> None:
    import torch

    gpt_oss = loading.quantization(folder("gpt_oss", "mxfp4"), TrainConfig(), torch.bfloat16)
    assert gpt_oss.dequantize is True
    assert loading.quantization(folder("llama", "bitsandbytes"), TrainConfig(), torch.bfloat16) is None
    with pytest.raises(TrainingError, match="train_model_quantized"):
        loading.quantization(folder("llama", "gptq"), TrainConfig(), torch.bfloat16)


@pytest.mark.parametrize(
    ("cuda", "bf16", "model_type", "wanted", "chosen"),
    [
        (False, False, "llama", "auto", "bf16"),
        (False, False, "llama", "fp16", None),
        (True, True, "llama", "auto", "bf16"),
        (True, True, "llama", "fp16", "fp16"),
        (True, False, "llama", "auto", "fp16"),
        (True, False, "llama", "bf16", None),
        (True, False, "gpt_oss", "auto", None),
        (True, True, "gpt_oss", "fp16", None),
    ],
)
def test_precision_follows_machine_and_model(
    monkeypatch: pytest.MonkeyPatch, *, cuda: bool, bf16: bool, model_type: str, wanted: str,
    chosen: str | None,
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "card")
    config = TrainConfig(precision=wanted)
    if chosen:
        device = loading.choose_device(config, folder(model_type))
        assert (device.precision, device.kind) == (chosen, "cuda" if cuda else "cpu")
    else:
        with pytest.raises(TrainingError, match="train_precision_unsupported"):
            loading.choose_device(config, folder(model_type))


def test_a_bare_tokenizer_gets_padding_and_a_template_whose_prompt_begins_the_whole(tmp_path: Path) -> None:
    bare = make_tokenizer(chat_template=False)
    bare.pad_token = None
    bare.save_pretrained(tmp_path)
    tokenizer = loading.load_tokenizer(folder(path=tmp_path))
    assert tokenizer.pad_token == "<|end|>"
    question = [{"role": "user", "content": "¿Qué es LoRA?"}]
    answer = [{"role": "assistant", "content": "Un adaptador."}]
    prompt = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(question + answer, tokenize=False)
    assert whole.startswith(prompt)
    assert whole.removeprefix(prompt) == "Un adaptador.<|end|>\n"


def test_a_tokenizer_without_any_special_token_still_pads(tmp_path: Path) -> None:
    bare = make_tokenizer(chat_template=False)
    bare.pad_token = bare.eos_token = None
    bare.save_pretrained(tmp_path)
    assert loading.load_tokenizer(folder(path=tmp_path)).pad_token_id == 0
