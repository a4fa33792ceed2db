"""Who writes to a data folder, noted beside the lock so that the second to come can be told. The lock alone decides.

Knows nothing of pages: whoever has an address notes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from core.errors import DocumentError


@dataclass(frozen=True)
class Holder:
    """A writing process; `started` in seconds since 1970, since systems give the numbers of processes again."""

    pid: int
    started: float
    program: str  # such as "app.py index"
    url: str | None = None  # where it can be opened in a browser


def note_holder(data_dir: Path, url: str | None = None) -> None:
    """Write down that this process holds the folder; only for whoever has the lock. A folder that takes no file is
    held all the same."""
    words = [Path(sys.argv[0]).name, *(word for word in sys.argv[1:2] if not word.startswith("-"))]
    holder = Holder(os.getpid(), psutil.Process().create_time(), " ".join(words), url)
    unfinished = data_dir / "writer.json.new"
    with contextlib.suppress(OSError):
        unfinished.write_text(json.dumps(asdict(holder)), encoding="utf-8")
        unfinished.replace(_note(data_dir))


def forget_holder(data_dir: Path) -> None:
    with contextlib.suppress(OSError):
        _note(data_dir).unlink(missing_ok=True)


def holder_of(data_dir: Path) -> Holder | None:
    """The process that noted itself last, if it is still there."""
    try:
        holder = Holder(**json.loads(_note(data_dir).read_text(encoding="utf-8")))
        started = psutil.Process(holder.pid).create_time()
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return holder if abs(started - holder.started) < 1 else None


def held_error(data_dir: Path) -> DocumentError:
    """What to tell the second: `store_held_by_page`, `store_held_by`, or `store_held` where nobody can be named."""
    path, holder = str(data_dir.resolve()), holder_of(data_dir)
    if holder is None:
        return DocumentError("store_held", path=path)
    if holder.url:
        return DocumentError("store_held_by_page", path=path, url=holder.url, pid=holder.pid)
    return DocumentError("store_held_by", path=path, program=holder.program, pid=holder.pid)


def _note(data_dir: Path) -> Path:
    return data_dir / "writer.json"
