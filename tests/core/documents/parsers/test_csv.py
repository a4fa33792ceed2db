"""Tables as text: delimiter and header are found, each row stands under its columns' names."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.documents.parsers import read_pages
from core.documents.parsers.csv import ROWS_A_PAGE, find_delimiter
from core.documents.parsers.pages import MAX_PAGE_CHARS
from core.errors import DocumentError
from tests.core.documents.parsers.reading import code_of, text_of

PEOPLE = [["nombre", "ciudad", "sueldo"], ["Ana", "Cádiz", "1.200,50"], ["José", "Ávila", "900"]]
READ = "nombre: Ana\nciudad: Cádiz\nsueldo: 1.200,50\n\nnombre: José\nciudad: Ávila\nsueldo: 900"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_table_is_read_whatever_its_delimiter_and_encoding(tmp_path: Path, delimiter: str, encoding: str) -> None:
    text = "\r\n".join(delimiter.join(row) for row in PEOPLE)
    assert text_of(write(tmp_path / "a.csv", text, encoding)) == READ


def test_a_table_with_commas_has_its_values_in_quotes(tmp_path: Path) -> None:
    assert text_of(write(tmp_path / "a.csv", 'nombre,nota\nAna,"buena, ""muy"" buena\nde verdad"\nEva,\n')) == (
        'nombre: Ana\nnota: buena, "muy" buena de verdad\n\nnombre: Eva')


def test_a_tsv_is_cut_at_tabs_alone(tmp_path: Path) -> None:
    assert text_of(write(tmp_path / "a.tsv", "a,b\tc\nd,e\tf\n")) == "a,b: d,e\nc: f"


def test_excels_own_first_line_names_the_delimiter(tmp_path: Path) -> None:
    assert text_of(write(tmp_path / "a.csv", "sep=|\na|b\nx,y|z,w\n")) == "a: x,y\nb: z,w"


def test_decimal_commas_are_no_delimiter() -> None:
    assert find_delimiter("fecha;valor\n1/2/2024;1,5\n2/2/2024;2,5\n") == ";"
    assert find_delimiter("name,tags\nAna,a;b\nEva,c;d\n") == ","


def test_prose_named_csv_is_read_as_it_is(tmp_path: Path) -> None:
    prose = "Una línea.\nOtra, con coma, y más.\nY una tercera línea sin nada\n"
    assert text_of(write(tmp_path / "a.csv", prose)) == prose


def test_a_table_without_header_keeps_its_rows(tmp_path: Path) -> None:
    assert text_of(write(tmp_path / "a.csv", "Ana;30\nEva;25\n")) == "Ana | 30\n\nEva | 25"


def test_what_stands_above_the_header_is_text(tmp_path: Path) -> None:
    text = "Informe de 2024;;\n;;\nnombre;ciudad;año\nAna;Cádiz;1990\n"
    assert text_of(write(tmp_path / "a.csv", text)) == (
        "Informe de 2024\n\nnombre: Ana\nciudad: Cádiz\naño: 1990")


def test_cells_beyond_the_header_are_kept(tmp_path: Path) -> None:
    assert text_of(write(tmp_path / "a.csv", "a;b\n1;2;3\n4;5\n6;7\n")) == "a: 1\nb: 2\n3\n\na: 4\nb: 5\n\na: 6\nb: 7"


def test_a_long_table_has_pages_of_rows(tmp_path: Path) -> None:
    rows = "".join(f"{number};v{number}\n" for number in range(250))
    pages = list(read_pages(write(tmp_path / "a.csv", "n;valor\n" + rows)))
    assert [page.count("valor: ") for page in pages] == [ROWS_A_PAGE, ROWS_A_PAGE, 50]
    assert pages[1].startswith("n: 100\nvalor: v100\n\n")


@pytest.mark.parametrize(("rows", "columns"), [(1_000, 1_000), (1, 1_000_000), (500_000, 2)])
def test_a_million_cells_are_read_on_pages_of_bounded_length(tmp_path: Path, rows: int, columns: int) -> None:
    row = ";".join(["x"] * columns) + "\n"
    header = ";".join(f"c{number}" for number in range(columns)) + "\n"
    total = 0
    for page in read_pages(write(tmp_path / "a.csv", header + row * rows)):
        assert len(page) <= MAX_PAGE_CHARS
        total += page.count(": x")
    assert total == pytest.approx(1_000_000, abs=10)  # a page may end inside a cell


def test_a_quotation_mark_without_end_is_told_with_its_line(tmp_path: Path) -> None:
    text = "a;b\n" + "1;2\n" * 100 + '"3;4\n' + "5;6\n" * 400_000
    with pytest.raises(DocumentError) as caught:
        list(read_pages(write(tmp_path / "a.csv", text)))
    assert (caught.value.code, caught.value.values) == ("csv_broken", {"line": 102})


def test_an_empty_table_is_an_empty_text(tmp_path: Path) -> None:
    for text in ("", "\n\n", ";;\n;;\n"):
        assert text_of(write(tmp_path / "a.csv", text)).strip("\n;") == ""


def test_a_header_alone_is_its_words(tmp_path: Path) -> None:
    assert text_of(write(tmp_path / "a.csv", "nombre;ciudad\n")) == "nombre | ciudad"


def test_a_workbook_named_csv_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"PK\x03\x04\x14\x00\x08\x00\x08\x00" + bytes(60))
    assert code_of(tmp_path / "a.csv") == "not_text"
