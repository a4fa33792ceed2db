"""Small documents with known facts, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def make_pdf(path: Path, pages: Sequence[str]) -> Path:
    """A PDF with one text a page; an empty text makes a page without any."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.utils import simpleSplit
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pagesize=A4)
    for text in pages:
        writing = canvas.beginText(60, 780)
        writing.setFont("Helvetica", 12)
        for line in simpleSplit(text, "Helvetica", 12, 470):
            writing.textLine(line)
        canvas.drawText(writing)
        canvas.showPage()
    canvas.save()
    return path


def broken_pdf(path: Path) -> Path:
    """A file that begins like a PDF and holds none."""
    path.write_bytes(b"%PDF-1.7\n" + b"\x00\xff broken" * 200)
    return path
