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
from collections.abc import Callable, Iterator
from typing import Any

from core import processes
from core.errors import DocumentError
from core.settings import MEBIBYTE, Settings

_WATCH_SECONDS = 0.25


class Unwanted(Exception):
    """Nobody wants the answers any more: the work they were for was cancelled."""


class ReaderChild:
    """Started on first use, kept for the next requests, replaced when it had to be ended.

    One request at a time; `close` may come from any thread, and is for good.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._answers = _Answers()
        self._closed = False

    def ask(self, request: dict[str, object], wanted: Callable[[], bool] | None = None) -> Iterator[dict[str, Any]]:
        """The answers to a request, up to and without its `end`.

        Raises DocumentError: the child's own, and `page_timeout`, `parser_memory_limit`, `parser_crashed`; and
        Unwanted soon after `wanted`, asked while an answer takes long, says no.
        A caller that stops early ends the child, since its next answers would belong to this request.
        """
        complete = False
        try:
            child = self._running_child()
            _send(child, request)
            while True:
                answer = self._next_answer(child, wanted)
                if "error" in answer:
                    complete = True
                    raise DocumentError(answer["error"], **answer["values"])
                if "end" in answer:
                    complete = True
                    return
                yield answer
        finally:
            if not complete:
                self._end_child()

    def close(self) -> None:
        self._closed = True
        self._end_child()

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise DocumentError("parser_crashed")
        child = self._child
        if child is None or child.poll() is not None:
            self._end_child()
            self._child = child = processes.start(
                processes.python_module("core.documents.parser_worker"),
                log_path=self._settings.logs_dir / "parser.log",
            )
            self._answers = _Answers()
            threading.Thread(target=self._answers.pump, args=(child,), daemon=True).start()
        return child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        self._answers.abandoned.set()
        if child is not None:
            child.kill()  # it has nothing to save, and a reader that hangs would not look at its stdin
            processes.end(child, grace_seconds=0.5)

    def _next_answer(self, child: subprocess.Popen[bytes], wanted: Callable[[], bool] | None) -> dict[str, Any]:
        """The child's next line, while its time and memory last."""
        deadline = time.monotonic() + self._settings.page_timeout_seconds
        while True:
            self._check_memory(child)
            with contextlib.suppress(queue.Empty):
                line = self._answers.lines.get(timeout=_WATCH_SECONDS)
                if line is None:
                    raise DocumentError("parser_crashed")
                answer: dict[str, Any] = json.loads(line)
                return answer
            if self._closed:
                raise DocumentError("parser_crashed")
            if wanted is not None and not wanted():
                raise Unwanted
            if time.monotonic() > deadline:
                raise DocumentError("page_timeout", seconds=round(self._settings.page_timeout_seconds))

    def _check_memory(self, child: subprocess.Popen[bytes]) -> None:
        if time.monotonic() < self._answers.next_look:
            return
        self._answers.next_look = time.monotonic() + _WATCH_SECONDS
        if processes.resident_bytes(child.pid) > self._settings.parser_memory_bytes:
            raise DocumentError("parser_memory_limit", megabytes=self._settings.parser_memory_bytes // MEBIBYTE)


class _Answers:
    """What one child says: its lines, and None when it has ended."""

    def __init__(self) -> None:
        # Bounded: a fast reader waits for us instead of filling our memory.
        self.lines: queue.Queue[bytes | None] = queue.Queue(maxsize=64)
        self.abandoned = threading.Event()  # nobody listens any more
        self.next_look = 0.0  # at the child's memory; time.monotonic()

    def pump(self, child: subprocess.Popen[bytes]) -> None:
        """Move the child's lines into the queue."""
        assert child.stdout is not None
        with contextlib.suppress(OSError, ValueError):  # the pipe closes under us when the child is ended
            for line in child.stdout:
                self._put(line)
        self._put(None)

    def _put(self, item: bytes | None) -> None:
        while not self.abandoned.is_set():
            with contextlib.suppress(queue.Full):
                self.lines.put(item, timeout=_WATCH_SECONDS)
                return


def _send(child: subprocess.Popen[bytes], request: dict[str, object]) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(request).encode("ascii") + b"\n")
        child.stdin.flush()
    except (OSError, ValueError) as error:  # it died, or was ended by another thread
        raise DocumentError("parser_crashed") from error
