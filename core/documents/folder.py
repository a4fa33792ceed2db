"""The user's folder on disk: which files it has, under which names, with which content.

Knows nothing of the store. Never deletes a file: what leaves goes to the trash.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.documents.parsers import SUFFIXES

_MAX_NAME_BYTES = 200  # file systems allow 255; a number and a temporary suffix must fit too
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)")  # devices on Windows


@dataclass(frozen=True)
class FolderFile:
    """A file in the folder; `source` is its path below it, with `/`."""

    source: str
    path: Path
    size_bytes: int
    modified_ns: int


def scan(docs_dir: Path) -> Iterator[FolderFile]:
    """The documents below `docs_dir`, by name. Hidden files and links that lead out of it are left out."""
    root = docs_dir.resolve()
    for folder, folder_names, names in os.walk(root):
        folder_names[:] = sorted(name for name in folder_names if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                continue
            try:
                status = path.stat()
            except OSError:  # gone since it was listed, or a link to nowhere
                continue
            if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
                continue
            source = path.relative_to(root).as_posix()
            if _is_utf8(source):
                yield FolderFile(source, path, status.st_size, status.st_mtime_ns)


def _is_utf8(name: str) -> bool:
    """Names in another encoding arrive with surrogates, which neither store nor page can show."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_name(name: str) -> str:
    """A file name that every system accepts and that stays in its folder: the last part of any path, without
    reserved characters, at most 200 bytes, its suffix kept."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    name = re.sub(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]', "_", name).strip(" .")
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        stem, suffix = name, ""
    while len(f"{stem}.{suffix}".encode()) > _MAX_NAME_BYTES and stem:
        stem = stem[:-1]
    name = f"{stem}{dot}{suffix}" if stem else f"_{dot}{suffix}"
    return f"_{name}" if _RESERVED.match(name) else name


def free_name(folder: Path, name: str) -> str:
    """`name`, or `name (2)`, `name (3)`, … whichever is not taken in `folder`."""
    stem, suffix = Path(name).stem, Path(name).suffix
    number, candidate = 1, name
    while (folder / candidate).exists():
        number += 1
        candidate = f"{stem} ({number}){suffix}"
    return candidate


def copy_into(original: Path, target: Path) -> None:
    """Copy whole or not at all: first beside the target under a hidden name, then in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(original, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
