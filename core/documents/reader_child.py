"""A child process that opens documents for us, under limits of time and memory, so that one bad file fails alone.

The parent watches and ends the child: resource limits of the system do not exist on Windows and are unreliable
on macOS. Knows nothing of formats; what a request means stands in `parser_worker`.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

from core import processes
from core.errors import DocumentError
from core.settings import MEBIBYTE, Settings

_WATCH_SECONDS = 0.25


class ReaderChild:
    """Started on first use, kept for the next requests, replaced when it had to be ended.

    One request at a time; `close` may come from any thread.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[bytes | None] = queue.Queue()

    def ask(self, request: dict[str, object]) -> Iterator[dict[str, Any]]:
        """The answers to a request, up to and without its `end`.

        Raises DocumentError: the child's own, and `page_timeout`, `parser_memory_limit`, `parser_crashed`.
        A caller that stops early ends the child, since its next answers would belong to this request.
        """
        complete = False
        try:
            self._send(request)
            while True:
                answer = self._next_answer()
                if "error" in answer:
                    complete = True
                    raise DocumentError(answer["error"], **answer["values"])
                if "end" in answer:
                    complete = True
                    return
                yield answer
        finally:
            if not complete:
                self.close()

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            processes.end(child, grace_seconds=0.5)

    def _send(self, request: dict[str, object]) -> None:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._start()
        assert self._child is not None and self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(request).encode("ascii") + b"\n")
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
                limit = self._settings.parser_memory_bytes // MEBIBYTE
                raise DocumentError("parser_memory_limit", megabytes=limit)
            if time.monotonic() > deadline:
                raise DocumentError("page_timeout", seconds=round(self._settings.page_timeout_seconds))


def _pump(child: subprocess.Popen[bytes], answers: queue.Queue[bytes | None]) -> None:
    """Move the child's lines into the queue; None says that it has ended."""
    assert child.stdout is not None
    with contextlib.suppress(OSError, ValueError):  # the pipe closes under us when the child is ended
        for line in child.stdout:
            if not _put(child, answers, line):
                return
    _put(child, answers, None)


def _put(child: subprocess.Popen[bytes], answers: queue.Queue[bytes | None], item: bytes | None) -> bool:
    """Wait for room as long as the child lives; False when nobody listens any more."""
    while True:
        with contextlib.suppress(queue.Full):
            answers.put(item, timeout=_WATCH_SECONDS)
            return True
        if child.poll() is not None:
            return False
