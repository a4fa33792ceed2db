"""Web pages as the text a reader sees. Nothing is run and nothing is fetched.

The page is read as a stream of tags: no tree is built, so neither depth nor size of a page costs more than its
length.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from core.documents.parsers.pages import cut_pages, one_line
from core.documents.parsers.plain import checked, decode, read_bytes

_FEED_CHARS = 1 << 16
_HEAD_BYTES = 4096
_CHARSET = re.compile(rb"""<(?:meta\s[^>]*charset|\?xml\s[^>]*encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
# Encodings of documents. Python knows others under such names, some of them slow on purpose-made bytes.
_CODECS = re.compile(r"cp\d+|iso8859-\d+|koi8-[rtu]|mac-\w+|shift_jis\w*|euc_\w+|gb\w+|big5\w*|iso2022_\w+|hz|johab"
                     r"|tis-620|kz1048|ptcp154")
_LATIN = frozenset({"ascii", "iso8859-1", "cp1252", "iso8859-15"})

_UNSEEN = frozenset((
    "script", "style", "noscript", "template", "noframes", "iframe", "object", "embed", "applet", "svg", "canvas",
    "audio", "video", "select", "datalist", "rp", "map"))
_HIDDEN_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_PARAGRAPHS = frozenset((
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "pre", "blockquote", "figure", "hr",
    "section", "article", "aside", "main", "header", "footer", "form", "fieldset", "details", "nav", "menu"))
_LINES = frozenset((
    "br", "div", "li", "dt", "dd", "tr", "caption", "figcaption", "legend", "summary", "address", "center", "body",
    "option", "head", "title", "thead", "tbody", "tfoot", "dir", "dialog", "td", "th"))
_MAX_TABLES = 16  # one in another; deeper ones are read as lines
_MAX_CELL_CHARS = 500  # a longer one is layout, not a cell


def read_html(path: Path) -> Iterator[str]:
    """The visible text of a web page: headings and list items marked, rows of tables as `a | b`, menus left out.
    Raises DocumentError `not_text`, `too_much_text`."""
    text = decode_html(read_bytes(path))
    yield from cut_pages(visible_text(text) or visible_text(text, with_menus=True))


def decode_html(data: bytes) -> str:
    """Bytes of a web page in the encoding it names, or else as any text. Raises DocumentError `not_text`."""
    named = _CHARSET.search(data[:_HEAD_BYTES])
    codec = None
    if named:
        with contextlib.suppress(LookupError):
            codec = codecs.lookup(named[1].decode("ascii", "replace")).name
    if codec in _LATIN:
        # Many programs write UTF-8 under an old page's name for it; other bytes in it are Windows-1252, as in browsers.
        codec = None if _is_utf8(data) else "cp1252"
    if codec is None or not _CODECS.fullmatch(codec) or data.startswith((codecs.BOM_UTF8, b"\xff\xfe", b"\xfe\xff")):
        return decode(data)
    return checked(data.decode(codec, errors="replace"))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def visible_text(html: str, *, with_menus: bool = False) -> str:
    """The text of a web page in lines and paragraphs; without its `nav` elements unless asked for."""
    from lxml import etree

    target = _VisibleText(_UNSEEN if with_menus else _UNSEEN | {"nav"})
    parser = etree.HTMLParser(target=target, encoding="utf-8", no_network=True, huge_tree=True)
    try:
        for start in range(0, len(html), _FEED_CHARS):
            parser.feed(html[start : start + _FEED_CHARS].encode("utf-8"))
        parser.close()
    except etree.XMLSyntaxError:  # what libxml2 refuses even of a web page: what was read until then stays
        pass
    return target.text()


class _VisibleText:
    """lxml's parser target: is told of each tag and text, and writes down what can be seen."""

    def __init__(self, unseen: frozenset[str]) -> None:
        self._unseen = unseen
        self._unseen_depth = 0  # tags open since the one that hides
        self._preformatted = 0
        self._line: list[str] = []
        self._mark = ""  # before the next line: of a heading or a list item
        self._lists: list[int | None] = []  # the next number; None where items have none
        self._cells: list[list[list[str]]] = []  # of each open table's row, each with its lines
        self._tables = 0
        self._title = ""
        self._lines: list[str] = []  # "" is the border of a paragraph

    # What the parser tells.

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._unseen_depth or tag in self._unseen or _is_hidden(attributes):
            self._unseen_depth += 1
            return
        self._end_block(tag)
        if tag == "pre":
            self._preformatted += 1
        elif tag in ("ul", "ol", "menu", "dir"):
            self._lists.append(_first_number(attributes) if tag == "ol" else None)
        elif tag == "li":
            self._mark = self._item_mark()
        elif tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self._mark = "#" * int(tag[1]) + " "
        elif tag == "table":
            self._tables += 1
        elif tag == "tr" and self._tables <= _MAX_TABLES:
            self._cells.append([])
        elif tag in ("td", "th") and self._cells and self._tables <= _MAX_TABLES:
            self._cells[-1].append([])

    def end(self, tag: str) -> None:
        if self._unseen_depth:
            self._unseen_depth -= 1
            return
        if tag == "title" and not self._title:
            self._title = one_line("".join(self._line))
            self._line = []
        self._end_block(tag)
        if tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)
        elif tag in ("ul", "ol", "menu", "dir") and self._lists:
            self._lists.pop()
        elif tag == "tr" and self._cells and self._tables <= _MAX_TABLES:
            self._end_row(self._cells.pop())
        elif tag == "table":
            self._tables = max(0, self._tables - 1)

    def data(self, text: str) -> None:
        if not self._unseen_depth:
            self._line.append(text)

    def comment(self, text: str) -> None:
        """Comments are not seen."""

    def close(self) -> None:
        """The parser wants one; see `text`."""

    def text(self) -> str:
        """All that was seen."""
        self._end_line()
        while self._cells:
            self._end_row(self._cells.pop())
        body = re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip()
        return body if self._title in body[:1000] else f"{self._title}\n\n{body}".strip()

    # What it comes to.

    def _end_block(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._end_line()
            self._write("")
        elif tag in _LINES:
            self._end_line()

    def _end_line(self) -> None:
        text = "".join(self._line)
        self._line = []
        text = text.strip("\n") if self._preformatted else one_line(text)
        if text.strip():
            self._write(self._mark + text)
            self._mark = ""

    def _write(self, line: str) -> None:
        """A line, into the cell it stands in."""
        open_cells = self._cells[-1] if self._cells else None
        lines = open_cells[-1] if open_cells else self._lines
        if line or (lines and lines[-1]):
            lines.append(line)

    def _end_row(self, cells: list[list[str]]) -> None:
        """A row as one line; the cells of a page laid out as a table keep their lines."""
        shown = [cell for cell in ([line for line in cell if line] for cell in cells) if cell]
        if len(shown) > 1 and all(sum(map(len, cell)) <= _MAX_CELL_CHARS for cell in shown):
            self._write(" | ".join(" ".join(filter(None, cell)) for cell in cells))
            return
        border = [""] * (len(shown) > 1)
        for line in (line for cell in cells for line in (*border, *cell, *border)):
            self._write(line)

    def _item_mark(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "


def _is_hidden(attributes: dict[str, str]) -> bool:
    return "hidden" in attributes or bool(_HIDDEN_STYLE.search(attributes.get("style", "")))


def _first_number(attributes: dict[str, str]) -> int:
    start = attributes.get("start", "")
    return int(start) if re.fullmatch(r"\d{1,6}", start) else 1
