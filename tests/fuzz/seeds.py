"""Small real files of every format, and what can be done to their bytes."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

HTML = """<!doctype html><html lang=es><head><meta charset="utf-8"><title>Guía</title><style>p{}</style></head><body>
<nav><a href=/>Inicio</a></nav><h1>Guía &amp; más</h1><p hidden>no</p><p>El ni&ntilde;o<br>comió</p><ol start=2><li>Uno
<li>Dos</ol><table><tr><th>a<th>b<tr><td>1<td><table><tr><td>2</table></table><pre>  x
 y</pre><script>if (a<b) {}</script><!-- c --></body></html>""".encode()
CSV = 'sep=;\nnombre;"ciudad ""real""";año\nAna;Cádiz;1990\n"Ev\na";;\n'.encode()
# Long enough that a few wrong characters leave it a text.
TEXT = ("¿Qué año?\r\nEl niño comió piña.\tFin\f" * 20).encode()


@cache
def samples() -> dict[str, tuple[bytes, ...]]:
    """Whole files by their suffix."""
    docx = _docx()
    pdfs = _pdfs()
    return {
        ".pdf": pdfs, ".docx": (docx,), ".html": (HTML, HTML.decode().encode("utf-16")), ".htm": (HTML,),
        ".csv": (CSV, CSV.decode().encode("cp1252")), ".tsv": (CSV.replace(b";", b"\t"),),
        ".txt": (TEXT, TEXT.decode().encode("cp1252"), TEXT.decode().encode("utf-16-le")), ".md": (TEXT,),
    }


def _docx() -> bytes:
    from docx import Document

    document = Document()
    document.add_heading("Contrato", 1)
    document.add_paragraph("Luz", style="List Bullet")
    document.add_paragraph("Agua", style="List Number 2")
    document.add_table(rows=1, cols=2).cell(0, 0).text = "Enero"
    document.sections[0].header.paragraphs[0].text = "Cabecera"
    document.add_page_break()
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _pdfs() -> tuple[bytes, ...]:
    from pypdf import PdfReader, PdfWriter
    from reportlab.pdfgen.canvas import Canvas

    with TemporaryDirectory() as folder:
        path = Path(folder, "a.pdf")
        canvas = Canvas(str(path))
        for text in ("El niño", "comió piña"):
            canvas.drawString(72, 700, text)
            canvas.showPage()
        canvas.save()
        plain = path.read_bytes()
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(plain)))
    writer.encrypt("clave", "owner", algorithm="RC4-128")
    protected = io.BytesIO()
    writer.write(protected)
    return plain, protected.getvalue()


@cache
def docx_parts() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(samples()[".docx"][0])) as archive:
        wanted = ("_rels/.rels", "word/document.xml", "word/styles.xml", "word/numbering.xml", "word/header1.xml",
                  "word/_rels/document.xml.rels")
        return {name: archive.read(name) for name in wanted if name in archive.namelist()}


def zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


@dataclass(frozen=True)
class Change:
    """Something done to bytes at a place, which is counted around the end."""

    kind: str
    place: int
    length: int
    data: bytes

    def of(self, data: bytes) -> bytes:
        if not data:
            return self.data
        start = self.place % len(data)
        end = start + self.length
        middle = {
            "delete": b"", "replace": self.data, "repeat": data[start:end] * 3, "insert": self.data + data[start:end],
            "reverse": data[start:end][::-1], "zero": bytes(len(data[start:end])), "cut": b"",
        }[self.kind]
        return data[:start] + middle + (b"" if self.kind == "cut" else data[end:])


# What readers look out for, and numbers at their borders.
_WORDS = (
    b"\x00", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"<", b">", b"</", b"<!--", b"]]>", b"&#0;",
    b"&#xd800;", b"&x;", b'"', b";", b"\r", b"\n\n", b"-1", b"0", b"4294967295", b"99999999999999999999", b"%PDF-",
    b"PK", b"obj", b"endstream", b"/Kids", b"/Count", b"/Encrypt", b'w:val="-1"', b"<w:p>", b"<w:tbl>", b"charset=x ",
    b"</w:tc>", b"%1%2")
PIECES = st.one_of(st.sampled_from(_WORDS), st.binary(max_size=8))
CHANGES = st.lists(
    st.builds(Change, st.sampled_from(("delete", "replace", "repeat", "insert", "reverse", "zero", "cut")),
              st.integers(0, 1 << 16), st.integers(0, 64) | st.integers(0, 5000), PIECES),
    min_size=1, max_size=5)


def changed(data: bytes, changes: list[Change]) -> bytes:
    for change in changes:
        data = change.of(data)
    return data
