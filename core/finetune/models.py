"""Which model a name means: a folder on this machine, or a repository of the Hugging Face hub.

Knows files, not weights: nothing here imports torch, so the page's process may use it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engines.hub_cache import downloaded_folder
from core.errors import TrainingError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
WEIGHTS = "*.safetensors"  # the other formats are pickles, which run code when they are read
WEIGHTS_INDEX = "model.safetensors.index.json"
DOWNLOADED = [WEIGHTS, "*.json", "*.jinja", "*.txt", "*.model"]
# Copies of the weights in other formats.
NOT_DOWNLOADED = ["original/*", "metal/*", "onnx/*", "consolidated*"]
HUB_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class ModelFolder:
    """A folder that holds a whole model."""

    path: Path
    model_type: str  # the architecture as transformers calls it: "llama", "qwen3", "gpt_oss"
    quant_method: str  # how the weights are stored: "mxfp4", "bitsandbytes"; empty for plain ones
    weight_bytes: int


def local_folder(model: str) -> Path | None:
    """The absolute folder a name means, None for a hub id. Raises TrainingError when it can be neither."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if HUB_ID.fullmatch(model) and ".." not in model:
        return None
    raise TrainingError("train_model_folder_missing", model=model)


def on_disk(model: str) -> Path | None:
    """The folder a name means, or the whole copy of a hub model; None for one still to be downloaded. Raises
    TrainingError when it can be neither."""
    return local_folder(model) or cached_copy(model)


def inspect_folder(folder: Path) -> ModelFolder:
    """What a model folder holds. Raises TrainingError saying what is missing."""
    name = str(folder)
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise TrainingError("train_model_is_adapter", model=name)
        raise TrainingError("train_model_folder_incomplete", model=name, missing="config.json")
    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise TrainingError("train_model_folder_incomplete", model=name, missing="model_type (config.json)")
    missing = missing_files(folder)
    if missing:
        raise TrainingError("train_model_folder_incomplete", model=name, missing=missing)
    quantization = config.get("quantization_config")
    method = quantization.get("quant_method", "") if isinstance(quantization, dict) else ""
    weight_bytes = sum(file.stat().st_size for file in folder.glob(WEIGHTS))
    return ModelFolder(folder, model_type, str(method), weight_bytes)


def missing_files(folder: Path) -> str:
    """The first file that a whole model has and this folder has not; empty when there is none."""
    if not any(folder.glob("tokenizer*")) and not (folder / "vocab.json").is_file():
        return "tokenizer.json"
    if not any(folder.glob(WEIGHTS)):
        return WEIGHTS
    shards = read_json(folder / WEIGHTS_INDEX).get("weight_map", {})
    names = sorted({str(name) for name in shards.values()}) if isinstance(shards, dict) else []
    return next((name for name in names if not (folder / name).is_file()), "")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty when the file is missing or is none."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def fetch(model: str) -> ModelFolder:
    """The model's folder, downloaded when it is not on this machine yet.

    Raises TrainingError: train_model_not_found, train_model_gated, train_hub_unreachable,
    train_model_folder_missing, train_model_folder_incomplete. Without a network it fails, or uses the copy
    downloaded before, within HUB_TIMEOUT_SECONDS.
    """
    folder = local_folder(model)
    return inspect_folder(folder if folder is not None else download(model))


def download(model: str) -> Path:
    """The hub's newest version of a model, or the last one downloaded when the hub does not answer."""
    # Read when the library is first imported; its own defaults would retry for minutes.
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(int(HUB_TIMEOUT_SECONDS)))
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        # Only here can the time to wait be set; a hub that answers once will answer the download too.
        HfApi().model_info(model, timeout=HUB_TIMEOUT_SECONDS)
        return Path(snapshot_download(model, allow_patterns=DOWNLOADED, ignore_patterns=NOT_DOWNLOADED))
    except GatedRepoError as error:
        raise TrainingError("train_model_gated", model=model) from error
    except RepositoryNotFoundError as error:
        raise TrainingError("train_model_not_found", model=model) from error
    except Exception as error:
        if not is_network_error(error):
            raise
        cached = cached_copy(model)
        if cached is None:
            raise TrainingError("train_hub_unreachable", model=model) from error
        return cached


def is_network_error(error: BaseException) -> bool:
    """Whether a library failed because nobody answered, or not as the hub does. The hub's client is httpx
    under a name that changes between versions, so its errors are known by their module."""
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError, LocalEntryNotFoundError

    unanswered = (ConnectionError, TimeoutError, HfHubHTTPError, LocalEntryNotFoundError, FileMetadataError)
    if isinstance(error, unanswered):
        return True
    return any(
        kind.__module__.startswith("httpx") and kind.__name__ in {"TransportError", "RequestError"}
        for kind in type(error).__mro__
    )


def cached_copy(model: str) -> Path | None:
    """The model as it was downloaded before, by us or by another program, if it is whole."""
    folder = downloaded_folder(model)
    if folder is None:
        return None
    try:
        inspect_folder(folder)
    except TrainingError:
        return None
    return folder
