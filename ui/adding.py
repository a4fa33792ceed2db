"""Uploaded files on their way into the library, from whichever tab: what came of each, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.documents.library import OnConflict
from core.errors import AppError
from ui.feedback import Notice, error_notice
from ui.i18n import plural
from ui.workshop import Workshop


@dataclass
class Added:
    """What came of a drop: the new documents, the files whose name another content has, and what to say."""

    sources: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def add_files(workshop: Workshop, language: str, files: list[str], on_conflict: OnConflict = "ask") -> Added:
    """Add uploaded files to the library.

    An upload is deleted once it is in the folder or refused; one whose name is taken stays for the answer.
    """
    added = Added()
    for path in files:
        try:
            added.sources.append(workshop.collection.library.add(Path(path), on_conflict=on_conflict))
        except AppError as error:
            if error.code == "name_taken":
                added.taken.append(path)
                continue
            added.notices.append(error_notice(language, error, Path(path).name))
        except OSError as error:
            reason = AppError("file_not_copied", detail=error.strerror or str(error))
            added.notices.append(error_notice(language, reason, Path(path).name))
        Path(path).unlink(missing_ok=True)
    if added.sources:
        added.notices.insert(0, Notice(plural(language, "documents.added", len(added.sources)), "done"))
    workshop.background.wake()
    return added
