"""A causal language model in memory, with its adapter: messages in, text out, stoppable at any moment.

Runs in the generation child only (see `generation_server`). Knows nothing of HTTP.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TextStreamer
from transformers.modeling_layers import GradientCheckpointingLayer

ChatMessage = dict[str, str]  # role, content
# Of a GPU's free memory, what the weights may take before they are squeezed into 4 bits: the rest is for the cache.
WEIGHTS_SHARE = 0.7


@dataclass(frozen=True)
class Written:
    """`cut`: the length limit ended the answer."""

    tokens: int
    cut: bool


class Stopped(Exception):
    """Nobody waits for the answer any more."""


class Writer:
    """A model from a folder, and the LoRA adapter on it when there is one. Raises what the libraries raise."""

    def __init__(self, folder: Path, adapter: Path | None = None) -> None:
        torch.set_num_threads(threads())
        # An adapter is saved with the tokenizer, and the chat template, it was trained with.
        words = adapter if adapter is not None and (adapter / "tokenizer_config.json").is_file() else folder
        self.tokenizer: Any = AutoTokenizer.from_pretrained(words, local_files_only=True)
        self.model: Any = load(folder)
        if adapter is not None:
            self.model = with_adapter(self.model, adapter)
        self.model.eval()
        self._stopped = threading.Event()
        for module in self.model.modules():
            if isinstance(module, GradientCheckpointingLayer):  # every layer of a decoder
                module.register_forward_pre_hook(self._look)

    def prompt(self, messages: Sequence[ChatMessage], thinking: bool | None) -> tuple[list[int], bool]:
        """The messages as tokens, and whether they end inside `<think>`. `thinking` None: as the template likes."""
        text = render(self.tokenizer, [neutral(self.tokenizer, message) for message in messages], thinking)
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids, text.rstrip().endswith("<think>")

    def write(self, ids: Sequence[int], max_tokens: int, temperature: float | None,
              on_text: Callable[[str], None], stopped: threading.Event) -> Written:
        """Write an answer, handing over its text as it comes. Raises Stopped soon after `stopped` is set, also while
        the prompt is still being read. `temperature` None: as the model's makers chose."""
        self._stopped = stopped
        options: dict[str, Any] = {}
        if temperature is not None:
            options = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
        streamer = _Streamer(self.tokenizer, on_text)
        inputs = torch.tensor([list(ids)], device=self.model.device)
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=inputs, attention_mask=torch.ones_like(inputs), max_new_tokens=max_tokens,
                pad_token_id=self._padding(), streamer=streamer, **options)
        answer = output[0, len(ids):].tolist()
        return Written(len(answer), cut=len(answer) >= max_tokens and answer[-1] not in self._ends())

    def _look(self, *_: object) -> None:
        if self._stopped.is_set():
            raise Stopped

    def _ends(self) -> set[int]:
        """Tokens that end an answer."""
        ends = self.model.generation_config.eos_token_id
        return set(ends) if isinstance(ends, list) else {ends}

    def _padding(self) -> int:
        found = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, *self._ends())
        return next((int(token) for token in found if token is not None), 0)


class _Streamer(TextStreamer):
    """Hands over the text that further tokens cannot change."""

    def __init__(self, tokenizer: Any, on_text: Callable[[str], None]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._on_text = on_text

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        if text:
            self._on_text(text)


def load(folder: Path) -> Any:
    """The model where it runs fastest. Only safetensors are read: other weights could run code."""
    options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "dtype": "auto"}
    if torch.cuda.is_available():
        weight_bytes = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        if weight_bytes > WEIGHTS_SHARE * torch.cuda.mem_get_info()[0] and not is_quantized(folder):
            options["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
        return AutoModelForCausalLM.from_pretrained(folder, device_map={"": 0}, **options)
    if torch.backends.mps.is_available():
        return AutoModelForCausalLM.from_pretrained(folder, **options).to("mps")
    if not has_fast_bfloat16() and not is_quantized(folder):
        options["dtype"] = torch.float32
    return AutoModelForCausalLM.from_pretrained(folder, **options)


def with_adapter(model: Any, adapter: Path) -> Any:
    """The model with the adapter on it, computed as it was trained: beside the weights, not merged into them, for in
    16 bits a merge rounds a small adapter away and into 4 bits it cannot go."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(adapter), local_files_only=True)


def is_quantized(folder: Path) -> bool:
    """Whether the weights are stored quantized."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return bool(config.get("quantization_config"))


def has_fast_bfloat16() -> bool:
    """Whether this processor computes in bfloat16 itself; elsewhere float32 is faster, though twice as large."""
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in checks if check is not None)


def threads() -> int:
    """Threads to compute with: one core is left to the page, where there are several."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or usable, usable - 1))


def render(tokenizer: Any, messages: list[ChatMessage], thinking: bool | None) -> str:
    """The messages in the words of the model's own template. Where that has no place for a system message (it
    refuses it, or leaves it out), its text begins the first message of the user."""
    from jinja2.exceptions import TemplateError

    options = {} if thinking is None else {"enable_thinking": thinking}

    def rendered(given: list[ChatMessage]) -> str:
        return str(tokenizer.apply_chat_template(given, tokenize=False, add_generation_prompt=True, **options))

    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    if not system:
        return rendered(messages)
    try:
        text = rendered(messages)
        if system.strip() in text:
            return text
    except TemplateError:
        pass
    others = [dict(message) for message in messages if message["role"] != "system"]
    first = next((message for message in others if message["role"] == "user"), None)
    if first is None:
        others.insert(0, {"role": "user", "content": system})
    else:
        first["content"] = f"{system}\n\n{first['content']}"
    return rendered(others)


def neutral(tokenizer: Any, message: ChatMessage) -> ChatMessage:
    """The message with the template's own marks taken apart: text of a document must not end the user's turn."""
    content = message["content"]
    for mark in tokenizer.all_special_tokens + list(tokenizer.get_added_vocab()):
        if len(mark) > 2 and mark in content:
            content = content.replace(mark, f"{mark[0]} {mark[1:]}")
    return {"role": message["role"], "content": content}
