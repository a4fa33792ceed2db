"""Downloads of models from the hub, which go on whatever page is open: their state lives in this process.

Each runs in a child (see `download_worker`), so that cancelling is immediate; what came is kept. Knows no page.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from core import processes
from core.engines.download_worker import failure_of
from core.errors import AppError, EngineError
from core.settings import Settings

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
SPEED_SECONDS = 5.0  # over which the speed is measured
END_SECONDS = 2.0


@dataclass(frozen=True)
class Download:
    """One download as it is now. `total_bytes` is 0 until the hub has told it, `speed` 0 until it is known."""

    model: str
    state: Literal["running", "done", "cancelled", "failed"]
    done_bytes: int = 0
    total_bytes: int = 0
    speed: float = 0.0  # bytes a second
    error: AppError | None = None

    @property
    def seconds_left(self) -> float | None:
        return (self.total_bytes - self.done_bytes) / self.speed if self.speed and self.total_bytes else None


class Downloads:
    """One download at a time, and the last one's end until it is put away. Safe for any thread.

    `finished` is called, in another thread, when a model has come.
    """

    def __init__(self, settings: Settings, finished: Callable[[], None] = lambda: None) -> None:
        self._settings, self._finished = settings, finished
        self._lock = threading.RLock()
        self._current: Download | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def current(self) -> Download | None:
        return self._current

    def start(self, model: str) -> Download:
        """Fetch a model from the hub, or go on fetching it. Raises EngineError `download_bad_name`, and
        `download_running` while another one is on its way; all else that goes wrong is told by the download itself."""
        model = model.strip()
        if not HUB_ID.fullmatch(model) or ".." in model or "--" in model:
            raise EngineError("download_bad_name", model=model[:200])
        with self._lock:
            if self._current is not None and self._current.state == "running":
                if self._current.model == model:
                    return self._current
                raise EngineError("download_running", model=self._current.model)
            self._current = Download(model, "running")
            self._child = processes.start(
                processes.python_module("core.engines.download_worker", model),
                log_path=self._settings.logs_dir / "download.log")
            threading.Thread(target=self._follow, args=(self._child,), daemon=True, name="download").start()
            return self._current

    def cancel(self) -> None:
        """End the download; what came is kept, and the next start goes on from there."""
        with self._lock:
            if self._current is not None and self._current.state == "running":
                self._current = replace(self._current, state="cancelled", speed=0.0)
            child, self._child = self._child, None
        if child is not None:
            processes.end(child, grace_seconds=END_SECONDS)

    close = cancel

    def put_away(self) -> None:
        """Forget a download that has ended."""
        with self._lock:
            if self._current is not None and self._current.state != "running":
                self._current = None

    def _follow(self, child: subprocess.Popen[bytes]) -> None:
        """Until the child has ended, in a thread of its own."""
        assert child.stdout is not None
        seen: deque[tuple[float, int]] = deque()
        ended = False
        try:
            for line in child.stdout:
                message = json.loads(line)
                if message.get("state") == "finished":
                    self._finished()  # before anyone can see that it is done
                    ended = self._change(child, state="done", speed=0.0)
                elif message.get("state") == "failed":
                    ended = self._change(child, state="failed", speed=0.0, error=failure_of(message))
                else:
                    done = int(message["done"])
                    self._change(child, done_bytes=done, total_bytes=int(message["total"]), speed=_speed(seen, done))
        except (ValueError, OSError):  # the pipe was closed under us
            pass
        child.wait()
        if not ended:
            self._change(child, state="failed", speed=0.0, error=EngineError(
                "download_failed", model=self._current.model if self._current else "?", detail="-"))

    def _change(self, child: subprocess.Popen[bytes], **changes: object) -> bool:
        with self._lock:
            if self._child is child and self._current is not None and self._current.state == "running":
                self._current = replace(self._current, **changes)  # type: ignore[arg-type]
        return True


def _speed(seen: deque[tuple[float, int]], done: int) -> float:
    """Bytes a second over the last few seconds."""
    now = time.monotonic()
    seen.append((now, done))
    while now - seen[0][0] > SPEED_SECONDS and len(seen) > 2:
        seen.popleft()
    seconds = now - seen[0][0]
    return (done - seen[0][1]) / seconds if seconds > 0.5 else 0.0
