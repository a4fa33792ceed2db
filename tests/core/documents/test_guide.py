"""The guides that ship: the PDF holds its source's text, and both languages tell the same facts."""

from __future__ import annotations

import re
from pathlib import Path

import pypdfium2
import pytest

from tests.make_guide import SOURCE, TARGET, make_guide

ENGLISH = TARGET.with_name("taller_guide.txt")
FACTS = (
    "mis_documentos/", "200 MB", "--max-file-mb", "[1]", "ollama pull gpt-oss:20b", "ollama pull qwen3:4b",
    "ollama.com", "JSONL", "QLoRA", "r=16", "/adapter/", "--share", "salir", "app.py ask", "app.py search",
    "app.py index", "app.py chat", "app.py train", "data/", "http://127.0.0.1:7860",
)


def pdf_words(path: Path) -> str:
    document = pypdfium2.PdfDocument(path)
    try:
        return " ".join(" ".join(page.get_textpage().get_text_range() for page in document).split())
    finally:
        document.close()


def test_the_shipped_pdf_is_the_one_its_source_makes(tmp_path: Path) -> None:
    made = tmp_path / "guide.pdf"
    make_guide(target=made)
    assert pdf_words(TARGET) == pdf_words(made), "run: python -m tests.make_guide"


def test_the_pdf_keeps_accents_and_marks() -> None:
    words = pdf_words(TARGET)
    assert "¿Qué dice el contrato sobre las vacaciones?" in words
    assert "contraseña" in words
    assert "página" in words


@pytest.mark.parametrize("fact", FACTS)
def test_both_guides_state(fact: str) -> None:
    assert fact in pdf_words(TARGET)
    assert fact in ENGLISH.read_text(encoding="utf-8")


def test_both_guides_have_the_same_sections() -> None:
    spanish = re.findall(r"^## (\d+)\.", SOURCE.read_text(encoding="utf-8"), re.MULTILINE)
    english = re.findall(r"^(\d+)\. ", ENGLISH.read_text(encoding="utf-8"), re.MULTILINE)
    assert spanish == english
