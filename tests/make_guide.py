"""Typesets the Spanish guide that ships with Taller: tests/guide/guia_de_taller.md → a PDF of the same name.

    python -m tests.make_guide

Reads a small part of Markdown: one title, one `>` line below it, `##` headings, `-` lists, indented code,
**bold** and `code`. The same text gives the same bytes. It knows no other document.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    ListFlowable,
    ListItem,
    PageTemplate,
    Paragraph,
)

PROJECT = Path(__file__).resolve().parent.parent
SOURCE = PROJECT / "tests" / "guide" / "guia_de_taller.md"
TARGET = PROJECT / "core" / "documents" / "guide" / "guia_de_taller.pdf"

# The page's own colours: indigo and slate. Helvetica is in every PDF reader and has all Spanish letters.
INDIGO, SLATE, INK, MIST = (HexColor(value) for value in ("#4f46e5", "#64748b", "#1e293b", "#f1f5f9"))
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10, leading=14.2, textColor=INK, spaceAfter=5)
TITLE = ParagraphStyle("title", BODY, fontName="Helvetica-Bold", fontSize=25, leading=30, textColor=INDIGO)
SUBTITLE = ParagraphStyle("subtitle", BODY, fontSize=11.5, leading=16, textColor=SLATE, spaceAfter=9)
HEADING = ParagraphStyle(
    "heading", BODY, fontName="Helvetica-Bold", fontSize=13, leading=17, textColor=INDIGO,
    spaceBefore=8, spaceAfter=3,
)
CODE = ParagraphStyle(
    "code", BODY, fontName="Courier", fontSize=9, leading=13, backColor=MIST, borderPadding=5, leftIndent=6,
    rightIndent=6, spaceBefore=9, spaceAfter=10,
)


def marked_up(text: str) -> str:
    """A line of the source as reportlab's own mark-up."""
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(text, quote=False))
    return re.sub(r"`(.+?)`", r'<font name="Courier" size="9.2">\1</font>', bold)


def flowables(source: str) -> Iterator[Flowable]:
    """What is set, in order; a heading, and a sentence that ends in a colon, stay with the block below."""
    held: list[Flowable] = []
    for block in blocks(source):
        held.append(typeset(block))
        if not block[0].startswith("## ") and not block[-1].endswith(":"):
            yield KeepTogether(held)
            held = []


def blocks(source: str) -> Iterator[list[str]]:
    """Consecutive lines of one kind; a paragraph, a heading and a code line are blocks of one line."""
    items: list[str] = []
    for line in source.splitlines():
        if line.startswith("- "):
            items.append(line[2:])
            continue
        if items:
            yield ["- ", *items]
            items = []
        if line.strip():
            yield [line]
    if items:
        yield ["- ", *items]


def typeset(block: list[str]) -> Flowable:
    first = block[0]
    if first == "- ":
        items = [ListItem(Paragraph(marked_up(item), BODY), bulletColor=INDIGO) for item in block[1:]]
        return ListFlowable(items, bulletType="bullet", start="•", leftIndent=14, bulletFontSize=10)
    for mark, style in (("# ", TITLE), ("> ", SUBTITLE), ("## ", HEADING), ("    ", CODE)):
        if first.startswith(mark):
            return Paragraph(marked_up(first[len(mark):]), style)
    return Paragraph(marked_up(first), BODY)


def decorate(canvas: Canvas, document: BaseDocTemplate) -> None:
    width, height = A4
    canvas.setFillColor(INDIGO)
    canvas.rect(0, height - 4 * mm, width, 4 * mm, stroke=0, fill=1)
    canvas.setFillColor(SLATE)
    canvas.setFont("Helvetica", 8.5)
    canvas.drawCentredString(width / 2, 11 * mm, f"Guía de Taller · {document.page}")


def make_guide(source: Path = SOURCE, target: Path = TARGET) -> None:
    width, height = A4
    frame = Frame(23 * mm, 19 * mm, width - 46 * mm, height - 38 * mm, 0, 0, 0, 0)
    document = BaseDocTemplate(
        str(target), pagesize=A4, invariant=1, lang="es", title="Guía de Taller", author="Taller",
        subject="Cómo usar Taller",
        # At the page's end, so that whoever extracts the text meets the footer last.
        pageTemplates=[PageTemplate(frames=[frame], onPageEnd=decorate)],
    )
    document.build(list(flowables(source.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    make_guide()
