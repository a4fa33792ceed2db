"""A protected document opens with its password, which is written nowhere."""

from __future__ import annotations

import os

import pytest

from core.documents.events import Failed, Indexed, Skipped
from core.errors import DocumentError
from tests.core.documents.conftest import write_files, write_pdf
from tests.core.documents.shelf import Shelf


def test_a_protected_document_is_indexed_with_its_password_which_is_written_nowhere(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "secret.pdf", ["el tesoro"], password="contraseña-17")
    write_files(shelf.docs, {"a.txt": "uno"})
    assert shelf.outcomes() == {"a.txt": Indexed, "secret.pdf": Failed}
    with pytest.raises(DocumentError, match="pdf_wrong_password"):
        shelf.library.unlock("secret.pdf", "otra")
    assert shelf.states() == {"a.txt": "indexed", "secret.pdf": "failed"}
    shelf.library.unlock("secret.pdf", "contraseña-17")
    assert shelf.outcomes() == {"a.txt": Skipped, "secret.pdf": Indexed}
    assert not shelf.indexer._passwords
    document = shelf.store.document("secret.pdf")
    assert document is not None
    assert document.sha256 is not None
    assert "el tesoro" in (shelf.store.page_text(document.sha256, 1) or "")
    for path in shelf.settings.data_dir.rglob("*"):
        if path.is_file():
            assert "contrase" not in path.read_bytes().decode("latin-1"), path


def test_a_password_is_no_use_for_another_content(shelf: Shelf) -> None:
    write_pdf(shelf.docs / "secret.pdf", ["uno"], password="clave")
    shelf.run()
    shelf.library.unlock("secret.pdf", "clave")
    write_pdf(shelf.docs / "secret.pdf", ["dos"], password="otra")
    os.utime(shelf.docs / "secret.pdf", (5, 5))
    assert shelf.outcomes() == {"secret.pdf": Failed}
    (document,) = shelf.store.documents()
    assert document.reason is not None
    assert document.reason.code == "pdf_encrypted"
    assert not shelf.indexer._passwords


def test_only_a_document_that_is_there_can_be_unlocked(shelf: Shelf) -> None:
    write_pdf(shelf.docs.parent / "outside.pdf", ["uno"], password="clave")
    with pytest.raises(DocumentError, match="file_gone"):
        shelf.library.unlock("../outside.pdf", "clave")
    write_pdf(shelf.docs / "secret.pdf", ["uno"], password="clave")
    shelf.run()
    (shelf.docs / "secret.pdf").unlink()
    with pytest.raises(DocumentError, match="file_gone"):
        shelf.library.unlock("secret.pdf", "clave")
