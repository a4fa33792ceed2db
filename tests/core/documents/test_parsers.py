"""What a file's bytes become: encodings, binaries in disguise, good and bad PDFs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.documents.parsers import clean_pdf_text, decode, read_pages, read_pdf, read_pdf_again
from core.errors import DocumentError
from tests.core.documents.conftest import write_pdf

SPANISH = "¿Qué año? El niño comió piña y bebió café.\nLa reunión será mañana a las ocho: «Sí», respondió José."
POLISH = "Zażółć gęślą jaźń. W Szczebrzeszynie chrząszcz brzmi w trzcinie i Szczebrzeszyn z tego słynie."
RUSSIAN = "Привет мир, это текст по-русски. Сегодня хорошая погода и мы идём гулять."


def code_of(path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        list(read_pages(path))
    return caught.value.code


@pytest.mark.parametrize("encoding", [
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"])
def test_spanish_is_read_in_every_encoding_it_is_saved_in(encoding: str) -> None:
    assert decode(SPANISH.encode(encoding)) == SPANISH


@pytest.mark.parametrize("text", [
    "ñ", "España", "¿Qué año?", "café\n", "Año: 2024\nCanción de otoño", "Precio: 20 € por día",
    "naïve façade – déjà vu", "Größe und Übermaß", "«Não», disse João; amanhã é outro dia"])
def test_short_western_texts_are_read_as_windows_1252(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize(("text", "encoding"), [
    (POLISH, "cp1250"), (RUSSIAN, "cp1251"), ("Καλημέρα κόσμε, αυτό είναι ένα κείμενο.", "cp1253"),
    ("日本語のテキストです。今日は天気がいいです。", "shift-jis")])
def test_other_encodings_are_guessed(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"])
def test_the_byte_order_mark_is_no_text(mark: bytes) -> None:
    assert decode(mark + "año".encode({0xFF: "utf-16-le", 0xFE: "utf-16-be"}.get(mark[0], "utf-8"))) == "año"


def test_one_wrong_byte_does_not_make_utf8_another_encoding() -> None:
    cut = ("El niño comió piña. " * 20).encode() + b"\xc3"
    assert decode(cut) == "El niño comió piña. " * 20 + "\ufffd"


def test_newlines_become_one_character_and_control_characters_blanks() -> None:
    assert decode(b"a\r\nb\rc\n" + b"x" * 200 + b"\x01") == "a\nb\nc\n" + "x" * 200 + " "


def test_an_empty_file_is_an_empty_text() -> None:
    assert decode(b"") == ""


@pytest.mark.parametrize("data", [
    random.Random(1).randbytes(5000),  # noqa: S311
    b"\x89PNG\r\n\x1a\n" + random.Random(2).randbytes(300),  # noqa: S311
    b"MZ\x90\x00" + bytes(3000), bytes(range(256)) * 4, b"PK\x03\x04\x14\x00\x08\x00\x08\x00" + bytes(60),
], ids=["noise", "png", "exe", "all bytes", "zip"])
def test_a_binary_file_named_txt_is_no_text(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(data)
    assert code_of(path) == "not_text"


def test_a_pdf_named_txt_is_no_text(tmp_path: Path) -> None:
    assert code_of(write_pdf(tmp_path / "real.pdf", ["hola"]).rename(tmp_path / "real.txt")) == "not_text"


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


def test_a_type_without_reader_is_named(tmp_path: Path) -> None:
    (tmp_path / "sheet.xlsx").write_bytes(b"x")
    assert code_of(tmp_path / "sheet.xlsx") == "unsupported_type"


def test_a_word_divided_at_a_line_end_is_whole_again() -> None:
    assert clean_pdf_text("habi\ufffe\r\ntación y ca\x02sa") == "habitación y casa"
