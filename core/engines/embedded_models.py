"""Models on this machine's disk that the embedded engine can run: downloaded ones, a folder, finished training runs.

Knows files, not weights: nothing here imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engines.base import ModelInfo
from core.engines.config import EnginesConfig
from core.engines.hub_cache import cache_folder, cached_models, downloaded_folder, hub_cache
from core.errors import EngineError
from core.settings import Settings

# 0.6 billion parameters, Apache 2.0, over a hundred languages with Spanish among them, and it can think or not.
DEFAULT_MODEL = "Qwen/Qwen3-0.6B"
DEFAULT_BYTES = 1_520_000_000  # to download, about
WEIGHTS = "*.safetensors"  # the other formats are pickles, which run code when they are read
WEIGHTS_INDEX = "model.safetensors.index.json"
UNTOLD_CONTEXT = 4096  # of a model whose configuration does not tell


@dataclass(frozen=True)
class LocalModel:
    """A model that can be run now. `adapter` is a LoRA adapter on the model in `folder`."""

    name: str  # hub id, folder, or name of the training run
    folder: Path
    adapter: Path | None
    size_bytes: int
    family: str  # "qwen3"
    max_positions: int  # tokens the model was made for
    think_levels: tuple[str, ...]

    @property
    def downloaded(self) -> bool:
        """Whether it lies in the hub's cache under its own name, from where it can be fetched again."""
        return self.adapter is None and cache_folder(self.name) in self.folder.parents

    def info(self, context_tokens: int) -> ModelInfo:
        return ModelInfo(self.name, self.size_bytes, self.family, engine="embedded", context_tokens=context_tokens,
                         think_levels=self.think_levels, downloaded=self.downloaded)


def installed(settings: Settings, config: EnginesConfig) -> list[LocalModel]:
    """All of them: the one the user set up first, then finished runs, the newest first, then downloaded ones and
    the folders that runs were trained on."""
    found: dict[str, LocalModel] = {}
    runs = list(_runs(settings.runs_dir))
    for model in (*_configured(config), *runs, *_downloaded(), *_bases(runs)):
        found.setdefault(model.name, model)
    return list(found.values())


def by_name(settings: Settings, config: EnginesConfig, name: str) -> LocalModel:
    """Raises EngineError `engine_embedded_missing`."""
    found = next((model for model in installed(settings, config) if model.name == name), None)
    if found is None:
        raise EngineError("engine_embedded_missing", model=name)
    return found


def from_folder(folder: Path, name: str = "") -> LocalModel:
    """A model folder, or an adapter's whose base is on this machine, once it is seen to be whole.

    Raises EngineError `engine_folder_incomplete`, `engine_folder_base_missing` or `engine_folder_no_chat`.
    """
    folder = folder.expanduser().absolute()
    name = name or str(folder)
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        return _with_adapter(folder, name)
    return _model(name, folder, None)


def _with_adapter(folder: Path, name: str) -> LocalModel:
    wanted = str(read_json(folder / "adapter_config.json").get("base_model_name_or_path") or "")
    place = Path(wanted).expanduser()
    base = place if wanted and place.is_dir() else downloaded_folder(wanted)
    if base is None:
        raise EngineError("engine_folder_base_missing", folder=str(folder), model=wanted or "?")
    if not any(folder.glob(WEIGHTS)):
        raise EngineError("engine_folder_incomplete", folder=str(folder), missing="adapter_model.safetensors")
    return _model(name, base, folder)


def _model(name: str, folder: Path, adapter: Path | None) -> LocalModel:
    missing = _missing_file(folder)
    if missing:
        raise EngineError("engine_folder_incomplete", folder=str(folder), missing=missing)
    config = read_json(folder / "config.json")
    template = (chat_template(adapter) if adapter else "") or chat_template(folder)
    if not template or not any(str(kind).endswith("ForCausalLM") for kind in config.get("architectures") or []):
        raise EngineError("engine_folder_no_chat", folder=str(adapter or folder))
    return LocalModel(
        name, folder, adapter, _weight_bytes(folder) + (_weight_bytes(adapter) if adapter else 0),
        str(config.get("model_type", "")), int(config.get("max_position_embeddings") or UNTOLD_CONTEXT),
        ("off", "on") if "enable_thinking" in template else (),
    )


def _configured(config: EnginesConfig) -> Iterator[LocalModel]:
    if config.embedded_model and Path(config.embedded_model).expanduser().is_dir():
        yield from _if_whole(Path(config.embedded_model), config.embedded_model)


def _runs(runs_dir: Path) -> Iterator[LocalModel]:
    for run in sorted(runs_dir.glob("*/adapter"), reverse=True):
        yield from _if_whole(run, run.parent.name)


def _bases(runs: Iterable[LocalModel]) -> Iterator[LocalModel]:
    """To ask a model what it said before it was tuned."""
    for folder in dict.fromkeys(run.folder for run in runs):
        if hub_cache() not in folder.parents:
            yield from _if_whole(folder, str(folder))


def _downloaded() -> Iterator[LocalModel]:
    for name in cached_models():
        folder = downloaded_folder(name)
        if folder is not None:
            yield from _if_whole(folder, name)


def _if_whole(folder: Path, name: str) -> Iterator[LocalModel]:
    try:
        yield from_folder(folder, name)
    except (EngineError, OSError, ValueError, TypeError):
        return


def _missing_file(folder: Path) -> str:
    """The first file that a whole model has and this folder has not; empty when there is none."""
    if not read_json(folder / "config.json"):
        return "config.json"
    if not (folder / "tokenizer.json").is_file() and not (folder / "tokenizer.model").is_file() and not (
            folder / "vocab.json").is_file():
        return "tokenizer.json"
    shards = read_json(folder / WEIGHTS_INDEX).get("weight_map")
    if isinstance(shards, dict) and shards:
        names = sorted({str(name) for name in shards.values()})
        return next((name for name in names if not (folder / name).is_file()), "")
    return "" if any(folder.glob(WEIGHTS)) else "model.safetensors"


def _weight_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob(WEIGHTS))


def chat_template(folder: Path) -> str:
    """The model's chat template; empty when it has none. It stands in a file of its own, or in the tokenizer's."""
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, ValueError):
        found = read_json(folder / "tokenizer_config.json").get("chat_template")
        return found if isinstance(found, str) else json.dumps(found) if found else ""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty when the file is missing or is none."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
