"""What the form of a new run held last, kept in the data folder: a reload, another language and a restart of the app
find it again.

One for the data folder, as the runs are: of two windows the one that changed last is kept. Knows no components.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.errors import TrainingError
from core.finetune.dataset import ColumnMapping
from core.finetune.runs import told_when_full, write_json

_FORGOTTEN_SECONDS = 86_400.0  # another window may still show an earlier file


@dataclass(frozen=True)
class Draft:
    """`values` are what the form's fields hold by their names, whether a run could start with them or not."""

    path: str = ""  # of the examples; empty where none are chosen
    name: str = ""  # what the file is called
    mapping: ColumnMapping | None = None  # as the reader picked it
    skip_bad: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)


class Drafts:
    """The draft, and the file of its examples beside it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "draft.json"
        self._files = folder / "examples"

    def load(self) -> Draft:
        """An empty one where nothing was kept, or nothing readable."""
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            mapping = ColumnMapping(**kept["mapping"]) if kept["mapping"] else None
            return Draft(str(kept["path"]), str(kept["name"]), mapping, kept["skip_bad"] is True, dict(kept["values"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Draft()

    def keep(self, draft: Draft) -> None:
        """A full disk keeps nothing, and hinders nobody."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, asdict(draft))

    def adopt(self, upload: Path) -> Path:
        """An upload where it stays: those in gradio's folder are forgotten. Raises TrainingError disk_full_writing,
        dataset_missing."""
        self._forget()
        kept = self._files / uuid.uuid4().hex / upload.name
        with told_when_full(self._files):
            kept.parent.mkdir(parents=True)
            try:
                os.link(upload, kept)
            except FileNotFoundError as error:
                raise TrainingError("dataset_missing", name=upload.name) from error
            except OSError:  # not every file system has links
                shutil.copyfile(upload, kept)
        return kept

    def _forget(self) -> None:
        used = Path(self.load().path).parent
        for folder in self._files.glob("*"):
            with contextlib.suppress(OSError):
                if folder != used and time.time() - folder.stat().st_mtime > _FORGOTTEN_SECONDS:
                    shutil.rmtree(folder)
