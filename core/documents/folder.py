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
from pathlib import Path, PurePosixPath

from core.documents.parsers import SUFFIXES

_MAX_NAME_BYTES = 200  # file systems allow 255; a number and a temporary suffix must fit too
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # letters run backwards after these: `exe.txt` for `txt.exe`
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)")  # devices on Windows


@dataclass(frozen=True)
class FolderFile:
    """A file in the folder; `source` is its path below it, with `/`."""

    source: str
    path: Path
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class FolderScan:
    """One look at the folder: its documents by source, and the sources that could not be looked at: folders and files
    that refuse, whose documents are neither here nor gone."""

    files: dict[str, FolderFile]
    hidden: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[FolderFile]:
        return iter(self.files.values())

    def may_hold(self, source: str) -> bool:
        """Whether a document that was not found may be there all the same."""
        path = PurePosixPath(source)
        return not self.hidden.isdisjoint((source, *(str(parent) for parent in path.parents)))

    def differences(self, before: FolderScan) -> frozenset[str]:
        """Sources that came, went or changed since an earlier look."""
        return frozenset(source for source in self.files.keys() | before.files.keys()
                         if self.files.get(source) != before.files.get(source))


def scan(docs_dir: Path) -> FolderScan:
    """The documents below `docs_dir`, by name. Hidden files and links that lead out of it are left out."""
    root = docs_dir.resolve()
    files: dict[str, FolderFile] = {}
    hidden: set[str] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        prefix = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if entry.name.startswith(".") or not _is_utf8(entry.name):
                        continue
                    if _is_folder(entry):
                        waiting.append(Path(entry.path))
                    elif _is_document(entry.name) and (file := _look(entry, prefix + entry.name, root, hidden)):
                        files[file.source] = file
        except FileNotFoundError:  # gone since its parent was listed
            continue
        except OSError:
            hidden.add(prefix.rstrip("/") or ".")
    return FolderScan(dict(sorted(files.items())), frozenset(hidden))


def _is_document(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a Path each would double a look's time


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether to look into it: no links, and no junctions, which are what Windows has for them."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    tag = getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0)
    return not tag or tag != getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)


def _look(entry: os.DirEntry[str], source: str, root: Path, hidden: set[str]) -> FolderFile | None:
    """A document as it is listed; None for what is none, and for what refuses, noted in `hidden`."""
    path = Path(entry.path)
    try:
        if entry.is_symlink() and not path.resolve().is_relative_to(root):
            return None
        status = entry.stat()
    except FileNotFoundError:  # gone since it was listed, or a link to nowhere
        return None
    except OSError:
        hidden.add(source)
        return None
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        return None
    return FolderFile(source, path, status.st_size, status.st_mtime_ns)


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
    name = _DIRECTIONS.sub("", re.sub(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]', "_", name)).strip(" .")
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
