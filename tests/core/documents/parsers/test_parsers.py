"""Which reader gets which file."""

from __future__ import annotations

from pathlib import Path

from core.documents.parsers import READERS, SUFFIXES
from tests.core.documents.parsers.reading import code_of


def test_a_type_without_reader_is_named(tmp_path: Path) -> None:
    (tmp_path / "sheet.xlsx").write_bytes(b"x")
    assert code_of(tmp_path / "sheet.xlsx") == "unsupported_type"


def test_every_format_tells_a_file_that_is_gone_from_one_that_is_broken(tmp_path: Path) -> None:
    for suffix in set(SUFFIXES) - {".pdf"}:
        try:
            list(READERS[suffix][0](tmp_path / f"gone{suffix}"))
        except FileNotFoundError:
            continue
        raise AssertionError(suffix)
