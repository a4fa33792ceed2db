"""Engines the user set up: a server of their own, its key, the embedded model. Kept in `data/engines.json`.

The key is a secret: it stands in that file alone, which only its owner may read, and never in a `repr`, an error or a
command line. Knows no network.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE_NAME = "engines.json"


@dataclass(frozen=True)
class EnginesConfig:
    """`openai_url` is empty where no server is set up. `embedded_model` is a folder or a hub id; empty: the default."""

    openai_url: str = ""
    openai_key: str = field(default="", repr=False)
    openai_first: bool = False  # the server answers before every other engine; else only when picked
    embedded_model: str = ""


def load(data_dir: Path) -> EnginesConfig:
    """What was saved; the defaults where nothing was, or where the file is damaged."""
    try:
        saved: Any = json.loads((data_dir / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return EnginesConfig()
    if not isinstance(saved, dict):
        return EnginesConfig()
    return EnginesConfig(
        openai_url=_text(saved, "openai_url"), openai_key=_text(saved, "openai_key"),
        openai_first=saved.get("openai_first") is True, embedded_model=_text(saved, "embedded_model"),
    )


def save(data_dir: Path, config: EnginesConfig) -> None:
    """Whole or not at all, for its owner's eyes from the first byte on. Raises OSError."""
    data_dir.mkdir(parents=True, exist_ok=True)
    # Made with mode 0600; Windows gives it the rights of the user's own folder.
    handle, partial = tempfile.mkstemp(dir=data_dir, prefix=FILE_NAME, suffix=".partial")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"openai_url": config.openai_url, "openai_key": config.openai_key,
                       "openai_first": config.openai_first, "embedded_model": config.embedded_model},
                      file, ensure_ascii=False, indent=2)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(data_dir / FILE_NAME)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(partial).unlink()
        raise


def _text(saved: dict[str, Any], name: str) -> str:
    value = saved.get(name, "")
    return value if isinstance(value, str) else ""
