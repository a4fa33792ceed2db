"""A Word file as the archive it is: its parts, and which of them is which. Unpacks nothing that is out of proportion
and follows no relation that leads out of the file."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from core.errors import DocumentError
from core.settings import MEBIBYTE

if TYPE_CHECKING:
    from lxml import etree

# Deflate packs 1000 to 1 at most, the XML of long tables 100 to 1, prose 10 to 1.
_MAX_RATIO = 200
_RATIO_FROM_BYTES = 16 * MEBIBYTE  # below it a large ratio does no harm
_MAX_PART_BYTES = 512 * MEBIBYTE
_MAX_SMALL_PART_BYTES = 16 * MEBIBYTE  # of those read as a whole
_FEED_BYTES = 1 << 16
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # what Word wraps a protected document in, and its old .doc
_PROTECTED_STREAM = "EncryptedPackage".encode("utf-16-le")


class DocxArchive:
    """The parts of an open Word file, by their names in it."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises DocumentError `docx_encrypted`, `docx_broken` for an old .doc, zipfile.BadZipFile."""
        if file.read(len(_COMPOUND_FILE)) == _COMPOUND_FILE:
            raise DocumentError("docx_encrypted" if _PROTECTED_STREAM in file.read() else "docx_broken")
        self._zip = zipfile.ZipFile(file)
        self.main = next(iter(self.related("", "officeDocument")), "word/document.xml")

    def related(self, part: str, kind: str) -> list[str]:
        """The parts inside the file that `part` ("": the file itself) names as its header, styles or whatever kind,
        each once."""
        folder, name = posixpath.split(part)
        root = self.tree(posixpath.join(folder, "_rels", f"{name}.rels"))
        found = []
        for relation in root if root is not None else ():
            inside = relation.get("TargetMode") != "External"
            if inside and relation.get("Type", "").endswith(f"/{kind}"):
                target = posixpath.join("/", folder, relation.get("Target", ""))
                found.append(posixpath.normpath(target).lstrip("/"))
        return list(dict.fromkeys(found))

    def tree(self, part: str) -> Any:
        """A small part as an lxml element; None for one that is missing. Raises DocumentError `unpacks_too_large`."""
        from lxml import etree

        if not self.has(part):
            return None
        return etree.fromstring(b"".join(self._blocks(part, _MAX_SMALL_PART_BYTES)), safe_parser())

    def feed(self, part: str, parser: etree.XMLParser) -> Iterator[None]:
        """Hand a part to a parser, piece by piece: a step of the iterator each.
        Raises DocumentError `unpacks_too_large`."""
        for block in self._blocks(part, _MAX_PART_BYTES):
            parser.feed(block)
            yield
        parser.close()

    def has(self, part: str) -> bool:
        return part in self._zip.NameToInfo

    def _blocks(self, part: str, max_bytes: int) -> Iterator[bytes]:
        """A part, unpacked. Its announced size is looked at first; zipfile unpacks no more than was announced."""
        info = self._zip.getinfo(part)
        if info.flag_bits & 1:
            raise DocumentError("docx_encrypted")
        bomb = info.file_size > _RATIO_FROM_BYTES and info.file_size > _MAX_RATIO * info.compress_size
        if bomb or info.file_size > max_bytes:
            raise DocumentError("unpacks_too_large", megabytes=-(-info.file_size // MEBIBYTE))
        with self._zip.open(info) as unpacked:
            while block := unpacked.read(_FEED_BYTES):
                yield block


def safe_parser(target: object | None = None) -> etree.XMLParser:
    """An XML parser that fetches nothing, loads no DTD and leaves entities alone."""
    from lxml import etree

    return etree.XMLParser(target=target, resolve_entities=False, no_network=True, load_dtd=False,
                           dtd_validation=False, huge_tree=False, remove_comments=True, remove_pis=True)
