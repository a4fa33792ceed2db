"""Good, protected and broken PDFs, by both readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter

from core.documents.parsers import read_pages
from core.documents.parsers.pages import MAX_PAGE_CHARS
from core.documents.parsers.pdf import clean_pdf_text, read_pdf, read_pdf_again
from core.errors import DocumentError
from tests.core.documents.conftest import write_pdf, write_slow_pdf
from tests.core.documents.parsers.reading import code_of


def test_a_text_named_pdf_is_a_broken_pdf(tmp_path: Path) -> None:
    (tmp_path / "text.pdf").write_text("hola")
    assert code_of(tmp_path / "text.pdf") == "pdf_broken"


def test_both_readers_give_the_pages_of_a_pdf_in_order(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "three.pdf", ["El niño", "segunda línea\ny otra", ""])
    for reader in (read_pdf, read_pdf_again):
        pages = [page.strip() for page in reader(path)]
        assert [" ".join(page.split()) for page in pages] == ["El niño", "segunda línea y otra", ""]


def test_a_pdf_with_an_upper_case_suffix_is_a_pdf(tmp_path: Path) -> None:
    assert [page.strip() for page in read_pages(write_pdf(tmp_path / "ONE.PDF", ["uno"]))] == ["uno"]


def test_an_encrypted_pdf_says_so_in_both_readers(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "secret.pdf", ["secreto"], password="clave")
    assert code_of(path) == "pdf_encrypted"
    with pytest.raises(DocumentError, match="pdf_encrypted"):
        list(read_pdf_again(path))


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4\n", b"%PDF-1.7\n" + b"\x00" * 500], ids=["empty", "head", "zeros"])
def test_a_pdf_that_is_none_is_broken(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(data)
    assert code_of(tmp_path / "broken.pdf") == "pdf_broken"


def test_a_pdf_cut_in_half_is_broken_or_read_in_part_but_never_a_crash(tmp_path: Path) -> None:
    data = write_pdf(tmp_path / "whole.pdf", ["uno", "dos"]).read_bytes()
    (tmp_path / "half.pdf").write_bytes(data[: len(data) // 2])
    try:
        list(read_pages(tmp_path / "half.pdf"))
    except DocumentError as error:
        assert error.code == "pdf_broken"


def test_a_pdf_of_pictures_has_pages_without_text(tmp_path: Path) -> None:
    assert [page.strip() for page in read_pages(write_pdf(tmp_path / "scan.pdf", ["", ""]))] == ["", ""]


def test_a_word_divided_at_a_line_end_is_whole_again() -> None:
    assert clean_pdf_text("habi\ufffe\r\ntación y ca\x02sa") == "habitación y casa"


def test_the_password_opens_a_protected_pdf_in_both_readers(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "secret.pdf", ["secreto"], password="clave")
    for reader in (read_pdf, read_pdf_again):
        assert [page.strip() for page in reader(path, password="clave")] == ["secreto"]


@pytest.mark.parametrize("password", ["otra", "", "Clave", "\ud800", "a\x00b", "ñ" * 500])
def test_another_password_is_told_as_wrong(tmp_path: Path, password: str) -> None:
    path = write_pdf(tmp_path / "secret.pdf", ["secreto"], password="clave")
    assert code_of(path, password) == "pdf_wrong_password"


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128"])
@pytest.mark.parametrize("password", ["clave", "contraseña"])
def test_a_password_with_accents_opens_what_it_closed(tmp_path: Path, algorithm: str, password: str) -> None:
    path = encrypted(tmp_path, user=password, algorithm=algorithm)
    assert [page.strip() for page in read_pages(path, password=password)] == ["secreto"]


def test_a_pdf_protected_against_changes_alone_is_simply_read(tmp_path: Path) -> None:
    path = encrypted(tmp_path, user="", algorithm="RC4-128")
    for reader in (read_pdf, read_pdf_again):
        assert [page.strip() for page in reader(path)] == ["secreto"]
    assert [page.strip() for page in read_pages(path, password="needless")] == ["secreto"]


def test_a_page_of_more_text_than_fits_a_page_is_refused(tmp_path: Path) -> None:
    assert code_of(write_slow_pdf(tmp_path / "poster.pdf", MAX_PAGE_CHARS // 9 + 1000)) == "too_much_text"


def encrypted(folder: Path, *, user: str, algorithm: str) -> Path:
    """A PDF that opens with the password `user`; its owner has one of her own."""
    writer = PdfWriter(clone_from=PdfReader(write_pdf(folder / "open.pdf", ["secreto"])))
    writer.encrypt(user, "owner", algorithm=algorithm)
    writer.write(folder / "protected.pdf")
    return folder / "protected.pdf"
