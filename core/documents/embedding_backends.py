"""What computes the vectors inside the embedding child: OpenVINO on a CPU, torch on a GPU or where it is faster.

The first start with a model converts it for OpenVINO, measures both on this machine and keeps the faster one's name;
later starts load only what they need, without torch, in about a second. Knows nothing of the store: the model and its
version make a vector, not the backend, and the conversion is refused where the two do not agree.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.documents.embeddings import Embedded
from core.documents.store import Vectors

Integers = npt.NDArray[np.int64]
# (input_ids, attention_mask), both (n, length) → (n, dim), unit length.
Backend = Callable[[Integers, Integers], Vectors]

# Tokens two windows of a long text share, so that a sentence at the seam is whole in one of them.
STRIDE = 48
# Windows computed at once: fewer cost speed (4: a tenth), and a question waits for as many.
_ROWS = 8
# Lengths are rounded up to this many tokens: OpenVINO prepares itself for every length it has not met, for 5 ms.
_LENGTHS = 16
_QUESTION_TOKENS = 64  # lengths met before the first question
_MIN_COSINE = 0.995  # mean over the samples; bfloat16 reaches .9999
_SAMPLE = ("El agua de la ciudad llega por un canal de cuarenta kilómetros que se terminó en 1858. "
           "The committee met on Tuesday to discuss the budget for the coming year, and adjourned at noon. ")


class EmbeddingModel:
    """A tokenizer and a backend. A text longer than the model reads becomes several overlapping windows."""

    def __init__(self, tokenizer_path: Path, max_tokens: int, backend: Backend) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(tokenizer_path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens, stride=STRIDE)
        self._special = self._tokenizer.num_special_tokens_to_add(False)
        self._max_tokens = max_tokens
        self._backend = backend

    def embed(self, texts: Sequence[str], pause: Callable[[], None] | None = None) -> Embedded:
        """The texts' vectors. `pause` is called now and then, to do what cannot wait."""
        windows: list[list[int]] = []
        counts, tokens = [], []
        for encoding in self._tokenizer.encode_batch(list(texts)):
            parts = [encoding, *encoding.overflowing]
            counts.append(len(parts))
            tokens.append(sum(len(part.ids) - self._special for part in parts) - STRIDE * (len(parts) - 1))
            windows += [part.ids for part in parts]
        return Embedded(self._run(windows, pause), counts, tokens)

    def warm_up(self) -> None:
        """Meet the lengths of questions."""
        for length in range(_LENGTHS, _QUESTION_TOKENS + 1, _LENGTHS):
            self._backend(*self._padded([[0] * min(length, self._max_tokens)]))

    def _run(self, windows: list[list[int]], pause: Callable[[], None] | None) -> Vectors:
        """Vectors of the windows. Those of like length go together: a batch costs what its longest member costs."""
        order = sorted(range(len(windows)), key=lambda index: len(windows[index]))
        vectors: Vectors | None = None
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            if pause is not None:
                pause()
            part = self._backend(*self._padded([windows[row] for row in rows]))
            if vectors is None:
                vectors = np.empty((len(windows), part.shape[1]), np.float32)
            vectors[rows] = part
        return vectors if vectors is not None else np.empty((0, 0), np.float32)

    def _padded(self, windows: Sequence[Sequence[int]]) -> tuple[Integers, Integers]:
        """Token ids as one matrix and its attention mask."""
        longest = max(len(window) for window in windows)
        length = max(longest, min(-(-longest // _LENGTHS) * _LENGTHS, self._max_tokens))
        ids = np.zeros((len(windows), length), np.int64)
        mask = np.zeros((len(windows), length), np.int64)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        return ids, mask


def load(folder: Path, cache: Path) -> EmbeddingModel:
    """The model in `folder`, with the fastest backend of this machine; `cache` keeps what was converted."""
    prepared = cache / _key(folder)
    if has_gpu():
        return _load_torch(folder, cache)
    if not (prepared / "backend.json").exists():
        _prepare(folder, prepared)
    chosen = json.loads((prepared / "backend.json").read_text(encoding="utf-8"))
    if chosen["backend"] == "torch":
        return _load_torch(folder, cache)
    return EmbeddingModel(prepared / "tokenizer.json", chosen["max_tokens"], openvino_backend(prepared / "model.xml"))


def has_gpu() -> bool:
    """Whether torch is likely to find a GPU, answered without importing it."""
    if sys.platform == "darwin":
        import platform

        return platform.machine() == "arm64"
    return shutil.which("nvidia-smi") is not None


def _key(folder: Path) -> str:
    """A name for these weights and this version of OpenVINO: other weights in the same folder are another model."""
    from importlib.metadata import version

    weights = sorted(
        (path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*.safetensors"))
    mark = json.dumps([str(folder.resolve()), weights, version("openvino")])
    return hashlib.sha256(mark.encode()).hexdigest()[:16]


def _prepare(folder: Path, prepared: Path) -> None:
    """Convert the model, compare and measure both backends, and keep the better one's name. Whole or not at all."""
    started = time.monotonic()
    model, module = _sentence_transformer(folder)
    prepared.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{prepared.name}.", dir=prepared.parent))
    model.tokenizer.backend_tokenizer.save(str(unfinished / "tokenizer.json"))
    chosen: dict[str, object] = {"backend": "torch", "max_tokens": int(model.max_seq_length)}
    try:
        _convert(module, unfinished / "model.xml")
        if _is_better(unfinished, int(model.max_seq_length), openvino_backend(unfinished / "model.xml"),
                      torch_backend(module)):
            chosen["backend"] = "openvino"
    except Exception as error:  # an operation OpenVINO does not know: torch works for every model
        print(f"No OpenVINO for {folder.name}: {error}", file=sys.stderr)
    (unfinished / "backend.json").write_text(json.dumps(chosen), encoding="utf-8")
    try:
        unfinished.replace(prepared)
    except OSError:  # another process has prepared it meanwhile
        shutil.rmtree(unfinished, ignore_errors=True)
    print(f"{folder.name}: {chosen['backend']}, prepared in {time.monotonic() - started:.1f} s", file=sys.stderr)


def _is_better(folder: Path, max_tokens: int, candidate: Backend, plain: Backend) -> bool:
    """Whether `candidate` gives the vectors of `plain`, and sooner."""
    texts = [_SAMPLE * (1 + number % 8) for number in range(2 * _ROWS)]
    seconds, vectors = [], []
    for backend in (candidate, plain):
        model = EmbeddingModel(folder / "tokenizer.json", max_tokens, backend)
        model.embed(texts)  # the first run of each length pays for its memory
        started = time.perf_counter()
        vectors.append(model.embed(texts).vectors)
        seconds.append(time.perf_counter() - started)
    cosine = float((vectors[0] * vectors[1]).sum(axis=1).mean())
    print(f"OpenVINO {seconds[0]:.2f} s, torch {seconds[1]:.2f} s, cosine {cosine:.5f}", file=sys.stderr)
    return cosine >= _MIN_COSINE and seconds[0] <= seconds[1]


def _load_torch(folder: Path, cache: Path) -> EmbeddingModel:
    model, module = _sentence_transformer(folder)
    cache.mkdir(parents=True, exist_ok=True)
    tokenizer_path = cache / f"{_key(folder)}.tokenizer.json"
    model.tokenizer.backend_tokenizer.save(str(tokenizer_path))
    return EmbeddingModel(tokenizer_path, int(model.max_seq_length), torch_backend(module))


def _sentence_transformer(folder: Path) -> tuple[Any, Any]:
    """The SentenceTransformer, and it as a module from token ids and mask to unit vectors."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder))

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            features = self.model({"input_ids": input_ids, "attention_mask": attention_mask})
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=1)

    return model, Whole().eval()


def torch_backend(module: Any) -> Backend:
    """The module on whatever device it is."""
    import torch

    device = next(module.parameters()).device

    def run(input_ids: Integers, attention_mask: Integers) -> Vectors:
        with torch.inference_mode():
            vectors = module(torch.from_numpy(input_ids).to(device), torch.from_numpy(attention_mask).to(device))
        result: Vectors = vectors.float().cpu().numpy()
        return result

    return run


def silent_openvino() -> Any:
    """OpenVINO without its telemetry: at every import it would tell its makers, from a process that it forks, which now
    and then never ends. With the module missing it has a silent stand-in."""
    sys.modules["openvino_telemetry"] = types.ModuleType("openvino_telemetry")
    import openvino

    return openvino


def _convert(module: Any, target: Path) -> None:
    import torch

    openvino = silent_openvino()
    example = torch.ones((2, 16), dtype=torch.int64)
    with torch.inference_mode():
        converted = openvino.convert_model(module.cpu(), example_input={
            "input_ids": example, "attention_mask": example})
    openvino.save_model(converted, target, compress_to_fp16=False)


def openvino_backend(path: Path) -> Backend:
    """The converted model on the CPU, in bfloat16 where the CPU computes in it."""
    openvino = silent_openvino()
    core = openvino.Core()
    options = {"PERFORMANCE_HINT": "LATENCY"}
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        options["INFERENCE_PRECISION_HINT"] = "bf16"
    compiled = core.compile_model(str(path), "CPU", options)

    def run(input_ids: Integers, attention_mask: Integers) -> Vectors:
        result = compiled({"input_ids": input_ids, "attention_mask": attention_mask})[0]
        return np.array(result, np.float32)

    return run
