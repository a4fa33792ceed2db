"""Reading files in a child process under limits of time and memory, so that one bad file fails alone.

The parent watches and ends the child: resource limits of the system do not exist on Windows and are unreliable
on macOS. Knows nothing of formats (see `parsers`).
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core import processes
from core.documents.parsers import READERS
from core.errors import DocumentError
from core.settings import Settings

_WATCH_SECONDS = 0.25
# Text of one file, in characters: a thousand thick books. More is a bomb, not a document.
_MAX_FILE_CHARS = 500_000_000


class Parser:
    """A parser child, started on first use, kept for the next files, replaced when it had to be ended.

    Not for several threads at once; `close` may come from any.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[bytes | None] = queue.Queue()

    def pages(self, path: Path) -> Iterator[str]:
        """The page texts of a file, as they are read.

        Raises DocumentError: what `parsers` raises, and `page_timeout`, `parser_memory`, `parser_crashed`.
        A reader that crashes before its first page gives way to the format's next reader.
        """
        attempts = len(READERS.get(path.suffix.lower(), ())) or 1
        for attempt in range(attempts):
            started = False
            try:
                for text in self._attempt(path, attempt):
                    started = True
                    yield text
                return
            except DocumentError as error:
                if error.code != "parser_crashed" or started or attempt + 1 == attempts:
                    raise

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            processes.end(child, grace_seconds=0.5)

    def _attempt(self, path: Path, attempt: int) -> Iterator[str]:
        """One reader's pages. Whatever ends this early (an error, a caller that stops) ends the child too,
        since its next answers would belong to this file."""
        complete = False
        chars = 0
        try:
            self._request(path, attempt)
            while True:
                answer = self._next_answer()
                if "page" in answer:
                    chars += len(answer["page"])
                    if chars > _MAX_FILE_CHARS:
                        raise DocumentError("too_much_text")
                    yield answer["page"]
                    continue
                complete = True
                if "error" in answer:
                    raise DocumentError(answer["error"], **answer["values"])
                return
        finally:
            if not complete:
                self.close()

    def _request(self, path: Path, attempt: int) -> None:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._start()
        assert self._child is not None and self._child.stdin is not None
        line = json.dumps({"path": str(path.resolve()), "attempt": attempt}) + "\n"
        try:
            self._child.stdin.write(line.encode("ascii"))
            self._child.stdin.flush()
        except OSError as error:
            raise DocumentError("parser_crashed") from error

    def _start(self) -> None:
        self._child = processes.start(
            processes.python_module("core.documents.parser_worker"),
            log_path=self._settings.logs_dir / "parser.log",
        )
        # A bounded queue: a fast reader waits for us instead of filling our memory.
        self._answers = queue.Queue(maxsize=64)
        threading.Thread(target=_pump, args=(self._child, self._answers), daemon=True).start()

    def _next_answer(self) -> dict[str, Any]:
        """The child's next line, while its time and memory last."""
        child = self._child
        if child is None:
            raise DocumentError("parser_crashed")
        deadline = time.monotonic() + self._settings.page_timeout_seconds
        while True:
            with contextlib.suppress(queue.Empty):
                line = self._answers.get(timeout=_WATCH_SECONDS)
                if line is None:
                    raise DocumentError("parser_crashed")
                answer: dict[str, Any] = json.loads(line)
                return answer
            if processes.resident_bytes(child.pid) > self._settings.parser_memory_bytes:
                limit = self._settings.parser_memory_bytes // (1024 * 1024)
                raise DocumentError("parser_memory_limit", megabytes=limit)
            if time.monotonic() > deadline:
                raise DocumentError("page_timeout", seconds=round(self._settings.page_timeout_seconds))


def _pump(child: subprocess.Popen[bytes], answers: queue.Queue[bytes | None]) -> None:
    """Move the child's lines into the queue; None says that it has ended."""
    assert child.stdout is not None
    with contextlib.suppress(OSError, ValueError):
        for line in child.stdout:
            while child.poll() is None or not answers.full():
                with contextlib.suppress(queue.Full):
                    answers.put(line, timeout=_WATCH_SECONDS)
                    break
    with contextlib.suppress(queue.Full):
        answers.put(None, timeout=_WATCH_SECONDS)
