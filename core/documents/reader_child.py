"""A child process that opens documents for us, under limits of time and memory, so that one bad file fails alone.

The parent watches and ends the child: resource limits of the system do not exist on Windows and are unreliable
on macOS. Knows nothing of formats; what a request means stands in `parser_worker`.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from core import processes
from core.errors import DocumentError
from core.settings import MEBIBYTE, Settings

_WATCH_SECONDS = 0.25
# An answer is at most a page (see `parsers.pages`) or a picture. With the few that wait, all that a child's answers
# take of our memory.
_MAX_ANSWER_BYTES = 16 * MEBIBYTE
_ANSWERS_WAITING = 8
_KEPT_BYTES = 512 * MEBIBYTE  # a child that grew beyond is not kept for the next request


class Unwanted(Exception):
    """Nobody wants the answers any more: the work they were for was cancelled."""


class ReaderChild:
    """Started on first use, kept for the next requests, replaced when it had to be ended.

    One request at a time; `close` may come from any thread, and is for good. A `niceness` lets other programs go first
    on the processor.
    """

    def __init__(self, settings: Settings, *, niceness: int = 0) -> None:
        self._settings, self._niceness = settings, niceness
        self._child: _Child | None = None
        self._closed = False

    def ask(self, request: dict[str, object], wanted: Callable[[], bool] | None = None) -> Iterator[dict[str, Any]]:
        """The answers to a request, up to and without its `end`.

        Raises DocumentError: the child's own, and `page_timeout`, `file_timeout`, `parser_memory_limit`,
        `parser_crashed`; and Unwanted soon after `wanted`, asked while an answer takes long, says no.
        A caller that stops early ends the child, since its next answers would belong to this request.
        """
        complete = False
        seconds_left = self._settings.file_timeout_seconds
        try:
            child = self._running_child()
            child.send(request)
            while True:
                asked = time.monotonic()
                answer = self._next_answer(child, wanted)
                seconds_left -= time.monotonic() - asked  # what the caller does meanwhile is not the file's fault
                if "error" in answer:
                    complete = True
                    raise DocumentError(answer["error"], **answer["values"])
                if "end" in answer:
                    complete = True
                    return
                if seconds_left < 0:
                    raise DocumentError("file_timeout", minutes=round(self._settings.file_timeout_seconds / 60))
                yield answer
        finally:
            if not complete or child.is_big():
                self._end_child()
            else:
                child.busy.clear()

    def close(self) -> None:
        self._closed = True
        self._end_child()

    def _running_child(self) -> _Child:
        if self._closed:
            raise DocumentError("parser_crashed")
        if self._child is None or not self._child.is_alive():
            self._end_child()
            self._child = _Child(self._settings, self._niceness)
        return self._child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _next_answer(self, child: _Child, wanted: Callable[[], bool] | None) -> dict[str, Any]:
        """The child's next line, while its time lasts."""
        deadline = time.monotonic() + self._settings.page_timeout_seconds
        while True:
            with contextlib.suppress(queue.Empty):
                line = child.lines.get(timeout=_WATCH_SECONDS)
                if line is None:
                    raise child.death()
                answer: dict[str, Any] = json.loads(line)
                return answer
            if self._closed:
                raise DocumentError("parser_crashed")
            if wanted is not None and not wanted():
                raise Unwanted
            if time.monotonic() > deadline:
                raise DocumentError("page_timeout", seconds=round(self._settings.page_timeout_seconds))


class _Child:
    """One running child, what it says (its lines, and None when it has ended), and an eye on its memory.

    The eye is a thread of its own: a child reads on while nobody asks for its answers.
    """

    def __init__(self, settings: Settings, niceness: int) -> None:
        self._limit_bytes = settings.parser_memory_bytes
        self._process = processes.start(
            processes.python_module("core.documents.parser_worker"), log_path=settings.logs_dir / "parser.log")
        if niceness:
            processes.step_back(niceness, self._process.pid)
        # Bounded: a fast reader waits for us instead of filling our memory.
        self.lines: queue.Queue[bytes | None] = queue.Queue(maxsize=_ANSWERS_WAITING)
        self.busy = threading.Event()  # with a request
        self._abandoned = threading.Event()  # nobody listens any more
        self._over_memory = False
        for work in (self._pump, self._watch):
            threading.Thread(target=work, daemon=True).start()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def is_big(self) -> bool:
        """Whether it holds on to more memory than a child at rest should."""
        with contextlib.suppress(psutil.Error):
            return bool(psutil.Process(self._process.pid).memory_info().rss > _KEPT_BYTES)
        return False

    def send(self, request: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self.busy.set()
        try:
            self._process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # it died, or was ended by another thread
            raise self.death() from error

    def death(self) -> DocumentError:
        """Why there are no more answers."""
        if self._over_memory:
            return DocumentError("parser_memory_limit", megabytes=self._limit_bytes // MEBIBYTE)
        return DocumentError("parser_crashed")

    def end(self) -> None:
        self._abandoned.set()
        self.busy.set()
        self._process.kill()  # it has nothing to save, and a reader that hangs would not look at its stdin
        processes.end(self._process, grace_seconds=0.5)

    def _pump(self) -> None:
        """Move the child's lines into the queue."""
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):  # the pipe closes under us when the child is ended
            while line := self._process.stdout.readline(_MAX_ANSWER_BYTES):
                if not line.endswith(b"\n"):  # no answer of ours: it died in the middle, or is not itself any more
                    self._process.kill()
                    break
                self._put(line)
        self._put(None)

    def _put(self, item: bytes | None) -> None:
        while not self._abandoned.is_set():
            with contextlib.suppress(queue.Full):
                self.lines.put(item, timeout=_WATCH_SECONDS)
                return

    def _watch(self) -> None:
        """End the child when it takes more memory than it may."""
        while self.busy.wait() and not self._abandoned.wait(_WATCH_SECONDS):
            if processes.resident_bytes(self._process.pid) > self._limit_bytes:
                self._over_memory = True
                self._process.kill()
                return
