"""A page's picture: the highlight lies where the passage is, on pages of every kind."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import RectangleObject

from core.documents.parsers.pdf import clean_pdf_text, read_pdf
from core.documents.rendering import raw_positions, render_page
from core.errors import DocumentError
from tests.core.documents.conftest import write_pdf

A4 = (595.28, 841.89)  # points
TEXT = "La primera línea.\nLa segunda línea tiene la palabra clave dentro.\nLa tercera."
Picture = npt.NDArray[np.uint8]


def drawn(path: Path, passage: str, page: int = 1) -> Picture:
    """The picture of a page with this passage highlighted: (height, width, 3)."""
    text = list(read_pdf(path))[page - 1]
    start = text.index(passage)
    return drawn_between(path, start, start + len(passage), page)


def span_in(text: str, passage: str) -> tuple[int, int]:
    return text.index(passage), text.index(passage) + len(passage)


def drawn_between(path: Path, start: int, end: int, page: int = 1) -> Picture:
    from PIL import Image

    uri = render_page(path, page, start, end).picture
    assert uri.startswith("data:image/webp;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB"))


def yellow_box(picture: Picture) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of what is yellow, in parts of the picture's width and height."""
    pixels = picture.astype(int)
    yellow = (pixels[..., 0] > 200) & (pixels[..., 1] > 180) & (pixels[..., 2] < 160)
    rows, columns = np.nonzero(yellow)
    assert len(rows), "nothing is highlighted"
    height, width = yellow.shape
    return columns.min() / width, rows.min() / height, columns.max() / width, rows.max() / height


def text_box(line: int, text: str, before: str = "") -> tuple[float, float, float, float]:
    """Where `write_pdf` puts a text, by reportlab's own font metrics."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    left = 72 + stringWidth(before, "Helvetica", 12)
    baseline = 100 + 20 * line
    return (left / A4[0], (baseline - 9) / A4[1], (left + stringWidth(text, "Helvetica", 12)) / A4[0],
            (baseline + 3) / A4[1])


def assert_close(found: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert found == pytest.approx(expected, abs=0.012)  # 12 of 1000 pixels


def test_the_highlight_lies_on_the_words(tmp_path: Path) -> None:
    picture = drawn(write_pdf(tmp_path / "a.pdf", ["otra página", TEXT]), "palabra clave", page=2)
    assert picture.shape[:2] == (pytest.approx(1839, abs=2), 1300)
    assert_close(yellow_box(picture), text_box(1, "palabra clave", "La segunda línea tiene la "))
    top = render_page(tmp_path / "a.pdf", 2, *span_in(TEXT, "palabra clave")).top
    assert top == pytest.approx(yellow_box(picture)[1], abs=0.012)


def test_a_passage_of_several_lines_is_highlighted_whole(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [TEXT])
    found = yellow_box(drawn(path, next(iter(read_pdf(path))).strip()))
    assert_close(found, (72 / A4[0], 91 / A4[1], text_box(1, TEXT.splitlines()[1])[2], 143 / A4[1]))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_on_a_rotated_page_the_highlight_turns_with_the_words(tmp_path: Path, rotation: int) -> None:
    left, top, right, bottom = text_box(1, "palabra clave", "La segunda línea tiene la ")
    turned = {90: (1 - bottom, left, 1 - top, right), 180: (1 - right, 1 - bottom, 1 - left, 1 - top),
              270: (top, 1 - right, bottom, 1 - left)}
    writer = PdfWriter(clone_from=PdfReader(write_pdf(tmp_path / "a.pdf", [TEXT])))
    writer.pages[0].rotate(rotation)
    writer.write(tmp_path / "turned.pdf")
    assert_close(yellow_box(drawn(tmp_path / "turned.pdf", "palabra clave")), turned[rotation])


def test_a_cropped_page_shows_the_highlight_on_the_words(tmp_path: Path) -> None:
    writer = PdfWriter(clone_from=PdfReader(write_pdf(tmp_path / "a.pdf", [TEXT])))
    writer.pages[0].cropbox = RectangleObject((50, 500, 450, 800))
    writer.write(tmp_path / "cropped.pdf")
    left, top, right, bottom = text_box(1, "palabra clave", "La segunda línea tiene la ")
    expected = ((left * A4[0] - 50) / 400, (top * A4[1] - A4[1] + 800) / 300,
                (right * A4[0] - 50) / 400, (bottom * A4[1] - A4[1] + 800) / 300)
    assert_close(yellow_box(drawn(tmp_path / "cropped.pdf", "palabra clave")), expected)


def test_without_a_passage_the_page_is_drawn_plain(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [TEXT])
    for start, end in ((5, 5), (10_000, 10_010)):
        with pytest.raises(AssertionError, match="nothing is highlighted"):
            yellow_box(drawn_between(path, start, end))


def test_a_passage_that_reaches_beyond_the_page_is_highlighted_to_its_end(tmp_path: Path) -> None:
    yellow_box(drawn_between(write_pdf(tmp_path / "a.pdf", [TEXT]), 0, 10_000))


@pytest.mark.parametrize("number", [0, 2, 99])
def test_a_page_that_is_not_there_says_so(tmp_path: Path, number: int) -> None:
    with pytest.raises(DocumentError, match="page_not_shown"):
        render_page(write_pdf(tmp_path / "a.pdf", [TEXT]), number, 0, 5)


def test_a_file_that_is_no_pdf_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"no pdf")
    with pytest.raises(DocumentError, match="pdf_broken"):
        render_page(tmp_path / "a.pdf", 1, 0, 5)


def test_a_protected_page_is_drawn_with_its_password_alone(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [TEXT], password="clave")
    assert render_page(path, 1, 0, 5, "clave").picture.startswith("data:image/webp;base64,")
    for password, code in ((None, "pdf_encrypted"), ("otra", "pdf_wrong_password")):
        with pytest.raises(DocumentError, match=code):
            render_page(path, 1, 0, 5, password)


@pytest.mark.parametrize("raw", [
    "habi\ufffe\r\ntación", "co\x02\nsa", "ca\x02sa", "uno\r\ndos\rtres\ncuatro", "\r\n\r\n", "\r\r\n", "ﬁn 🎉 \x01 x",
    "\ufffe\ufffe\n\n", "", "a\ufffe\r\n\r\nb"])
def test_every_character_of_the_clean_text_knows_its_place(raw: str) -> None:
    places = raw_positions(raw)
    clean = clean_pdf_text(raw)
    assert len(places) == len(clean)
    assert places == sorted(set(places))
    for place, character in zip(places, clean, strict=True):
        assert raw[place] == character or character in " \n"


def test_every_sample_page_is_drawn_or_refused_and_highlights_something(shared_data: Path) -> None:
    highlighted = 0
    for path in sorted((shared_data / "pdfs").glob("*.pdf"))[::12]:
        try:
            pages = list(read_pdf(path))
            if pages and pages[0].strip():
                text = pages[0]
                start = len(text) - len(text.lstrip())
                plain, marked = drawn_between(path, 0, 0), drawn_between(path, start, len(text.rstrip()))
                highlighted += bool((plain != marked).any())
        except DocumentError:
            continue
    assert highlighted >= 8
