"""The reading child: a file that hangs, crashes or eats memory fails alone, and the next one is read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.documents.parsing import Parser
from core.errors import DocumentError
from core.settings import MEBIBYTE, Settings
from tests.core.documents.conftest import write_pdf, write_slow_pdf

LOCALE = Path(__file__).resolve().parents[3] / "ui" / "locales" / "en.json"
ReadingChildren = Callable[[], list[psutil.Process]]
SLOW = 3_000_000  # text operators: seconds of work and gigabytes of memory, in 90 kB


@pytest.fixture
def parser(settings: Settings) -> Iterator[Parser]:
    made = Parser(settings)
    yield made
    made.close()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.txt"
    path.write_text("una línea", encoding="utf-8")
    return path


@pytest.fixture
def reading_children() -> ReadingChildren:
    """The reading children started in this test; other tests' collections keep theirs."""
    def now() -> list[psutil.Process]:
        return [child for child in psutil.Process().children()
                if any("parser_worker" in part for part in child.cmdline())]

    before = now()
    return lambda: [child for child in now() if child not in before]


def code_of(parser: Parser, path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        list(parser.pages(path))
    return caught.value.code


def test_files_are_read_by_one_child_after_another(
    parser: Parser, small: Path, tmp_path: Path, reading_children: ReadingChildren
) -> None:
    assert list(parser.pages(small)) == ["una línea"]
    (child,) = reading_children()
    pdf = write_pdf(tmp_path / "two.pdf", ["uno", "dos"])
    assert [page.strip() for page in parser.pages(pdf)] == ["uno", "dos"]
    assert reading_children() == [child]


def test_a_page_that_takes_too_long_is_given_up_and_the_next_file_is_read(
    settings: Settings, small: Path, tmp_path: Path
) -> None:
    parser = Parser(replace(settings, page_timeout_seconds=0.7))
    try:
        started = time.monotonic()
        assert code_of(parser, write_slow_pdf(tmp_path / "slow.pdf", SLOW)) == "page_timeout"
        assert time.monotonic() - started < 5
        parser._child._settings = settings  # a child takes a moment to start, too
        assert list(parser.pages(small)) == ["una línea"]
    finally:
        parser.close()


def test_a_page_that_eats_memory_is_given_up_and_the_next_file_is_read(
    settings: Settings, small: Path, tmp_path: Path, reading_children: ReadingChildren
) -> None:
    parser = Parser(replace(settings, parser_memory_bytes=250 * MEBIBYTE))
    try:
        assert code_of(parser, write_slow_pdf(tmp_path / "big.pdf", SLOW)) == "parser_memory_limit"
        assert not reading_children()
        assert list(parser.pages(small)) == ["una línea"]
    finally:
        parser.close()


def test_a_child_that_dies_before_the_first_page_gives_way_to_the_second_reader(
    parser: Parser, small: Path, tmp_path: Path, reading_children: ReadingChildren
) -> None:
    assert list(parser.pages(small)) == ["una línea"]
    (first,) = reading_children()
    pages: list[str] = []
    reading = threading.Thread(target=lambda: pages.extend(parser.pages(write_slow_pdf(tmp_path / "slow.pdf", 60_000))))
    reading.start()
    time.sleep(0.05)  # pdfium is at work on the page
    first.kill()
    reading.join(timeout=30)
    assert len(pages) == 1
    assert pages[0].startswith("abcdefgh")
    assert reading_children() != [first]


def test_a_child_that_dies_after_the_first_page_fails_its_file_alone(
    parser: Parser, small: Path, tmp_path: Path, reading_children: ReadingChildren
) -> None:
    pages = parser.pages(write_pdf(tmp_path / "long.pdf", ["página"] * 3000))
    assert next(pages).strip() == "página"
    reading_children()[0].kill()
    with pytest.raises(DocumentError, match="parser_crashed"):
        list(pages)
    assert list(parser.pages(small)) == ["una línea"]


def test_a_reader_who_stops_half_way_gets_no_old_pages_with_the_next_file(
    parser: Parser, small: Path, tmp_path: Path
) -> None:
    pages = parser.pages(write_pdf(tmp_path / "long.pdf", ["página"] * 300))
    next(pages)
    pages.close()  # type: ignore[attr-defined]
    assert list(parser.pages(small)) == ["una línea"]


def test_a_password_reaches_the_reader_and_no_command_line(
    parser: Parser, tmp_path: Path, settings: Settings, reading_children: ReadingChildren
) -> None:
    path = write_pdf(tmp_path / "secret.pdf", ["secreto"], password="clave-ñ-17")
    assert code_of(parser, path) == "pdf_encrypted"
    with pytest.raises(DocumentError, match="pdf_wrong_password"):
        list(parser.pages(path, password="clave-ñ-18"))
    assert [page.strip() for page in parser.pages(path, password="clave-ñ-17")] == ["secreto"]
    (child,) = reading_children()
    assert "clave" not in str(child.cmdline()) + str(child.environ())
    assert "clave" not in (settings.logs_dir / "parser.log").read_text(encoding="utf-8")


def test_every_format_is_read_by_the_child(parser: Parser, tmp_path: Path) -> None:
    from docx import Document

    document = Document()
    document.add_paragraph("El niño")
    document.save(str(tmp_path / "a.docx"))
    (tmp_path / "a.html").write_text("<p>El ni&ntilde;o", encoding="utf-8")
    (tmp_path / "a.csv").write_text("quién;qué\nel niño;come\n", encoding="cp1252")
    assert list(parser.pages(tmp_path / "a.docx")) == list(parser.pages(tmp_path / "a.html")) == ["El niño"]
    assert list(parser.pages(tmp_path / "a.csv")) == ["quién: el niño\nqué: come"]


def test_a_file_that_is_gone_says_so(parser: Parser, tmp_path: Path) -> None:
    assert code_of(parser, tmp_path / "never.txt") == "file_gone"
    assert code_of(parser, tmp_path / "never.pdf") in ("file_gone", "pdf_broken")


def test_a_folder_named_like_a_text_cannot_be_read(parser: Parser, tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    assert code_of(parser, tmp_path / "folder.txt") == "file_unreadable"


def test_closing_from_another_thread_ends_the_wait(
    parser: Parser, tmp_path: Path, reading_children: ReadingChildren
) -> None:
    path = write_slow_pdf(tmp_path / "slow.pdf", SLOW)
    codes: list[str] = []
    reading = threading.Thread(target=lambda: codes.append(code_of(parser, path)))
    reading.start()
    while not reading_children():
        time.sleep(0.01)
    started = time.monotonic()
    parser.close()
    reading.join(timeout=10)
    assert codes == ["parser_crashed"]
    assert time.monotonic() - started < 3
    assert not reading_children()


def test_every_sample_pdf_is_read_or_refused_in_words(parser: Parser, shared_data: Path) -> None:
    sentences = json.loads(LOCALE.read_text(encoding="utf-8"))
    with_text, without, failed = 0, 0, 0
    for path in sorted((shared_data / "pdfs").glob("*.pdf")):
        try:
            has_text = bool("".join(parser.pages(path)).strip())
        except DocumentError as error:
            assert f"error.{error.code}" in sentences, f"{path.name}: {error}"
            failed += 1
        else:
            with_text, without = with_text + has_text, without + (not has_text)
    assert with_text + without + failed == 295
    assert with_text >= 170
    assert failed <= 12
