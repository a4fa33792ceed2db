"""The embedded engine: a model of this machine's disk in a child process of ours, for where there is no Ollama.

One model at a time; the child is started by the first question, kept for the next ones, and started anew when it died
or another model is wanted. It ends with `stop`, or with this process however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Literal

import psutil

from core import processes
from core.engines import config, embedded_models, hub_cache
from core.engines.base import ChatRequest, EngineEvent, Loading, ModelInfo
from core.engines.embedded_child import GenerationChild
from core.engines.embedded_models import LocalModel
from core.engines.openai_compatible import OpenAICompatibleEngine
from core.errors import EngineError
from core.settings import Settings

CPU_CONTEXT = 4096  # reading a longer prompt takes a processor minutes
START_ATTEMPTS = 3  # of a child that dies without a word; one that says why is believed at once
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class EmbeddedState:
    """What is in memory now. `model` is empty while nothing is."""

    state: Literal["stopped", "loading", "ready"]
    model: str = ""
    memory_bytes: int = 0


@dataclass(frozen=True)
class Removal:
    """What deleting a model frees, and the training runs that cannot answer without it."""

    name: str
    size_bytes: int
    needed_by: tuple[str, ...] = ()


class EmbeddedEngine:
    """Answers from a model of this machine. Safe for several threads and event loops."""

    name = "embedded"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: GenerationChild | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> EmbeddedState:
        child = self._child
        if child is None or child.state == "ended":
            return EmbeddedState("stopped")
        state: Literal["loading", "ready"] = "ready" if child.state == "ready" else "loading"
        return EmbeddedState(state, child.model.name, processes.resident_bytes(child.pid))

    async def models(self) -> list[ModelInfo]:
        found = await asyncio.to_thread(self._installed)
        return [model.info(context_of(model, self._settings)) for model in found]

    async def context(self, model: str) -> int:
        return context_of(await asyncio.to_thread(self._named, model), self._settings)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        """Stream one answer. Closing or cancelling this generator ends the writing; a model being loaded goes on
        loading, for the next question. Raises EngineError."""
        model = await asyncio.to_thread(self._named, request.model)
        if not self._has_ready(model):
            yield Loading(model.name, model.size_bytes)
        child = await self._ready_child(model)
        server = OpenAICompatibleEngine(child.url, child.secret, self._settings, self.name)
        think = request.think or ("off" if model.think_levels else None)
        asked = replace(request, model="embedded", think=think if think in model.think_levels else None)
        try:
            async with contextlib.aclosing(server.chat(asked)) as events:
                async for event in events:
                    yield event
        except EngineError as error:
            raise self._meaning(error, child) from error

    def stop(self) -> None:
        """End the child, if there is one: before a training run, or to give the memory back. Takes up to seconds."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.stop()

    close = stop

    def removal(self, name: str) -> Removal:
        """What deleting a downloaded model, or the part of one, would mean."""
        folder = hub_cache.cache_folder(name)
        needed_by = (model.name for model in self._installed() if model.adapter and folder in model.folder.parents)
        return Removal(name, hub_cache.disk_bytes(name), tuple(needed_by))

    def delete(self, name: str) -> None:
        """Take a downloaded model, or the part of one, off the disk; out of memory first, where it is there. A folder
        of the user's and a training run are never touched. Raises EngineError `engine_embedded_missing`,
        `model_not_deleted`."""
        child = self._child
        if child is not None and hub_cache.cache_folder(name) in child.model.folder.parents:
            self.stop()
        hub_cache.delete(name)

    def _installed(self) -> list[LocalModel]:
        return embedded_models.installed(self._settings, config.load(self._settings.data_dir))

    def _named(self, name: str) -> LocalModel:
        return embedded_models.by_name(self._settings, config.load(self._settings.data_dir), name)

    def _has_ready(self, model: LocalModel) -> bool:
        child = self._child
        return child is not None and child.model == model and child.state == "ready"

    async def _ready_child(self, model: LocalModel) -> GenerationChild:
        """A child that has this model in memory. Raises EngineError `engine_out_of_memory`, `engine_timeout`,
        `engine_embedded_failed`, `engine_embedded_stopped`."""
        give_up = time.monotonic() + self._settings.first_token_timeout_seconds
        attempts = 0
        child = await asyncio.to_thread(self._running_child, model)
        while child.state != "ready":
            if child.stopped_by_us:
                raise EngineError("engine_embedded_stopped")
            if child.state == "ended":
                attempts += 1
                if child.out_of_memory:
                    raise EngineError("engine_out_of_memory", model=model.name)
                if child.failure or attempts >= START_ATTEMPTS:
                    raise EngineError("engine_embedded_failed", model=model.name, detail=child.last_words() or "?")
                child = await asyncio.to_thread(self._running_child, model)
            if time.monotonic() > give_up:
                raise EngineError("engine_timeout", seconds=round(self._settings.first_token_timeout_seconds))
            await asyncio.sleep(POLL_SECONDS)
        return child

    def _running_child(self, model: LocalModel) -> GenerationChild:
        """The child of this model, started when there is none; one of another model is ended for it."""
        with self._lock:
            child = self._child
            if child is not None and child.model == model and child.state != "ended":
                return child
            if child is not None:
                child.stop()
            check_memory(model)
            self._child = GenerationChild(model, context_of(model, self._settings), self._settings)
            return self._child

    def _meaning(self, error: EngineError, child: GenerationChild) -> EngineError:
        """An error of the child in the words of this engine."""
        if child.stopped_by_us:
            return EngineError("engine_embedded_stopped")
        lost = error.code in ("engine_broken_stream", "engine_server_unreachable")
        if lost:
            return EngineError("engine_embedded_died", detail=child.last_words() or "?")
        if error.code == "engine_context_too_small":
            return EngineError(error.code, num_ctx=context_of(child.model, self._settings))
        if error.code == "engine_out_of_memory":
            return EngineError(error.code, model=child.model.name)
        return error


def context_of(model: LocalModel, settings: Settings) -> int:
    """Tokens that prompt and answer may fill together: what the model was made for, within what this machine reads
    in bearable time."""
    return min(model.max_positions, settings.num_ctx if has_gpu() else min(settings.num_ctx, CPU_CONTEXT))


def has_gpu() -> bool:
    """Whether an NVIDIA GPU is here, as far as can be told without torch."""
    return shutil.which("nvidia-smi") is not None


def check_memory(model: LocalModel) -> None:
    """Raises EngineError `engine_out_of_memory` for weights that cannot fit, before the system ends someone for them.
    Where a GPU takes the weights, its own library tells."""
    if not has_gpu() and model.size_bytes > psutil.virtual_memory().available:
        raise EngineError("engine_out_of_memory", model=model.name)
