"""Small documents, and one indexed collection that the tests of search share: its embedding child starts once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.documents.collection import Collection
from core.settings import Settings
from tests.core.documents.shelf import Shelf

TEXTS = {
    "vacaciones.txt": "Las vacaciones anuales son de treinta días naturales. Las niñas y los niños de los empleados "
                      "pueden pasar el verano en la residencia de montaña.",
    "contract.md": "# Contract\n\nThe tenant shall pay the rent on the first day of each month. Late payments carry "
                   "interest of five percent.",
    "garden/tomatoes.txt": "Tomatoes were planted in May and watered every evening; the harvest began in August.",
    "recetas/gazpacho.txt": "El gazpacho lleva tomate, pepino, pimiento, ajo, aceite de oliva y vinagre de Jerez.",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def shelf(settings: Settings) -> Iterator[Shelf]:
    made = Shelf(settings)
    yield made
    made.indexer.close()


def settings_in(folder: Path) -> Settings:
    return replace(Settings(), docs_dir=folder / "docs", data_dir=folder / "data", runs_dir=folder / "runs")


def write_files(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """TEXTS and a PDF of two pages, indexed. Tests read it and leave it as it is."""
    settings = settings_in(tmp_path_factory.mktemp("indexed"))
    write_files(settings.docs_dir, TEXTS)
    write_pdf(settings.docs_dir / "manual.pdf", ["Instrucciones de la cafetera.", "The pump needs new gaskets."])
    with Collection(settings) as collection:
        for _ in collection.library.run():
            pass
        collection.searcher.sync()
        yield collection


def write_pdf(path: Path, pages: list[str], *, password: str | None = None) -> Path:
    """A PDF with one text a page; each line of it starts at x = 72 points, the first 100 below the top of A4."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = Canvas(str(path), pagesize=A4, encrypt=password)
    for text in pages:
        canvas.setFont("Helvetica", 12)
        for number, line in enumerate(text.splitlines()):
            canvas.drawString(72, A4[1] - 100 - 20 * number, line)
        canvas.showPage()
    canvas.save()
    return path


def write_slow_pdf(path: Path, operators: int) -> Path:
    """A PDF of a few kB whose one page unpacks to `operators` text operators: real work for any reader."""
    stream = zlib.compress(b"BT /F1 9 Tf 0 0 Td " + b"(abcdefgh ) Tj " * operators + b"ET", 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    path.write_bytes(data + table + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(data))
    return path
