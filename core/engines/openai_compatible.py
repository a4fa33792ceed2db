"""Any server that speaks the OpenAI protocol: vLLM, llama.cpp, LM Studio, our own embedded one.

Knows the protocol's ways of saying how long a context is; nothing of prompts or citations, and starts no process.
httpx's errors become EngineErrors here and nowhere else. The key goes into one header and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from core.engines.base import ChatRequest, EngineEvent, Finished, ModelInfo, Thinking, Usage
from core.engines.hosts import connect_seconds, is_loopback
from core.engines.openai_stream import Problem, ThinkSplitter, data_lines, meaning, parse_event, problem
from core.engines.server_url import base_url
from core.errors import EngineError
from core.settings import Settings

if TYPE_CHECKING:
    import httpx

# Where the server does not tell its context. Few are started with less, and a prompt that does not fit is refused.
DEFAULT_CONTEXT = 8192
# LM Studio loads a model with this, unless the user chose otherwise; before, it tells only the model's maximum.
LM_STUDIO_CONTEXT = 4096
NOT_FOR_CHAT = ("embed", "rerank", "whisper", "tts", "clip-vit", "moderation", "dall-e", "bge-", "minilm")
MAX_ERROR_BYTES = 64 * 1024


class OpenAICompatibleEngine:
    """Answers from the server at `url`, in any form a user writes it. `key` is empty where none is needed.

    Raises EngineError `engine_server_url`, `engine_server_url_user` when `url` is no address, and `engine_server_key`
    when `key` cannot stand in a header.
    """

    def __init__(self, url: str, key: str, settings: Settings, name: str = "openai") -> None:
        self.name = name
        self.url = base_url(url)
        if not key.isascii() or not key.isprintable():
            raise EngineError("engine_server_key", status="-")
        self._key = key.strip()
        self._settings = settings
        self._contexts: dict[str, int] = {}

    async def models(self) -> list[ModelInfo]:
        """Models that can chat, as the server lists them. Raises EngineError."""
        async with self._client() as client:
            listed = (await self._json(client, f"{self.url}/models")).get("data")
            if not isinstance(listed, list):
                raise EngineError("engine_server_bad_answer")
            entries = [entry for entry in listed if isinstance(entry, dict) and _can_chat(entry)]
            others = await self._other_contexts(client, entries)
        self._contexts = {
            str(entry["id"]): _count(entry.get("max_model_len")) or others.get(str(entry["id"]), 0) for entry in entries
        }
        return [self._info(entry) for entry in entries]

    async def context(self, model: str) -> int:
        """What the server says it gives the model; DEFAULT_CONTEXT where it says nothing, or does not answer."""
        if model not in self._contexts:
            with contextlib.suppress(EngineError):
                await self.models()
        return self._contexts.get(model) or DEFAULT_CONTEXT

    async def chat(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        """Stream one answer. Closing or cancelling this generator closes the connection at once. Raises EngineError."""
        started = time.monotonic()
        splitter = ThinkSplitter()
        usage, reason = Usage(), ""
        async with self._client(streaming=True) as client, contextlib.aclosing(
                self._events(client, request)) as events:
            async for event in events:
                usage = _usage(event) or usage
                choice = _first_choice(event)
                delta = choice.get("delta") or {}
                if thought := delta.get("reasoning_content") or delta.get("reasoning"):
                    yield Thinking(str(thought))
                if content := delta.get("content"):
                    for part in splitter.feed(str(content)):
                        yield part
                reason = choice.get("finish_reason") or reason
        for part in splitter.close():
            yield part
        if not reason:  # the stream ended in good order, but before the server said why
            raise EngineError("engine_broken_stream")
        seconds = time.monotonic() - started
        yield Finished(Usage(usage.prompt_tokens, usage.answer_tokens, seconds), cut=reason == "length")

    async def _events(self, client: httpx.AsyncClient, request: ChatRequest) -> AsyncGenerator[dict[str, Any], None]:
        """The events of one answer. Raises EngineError, also for an error inside the stream."""
        async with (
            self._opened(client, request) as response,
            contextlib.aclosing(response.aiter_text()) as chunks,  # type: ignore[type-var]
            contextlib.aclosing(data_lines(chunks)) as lines,
        ):
            seconds = self._settings.first_token_timeout_seconds
            while (data := await self._limited(anext(lines, None), seconds, request)) is not None:
                if data == "[DONE]":
                    return
                event = parse_event(data)
                if event.get("error"):
                    raise self._meaning(problem(0, event), request.model)
                if "choices" not in event:
                    raise EngineError("engine_server_bad_answer")
                yield event
                seconds = self._settings.token_timeout_seconds

    @contextlib.asynccontextmanager
    async def _opened(self, client: httpx.AsyncClient, request: ChatRequest) -> AsyncIterator[httpx.Response]:
        """The response, once its head says that a stream follows; asked again more simply where the server refuses
        to count tokens."""
        for body in (_body(request, counted=True), _body(request, counted=False)):
            sent = client.build_request("POST", f"{self.url}/chat/completions", json=body)
            response = await self._limited(
                client.send(sent, stream=True), self._settings.first_token_timeout_seconds, request)
            try:
                if response.is_success:
                    if "event-stream" not in response.headers.get("content-type", ""):
                        raise await self._not_a_stream(response, request)
                    yield response
                    return
                refusal = problem(response.status_code, await self._limited(_error_body(response), 10, request))
            finally:
                await response.aclose()
            if refusal.status not in (400, 422) or "stream_options" not in refusal.text:
                break
        raise self._meaning(refusal, request.model)

    async def _not_a_stream(self, response: httpx.Response, request: ChatRequest) -> EngineError:
        """Some servers send an error with a status that says all is well."""
        body = await self._limited(_error_body(response), 10, request)
        if isinstance(body, dict) and body.get("error"):
            return self._meaning(problem(0, body), request.model)
        return EngineError("engine_server_bad_answer")

    async def _limited(self, awaited: Any, seconds: float, request: ChatRequest) -> Any:
        with self._translated():
            try:
                async with asyncio.timeout(seconds):
                    return await awaited
            except TimeoutError as error:
                raise EngineError("engine_timeout", seconds=round(seconds)) from error

    def _meaning(self, found: Problem, model: str) -> EngineError:
        return meaning(found, model, self._contexts.get(model, 0))

    async def _other_contexts(self, client: httpx.AsyncClient, entries: list[dict[str, Any]]) -> dict[str, int]:
        """Contexts by model, from where llama.cpp and LM Studio tell them; empty where neither answers."""
        if not entries or all(_count(entry.get("max_model_len")) for entry in entries):
            return {}
        root = self.url.rsplit("/v1", 1)[0]
        if any(isinstance(entry.get("meta"), dict) for entry in entries):  # llama.cpp
            props = await self._json_or_nothing(client, f"{root}/props")
            given = _count((props.get("default_generation_settings") or {}).get("n_ctx"))
            trained = {str(entry["id"]): _count((entry.get("meta") or {}).get("n_ctx_train")) for entry in entries}
            return {model: given or min(context, DEFAULT_CONTEXT) for model, context in trained.items()}
        told = (await self._json_or_nothing(client, f"{root}/api/v0/models")).get("data")
        return {
            str(model.get("id")): _count(model.get("loaded_context_length"))
            or min(_count(model.get("max_context_length")), LM_STUDIO_CONTEXT)
            for model in (told if isinstance(told, list) else []) if isinstance(model, dict)
        }

    async def _json_or_nothing(self, client: httpx.AsyncClient, url: str) -> dict[str, Any]:
        try:
            return await self._json(client, url)
        except EngineError:
            return {}

    async def _json(self, client: httpx.AsyncClient, url: str) -> dict[str, Any]:
        with self._translated():
            response = await client.get(url)
            if not response.is_success:
                found = problem(response.status_code, _json_or_text(response.content))
                if response.status_code == 404 or response.is_redirect:  # something else answers here
                    raise EngineError("engine_server_bad_answer")
                raise self._meaning(found, "")
            answer = response.json()
        if not isinstance(answer, dict):
            raise EngineError("engine_server_bad_answer")
        return answer

    def _info(self, entry: dict[str, Any]) -> ModelInfo:
        name = str(entry["id"])
        meta = entry.get("meta") if isinstance(entry.get("meta"), dict) else {}
        return ModelInfo(
            name, size_bytes=_count((meta or {}).get("size")), remote=not is_loopback(self.url), engine=self.name,
            context_tokens=self._contexts.get(name, 0), think_levels=_think_levels(name),
        )

    def _client(self, *, streaming: bool = False) -> httpx.AsyncClient:
        """A client of this event loop. A stream's pieces have time limits of their own, in `_events`."""
        import httpx

        seconds = None if streaming else self._settings.answer_timeout_seconds
        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(seconds, connect=connect_seconds(self.url, self._settings)),
            trust_env=not is_loopback(self.url),  # a proxy of the office cannot reach this machine's loopback
        )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """The one place that knows what httpx raises."""
        import httpx

        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise EngineError("engine_server_unreachable", host=self.url) from error
        except httpx.TimeoutException as error:
            raise EngineError("engine_timeout", seconds=round(self._settings.answer_timeout_seconds)) from error
        except httpx.TransportError as error:
            raise EngineError("engine_broken_stream") from error
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ValueError, RecursionError) as error:
            raise EngineError("engine_server_bad_answer") from error


def _body(request: ChatRequest, *, counted: bool) -> dict[str, object]:
    body: dict[str, object] = {
        "model": request.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "stream": True,
    }
    if counted:
        body["stream_options"] = {"include_usage": True}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.think in ("on", "off"):  # vLLM, llama.cpp and our own server
        body["chat_template_kwargs"] = {"enable_thinking": request.think == "on"}
    elif request.think:
        body["reasoning_effort"] = request.think
    return body


async def _error_body(response: httpx.Response) -> object:
    """The body of an error, read up to a limit."""
    read = b""
    async for chunk in response.aiter_bytes():
        read += chunk
        if len(read) > MAX_ERROR_BYTES:
            break
    return _json_or_text(read)


def _json_or_text(body: bytes) -> object:
    text = body.decode("utf-8", errors="replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _first_choice(event: dict[str, Any]) -> dict[str, Any]:
    """The event's one choice; empty in the event that only counts tokens."""
    choices = event.get("choices")
    if not choices:
        return {}
    if not isinstance(choices, list) or not isinstance(choices[0], dict) or not isinstance(
            choices[0].get("delta") or {}, dict):
        raise EngineError("engine_server_bad_answer")
    return choices[0]


def _usage(event: dict[str, Any]) -> Usage | None:
    told = event.get("usage")
    if not isinstance(told, dict):
        return None
    return Usage(_count(told.get("prompt_tokens")), _count(told.get("completion_tokens")))


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _can_chat(entry: dict[str, Any]) -> bool:
    name = entry.get("id")
    if not isinstance(name, str) or not name or entry.get("type") in ("embeddings", "embedding"):
        return False
    return not any(word in name.lower() for word in NOT_FOR_CHAT)


def _think_levels(model: str) -> tuple[str, ...]:
    """What is known of a model's thinking by its name: the protocol has no word for it."""
    lowered = model.lower()
    if "gpt-oss" in lowered:
        return ("low", "medium", "high")
    thinks_or_not = "qwen3" in lowered and not any(word in lowered for word in ("instruct", "thinking", "coder"))
    return ("off", "on") if thinks_or_not else ()
