"""The documents' HTML: every state in both languages, and names that try to be markup."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from core.documents.events import Reason
from core.documents.store import State, StoredDocument
from core.errors import AppError
from ui.documents_view import busy_line, conflict_text, missing_text, table
from ui.i18n import LANGUAGES, plural, translate

HOSTILE = '"><script>alert(1)<img src=x onerror=alert(2)>.pdf'
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def document(source: str = "a.pdf", state: State = "indexed", **values: Any) -> StoredDocument:
    fields: dict[str, Any] = {"sha256": "s", "file_sha256": "s", "size_bytes": 1200, "modified_ns": 1, "reason": None,
                              "done": 0, "total": 0, "pages": 3, "chunks": 7}
    return StoredDocument(source=source, state=state, **{**fields, **values})


@both_languages
@pytest.mark.parametrize("state", get_args(State))
def test_every_state_has_its_word_and_its_badge(language: str, state: State) -> None:
    html = table(language, [document(state=state)])
    assert f'<span class="badge {state}">{translate(language, f"documents.state_{state}")}</span>' in html


@both_languages
def test_an_empty_library_invites(language: str) -> None:
    assert translate(language, "documents.empty_title") in table(language, [])


@both_languages
def test_a_failed_document_says_why(language: str) -> None:
    for reason in (Reason("pdf_broken"), Reason("page_timeout", {"seconds": 30}), Reason("file_gone")):
        html = table(language, [document(state="failed", reason=reason)])
        sentence = translate(language, f"error.{reason.code}", **reason.values)
        assert f'<span class="reason">{sentence}</span>' in html


@both_languages
def test_a_document_without_text_says_what_to_do(language: str) -> None:
    assert translate(language, "documents.no_text_hint") in table(language, [document(state="no_text", chunks=0)])


def test_progress_shows_while_a_document_is_read_and_indexed() -> None:
    assert plural("en", "documents.pages", 40) in table("en", [document(state="parsing", done=40)])
    html = table("en", [document(state="embedding", done=16, total=64)])
    assert 'max="64" value="16"' in html and "16/64" in html


def test_figures_are_shown_once_they_are_known() -> None:
    waiting = table("es", [document(state="queued", pages=0, chunks=0)])
    assert '<td class="pages">–</td><td class="chunks">–</td>' in waiting
    assert '<td class="pages">3</td><td class="chunks">7</td>' in table("es", [document()])
    assert "1,2 kB" in table("es", [document()])


def test_totals_count_documents_and_passages() -> None:
    html = table("en", [document("a.pdf"), document("b.pdf", chunks=5)])
    assert plural("en", "documents.total", 2) in html and plural("en", "documents.passages", 12) in html


@both_languages
def test_a_hostile_name_stays_text_everywhere(language: str) -> None:
    failed = Reason("already_here", {"twin": HOSTILE})
    for html in (table(language, [document(HOSTILE), document(HOSTILE, "failed", reason=failed)]),
                 busy_line(language, [document(HOSTILE, "queued")], None),
                 busy_line(language, [], AppError("embedder_failed", detail=HOSTILE)),
                 conflict_text(language, [HOSTILE]), missing_text(language, [HOSTILE])):
        assert "<script" not in html and "<img" not in html
        assert "&lt;script&gt;" in html
        assert HOSTILE not in html


def test_a_name_of_any_length_and_script_is_kept_whole() -> None:
    name = "informe " * 40 + "año 2024 – 報告 📄.pdf"
    html = table("es", [document(name)])
    assert html.count(name) == 5  # shown, its tooltip, and the remove button's name, label and tooltip


def test_the_busy_line_counts_and_names_the_one_at_work() -> None:
    documents = [document("a.pdf"), document("b.pdf", "queued"), document("c.pdf", "embedding")]
    html = busy_line("en", documents, None)
    assert translate("en", "documents.busy", done=1, total=3, source="c.pdf") in html
    assert busy_line("en", [document(), document(state="failed", reason=Reason("pdf_broken"))], None) == ""


def test_what_holds_the_work_up_goes_before_progress() -> None:
    html = busy_line("en", [document(state="queued")], AppError("disk_full"))
    assert translate("en", "error.disk_full") in html and "<progress" not in html


@both_languages
def test_questions_name_a_few_files_and_count_all(language: str) -> None:
    paths = [f"/tmp/x{number}/{number}.pdf" for number in range(7)]
    for html in (conflict_text(language, paths), missing_text(language, paths)):
        assert "7" in html and "«4.pdf»" in html and "«5.pdf»" not in html and "/tmp" not in html
    assert conflict_text(language, []) == missing_text(language, []) == ""
