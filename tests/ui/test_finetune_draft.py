"""The form of a new run is found again as it was left, whatever happened to its folder meanwhile."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.errors import TrainingError
from core.finetune.config import TrainConfig
from core.finetune.dataset import ColumnMapping
from ui.finetune_draft import Draft, Drafts
from ui.finetune_form import kept_values, values_of


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(tmp_path / "new_run")


def test_what_was_kept_is_found_by_the_next_start(drafts: Drafts, tmp_path: Path) -> None:
    assert drafts.load() == Draft()
    draft = Draft("ñ.csv", "ñ.csv", ColumnMapping("frase", output="eco"), True, {"epochs": "", "packing": True})
    drafts.keep(draft)
    assert Drafts(tmp_path / "new_run").load() == draft


@pytest.mark.parametrize("left", ["", "{", "[]", '{"path": 1}', '{"path": "", "name": "", "mapping": {"x": 1}}'])
def test_a_draft_that_cannot_be_read_is_an_empty_one(drafts: Drafts, tmp_path: Path, left: str) -> None:
    drafts.keep(Draft())
    (tmp_path / "new_run" / "draft.json").write_text(left, encoding="utf-8")
    assert drafts.load() == Draft()


def test_the_file_of_a_draft_stays_when_its_upload_and_earlier_files_are_forgotten(
    drafts: Drafts, tmp_path: Path
) -> None:
    upload = tmp_path / "ej.jsonl"
    upload.write_text("{}", encoding="utf-8")
    forgotten, kept = drafts.adopt(upload), drafts.adopt(upload)
    drafts.keep(Draft(str(kept), kept.name))
    upload.unlink()
    long_ago = time.time() - 200_000
    for path in (forgotten, kept):
        os.utime(path.parent, (long_ago, long_ago))
    with pytest.raises(TrainingError, match="dataset_missing"):
        drafts.adopt(upload)
    assert kept.read_text(encoding="utf-8") == "{}"
    assert not forgotten.exists()


def test_a_form_that_was_kept_comes_back_without_what_it_can_no_longer_hold() -> None:
    known = {"model": "m", "epochs": 0, "schedule": "of long ago", "gone": 1}
    recipe = values_of(TrainConfig(model="m"))
    assert [one for one, usual in zip(kept_values(known), recipe, strict=True) if one != usual] == [0]
