"""The Documents tab in a real browser: files in, their states and reasons, questions about them, files out and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.documents.parsers import SUFFIXES
from tests.browser.visit import Visit
from tests.running_app import RunningApp
from tests.sample_files import broken_pdf, make_pdf

pytestmark = pytest.mark.browser


@pytest.fixture
def documents(visit: Visit) -> Visit:
    """A window with the tab open."""
    visit.tab("documents")
    visit.row("bombas.pdf").wait_for()
    return visit


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def notices(visit: Visit) -> str:
    return visit.page.locator("#document-notices").inner_text()


def test_dropped_files_are_ready_in_seconds_and_a_bad_one_says_why(documents: Visit, tmp_path: Path) -> None:
    documents.drop(make_pdf(tmp_path / "tren ñ.pdf", ["El tren sale a las 7:43.", "Llega a las 9:10."]),
                   write(tmp_path / "barco.txt", "El barco zarpa a las 6:30."),
                   write(tmp_path / "notas.md", "# Notas\n\nEl avión despega a las 5:15."),
                   make_pdf(tmp_path / "escaneado.pdf", [""]), broken_pdf(tmp_path / "roto.pdf"))
    for name in ("tren ñ.pdf", "barco.txt", "notas.md"):
        documents.expect_state(name, "indexed")
    expect(documents.row("tren ñ.pdf").locator("td.pages")).to_have_text("2")
    documents.expect_state("escaneado.pdf", "no_text")
    documents.expect_state("roto.pdf", "failed")
    expect(documents.row("roto.pdf").locator(".reason")).to_have_text(documents.text("error.pdf_broken"))
    assert documents.text("documents.added.many", count=5) in notices(documents)
    expect(documents.page.locator("#indexing-progress .busy")).to_have_count(0)


def test_a_file_that_is_refused_says_why_and_the_others_go_on(documents: Visit, tmp_path: Path) -> None:
    documents.drop(write(tmp_path / "hoja.xlsx", "x"), write(tmp_path / "vacio.txt", ""),
                   write(tmp_path / "bueno <b> & co.txt", "Texto con sentido."))
    expect(documents.page.locator("#document-notices .notice.error")).to_have_count(2)
    assert documents.text("error.file_empty") in notices(documents)
    assert documents.text("error.unsupported_type", suffixes=", ".join(SUFFIXES)) in notices(documents)
    assert documents.text("documents.added.one", count=1) in notices(documents)


def test_the_same_content_again_is_said_to_be_here(documents: Visit, tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "original.txt", "El puente mide 300 metros.")
    documents.drop(first)
    documents.expect_state("original.txt", "indexed")
    documents.drop(write(tmp_path / "b" / "copia.txt", first.read_text(encoding="utf-8")))
    expect(documents.page.locator("#document-notices")).to_contain_text(
        documents.text("error.already_here", twin="original.txt"))
    expect(documents.row("copia.txt")).to_have_count(0)


def test_another_content_of_the_same_name_asks_first(
    documents: Visit, library: RunningApp, tmp_path: Path
) -> None:
    def drop(version: int) -> None:
        documents.drop(write(tmp_path / str(version) / "acta.txt", f"Acta número {version} de la reunión."))

    question = documents.page.locator("#conflict-text")
    drop(1)
    documents.expect_state("acta.txt", "indexed")

    drop(2)
    expect(question).to_contain_text("«acta.txt»")
    documents.page.locator("#conflict-leave").click()
    expect(documents.page.locator("#conflict-leave")).to_be_hidden()
    assert (library.docs / "acta.txt").read_text(encoding="utf-8").startswith("Acta número 1")

    drop(3)
    expect(question).to_contain_text("«acta.txt»")
    documents.page.locator("#conflict-keep-both").click()
    both = documents.page.locator("#documents tbody tr", has_text="acta")
    expect(both).to_have_count(2)

    drop(4)
    expect(question).to_contain_text("«acta.txt»")
    documents.page.locator("#conflict-replace").click()
    expect(documents.page.locator("#conflict-replace")).to_be_hidden()
    documents.expect_state("acta.txt", "indexed")
    expect(both).to_have_count(2)
    assert (library.docs / "acta.txt").read_text(encoding="utf-8").startswith("Acta número 4")
    kept = [path.read_text(encoding="utf-8") for path in (library.data / "trash").rglob("acta.txt")]
    assert any(text.startswith("Acta número 1") for text in kept)  # nothing of the user's is ever lost


def test_a_removed_document_comes_back_by_undo(documents: Visit, library: RunningApp, tmp_path: Path) -> None:
    documents.drop(write(tmp_path / "borrador.txt", "Un borrador sobre las mareas vivas."))
    documents.expect_state("borrador.txt", "indexed")
    documents.page.get_by_role("button", name=documents.text("documents.remove", source="borrador.txt")).click()
    expect(documents.row("borrador.txt")).to_have_count(0)
    assert not (library.docs / "borrador.txt").exists()
    expect(documents.page.locator("#document-notices")).to_contain_text(
        documents.text("documents.removed.one", source="borrador.txt"))
    documents.page.locator("#undo-remove").click()
    documents.expect_state("borrador.txt", "indexed")
    assert (library.docs / "borrador.txt").read_text(encoding="utf-8").startswith("Un borrador")


def test_files_copied_into_the_folder_are_found_by_syncing(
    documents: Visit, library: RunningApp
) -> None:
    write(library.docs / "carpeta" / "copiado.txt", "Copiado a mano en la carpeta.")
    documents.page.locator("#sync-folder").click()
    documents.expect_state("carpeta/copiado.txt", "indexed")


def test_the_guide_is_put_away_and_comes_back(documents: Visit, library: RunningApp) -> None:
    guides = [path.name for path in library.docs.iterdir() if "taller" in path.name]
    assert len(guides) == 2
    documents.page.locator("#put-guide-away").click()
    for name in guides:
        expect(documents.row(name)).to_have_count(0)
    expect(documents.page.locator("#put-guide-away")).to_be_hidden()
    documents.page.locator("#undo-remove").click()
    expect(documents.page.locator("#document-notices")).to_contain_text(
        documents.text("documents.undone.many", count=2))
    for name in guides:
        documents.expect_state(name, "indexed")


def test_two_windows_see_the_same_documents(
    documents: Visit, tmp_path: Path, open_visit: object
) -> None:
    assert callable(open_visit)
    other: Visit = open_visit("en")
    other.tab("documents")
    documents.drop(write(tmp_path / "compartido.txt", "Lo ven todas las ventanas."))
    other.expect_state("compartido.txt", "indexed")
