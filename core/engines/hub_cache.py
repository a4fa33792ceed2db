"""The hub's cache on this machine: which models lie there, what of one came only in part, and how one is deleted.

The cache belongs to every program on this machine that speaks to the hub. Knows files, and asks no network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from core.errors import EngineError

PARTIAL_SUFFIX = ".taller.incomplete"  # of a file that our own downloads have begun; other programs' end otherwise
DELETED_PREFIX = ".deleted--"


def hub_cache() -> Path:
    """Where the hub's files are kept, for every program on this machine."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser().absolute()


def cache_folder(model: str) -> Path:
    """The hub cache's folder of a model, which may not exist."""
    return hub_cache() / f"models--{model.replace('/', '--')}"


def cached_models() -> Iterator[str]:
    """Every model of which the cache has something, by name."""
    for folder in sorted(hub_cache().glob("models--*")):
        yield folder.name.removeprefix("models--").replace("--", "/")


def downloaded_folder(model: str) -> Path | None:
    """The newest snapshot of a hub model on this machine; None when there is none."""
    if not model or ".." in model or "\\" in model or model.startswith(("/", "~")):
        return None
    try:
        revision = (cache_folder(model) / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    folder = cache_folder(model) / "snapshots" / revision
    return folder if revision and folder.is_dir() else None


def partial_bytes() -> dict[str, int]:
    """The models whose download began here and has not ended: what came of the files that are not whole, in bytes."""
    found = {model: sum(map(_size, (cache_folder(model) / "blobs").glob(f"*{PARTIAL_SUFFIX}")))
             for model in cached_models()}
    return {model: size for model, size in found.items() if size}


def disk_bytes(model: str) -> int:
    """What deleting a model frees."""
    return sum(map(_size, cache_folder(model).rglob("*")))


def delete(model: str) -> None:
    """Take a model out of the cache, whole or in part. It goes at once or not at all: a program that reads it may
    hold it, on Windows. Raises EngineError `engine_embedded_missing`, `model_not_deleted`."""
    folder = cache_folder(model)
    gone = folder.with_name(DELETED_PREFIX + folder.name)
    if folder.parent != hub_cache() or not folder.is_dir():
        raise EngineError("engine_embedded_missing", model=model)
    try:
        _remove(gone)  # what an earlier deletion left
        folder.rename(gone)
    except OSError as error:
        raise EngineError("model_not_deleted", model=model, folder=str(folder)) from error
    with contextlib.suppress(OSError):
        _remove(gone)
    with contextlib.suppress(OSError):
        shutil.rmtree(hub_cache() / ".locks" / folder.name)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _size(path: Path) -> int:
    """Of a file itself; a link, as snapshots hold them, takes nothing."""
    with contextlib.suppress(OSError):
        told = path.lstat()
        return told.st_size if stat.S_ISREG(told.st_mode) else 0
    return 0
