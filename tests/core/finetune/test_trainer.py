"""What the trainer decides for each architecture, without training: layers, formats, precision, templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import TrainingError
from core.finetune import trainer
from core.finetune.config import TrainConfig
from core.finetune.models import ModelFolder
from tests.tiny_model import make_tokenizer
from ui import i18n


def folder(model_type: str = "llama", quant_method: str = "", path: Path = Path("m")) -> ModelFolder:
    return ModelFolder(path, model_type, quant_method, 0)


def skeleton(name: str, **sizes: int) -> Any:
    """A model of one architecture without weights."""
    import torch
    import transformers

    config = getattr(transformers, f"{name}Config")(**sizes)
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config)


def test_a_model_without_any_of_the_layers_is_refused_with_those_it_has() -> None:
    gpt2 = skeleton("GPT2", n_layer=1, n_embd=64, n_head=2, vocab_size=100)
    with pytest.raises(TrainingError) as refused:
        trainer.lora(TrainConfig(), gpt2)
    assert refused.value.code == "train_no_target_modules"
    assert refused.value.values["found"] == "c_attn, c_proj"
    for language in i18n.LANGUAGES:
        assert "c_attn" in i18n.explain(language, refused.value)


def test_of_the_wanted_layers_those_that_exist_are_trained() -> None:
    phi3 = skeleton("Phi3", num_hidden_layers=1, hidden_size=64, intermediate_size=64, vocab_size=100,
                    num_attention_heads=2, num_key_value_heads=2, pad_token_id=0)
    adapter = trainer.lora(TrainConfig(lora_rank=8, lora_alpha=4), phi3)
    assert adapter.target_modules == {"o_proj"}
    assert (adapter.r, adapter.lora_alpha, adapter.lora_dropout) == (8, 4, 0.05)


def test_rows_are_never_longer_than_the_positions_of_the_model() -> None:
    gpt2 = skeleton("GPT2", n_layer=1, n_embd=64, n_head=2, vocab_size=100, n_positions=128)
    assert trainer.max_length(TrainConfig(max_length=1024), gpt2) == 128
    assert trainer.max_length(TrainConfig(max_length=64), gpt2) == 64


def test_plain_weights_are_loaded_in_4_bits_as_the_recipe_says() -> None:
    import torch

    wanted = trainer.quantization(folder(), TrainConfig(), torch.bfloat16)
    assert (wanted.load_in_4bit, wanted.bnb_4bit_quant_type, wanted.bnb_4bit_use_double_quant) == (
        True, "nf4", True)
    assert wanted.bnb_4bit_compute_dtype == torch.bfloat16
    assert trainer.quantization(folder(), TrainConfig(load_in_4bit=False), torch.bfloat16) is None


def test_stored_formats_are_dequantized_kept_or_refused() -> None:
    import torch

    gpt_oss = trainer.quantization(folder("gpt_oss", "mxfp4"), TrainConfig(), torch.bfloat16)
    assert gpt_oss.dequantize is True
    assert trainer.quantization(folder("llama", "bitsandbytes"), TrainConfig(), torch.bfloat16) is None
    with pytest.raises(TrainingError, match="train_model_quantized"):
        trainer.quantization(folder("llama", "gptq"), TrainConfig(), torch.bfloat16)


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
        device = trainer.choose_device(config, folder(model_type))
        assert (device.precision, device.kind) == (chosen, "cuda" if cuda else "cpu")
    else:
        with pytest.raises(TrainingError, match="train_precision_unsupported"):
            trainer.choose_device(config, folder(model_type))


def test_a_bare_tokenizer_gets_padding_and_a_template_whose_prompt_begins_the_whole(tmp_path: Path) -> None:
    bare = make_tokenizer(chat_template=False)
    bare.pad_token = None
    bare.save_pretrained(tmp_path)
    tokenizer = trainer.load_tokenizer(folder(path=tmp_path))
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
    assert trainer.load_tokenizer(folder(path=tmp_path)).pad_token_id == 0
