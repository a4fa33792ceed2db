"""Word files: what python-docx writes and what Word adds to it, in reading order; and archives that are traps."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import pytest
from docx import Document

from core.documents.parsers import read_pages
from core.documents.parsers.docx_styles import written
from core.errors import DocumentError
from tests.core.documents.parsers.reading import code_of, text_of

SPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
STRICT = 'xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main"'


def write_body(path: Path, body: str, *, before: str = "", space: str = SPACE, **parts: str) -> Path:
    """A Word file with this body in WordprocessingML and nothing else but `parts`, by their names in `word/`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", f"{before}<w:document {space}><w:body>{body}</w:body></w:document>")
        for name, text in parts.items():
            archive.writestr(f"word/{name}", text)
    return path


def relation(kind: str) -> str:
    """What says that the document has a part of this kind, named after it."""
    return ('<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="a" '
            f'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{kind}.xml"/>'
            "</Relationships>")


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def test_headings_paragraphs_lists_and_tables_stand_in_reading_order(tmp_path: Path) -> None:
    document = Document()
    document.add_heading("Contrato", 0)
    document.add_heading("Objeto", 2)
    document.add_paragraph("El inquilino paga.")
    document.add_paragraph("Luz", style="List Bullet")
    document.add_paragraph("Agua", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ("Mes", "Euros", "Enero", "700"), strict=True):
        cell.text = text
    document.add_paragraph("Primero", style="List Number")
    document.add_paragraph("Segundo", style="List Number")
    document.sections[0].header.paragraphs[0].text = "Cabecera"
    document.sections[0].footer.paragraphs[0].text = "Pie"
    document.save(str(tmp_path / "a.docx"))
    assert text_of(tmp_path / "a.docx") == (
        "Cabecera\n\n# Contrato\n\n## Objeto\n\nEl inquilino paga.\n\n- Luz\n- Agua\nMes | Euros\nEnero | 700\n\n"
        "1. Primero\n2. Segundo\nPie")


def test_what_the_author_sees_is_read_and_what_is_deleted_or_hidden_is_not(tmp_path: Path) -> None:
    body = """
      <w:p><w:hyperlink><w:r><w:t>Enlace</w:t></w:r></w:hyperlink><w:r><w:tab/><w:t xml:space="preserve">y </w:t></w:r>
        <w:ins><w:r><w:t>nuevo</w:t></w:r></w:ins><w:del><w:r><w:delText>viejo</w:delText></w:r></w:del>
        <w:r><w:rPr><w:vanish/></w:rPr><w:t>secreto</w:t></w:r>
        <w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>!</w:t></w:r>
        <w:moveFrom><w:r><w:t>movido</w:t></w:r></w:moveFrom><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>
      <w:sdt><w:sdtContent><w:p><w:r><w:t>Casilla</w:t><w:br/><w:t>dos</w:t></w:r></w:p></w:sdtContent></w:sdt>"""
    assert text_of(write_body(tmp_path / "a.docx", body)) == "Enlace\ty nuevo!\n\nCasilla\ndos"


def test_a_text_box_is_read_once_after_its_paragraph(tmp_path: Path) -> None:
    box = f"<w:txbxContent>{paragraph('En el cuadro')}</w:txbxContent>"
    body = ('<w:p><w:r><w:t>Antes</w:t></w:r><w:r><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/'
            f'markup-compatibility/2006"><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>'
            "</mc:AlternateContent></w:r><w:r><w:t> y después</w:t></w:r></w:p>")
    assert text_of(write_body(tmp_path / "a.docx", body)) == "Antes y después\n\nEn el cuadro"


def test_a_table_in_a_table_stands_in_its_cell(tmp_path: Path) -> None:
    inner = f"<w:tbl><w:tr><w:tc>{paragraph('b')}</w:tc><w:tc>{paragraph('c')}</w:tc></w:tr></w:tbl>"
    body = (f"<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc><w:tc>{inner}<w:p/></w:tc></w:tr>"
            f"<w:tr><w:tc>{paragraph('d')}</w:tc><w:tc><w:p/></w:tc></w:tr></w:tbl>")
    assert text_of(write_body(tmp_path / "a.docx", body)) == "a | b | c\nd |"


def test_pages_are_those_that_word_saw(tmp_path: Path) -> None:
    seen = "<w:r><w:lastRenderedPageBreak/></w:r>"
    made = '<w:r><w:br w:type="page"/></w:r>'
    body = (paragraph("uno") + f"<w:p>{made}</w:p><w:p>{seen}<w:r><w:t>dos</w:t></w:r></w:p>"
            f"<w:p><w:r><w:t>sigue en dos</w:t></w:r>{seen}<w:r><w:t> y acaba en tres</w:t></w:r></w:p>"
            f"<w:tbl><w:tr><w:tc>{paragraph('fila')}</w:tc></w:tr><w:tr><w:tc><w:p>{seen}<w:r><w:t>otra</w:t></w:r></w:p>"
            f"</w:tc></w:tr></w:tbl>" + paragraph("cuatro"))
    assert list(read_pages(write_body(tmp_path / "a.docx", body))) == [
        "uno", "dos\n\nsigue en dos y acaba en tres", "fila\notra", "cuatro"]


def test_clauses_have_the_numbers_that_word_shows(tmp_path: Path) -> None:
    kinds = (("decimal", "%1."), ("decimal", "%1.%2"), ("lowerLetter", "%3)"))
    levels = "".join(f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/>'
                     f'<w:lvlText w:val="{text}"/></w:lvl>' for level, (kind, text) in enumerate(kinds))
    numbering = (f'<w:numbering {SPACE}><w:abstractNum w:abstractNumId="7">{levels}</w:abstractNum>'
                 '<w:num w:numId="3"><w:abstractNumId w:val="7"/></w:num></w:numbering>')
    body = "".join(
        paragraph(text, f'<w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="3"/></w:numPr></w:pPr>')
        for level, text in ((0, "Partes"), (1, "Una"), (1, "Otra"), (2, "Ella"), (0, "Precio"), (1, "Renta")))
    parts = {"numbering.xml": numbering, "_rels/document.xml.rels": relation("numbering")}
    path = write_body(tmp_path / "a.docx", body, **parts)
    assert text_of(path) == "1. Partes\n1.1 Una\n1.2 Otra\na) Ella\n2. Precio\n2.1 Renta"


@pytest.mark.parametrize(("number", "style", "text"), [
    (3, "decimal", "3"), (3, "decimalZero", "03"), (4, "lowerLetter", "d"), (28, "upperLetter", "BB"),
    (14, "lowerRoman", "xiv"), (1999, "upperRoman", "MCMXCIX"), (0, "upperRoman", "0"), (5, "unknown", "5")])
def test_numbers_are_written_as_word_writes_them(number: int, style: str, text: str) -> None:
    assert written(number, style) == text


def test_footnotes_follow_their_paragraph(tmp_path: Path) -> None:
    notes = f'<w:footnotes {SPACE}><w:footnote w:id="2">{paragraph("Véase el anexo.")}</w:footnote></w:footnotes>'
    body = '<w:p><w:r><w:t>Texto</w:t><w:footnoteReference w:id="2"/></w:r></w:p>' + paragraph("Más")
    parts = {"footnotes.xml": notes, "_rels/document.xml.rels": relation("footnotes")}
    path = write_body(tmp_path / "a.docx", body, **parts)
    assert text_of(path) == "Texto\n\nVéase el anexo.\n\nMás"


def test_the_strict_form_of_the_format_is_read_too(tmp_path: Path) -> None:
    assert text_of(write_body(tmp_path / "a.docx", paragraph("hola"), space=STRICT)) == "hola"


def test_an_empty_document_has_an_empty_page(tmp_path: Path) -> None:
    Document().save(str(tmp_path / "a.docx"))
    assert text_of(tmp_path / "a.docx") == ""


# Traps.


def test_entities_are_neither_multiplied_nor_fetched(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    started = time.process_time()
    for inside in ("antes &l11; después", "antes</w:t><w:t>&l11;"):
        before = f'<!DOCTYPE w [<!ENTITY l0 "ja">{laughs}]>'
        assert code_of(write_body(tmp_path / "laughs.docx", paragraph(inside), before=before)) == "docx_broken"
    assert time.process_time() - started < 5


@pytest.mark.parametrize("declared", ['<!ENTITY f SYSTEM "{file}">', '<!ENTITY % f SYSTEM "{file}"> %f;',
                                      '<!ENTITY f SYSTEM "http://127.0.0.1:9/x">'])
def test_nothing_outside_the_file_is_read_into_it(tmp_path: Path, declared: str) -> None:
    (tmp_path / "private.txt").write_text('<!ENTITY f "privado">')
    before = f"<!DOCTYPE w [{declared.format(file=(tmp_path / 'private.txt').as_uri())}]>"
    try:
        assert "privado" not in text_of(write_body(tmp_path / "a.docx", paragraph("antes &f; después"), before=before))
    except DocumentError as error:
        assert error.code == "docx_broken"


def test_a_part_out_of_all_proportion_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.docx"
    with (zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
          archive.open("word/document.xml", "w") as part):
        for _ in range(200):
            part.write(b" " * 1_000_000)
    assert path.stat().st_size < 300_000
    started = time.process_time()
    assert code_of(path) == "unpacks_too_large"
    assert time.process_time() - started < 1


def test_an_archive_that_lies_about_its_sizes_is_broken(tmp_path: Path) -> None:
    path = write_body(tmp_path / "a.docx", "<!-- -->" + " " * 40_000_000)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.getinfo("word/document.xml").file_size
    for place in _places(data, size.to_bytes(4, "little")):
        data[place : place + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    assert code_of(path) == "docx_broken"


def test_a_long_document_is_read_page_by_page_in_seconds(tmp_path: Path) -> None:
    seen = "<w:r><w:lastRenderedPageBreak/></w:r>"
    body = "".join(f"<w:p>{seen}<w:r><w:t>Página {number} de un libro</w:t></w:r></w:p>" for number in range(20_000))
    path = write_body(tmp_path / "a.docx", body)
    started = time.process_time()
    assert sum(1 for _ in read_pages(path)) == 20_001
    assert time.process_time() - started < 10


def test_tags_in_one_another_without_end_are_no_document(tmp_path: Path) -> None:
    body = "<w:tbl><w:tr><w:tc>" * 100_000 + "</w:tc></w:tr></w:tbl>" * 100_000
    assert code_of(write_body(tmp_path / "a.docx", body)) == "docx_broken"


def test_relations_that_lead_out_of_the_file_are_not_followed(tmp_path: Path) -> None:
    rels = ('<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="a" Type="x/header" TargetMode="External" Target="http://127.0.0.1:9/header.xml"/>'
            '<Relationship Id="b" Type="x/header" Target="../../../etc/passwd"/>'
            '<Relationship Id="c" Type="x/styles" Target="file:///etc/passwd"/></Relationships>')
    path = write_body(tmp_path / "a.docx", paragraph("hola"), **{"_rels/document.xml.rels": rels})
    assert text_of(path) == "hola"


def test_a_protected_document_says_so(tmp_path: Path) -> None:
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
    (tmp_path / "a.docx").write_bytes(head + "EncryptedPackage".encode("utf-16-le") + bytes(100))
    assert code_of(tmp_path / "a.docx") == "docx_encrypted"
    (tmp_path / "old.docx").write_bytes(head + "WordDocument".encode("utf-16-le"))
    assert code_of(tmp_path / "old.docx") == "docx_broken"


@pytest.mark.parametrize("data", [b"", b"hola", b"PK\x03\x04" + bytes(100), b"PK\x05\x06" + bytes(18)],
                         ids=["empty", "text", "head", "empty archive"])
def test_a_file_that_is_no_document_is_broken(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.docx").write_bytes(data)
    assert code_of(tmp_path / "a.docx") == "docx_broken"


def test_a_document_cut_in_half_is_broken(tmp_path: Path) -> None:
    data = write_body(tmp_path / "a.docx", paragraph("hola") * 100).read_bytes()
    (tmp_path / "a.docx").write_bytes(data[: len(data) // 2])
    assert code_of(tmp_path / "a.docx") == "docx_broken"


def _places(data: bytes | bytearray, part: bytes) -> list[int]:
    return [place for place in range(len(data) - len(part)) if data[place : place + len(part)] == part]
