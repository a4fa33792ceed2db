"""Reading a file in this process, as the child would."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.documents.parsers import read_pages
from core.errors import DocumentError


def code_of(path: Path, password: str | None = None) -> str:
    """The code of the error a file is refused with."""
    with pytest.raises(DocumentError) as caught:
        list(read_pages(path, password=password))
    return caught.value.code


def text_of(path: Path) -> str:
    return "\f".join(read_pages(path))
