"""A PDF page as a picture with a passage highlighted. Runs in the parser's child, as everything that opens a
document does.

The passage's place comes from the text layer itself, character by character; nothing is searched for.
"""

from __future__ import annotations

import base64
import ctypes
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.documents.parsers.pdf import clean_pdf_text, open_pdf
from core.errors import DocumentError

_WIDTH = 1300  # pixels; sharp on a phone and on half a desktop, and enlarged three times beside a conversation
_MAX_PIXELS = 4_000_000  # a poster is drawn smaller rather than filling the memory
_HIGHLIGHT = (255, 226, 89)  # multiplied with the page, so that the text stays black


@dataclass(frozen=True)
class Rendered:
    """`picture` is a WebP data URI; `top` is where the highlight begins, as a part of the page's height, 0 to 1."""

    picture: str
    top: float = 0.0


def render_page(path: Path, number: int, start: int, end: int, password: str | None = None) -> Rendered:
    """Page `number` (from 1), characters `start` to `end` of its text highlighted.

    Raises DocumentError `page_not_shown` when there is no such page or it cannot be drawn, and as `open_pdf` does.
    """
    import pypdfium2 as pdfium

    try:
        with open_pdf(path, password) as document:
            page = document[number - 1]
            width, height = page.get_size()
            scale = min(_WIDTH / width, (_MAX_PIXELS / (width * height)) ** 0.5)
            picture = page.render(scale=scale, may_draw_forms=False).to_pil().convert("RGB")
            boxes = _boxes(page, start, end)
            for box in boxes:
                _highlight(picture, [coordinate * scale for coordinate in box])
            top = min((box[1] for box in boxes), default=0.0) / height
    except (pdfium.PdfiumError, IndexError, ZeroDivisionError, ValueError) as error:
        raise DocumentError("page_not_shown") from error
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Rendered(f"data:image/webp;base64,{encoded}", round(min(max(top, 0.0), 1.0), 4))


def _boxes(page: Any, start: int, end: int) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of each highlighted line, in points from the page's upper left corner."""
    import pypdfium2.raw as pdfium_c

    text_page = page.get_textpage()
    try:
        raw = text_page.get_text_range()
        kept = raw_positions(raw)
        if start >= len(kept) or end <= start:
            return []
        first = pdfium_c.FPDFText_GetCharIndexFromTextIndex(text_page, _utf16_index(raw, kept[start]))
        last = pdfium_c.FPDFText_GetCharIndexFromTextIndex(
            text_page, _utf16_index(raw, kept[min(end, len(kept)) - 1]))
        boxes = []
        for index in range(pdfium_c.FPDFText_CountRects(text_page, first, last - first + 1)):
            corners = [ctypes.c_double() for _ in range(4)]
            pdfium_c.FPDFText_GetRect(text_page, index, *corners)
            left, top, right, bottom = (corner.value for corner in corners)
            boxes.append(_to_picture(page, left, top, right, bottom))
        return boxes
    finally:
        text_page.close()


def _to_picture(page: Any, left: float, top: float, right: float, bottom: float,
                ) -> tuple[float, float, float, float]:
    """Page coordinates to points from the upper left corner as drawn, rotation and crop box included."""
    import pypdfium2.raw as pdfium_c

    fine = 100  # pdfium answers in whole units
    width, height = (round(side * fine) for side in page.get_size())
    xs, ys = [], []
    for x, y in ((left, top), (right, bottom)):
        device_x, device_y = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(page, 0, 0, width, height, 0, x, y, device_x, device_y)
        xs.append(device_x.value / fine)
        ys.append(device_y.value / fine)
    return min(xs), min(ys), max(xs), max(ys)


def raw_positions(raw: str) -> list[int]:
    """Where each character of `clean_pdf_text(raw)` stood in `raw`."""
    dropped: set[int] = set()
    for match in re.finditer("[\ufffe\x02](?:\r\n|\r|\n)?|\r(?=\n)", raw):
        dropped.update(range(match.start(), match.end()))
    kept = [index for index in range(len(raw)) if index not in dropped]
    assert len(kept) == len(clean_pdf_text(raw))
    return kept


def _utf16_index(text: str, index: int) -> int:
    """pdfium counts a character beyond the basic plane as two."""
    return index + sum(ord(character) > 0xFFFF for character in text[:index])


def _highlight(picture: Any, box: list[float]) -> None:
    from PIL import Image, ImageChops

    left, top, right, bottom = box
    area = (max(0, int(left) - 2), max(0, int(top) - 2),
            min(picture.width, int(right) + 3), min(picture.height, int(bottom) + 3))
    if area[0] < area[2] and area[1] < area[3]:
        part = picture.crop(area)
        picture.paste(ImageChops.multiply(part, Image.new("RGB", part.size, _HIGHLIGHT)), area)
