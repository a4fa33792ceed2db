"""What the user set up is kept, for the user's eyes only."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.engines import config
from core.engines.config import EnginesConfig

SAVED = EnginesConfig("http://host:8000/v1", "a-secret", True, "Qwen/Qwen3-0.6B")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    assert config.load(tmp_path / "data") == EnginesConfig()
    config.save(tmp_path / "data", SAVED)
    assert config.load(tmp_path / "data") == SAVED
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["engines.json"]


def test_the_key_is_not_in_the_repr() -> None:
    assert "a-secret" not in repr(SAVED)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    config.save(tmp_path, SAVED)
    config.save(tmp_path, SAVED)
    assert (tmp_path / "engines.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"openai_url": 3, "openai_first": "yes"}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "engines.json").write_text(damaged)
    assert config.load(tmp_path) == EnginesConfig()
