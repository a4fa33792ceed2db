"""What a model is made of, without its weights: its config.json, and the format and shape of each tensor.

Read from a folder, or of a hub model that is not here from the heads of its files, a few hundred kilobytes, which are
kept. Nothing here imports torch, and only `fetch`, for a child, asks the hub. Knows nothing of memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.finetune.models import WEIGHTS, on_disk, read_json

MAX_HEADER_BYTES = 100 * 2**20  # the format's own limit
SHIPPED = {"openai/gpt-oss-20b": Path(__file__).parent / "known" / "gpt-oss-20b.json"}

Tensors = dict[str, tuple[str, list[int]]]


@dataclass(frozen=True)
class Blueprint:
    config: dict[str, Any]
    tensors: Tensors  # number format as safetensors calls it, and shape, by name

    @property
    def quant_method(self) -> str:
        """How the weights are stored: "mxfp4", "bitsandbytes"; empty for plain ones."""
        told = self.config.get("quantization_config")
        return str(told.get("quant_method", "")) if isinstance(told, dict) else ""


def find(model: str, cache_dir: Path) -> Blueprint | None:
    """Of a folder, of a hub model that was downloaded or asked about before, or of one that everyone knows; None for
    any other. Raises OSError and ValueError for files that cannot be read, and what `models.on_disk` raises."""
    folder = on_disk(model)
    if folder is not None:
        return of_folder(folder)
    for path in (kept_path(cache_dir, model), SHIPPED.get(model)):
        if path is not None and path.is_file():
            return of_file(path)
    return None


def of_folder(folder: Path) -> Blueprint:
    """Raises OSError, ValueError for files that cannot be read."""
    tensors: Tensors = {}
    for path in sorted(folder.glob(WEIGHTS)):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > MAX_HEADER_BYTES:
                raise ValueError(f"{path.name} is no safetensors file")
            header = json.loads(file.read(size))
        tensors |= {
            name: (str(one["dtype"]), [int(side) for side in one["shape"]])
            for name, one in header.items() if name != "__metadata__"
        }
    return Blueprint(read_json(folder / "config.json"), tensors)


def of_file(path: Path) -> Blueprint:
    """As `fetch` keeps them; a name with `{layer}` stands for one in each layer."""
    told = json.loads(path.read_text(encoding="utf-8"))
    layers = int(told["config"].get("num_hidden_layers", 0))
    tensors: Tensors = {}
    for name, (kind, shape) in told["tensors"].items():
        places = range(layers) if "{layer}" in name else range(1)
        tensors |= {name.replace("{layer}", str(place)): (kind, shape) for place in places}
    return Blueprint(told["config"], tensors)


def kept_path(cache_dir: Path, model: str) -> Path:
    return cache_dir / "blueprints" / f"{model.replace('/', '--')}.json"


def fetch(model: str, config: dict[str, Any], cache_dir: Path) -> None:
    """Ask the hub for a model that is not known yet, and keep the answer; `config` is its config.json. For a child.
    Raises what the hub's client raises."""
    if find(model, cache_dir) is not None:
        return
    from huggingface_hub import HfApi

    files = HfApi().get_safetensors_metadata(model).files_metadata.values()
    tensors = {name: (one.dtype, list(one.shape)) for file in files for name, one in file.tensors.items()}
    path = kept_path(cache_dir, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"config": config, "tensors": tensors}), encoding="utf-8")
    partial.replace(path)
