"""Text in whatever encoding it comes, binaries in disguise, and pages of a text too long for one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.documents.parsers.pages import MAX_FILE_CHARS, MAX_PAGE_CHARS, cut_pages
from core.documents.parsers.plain import decode, read_text
from tests.core.documents.conftest import write_pdf
from tests.core.documents.parsers.reading import code_of

SPANISH = "¿Qué año? El niño comió piña y bebió café.\nLa reunión será mañana a las ocho: «Sí», respondió José."
POLISH = "Zażółć gęślą jaźń. W Szczebrzeszynie chrząszcz brzmi w trzcinie i Szczebrzeszyn z tego słynie."
RUSSIAN = "Привет мир, это текст по-русски. Сегодня хорошая погода и мы идём гулять."


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
    random.Random(1).randbytes(5000),
    b"\x89PNG\r\n\x1a\n" + random.Random(2).randbytes(300),
    b"MZ\x90\x00" + bytes(3000), bytes(range(256)) * 4, b"PK\x03\x04\x14\x00\x08\x00\x08\x00" + bytes(60),
], ids=["noise", "png", "exe", "all bytes", "zip"])
def test_a_binary_file_named_txt_is_no_text(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(data)
    assert code_of(path) == "not_text"


def test_a_pdf_named_txt_is_no_text(tmp_path: Path) -> None:
    assert code_of(write_pdf(tmp_path / "real.pdf", ["hola"]).rename(tmp_path / "real.txt")) == "not_text"


def test_a_very_long_text_has_several_pages_that_joined_are_the_text(tmp_path: Path) -> None:
    text = "Una línea de texto corriente.\n" * 80_000
    (tmp_path / "long.txt").write_text(text, encoding="utf-8")
    pages = list(read_text(tmp_path / "long.txt"))
    assert len(pages) == 3
    assert "".join(pages) == text
    assert all(len(page) <= MAX_PAGE_CHARS and page.endswith("\n") for page in pages)


def test_pages_are_cut_at_paragraphs_lines_or_words_and_inside_them_only_where_there_are_none() -> None:
    assert list(cut_pages("uno dos\n\ntres", 12)) == ["uno dos\n\n", "tres"]
    assert list(cut_pages("uno dos\ntres cuatro", 14)) == ["uno dos\n", "tres cuatro"]
    assert list(cut_pages("uno dos tres", 8)) == ["uno dos ", "tres"]
    assert list(cut_pages("x" * 20, 8)) == ["x" * 8, "x" * 8, "x" * 4]
    assert list(cut_pages("", 8)) == [""]


def test_a_file_too_long_in_any_encoding_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with (tmp_path / "endless.txt").open("wb") as file:
        file.truncate(4 * MAX_FILE_CHARS + 1)  # a hole: takes no room on the disk
    assert code_of(tmp_path / "endless.txt") == "too_much_text"
