"""The Ollama engine: its native API, because only there can the context size be set and checked.

Speaks through `ollama.AsyncClient`, whose errors become EngineErrors here and nowhere else. Knows nothing of
prompts or citations, and starts no process (see `choice.py`). An AsyncClient belongs to one event loop, so
each call makes its own and closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.engines.base import ChatRequest, EngineEvent, Finished, ModelInfo, Thinking, Token, Usage
from core.engines.hosts import dial_url, is_loopback
from core.errors import EngineError
from core.settings import Settings

if TYPE_CHECKING:
    from ollama import AsyncClient, ChatResponse, ListResponse, ResponseError

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
# Families that only embed, for servers too old to tell what a model can do.
EMBEDDING_FAMILIES = ("bert", "nomic")
DETAIL_CHARS = 300  # of a server's own words in our sentence
NANOSECONDS = 1e9


@dataclass(frozen=True)
class ModelDetails:
    """What `/api/show` says of a model. `capabilities` is None where the server does not tell."""

    family: str
    capabilities: tuple[str, ...] | None
    remote: bool

    @property
    def can_chat(self) -> bool:
        if self.capabilities is None:
            return not any(word in self.family for word in EMBEDDING_FAMILIES)
        return "completion" in self.capabilities


class OllamaEngine:
    """Answers from an Ollama server. `host` takes every form of OLLAMA_HOST; it defaults to the settings'.

    Raises EngineError `engine_bad_host` when `host` is no address.
    """

    name = "ollama"

    def __init__(self, settings: Settings, host: str | None = None) -> None:
        self._settings = settings
        self.url = dial_url(host or settings.ollama_host)
        self._details_by_digest: dict[str, ModelDetails] = {}
        self._details_by_name: dict[str, ModelDetails] = {}

    async def version(self) -> str | None:
        """The server's version; None when nothing, or something else, answers."""
        try:
            async with self._client() as client:
                answer = await self._json(client, "GET", "/api/version")
        except EngineError:
            return None
        version = answer.get("version")
        return version if isinstance(version, str) else None

    async def models(self) -> list[ModelInfo]:
        """Models that can chat, the last changed first, as Ollama lists them. Raises EngineError."""
        async with self._client() as client:
            with self._translated():
                listed = (await client.list()).models
            details = await asyncio.gather(*(self._details(client, model) for model in listed))
        pairs = list(zip(listed, details, strict=True))
        self._details_by_name = {model.model or "": known for model, known in pairs}
        return [
            ModelInfo(model.model or "", int(model.size or 0), known.family, known.remote)
            for model, known in pairs
            if known.can_chat
        ]

    async def context(self, model: str) -> int:
        return self._settings.num_ctx

    async def chat(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        """Stream one answer. Closing or cancelling this generator closes the connection at once, also while
        the model is still loading, and Ollama then stops generating. Raises EngineError."""
        model = request.model or self._settings.ollama_model
        seconds = self._settings.first_token_timeout_seconds
        async with (
            self._client(streaming=True) as client,
            contextlib.aclosing(await self._open_stream(client, model, request)) as stream,
        ):
            while True:
                chunk = await self._next_chunk(stream, model, seconds)
                seconds = self._settings.token_timeout_seconds
                if chunk.message.thinking:
                    yield Thinking(chunk.message.thinking)
                if chunk.message.content:
                    yield Token(chunk.message.content)
                if chunk.done:
                    yield Finished(_usage(chunk), cut=chunk.done_reason == "length")
                    return

    async def _open_stream(self, client: AsyncClient, model: str, request: ChatRequest) -> Any:
        """The chunks of an answer, as an async generator; nothing is sent before its first `anext`.

        `AsyncClient.chat` (0.6.3) has no parameter for `truncate` and `shift`, without which Ollama drops the
        oldest messages and says nothing; so the body goes through the method that `chat` itself calls.
        """
        import ollama

        body: dict[str, object] = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "stream": True,
            "options": {"num_ctx": self._settings.num_ctx},
            "truncate": False,
            "shift": False,
        }
        if think := self._think(model):
            body["think"] = think
        return await client._request(ollama.ChatResponse, "POST", "/api/chat", json=body, stream=True)

    async def _next_chunk(self, stream: Any, model: str, seconds: float) -> ChatResponse:
        with self._translated(model):
            try:
                async with asyncio.timeout(seconds):
                    chunk: ChatResponse | None = await anext(stream, None)
            except TimeoutError as error:
                raise EngineError("engine_timeout", seconds=round(seconds)) from error
        if chunk is None:  # the stream ended in good order, but before Ollama said "done"
            raise EngineError("engine_broken_stream")
        return chunk

    def _think(self, model: str) -> str | None:
        """gpt-oss thinks at a level and ignores true and false; every other model keeps its default."""
        known = self._details_by_name.get(model)
        if known is not None and known.capabilities is not None and "thinking" not in known.capabilities:
            return None
        is_gpt_oss = "gpt-oss" in model or (known is not None and known.family == "gptoss")
        return "medium" if is_gpt_oss else None

    async def _details(self, client: AsyncClient, listed: ListResponse.Model) -> ModelDetails:
        """Asked once for each digest. A server that cannot tell does not hide its other models."""
        family = (listed.details and listed.details.family) or ""
        digest = listed.digest or ""
        if digest not in self._details_by_digest:
            try:
                # `client.show` would leave out `remote_host`, which says whether words leave this machine.
                shown = await self._json(client, "POST", "/api/show", {"model": listed.model})
            except EngineError:
                return ModelDetails(family, None, remote=False)
            capabilities = shown.get("capabilities")
            self._details_by_digest[digest] = ModelDetails(
                family,
                tuple(capabilities) if isinstance(capabilities, list) else None,
                remote=bool(shown.get("remote_host")),
            )
        return self._details_by_digest[digest]

    async def _json(
        self, client: AsyncClient, method: str, path: str, body: object = None
    ) -> Mapping[str, Any]:
        with self._translated():
            answer = (await client._request_raw(method, path, json=body)).json()
        if not isinstance(answer, dict):
            raise EngineError("engine_bad_answer")
        return answer

    def _client(self, *, streaming: bool = False) -> AsyncClient:
        """A client of this event loop. A stream's chunks have time limits of their own, in `chat`."""
        import httpx
        import ollama

        seconds = self._settings.connect_timeout_seconds
        return ollama.AsyncClient(
            self.url,
            timeout=httpx.Timeout(None, connect=seconds) if streaming else seconds,
            trust_env=not is_loopback(self.url),  # a proxy of the office cannot reach this machine's loopback
        )

    @contextlib.contextmanager
    def _translated(self, model: str = "") -> Iterator[None]:
        """The one place that knows what ollama and httpx raise."""
        import httpx
        import ollama

        try:
            yield
        except ollama.ResponseError as error:
            raise self._meaning(error, model) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError) as error:
            raise EngineError("engine_unreachable", host=self.url) from error
        except httpx.TimeoutException as error:
            seconds = round(self._settings.connect_timeout_seconds)
            raise EngineError("engine_timeout", seconds=seconds) from error
        except httpx.TransportError as error:
            raise EngineError("engine_broken_stream") from error
        except (httpx.RequestError, ValueError, TypeError, AttributeError) as error:
            # The library parses lines without checks: what is no JSON, or JSON of another shape, ends here.
            raise EngineError("engine_bad_answer") from error

    def _meaning(self, error: ResponseError, model: str) -> EngineError:
        """An error Ollama sent, as an HTTP status or inside a stream."""
        text = " ".join(str(error.error).split()).rstrip(".")
        lowered = text.lower()
        if "not found" in lowered and "model" in lowered:
            return EngineError("engine_model_missing", model=model)
        for part, code in ERROR_TEXTS:
            if part in lowered:
                return EngineError(code, model=model, num_ctx=self._settings.num_ctx)
        status = f"HTTP {error.status_code}: " if error.status_code > 0 else ""
        return EngineError("engine_refused", detail=(status + text)[:DETAIL_CHARS])


def full_name(model: str) -> str:
    """A model's name with its tag: a name without one means `:latest`."""
    return model if ":" in model.rsplit("/", 1)[-1] else f"{model}:latest"


def _usage(last: ChatResponse) -> Usage:
    return Usage(last.prompt_eval_count or 0, last.eval_count or 0, (last.total_duration or 0) / NANOSECONDS)
