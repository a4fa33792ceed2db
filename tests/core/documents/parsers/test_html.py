"""Web pages: what a reader sees, in the encoding the page names, whatever its tags are like."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.documents.parsers.html import decode_html, visible_text
from tests.core.documents.parsers.reading import code_of, text_of


def test_a_page_is_its_headings_paragraphs_and_lists() -> None:
    assert visible_text("""<!doctype html><html><head><title>Guía &amp; más</title></head><body>
        <h1>Vacaciones</h1><p>Son <b>treinta</b>
        d&iacute;as&nbsp;naturales.<br>Sin excepci&#243;n.</p>
        <h2>Cómo</h2><ul><li>Primero<li><p>Segundo</p></ul><ol start=3><li>Tres<li>Cuatro</ol>""") == (
        "Guía & más\n\n# Vacaciones\n\nSon treinta días naturales.\nSin excepción.\n\n## Cómo\n\n- Primero\n\n"
        "- Segundo\n\n3. Tres\n4. Cuatro")


def test_what_nobody_sees_is_left_out() -> None:
    assert visible_text("""<style>p {color: red}</style><script>if (a < b) alert("<p>uno</p>")</script>
        <p>Visto.<!-- comentario --><p hidden>Oculto<p style="Display : none">Tampoco<div style='display:none'>ni
        <p>esto</div><noscript>Activa JavaScript</noscript><template><p>No</template><svg><text>No</text></svg>
        <nav><a href=/>Inicio</a></nav><select><option>No</select><iframe src="http://localhost/">No</iframe>
        <p>Y esto también.</p>""") == "Visto.\n\nY esto también."


def test_a_page_that_is_all_menu_is_its_menu(tmp_path: Path) -> None:
    (tmp_path / "menu.html").write_text("<nav><a>Inicio</a><a> Ayuda</a></nav>")
    assert text_of(tmp_path / "menu.html") == "Inicio Ayuda"


def test_a_table_has_a_line_for_each_row() -> None:
    assert visible_text("<table><caption>Precios<tr><th>Fruta<th>€<tr><td><p>Pera</p><td>2<tr><td>Uva<td></table>") == (
        "Precios\nFruta | €\nPera | 2\nUva")


def test_a_page_laid_out_as_a_table_keeps_its_paragraphs() -> None:
    assert visible_text("<table><tr><td><p>Uno.</p><p>Dos.</p></table>") == "Uno.\n\nDos."
    long = "palabra " * 100
    assert visible_text(f"<table><tr><td>Menú<td><p>{long}</p><p>Fin.</p></table>") == f"Menú\n\n{long.strip()}\n\nFin."


def test_a_table_in_a_cell_stands_in_its_cell() -> None:
    assert visible_text("<table><tr><td>a<td><table><tr><td>b<td>c</table><tr><td>d<td>e</table>") == "a | b | c\nd | e"


def test_code_keeps_its_lines_and_blanks() -> None:
    assert visible_text("<pre>if a:\n    b</pre><p>fin") == "if a:\n    b\n\nfin"


@pytest.mark.parametrize(("name", "encoding"), [
    ("iso-8859-1", "cp1252"), ("windows-1251", "cp1251"), ("shift_jis", "shift_jis"), ("iso-2022-jp", "iso2022_jp"),
    ("gbk", "gbk"), ("utf-8", "utf-8"), ("koi8-r", "koi8-r")])
def test_the_page_names_its_encoding(name: str, encoding: str) -> None:
    text = {"cp1252": "“El niño” – 20 €", "utf-8": "ñandú 日本", "cp1251": "Привет мир", "koi8-r": "Привет мир",
            "gbk": "联通"}.get(encoding, "日本語のテキスト")
    for meta in (f'<meta charset="{name}">', f"<meta http-equiv=Content-Type content='text/html; charset={name}'>",
                 f'<?xml version="1.0" encoding="{name}"?>'):
        assert visible_text(decode_html((meta + f"<p>{text}").encode(encoding))) == text


@pytest.mark.parametrize("name", ["iso-8859-1", "nonsense", "idna", "rot13", "utf-16", "unicode_escape", "\xff"])
def test_a_page_that_names_an_encoding_it_is_not_in_is_read_as_what_it_is(name: str) -> None:
    assert visible_text(decode_html(f"<meta charset='{name}'><p>El niño \\x41".encode())) == "El niño \\x41"


def test_utf16_is_known_by_its_mark() -> None:
    assert visible_text(decode_html("<meta charset=utf-8><p>ñandú".encode("utf-16"))) == "ñandú"


@pytest.mark.parametrize("tag", ["div", "b", "table><tr><td", "ul><li", "span hidden", "a", "font", "svg", "script"])
def test_a_hundred_thousand_tags_in_one_another_are_read_in_seconds(tag: str) -> None:
    started = time.process_time()
    assert visible_text("<p>antes</p>" + f"<{tag}>" * 100_000 + "hondo").startswith("antes")
    assert time.process_time() - started < 10


@pytest.mark.parametrize("piece", [
    "<!--", "<a", "</", "&", "<p a='", "<![CDATA[", "<?", "<!", "&#1", "<table>", "</p>"])
def test_endless_beginnings_of_tags_are_read_in_seconds(piece: str) -> None:
    started = time.process_time()
    visible_text("<p>antes</p>" + piece * 200_000)
    assert time.process_time() - started < 10


def test_entities_of_a_page_are_characters_and_no_bombs(tmp_path: Path) -> None:
    bomb = "<!DOCTYPE html [<!ENTITY a 'hahaha'><!ENTITY b '&a;&a;&a;'><!ENTITY f SYSTEM 'file:///etc/passwd'>]>"
    (tmp_path / "bomb.html").write_text(f"{bomb}<p>&b;&f;&copy;&lt;b&gt;")
    text = text_of(tmp_path / "bomb.html")
    assert "haha" not in text.partition("]>")[2]
    assert "root:" not in text
    assert text.endswith("©<b>")


def test_a_picture_named_html_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.htm").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10)
    assert code_of(tmp_path / "a.htm") == "not_text"


def test_an_empty_page_is_an_empty_text(tmp_path: Path) -> None:
    for html in ("", "<html></html>", "<!-- -->", "\x00" * 0):
        (tmp_path / "a.html").write_text(html)
        assert text_of(tmp_path / "a.html") == ""
