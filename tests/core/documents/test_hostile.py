"""Files made to break a reader: each is read or refused in words, in bounded time, and neither the child nor this
process takes more memory than it may."""

from __future__ import annotations

import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.documents.parsers.pages import MAX_FILE_CHARS, MAX_PAGE_CHARS
from core.documents.parsing import Parser
from core.documents.reader_child import _MAX_ANSWER_BYTES, ReaderChild, _Child
from core.errors import DocumentError
from core.settings import MEBIBYTE, Settings
from tests.core.documents.conftest import write_slow_pdf

LOCALE = Path(__file__).resolve().parents[3] / "ui" / "locales" / "es.json"
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
CHILD_MEMORY = 700 * MEBIBYTE
OWN_MEMORY = 150 * MEBIBYTE  # by which this process may grow over one file
SECONDS = 60  # on a busy machine; alone none takes ten


class Peak:
    """The most memory that this process has, and that one of its readers has, while the block runs; in bytes."""

    def __enter__(self) -> Peak:
        self._process = psutil.Process()
        self.own = self._first = self._process.memory_info().rss
        self.child = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        return self.own - self._first

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.own = max(self.own, self._process.memory_info().rss)
            for child in self._process.children():
                try:
                    if any("parser_worker" in part for part in child.cmdline()):
                        self.child = max(self.child, child.memory_info().rss)
                except psutil.Error:
                    continue


@pytest.fixture
def parser(settings: Settings) -> Iterator[Parser]:
    made = Parser(replace(settings, parser_memory_bytes=CHILD_MEMORY))
    yield made
    made.close()


def outcome(parser: Parser, path: Path) -> tuple[str, int, int]:
    """The code a file is refused with, or "read"; its pages and characters that came. Pages are not kept."""
    pages = chars = 0
    try:
        for text in parser.pages(path):
            assert len(text) <= MAX_PAGE_CHARS
            pages, chars = pages + 1, chars + len(text)
    except DocumentError as error:
        assert f"error.{error.code}" in json.loads(LOCALE.read_text(encoding="utf-8"))
        return error.code, pages, chars
    return "read", pages, chars


def zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as part:
        for _ in range(300):
            part.write(b"<a>" * 500_000)


def slow_bomb(path: Path) -> None:
    """Below the ratio, and one paragraph of 60 million characters."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as part:
        part.write(f"<w:document {WORD}><w:body>".encode())
        for number in range(60):
            text = "".join(f"palabra{number * place} " for place in range(64_000))
            part.write(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>".encode())
        part.write(b"</w:body></w:document>")


def laughs(path: Path) -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml",
                         f'<!DOCTYPE w [<!ENTITY l0 "ja">{entities}]><w:document {WORD}><w:body><w:p><w:r><w:t>&l11;'
                         "</w:t></w:r></w:p></w:body></w:document>")


def many_pages(path: Path) -> None:
    """10,000 pages that share one content."""
    kids = b" ".join(b"%d 0 R" % number for number in range(5, 10_005))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 10000/Kids[" + kids + b"]>>",
               b"<</Length 30>>stream\nBT /F1 9 Tf 9 9 Td (hola) Tj ET\nendstream",
               b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    page = (b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 3 0 R/Resources<</Font<</F1 4 0 R>>>>>>")
    data, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate([*objects, *([page] * 10_000)], start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, table)
    path.write_bytes(data)


def write(text: str, times: int = 1, end: str = "") -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            for _ in range(times):
                file.write(text)
            file.write(end)
    return make


def one_line(path: Path) -> None:
    """300 MB without a blank or a line's end."""
    with path.open("wb") as file:
        for _ in range(300):
            file.write(b"x" * 1_000_000)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "zip bomb.docx": (zip_bomb, "unpacks_too_large"),
    "long paragraphs.docx": (slow_bomb, "too_much_text"),
    "laughs.docx": (laughs, "docx_broken"),
    "10000 pages.pdf": (many_pages, "read"),
    "one page.pdf": (lambda path: write_slow_pdf(path, 3_000_000), "parser_memory_limit"),
    "long page.pdf": (lambda path: write_slow_pdf(path, 150_000), "too_much_text"),
    "nested.html": (write("<div><p>hola", 100_000), "read"),
    "scripts.html": (write("<p>hola<script>while(1){document.write('<p>no')}</script>", 50_000), "read"),
    "attributes.html": (write("<p " + "a='b' " * 1_000_000 + ">hola"), "read"),
    "million cells.csv": (write("valor;" * 999 + "fin\n", 1_000), "read"),
    "long header.csv": (write("x" * 100_000 + ";b\n" + "1;2\n" * 2_000), "too_much_text"),
    "nested.csv": (write("[{" * 500_000, 1, "}]" * 500_000), "read"),
    "nested.txt": (write('{"a":[' * 500_000), "read"),
    "one line.txt": (one_line, "too_much_text"),
    "long line.txt": (write("ñ" * 1_000_000, 40), "read"),
    "emoji.md": (write("🎉" * 1_000_000, 30), "read"),
    "too long.md": (write("palabra " * 100_000, MAX_FILE_CHARS // 800_000 + 2), "too_much_text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_or_refused_within_its_limits(parser: Parser, tmp_path: Path, name: str) -> None:
    make, expected = HOSTILE[name]
    make(tmp_path / name)
    started = time.monotonic()
    with Peak() as peak:
        code, pages, chars = outcome(parser, tmp_path / name)
    seconds = time.monotonic() - started
    print(f"{name}: {code}, {pages} pages, {chars:,} characters, {seconds:.1f} s, child {peak.child >> 20} MiB, "
          f"page +{peak.grown >> 20} MiB")
    assert code == expected
    assert seconds < SECONDS
    assert peak.child < CHILD_MEMORY + 300 * MEBIBYTE  # it grows on until it is looked at
    assert peak.grown < OWN_MEMORY
    (tmp_path / "next.txt").write_text("el siguiente", encoding="utf-8")
    assert list(parser.pages(tmp_path / "next.txt")) == ["el siguiente"]


def test_memory_is_watched_while_nobody_asks_for_the_next_page(settings: Settings, tmp_path: Path) -> None:
    parser = Parser(replace(settings, parser_memory_bytes=250 * MEBIBYTE))
    (tmp_path / "a.csv").write_text("a;b\n" + "1;2\n" * 1000, encoding="utf-8")
    try:
        list(parser.pages(tmp_path / "a.csv"))
        child = parser._child._child
        assert child is not None
        child.send({"path": str(write_slow_pdf(tmp_path / "big.pdf", 3_000_000)), "attempt": 0})
        deadline = time.monotonic() + 20
        while child.is_alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert child.death().code == "parser_memory_limit"
    finally:
        parser.close()


def test_a_file_that_takes_too_long_as_a_whole_is_given_up(settings: Settings, tmp_path: Path) -> None:
    parser = Parser(replace(settings, file_timeout_seconds=0.01))
    many_pages(tmp_path / "many.pdf")
    try:
        code, pages, _ = outcome(parser, tmp_path / "many.pdf")
        assert code == "file_timeout"
        assert pages < 10_000
    finally:
        parser.close()


def test_a_child_that_grew_is_not_kept(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = Parser(settings)
    (tmp_path / "a.txt").write_text("hola", encoding="utf-8")
    try:
        list(parser.pages(tmp_path / "a.txt"))
        assert parser._child._child is not None
        monkeypatch.setattr("core.documents.reader_child._KEPT_BYTES", 1)
        list(parser.pages(tmp_path / "a.txt"))
        assert parser._child._child is None
        assert list(parser.pages(tmp_path / "a.txt")) == ["hola"]
    finally:
        parser.close()


def test_a_child_that_is_not_itself_any_more_cannot_fill_our_memory(settings: Settings,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    endless = "import sys\nsys.stdin.readline()\nwhile True: sys.stdout.write('x' * 1000000)"
    monkeypatch.setattr("core.processes.python_module", lambda _: [__import__("sys").executable, "-c", endless])
    child = ReaderChild(settings)
    try:
        with Peak() as peak, pytest.raises(DocumentError, match="parser_crashed"):
            list(child.ask({"path": "x", "attempt": 0}))
        assert peak.grown < 4 * _MAX_ANSWER_BYTES
    finally:
        child.close()


def test_a_reader_at_rest_costs_no_time(settings: Settings, tmp_path: Path) -> None:
    parser = Parser(settings)
    (tmp_path / "a.txt").write_text("hola", encoding="utf-8")
    try:
        list(parser.pages(tmp_path / "a.txt"))
        child = parser._child._child
        assert isinstance(child, _Child)
        assert not child.busy.is_set()
    finally:
        parser.close()
