"""The parsers' border: whatever a file holds, it is read, or refused with a reason that has words; nothing else comes
out. A short run of it is part of the tests; `make fuzz` tries many times as much, with other files each time."""

from __future__ import annotations

import json
import os
import string
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.documents.parsers import SUFFIXES, read_pages
from core.documents.parsers.pages import CONTROL, MAX_PAGE_CHARS
from core.documents.parsing import Parser
from core.documents.rendering import render_page
from core.errors import DocumentError
from tests.core.documents.conftest import settings_in
from tests.fuzz.seeds import CHANGES, PIECES, Change, changed, docx_parts, samples, zipped

LOCALES = Path(__file__).resolve().parents[2] / "ui" / "locales"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))  # for each test; 0: the short run
suffixes = st.sampled_from(SUFFIXES)
outcomes: Counter[str] = Counter()


def fuzz(short: int) -> settings:
    """The settings of a test with `short` examples in the short run, which has the same ones each time."""
    return settings(max_examples=EXAMPLES or short, derandomize=not EXAMPLES, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[None]:
    outcomes.clear()
    yield
    print(f"\n{outcomes.total()} files: {dict(outcomes.most_common())}")


@cache
def sentences(language: str) -> dict[str, str]:
    texts: dict[str, str] = json.loads((LOCALES / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def assert_has_words(error: DocumentError) -> None:
    for language in ("es", "en"):
        sentence = sentences(language)[f"error.{error.code}"]
        named = {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
        assert named <= set(error.values)
    json.dumps(error.values)


def assert_is_page(text: str) -> None:
    assert len(text) <= MAX_PAGE_CHARS
    assert not CONTROL.search(text)
    assert "\r" not in text
    text.encode("utf-8")  # no half characters: no store would take them


def read(suffix: str, data: bytes, password: str | None = None) -> None:
    """Read a file of this content; the oracle of all tests here."""
    with TemporaryDirectory() as folder:
        path = Path(folder, f"file{suffix}")
        path.write_bytes(data)
        try:
            for text in read_pages(path, password=password):
                assert_is_page(text)
            outcomes["read"] += 1
        except DocumentError as error:
            assert_has_words(error)
            outcomes[error.code] += 1


@fuzz(150)
@given(suffixes, st.binary(max_size=2000))
def test_any_bytes(suffix: str, data: bytes) -> None:
    read(suffix, data)


@fuzz(150)
@given(suffixes, st.lists(PIECES, max_size=60))
def test_any_pieces_of_formats(suffix: str, pieces: list[bytes]) -> None:
    read(suffix, b"".join(pieces))


@fuzz(200)
@given(suffixes, st.data(), CHANGES)
def test_real_files_with_changes(suffix: str, data: st.DataObject, changes: list[Change]) -> None:
    read(suffix, changed(data.draw(st.sampled_from(samples()[suffix])), changes))


@fuzz(60)
@given(suffixes, suffixes)
def test_every_file_under_every_name(suffix: str, other: str) -> None:
    for data in samples()[other]:
        read(suffix, data)


@fuzz(100)
@given(st.deferred(lambda: st.sampled_from(sorted(docx_parts()))), CHANGES)
def test_word_files_with_changed_parts(part: str, changes: list[Change]) -> None:
    read(".docx", zipped({**docx_parts(), part: changed(docx_parts()[part], changes)}))


TAGS = ("p", "r", "t", "tbl", "tr", "tc", "br", "pPr", "numPr", "sdt", "txbxContent", "del", "lastRenderedPageBreak",
        "footnoteReference", "hyperlink", "tabs")
LEAVES = st.sampled_from(("texto", "<w:tab/>", '<w:br w:type="page"/>', "<w:vanish/>", '<w:numId w:val="1"/>',
                          '<w:ilvl w:val="8"/>', '<w:pStyle w:val="Heading1"/>', "<w:lastRenderedPageBreak/>", "&amp;"))


def element(tag: str, children: list[str]) -> str:
    return f"<w:{tag}>{''.join(children)}</w:{tag}>"


XML = st.recursive(
    LEAVES, lambda inner: st.builds(element, st.sampled_from(TAGS), st.lists(inner, max_size=5)), max_leaves=40)


@fuzz(80)
@given(st.lists(XML, max_size=6))
def test_word_files_with_any_tags_in_one_another(body: list[str]) -> None:
    document = docx_parts()["word/document.xml"].decode()
    head = document[: document.index("<w:body>")]
    xml = f"{head}<w:body>{''.join(body)}</w:body></w:document>"
    read(".docx", zipped({**docx_parts(), "word/document.xml": xml.encode()}))


HTML_TAGS = ("p", "table", "tr", "td", "th", "li", "ol", "ul", "pre", "title", "h1", "h7", "br", "nav", "script", "div",
             "p hidden", "ol start=-1", "b", "select", "svg", "head", "body", "html", "frameset", "plaintext",
             "textarea")
HTML_PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in HTML_TAGS] + [f"</{tag}>" for tag in HTML_TAGS]), st.text(max_size=8),
    st.sampled_from(("&", "&lt", "&#x110000;", "<!--", "-->", "<![CDATA[", "<?", "\x00", "\r", "\ufffe", "<a b='")))


@fuzz(150)
@given(st.lists(HTML_PIECES, max_size=60), st.sampled_from(("utf-8", "utf-16", "cp1252", "iso2022_jp")),
       st.none() | st.sampled_from(("nonsense", "idna", "hex", "utf-7", "unicode_escape", "\x00", "a" * 200)))
def test_web_pages_of_any_tags(pieces: list[str], encoding: str, name: str | None) -> None:
    named = f"<meta charset='{name or encoding}'>"
    read(".html", (named + "".join(pieces)).encode(encoding, errors="replace"))


@fuzz(100)
@given(st.sampled_from((".txt", ".csv", ".html")), st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
       st.sampled_from(("utf-8", "utf-16", "cp1252")))
def test_texts_with_odd_characters(suffix: str, odd: str, encoding: str) -> None:
    words = "El niño; comió; piña\n" * 50
    read(suffix, (words + odd + words + "\x01").encode(encoding, errors="replace"))


@fuzz(300)
@given(st.sampled_from((".csv", ".tsv")), st.text(st.sampled_from('ab1,;\t|"\n\r \'\x00é=sep'), max_size=200))
def test_tables_of_any_characters(suffix: str, text: str) -> None:
    read(suffix, text.encode("utf-8"))


@fuzz(40)
@given(st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(("clave", "\ud800", "")))
def test_any_password(password: str) -> None:
    read(".pdf", samples()[".pdf"][1], password)


@fuzz(60)
@given(st.just([]) | CHANGES, st.sampled_from((1, 1, 2, 0, -1, 9)), st.integers(-5, 50), st.integers(-5, 50))
def test_pictures_of_changed_pdfs(changes: list[Change], page: int, start: int, end: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "file.pdf")
        path.write_bytes(changed(samples()[".pdf"][0], changes))
        try:
            assert render_page(path, page, start, end).picture.startswith("data:image/webp;base64,")
            outcomes["drawn"] += 1
        except DocumentError as error:
            assert_has_words(error)
            outcomes[error.code] += 1


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parser]:
    made = Parser(settings_in(tmp_path_factory.mktemp("fuzz")))
    yield made
    made.close()


def read_by_child(parser: Parser, path: Path) -> None:
    try:
        for text in parser.pages(path):
            assert_is_page(text)
        outcomes["read by the child"] += 1
    except DocumentError as error:
        assert_has_words(error)
        assert error.code != "parser_crashed"
        outcomes[error.code] += 1


@fuzz(60)
@given(suffix=suffixes, data=st.data(), changes=CHANGES)
def test_changed_files_through_the_child(
    parser: Parser, suffix: str, data: st.DataObject, changes: list[Change]
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, f"file{suffix}")
        path.write_bytes(changed(data.draw(st.sampled_from(samples()[suffix])), changes))
        read_by_child(parser, path)


@fuzz(30)
@given(data=st.data(), changes=CHANGES)
def test_changed_pdfs_of_other_programs_through_the_child(
    parser: Parser, shared_data: Path, data: st.DataObject, changes: list[Change]
) -> None:
    small = [path for path in sorted((shared_data / "pdfs").glob("*.pdf")) if path.stat().st_size < 50_000]
    with TemporaryDirectory() as folder:
        path = Path(folder, "file.pdf")
        path.write_bytes(changed(data.draw(st.sampled_from(small)).read_bytes(), changes))
        read_by_child(parser, path)
