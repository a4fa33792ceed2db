"""Pulls that outlive the page that started them: each runs in this object's own thread until it ends or is cancelled.

Any page may look at them, cancel them, or put their result away. Knows no HTTP and no page.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from core.engines.ollama_names import checked_name, full_name
from core.engines.ollama_pull import PullProgress
from core.errors import AppError, EngineError

PullState = Literal["running", "done", "cancelled", "failed"]
CLOSE_SECONDS = 3.0  # for the connections to be closed when the app ends
_log = logging.getLogger(__name__)


class Puller(Protocol):
    def pull(self, name: str) -> AsyncGenerator[PullProgress, None]: ...


@dataclass(frozen=True)
class Pull:
    """One pull as it is now. `error` says why it failed. `progress` stays where it was when it ended."""

    model: str
    state: PullState
    progress: PullProgress
    error: AppError | None = None


class Pulls:
    """The pulls of this process, those that ended too until they are put away. Safe for any thread.

    `puller` is asked for whoever pulls at each start, for it may raise EngineError; `finished` is called, in another
    thread, after a model has come.
    """

    def __init__(self, puller: Callable[[], Puller], finished: Callable[[], None]) -> None:
        self._puller, self._finished = puller, finished
        self._pulls: dict[str, Pull] = {}
        self._tasks: dict[str, concurrent.futures.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.RLock()
        self.version = 0  # changes with every change of a pull

    def list(self) -> tuple[Pull, ...]:
        """In the order they were started."""
        with self._lock:
            return tuple(self._pulls.values())

    def start(self, written: str) -> Pull:
        """Begin a pull, or find the one that runs already. Raises EngineError `pull_bad_name` and what the puller
        raises; all else that goes wrong is told by the pull itself."""
        model = checked_name(written)
        key = full_name(model)
        with self._lock:
            running = self._pulls.get(key)
            if running is not None and running.state == "running":
                return running
            puller = self._puller()
            self._pulls.pop(key, None)
            pull = self._keep(Pull(model, "running", PullProgress("manifest")))
            self._tasks[key] = asyncio.run_coroutine_threadsafe(self._run(puller, model), self._running_loop())
            return pull

    def cancel(self, model: str) -> None:
        """End a pull; what came is kept by the server."""
        with self._lock:
            pull, task = self._pulls.get(full_name(model)), self._tasks.get(full_name(model))
            if pull is not None and pull.state == "running" and task is not None:
                self._keep(replace(pull, state="cancelled"))
                task.cancel()

    def put_away(self, model: str) -> None:
        """Forget a pull that has ended."""
        with self._lock:
            pull = self._pulls.get(full_name(model))
            if pull is not None and pull.state != "running":
                del self._pulls[full_name(model)]
                self.version += 1

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        with contextlib.suppress(concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(CLOSE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)

    async def _run(self, puller: Puller, model: str) -> None:
        try:
            async for progress in puller.pull(model):
                self._change(model, progress=progress)
            self._change(model, state="done")
            self._finished()
        except AppError as error:
            self._change(model, state="failed", error=error)
        except Exception:
            _log.exception("A pull failed")
            self._change(model, state="failed", error=EngineError("unexpected"))

    def _change(self, model: str, **changes: object) -> None:
        with self._lock:
            pull = self._pulls.get(full_name(model))
            if pull is not None and pull.state == "running":
                self._keep(replace(pull, **changes))  # type: ignore[arg-type]

    def _keep(self, pull: Pull) -> Pull:
        self._pulls[full_name(pull.model)] = pull
        self.version += 1
        return pull

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="pulls", daemon=True).start()
        return self._loop


async def _cancel_all() -> None:
    """End every task of this loop, and wait until its connections are closed."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
