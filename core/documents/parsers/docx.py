"""Word files: paragraphs, lists, tables and notes in reading order, on the pages Word saw when it saved the file.

Read as a stream of tags, so that a file of any length needs little memory. Macros, pictures and whatever lies outside
the file are never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.documents.parsers.docx_archive import DocxArchive, safe_parser
from core.documents.parsers.docx_styles import Lists, Styles, as_number
from core.documents.parsers.pages import cut_pages, one_line
from core.errors import DocumentError

_WORD = ("{http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
         "{http://purl.oclc.org/ooxml/wordprocessingml/main}")
_TEXTS_ELSEWHERE = ("{http://schemas.openxmlformats.org/officeDocument/2006/math}t",
                    "{http://schemas.openxmlformats.org/drawingml/2006/main}t")
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # the same again, for old programs
# What was deleted or moved away, what only describes changes, tab stops.
_UNSEEN = frozenset(("del", "moveFrom", "pPrChange", "rPrChange", "sectPrChange", "tblPrChange", "tabs", "Fallback"))
_CHARACTERS = {"tab": "\t", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_OFF = ("0", "false", "off")
_MAX_DEPTH = 100  # tables, cells and paragraphs in one another


def read_docx(path: Path) -> Iterator[str]:
    """Pages of a Word file, as far as it marks them: headers stand on the first, footers on the last.

    Raises DocumentError: `docx_broken`, `docx_encrypted`, `unpacks_too_large` for an archive out of all proportion.
    """
    with path.open("rb") as file:
        try:
            for page in _pages(DocxArchive(file)):
                yield from cut_pages(page)
        except (DocumentError, MemoryError):
            raise
        except Exception as error:  # a broken archive or part surfaces as any of a dozen types
            raise DocumentError("docx_broken") from error


def _pages(archive: DocxArchive) -> Iterator[str]:
    main = archive.main
    notes = {**_notes(archive, "footnotes"), **_notes(archive, "endnotes")}
    styles = Styles(next(map(archive.tree, archive.related(main, "styles")), None))
    lists = Lists(next(map(archive.tree, archive.related(main, "numbering")), None))
    text = _DocumentText(styles, lists, notes)
    text.write(_beside(archive, "header"))
    for _ in archive.feed(main, safe_parser(text)):
        yield from text.finished_pages()
    text.write(_beside(archive, "footer"))
    text.turn_page()
    yield from text.finished_pages()


def _beside(archive: DocxArchive, kind: str) -> list[str]:
    """The texts of all headers or footers, each once."""
    texts = [_plain(archive, part) for part in archive.related(archive.main, kind) if archive.has(part)]
    return [text for text in dict.fromkeys(texts) if text]


def _plain(archive: DocxArchive, part: str) -> str:
    text = _DocumentText(Styles(None), Lists(None), {})
    for _ in archive.feed(part, safe_parser(text)):
        pass
    text.turn_page()
    return "\n".join(filter(None, text.finished_pages()))


def _notes(archive: DocxArchive, kind: str) -> dict[tuple[str, str], str]:
    """Texts of the footnotes or endnotes, by kind and number."""
    from lxml import etree

    found = {}
    for part in archive.related(archive.main, kind):
        root = archive.tree(part)
        for note in root if root is not None else ():
            text = _DocumentText(Styles(None), Lists(None), {})
            parser = safe_parser(text)
            parser.feed(etree.tostring(note))
            parser.close()
            text.turn_page()
            number = next((value for key, value in note.attrib.items() if key.endswith("}id")), "")
            found[kind, number] = one_line(" ".join(text.finished_pages()))
    return found


@dataclass
class _Paragraph:
    pieces: list[str] = field(default_factory=list)
    style: str = ""
    list_id: str | None = None
    level: int | None = None
    after: list[str] = field(default_factory=list)  # notes, and text boxes that hang on it


@dataclass
class _Cell:
    blocks: list[str] = field(default_factory=list)


@dataclass
class _Table:
    row: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)  # of a table in a cell or a text box


_CONTAINERS: dict[str, type[_Paragraph | _Cell | _Table]] = {"p": _Paragraph, "tc": _Cell, "tbl": _Table}


class _DocumentText:
    """lxml's parser target: is told of each tag and text, and writes down the pages."""

    def __init__(self, styles: Styles, lists: Lists, notes: dict[tuple[str, str], str]) -> None:
        self._styles, self._lists, self._notes = styles, lists, notes
        self._open: list[_Paragraph | _Cell | _Table] = []
        self._unseen_depth = 0
        self._in_text = False
        self._in_run = self._run_hidden = False
        self._turns = 0  # pages that end with the paragraph or row being read
        self._just_turned = False  # by a break of the author's, which Word's own mark repeats
        self._page: list[str] = []
        self._finished: list[str] = []

    # What the parser tells.

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _local_name(tag)
        if self._unseen_depth or name in _UNSEEN:
            self._unseen_depth += 1
        elif name == "t":
            self._in_text = not self._run_hidden
        elif name in _CONTAINERS:
            if len(self._open) == _MAX_DEPTH:
                raise DocumentError("docx_broken")
            self._open.append(_CONTAINERS[name]())
        elif name == "r":
            self._in_run, self._run_hidden = True, False
        elif name == "lastRenderedPageBreak":
            if not self._just_turned:
                self._break_page()
            self._just_turned = False
        elif self._paragraph() is not None:
            self._start_in_paragraph(name, _value(attributes, "val"), attributes)

    def end(self, tag: str) -> None:
        name = _local_name(tag)
        if self._unseen_depth:
            self._unseen_depth -= 1
        elif name == "t":
            self._in_text = False
        elif name == "r":
            self._in_run = self._run_hidden = False
        elif name == "p":
            self._end_paragraph()
        elif name == "tc":
            self._end_cell()
        elif name == "tr":
            self._end_row()
        elif name == "tbl":
            self._end_table()

    def data(self, text: str) -> None:
        paragraph = self._paragraph()
        if self._in_text and not self._unseen_depth and paragraph is not None:
            paragraph.pieces.append(text)
            self._just_turned = False

    def close(self) -> None:
        """The parser wants one; see `finished_pages`."""

    # Pages.

    def write(self, blocks: list[str]) -> None:
        """Paragraphs, on the page at hand."""
        self._page.extend(f"{block}\n\n" for block in blocks)

    def turn_page(self) -> None:
        self._finished.append("".join(self._page).strip())
        self._page = []

    def finished_pages(self) -> list[str]:
        """The pages that ended since they were asked for last."""
        finished, self._finished = self._finished, []
        return finished

    def _break_page(self) -> None:
        """A page ends here: at once between paragraphs, with the paragraph or row inside one."""
        paragraph = self._paragraph()
        if len(self._open) <= 1 and (paragraph is None or not "".join(paragraph.pieces).strip()):
            self.turn_page()
        else:
            self._turns += 1

    def _turn_pages(self) -> None:
        for _ in range(self._turns):
            self.turn_page()
        self._turns = 0

    # Paragraphs and tables.

    def _paragraph(self) -> _Paragraph | None:
        top = self._open[-1] if self._open else None
        return top if isinstance(top, _Paragraph) else None

    def _start_in_paragraph(self, name: str, value: str, attributes: dict[str, str]) -> None:
        paragraph = self._paragraph()
        assert paragraph is not None
        if name == "br":
            if _value(attributes, "type") == "page":
                self._break_page()
                self._just_turned = True
            else:
                paragraph.pieces.append("\n")
        elif name in _CHARACTERS:
            paragraph.pieces.append(_CHARACTERS[name])
        elif name == "pStyle":
            paragraph.style = value
        elif name == "numId":
            paragraph.list_id = value
        elif name == "ilvl":
            paragraph.level = as_number(value)
        elif name == "vanish":
            self._run_hidden = self._in_run and value not in _OFF
        elif name in ("footnoteReference", "endnoteReference"):
            note = self._notes.get((name.replace("Reference", "s"), _value(attributes, "id")))
            if note:
                paragraph.after.append(note)

    def _end_paragraph(self) -> None:
        paragraph = self._open.pop()
        assert isinstance(paragraph, _Paragraph)
        text = "".join(paragraph.pieces).strip()
        style = self._styles.get(paragraph.style)
        list_id = style.list_id if paragraph.list_id is None else paragraph.list_id
        level = style.level if paragraph.level is None else paragraph.level
        if text:
            label = self._lists.label(list_id, level) if list_id else ""
            text = "".join(("#" * style.heading, " " * bool(style.heading), label, " " * bool(label), text))
        self._deliver([text, *paragraph.after], in_list=bool(list_id) and not style.heading)

    def _deliver(self, blocks: list[str], *, in_list: bool = False) -> None:
        """Finished blocks go into what is open around them, or onto the page."""
        around = self._open[-1] if self._open else None
        blocks = [block for block in blocks if block]
        if isinstance(around, _Paragraph):
            around.after.extend(blocks)
        elif isinstance(around, _Cell):
            around.blocks.extend(blocks)
        else:
            self._page.extend(block + ("\n" if in_list else "\n\n") for block in blocks)
            self._turn_pages()

    def _end_cell(self) -> None:
        cell = self._open.pop()
        assert isinstance(cell, _Cell)
        if self._open and isinstance(self._open[-1], _Table):
            self._open[-1].row.append(one_line(" ".join(cell.blocks)))
        else:
            self._deliver(cell.blocks)

    def _end_row(self) -> None:
        table = self._open[-1] if self._open else None
        if not isinstance(table, _Table):
            return
        row = " | ".join(table.row) if any(table.row) else ""
        table.row = []
        if len(self._open) > 1:
            table.rows.append(row)
        elif row:
            self._page.append(f"{row}\n")
            self._turn_pages()

    def _end_table(self) -> None:
        table = self._open.pop()
        assert isinstance(table, _Table)
        if self._open:
            self._deliver(["\n".join(filter(None, table.rows))])
        else:
            self._page.append("\n")


def _local_name(tag: str) -> str:
    """A tag of Word's without its namespace; "" for one of another vocabulary that says nothing to us."""
    space, _, name = tag.rpartition("}")
    if f"{space}}}" in _WORD:
        return name
    if tag in _TEXTS_ELSEWHERE:
        return "t"
    return "Fallback" if tag == _FALLBACK else ""


def _value(attributes: dict[str, str], name: str) -> str:
    return next((value for key, value in attributes.items() if key.rpartition("}")[2] == name), "")
