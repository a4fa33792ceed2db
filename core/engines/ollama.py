"""The Ollama engine: its native API, because only there can the context size be set and checked.

Knows nothing of prompts or citations, and starts no process (see `choice.py`). The connection stands in
`ollama_api.py`, what is installed in `ollama_models.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from core.engines.base import ChatRequest, EngineEvent, Finished, Loading, ModelInfo, Thinking, Token, Usage
from core.engines.ollama_api import OllamaApi, error_words
from core.engines.ollama_models import GPT_OSS_LEVELS, ModelDetails, OllamaModels
from core.engines.ollama_names import full_name
from core.errors import EngineError
from core.settings import Settings

if TYPE_CHECKING:
    from ollama import AsyncClient, ChatResponse, ResponseError

# What Ollama's own error texts mean, in lower case; the first that matches wins.
ERROR_TEXTS: tuple[tuple[str, str], ...] = (
    ("more system memory", "engine_out_of_memory"),
    ("out of memory", "engine_out_of_memory"),
    ("unable to allocate", "engine_out_of_memory"),
    ("signal: killed", "engine_out_of_memory"),  # the system ended the runner for its memory
    ("exceed_context_size_error", "engine_context_too_small"),
    ("exceeds the context length", "engine_context_too_small"),
    ("exceeds the available context", "engine_context_too_small"),
    ("longer than the context length", "engine_context_too_small"),
)
# What is in memory is asked before each answer. It takes a millisecond; a server that needs longer is not waited for.
MEMORY_SECONDS = 0.25
NANOSECONDS = 1e9


class OllamaEngine:
    """Answers from an Ollama server. `host` takes every form of OLLAMA_HOST; it defaults to the settings'.

    Raises EngineError `engine_bad_host` when `host` is no address.
    """

    name = "ollama"

    def __init__(self, settings: Settings, host: str | None = None) -> None:
        self._settings = settings
        self._api = OllamaApi(settings, host)
        self.url = self._api.url
        self.installed = OllamaModels(self._api)

    async def version(self) -> str | None:
        """The server's version; None when nothing, or something else, answers."""
        try:
            async with self._api.client() as client:
                answer = await self._api.json(client, "GET", "/api/version")
        except EngineError:
            return None
        version = answer.get("version")
        return version if isinstance(version, str) else None

    async def models(self) -> list[ModelInfo]:
        """Models that can chat, the last changed first, as Ollama lists them. Raises EngineError."""
        return await self.installed.chat_models()

    async def context(self, model: str) -> int:
        """Tokens that prompt and answer may fill together. Raises EngineError when the server is away."""
        return self._num_ctx(await self.installed.details(model or self._settings.ollama_model))

    async def chat(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        """Stream one answer. Closing or cancelling this generator closes the connection at once, also while
        the model is still loading, and Ollama then stops generating. Raises EngineError."""
        import ollama

        model = request.model or self._settings.ollama_model
        async with self._api.client(streaming=True) as client:
            details = await self.installed.details(model, client)
            num_ctx = self._num_ctx(details)

            def meaning(error: ResponseError) -> EngineError:
                return self._meaning(error, model, num_ctx)

            if not await self._is_loaded(client, model, details, num_ctx):
                yield Loading(model, self.installed.size_bytes(model))
            async with contextlib.aclosing(self._api.stream(
                client, ollama.ChatResponse, "/api/chat", self._body(request, model, details, num_ctx), meaning=meaning,
                first_seconds=self._settings.first_token_timeout_seconds,
                next_seconds=self._settings.token_timeout_seconds,
            )) as chunks:
                async for chunk in chunks:
                    if chunk.message.thinking:
                        yield Thinking(chunk.message.thinking)
                    if chunk.message.content:
                        yield Token(chunk.message.content)
                    if chunk.done:
                        yield Finished(_usage(chunk), cut=chunk.done_reason == "length")
                        return
        raise EngineError("engine_broken_stream")  # it ended in good order, but before Ollama said "done"

    def _body(
        self, request: ChatRequest, model: str, details: ModelDetails, num_ctx: int
    ) -> dict[str, object]:
        """Without `truncate` and `shift` Ollama drops the oldest messages and says nothing. Servers leave aside
        the fields they do not know."""
        options: dict[str, object] = {"num_ctx": num_ctx}
        if request.temperature is not None:
            options["temperature"] = request.temperature
        if request.max_tokens is not None:
            options["num_predict"] = request.max_tokens
        body: dict[str, object] = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "stream": True,
            "options": options,
            "truncate": False,
            "shift": False,
            "keep_alive": self._settings.ollama_keep_alive,
        }
        think = _think(request, details.think_levels(model))
        return body if think is None else {**body, "think": think}

    def _num_ctx(self, details: ModelDetails) -> int:
        """One value for each model: Ollama loads a model anew when its context changes."""
        return min(self._settings.num_ctx, details.context_tokens or self._settings.num_ctx)

    async def _is_loaded(self, client: AsyncClient, model: str, details: ModelDetails, num_ctx: int) -> bool:
        """Whether the answer begins without loading the model first; true when that cannot be told at once."""
        if details.remote:
            return True
        try:
            async with asyncio.timeout(MEMORY_SECONDS):
                loaded = await self.installed.loaded(client)
        except (EngineError, TimeoutError):
            return True
        return any(full_name(other.name) == full_name(model) and not other.loading
                   and other.context_tokens in (0, num_ctx) for other in loaded)

    def _meaning(self, error: ResponseError, model: str, num_ctx: int) -> EngineError:
        """An error Ollama sent in a chat, as an HTTP status or inside the stream."""
        lowered = error_words(error).lower()
        if "not found" in lowered and "model" in lowered:
            return EngineError("engine_model_missing", model=model)
        for part, code in ERROR_TEXTS:
            if part in lowered:
                return EngineError(code, model=model, num_ctx=num_ctx)
        return self._api.refused(error)


def _think(request: ChatRequest, levels: tuple[str, ...]) -> str | bool | None:
    """Only gpt-oss needs to be told how hard to think; other models keep their own way unless the user asks."""
    if request.think in levels:
        return {"off": False, "on": True}.get(request.think, request.think)
    return "medium" if levels == GPT_OSS_LEVELS else None


def _usage(last: ChatResponse) -> Usage:
    return Usage(last.prompt_eval_count or 0, last.eval_count or 0, (last.total_duration or 0) / NANOSECONDS)
