"""A pull of Ollama's as figures: bytes over all layers, speed, time left; and what its errors mean.

Knows the lines of `/api/pull`, and of the connection nothing.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.engines.ollama_api import DETAIL_CHARS, error_words
from core.errors import EngineError

if TYPE_CHECKING:
    from ollama import ProgressResponse, ResponseError

PullStage = Literal["manifest", "downloading", "verifying", "writing", "done"]
STAGES: tuple[tuple[str, PullStage], ...] = (
    ("success", "done"), ("verifying", "verifying"), ("writing", "writing"), ("removing", "writing"),
)
# What Ollama says when a pull fails, in lower case; the first that matches wins. From its server's source and from
# what its users report; the registry's own words come after "pull model manifest:".
PULL_ERRORS: tuple[tuple[str, str], ...] = (
    ("no space left", "pull_no_space"),
    ("not enough space", "pull_no_space"),  # Windows
    ("disk space", "pull_no_space"),
    ("no such host", "pull_no_network"),
    ("dial tcp", "pull_no_network"),
    ("requires a newer version", "pull_needs_newer"),
    ("unauthorized", "pull_unauthorized"),
    ("access denied", "pull_unauthorized"),
    ("manifest: 401", "pull_unauthorized"),
    ("manifest: 403", "pull_unauthorized"),
    ("file does not exist", "pull_not_found"),
    ("manifest: 404", "pull_not_found"),
    ("not found", "pull_not_found"),
    ("invalid model name", "pull_bad_name"),
    ("server misbehaving", "pull_no_network"),
    ("max retries exceeded", "pull_no_network"),
    ("i/o timeout", "pull_no_network"),
    ("tls handshake", "pull_no_network"),
    ("connection re", "pull_no_network"),  # refused, reset
    ("unreachable", "pull_no_network"),
    ("eof", "pull_no_network"),
)
SPEED_SECONDS = 10.0  # over which the speed is taken: long enough to be calm, short enough to follow a change
SPEED_AFTER_SECONDS = 0.5  # less says nothing
STALLED_SECONDS = 5.0


@dataclass(frozen=True)
class PullProgress:
    """How far a pull is. The sizes are of all layers known so far; the weights, nearly everything, come first.
    `seconds_left` is None while it cannot be told; `stalled` when nothing has come for some seconds."""

    stage: PullStage
    completed_bytes: int = 0
    total_bytes: int = 0
    bytes_per_second: float = 0.0
    seconds_left: float | None = None
    stalled: bool = False


class PullMeter:
    """Adds up the layers of a pull and takes its speed."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}  # digest → (completed, total), in bytes
        self._found = 0  # bytes that lay on the server's disk before: they count as completed, not as fetched
        self._marks: deque[tuple[float, int]] = deque()  # (time.monotonic(), bytes fetched)
        self._completed, self._grew = 0, time.monotonic()

    def read(self, line: ProgressResponse) -> PullProgress:
        """What a line of the stream says."""
        if line.digest:
            completed = line.completed or 0
            if line.digest not in self._layers:
                self._found += completed
            self._layers[line.digest] = (completed, line.total or 0)
            return self.progress("downloading")
        status = (line.status or "").lower()
        stage = next((stage for word, stage in STAGES if status.startswith(word)), None)
        return self.progress(stage or ("downloading" if self._layers else "manifest"))

    def progress(self, stage: PullStage) -> PullProgress:
        completed = sum(done for done, _ in self._layers.values())
        total = sum(size for _, size in self._layers.values())
        now = time.monotonic()
        if completed != self._completed:
            self._completed, self._grew = completed, now
        if stage != "downloading":
            return PullProgress(stage, completed, total)
        speed = self._speed(now, completed - self._found)
        left = max(0, total - completed) / speed if speed > 0 else None
        return PullProgress(stage, completed, total, speed, left, stalled=now - self._grew > STALLED_SECONDS)

    def _speed(self, now: float, fetched: int) -> float:
        self._marks.append((now, fetched))
        while len(self._marks) > 2 and now - self._marks[1][0] > SPEED_SECONDS:
            self._marks.popleft()
        since, before = self._marks[0]
        return max(0, fetched - before) / (now - since) if now - since >= SPEED_AFTER_SECONDS else 0.0


def pull_error(model: str, error: ResponseError) -> EngineError:
    """An error of `/api/pull`, sent as an HTTP status or inside the stream."""
    text = error_words(error)
    lowered = text.lower()
    for part, code in PULL_ERRORS:
        if part in lowered:
            return EngineError(code, **{"name" if code == "pull_bad_name" else "model": model})
    if error.status_code in (401, 403):
        return EngineError("pull_unauthorized", model=model)
    return EngineError("pull_refused", model=model, detail=text[:DETAIL_CHARS])
