"""The models of an Ollama server: which are installed, what each can do, which are in memory; pulled and deleted.

Knows nothing of chats; what a pull's figures mean stands in `ollama_pull.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.engines.base import ModelInfo
from core.engines.ollama_api import Meaning, OllamaApi, error_words
from core.engines.ollama_names import checked_name, full_name, is_cloud_name
from core.engines.ollama_pull import PullMeter, PullProgress, pull_error
from core.errors import EngineError

if TYPE_CHECKING:
    from ollama import AsyncClient, ResponseError

# Families that only embed, for servers too old to tell what a model can do.
EMBEDDING_FAMILIES = ("bert", "nomic")
GPT_OSS_LEVELS = ("low", "medium", "high")
THINK_WORDS = ("off", "on", "minimal", "low", "medium", "high", "xhigh", "max")  # those the page has words for
# While layers come, Ollama tells of them 16 times a second; but it says nothing while it checks 14 GB on a slow disk.
PULL_SILENCE_SECONDS = 900.0
UNLOAD_SECONDS = 10.0  # until a model that was told to leave has left the memory


@dataclass(frozen=True)
class ModelDetails:
    """What `/api/show` says of a model. `capabilities` is None where the server does not tell."""

    family: str = ""
    capabilities: tuple[str, ...] | None = None
    remote: bool = False
    context_tokens: int = 0
    parameters: str = ""
    quantization: str = ""
    levels: tuple[str, ...] | None = None  # of thinking, as newer servers list them

    @property
    def can_chat(self) -> bool:
        if self.capabilities is None:
            return not any(word in self.family for word in EMBEDDING_FAMILIES)
        return "completion" in self.capabilities

    def think_levels(self, model: str) -> tuple[str, ...]:
        """How hard `model` may be told to think; gpt-oss knows levels and ignores on and off."""
        if self.levels is not None:
            return self.levels
        if self.capabilities is not None and "thinking" not in self.capabilities:
            return ()
        if self.family == "gptoss" or "gpt-oss" in model.lower():
            return GPT_OSS_LEVELS
        return () if self.capabilities is None else ("off", "on")


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, or on its way there. `gpu_bytes` of its `size_bytes` are on the graphics card; `expires` is
    in Unix seconds. 0 stands for what the server does not tell."""

    name: str
    size_bytes: int
    gpu_bytes: int
    context_tokens: int
    expires: float
    loading: bool = False


class OllamaModels:
    """What is installed on a server. Every method may raise EngineError."""

    def __init__(self, api: OllamaApi) -> None:
        self._api = api
        self._by_digest: dict[str, ModelDetails] = {}
        self._by_name: dict[str, ModelDetails] = {}
        self.sizes: dict[str, int] = {}  # bytes by full name, of models since deleted too

    async def chat_models(self) -> list[ModelInfo]:
        """Models that can chat, the last changed first, as Ollama lists them."""
        async with self._api.client() as client:
            # `client.list` would leave out `remote_host`, as `client.show` does.
            listed = _objects(await self._api.json(client, "GET", "/api/tags"))
            details = await asyncio.gather(*(self._listed(client, model) for model in listed))
        pairs = [(_name(model), _number(model, "size"), known) for model, known in zip(listed, details, strict=True)]
        self._by_name = {full_name(name): known for name, _, known in pairs}
        self.sizes |= {full_name(name): size for name, size, _ in pairs}
        return [
            ModelInfo(name, size, known.family, known.remote, parameters=known.parameters,
                      quantization=known.quantization, context_tokens=known.context_tokens,
                      think_levels=known.think_levels(name))
            for name, size, known in pairs if known.can_chat
        ]

    def size_bytes(self, model: str) -> int:
        """As last listed; 0 for one never listed."""
        return self.sizes.get(full_name(model), 0)

    async def details(self, model: str, client: AsyncClient | None = None) -> ModelDetails:
        """What a model is, asked once. A server that cannot tell of it is no error; one that is away is."""
        known = self._by_name.get(full_name(model))
        if known is not None:
            return known
        try:
            shown = await self._asked(client, "POST", "/api/show", {"model": model})
        except EngineError as error:
            if error.code in ("engine_unreachable", "engine_unauthorized"):
                raise
            return ModelDetails(remote=is_cloud_name(model))
        self._by_name[full_name(model)] = _details(shown, model)
        return self._by_name[full_name(model)]

    async def loaded(self, client: AsyncClient | None = None) -> list[LoadedModel]:
        """The models in memory, or on their way into it."""
        return [_loaded(model) for model in _objects(await self._asked(client, "GET", "/api/ps"))]

    async def unload(self, model: str) -> None:
        """Ask that a model leave the memory; one that is not in it is no error."""
        async with self._api.client() as client:
            with contextlib.suppress(_Missing):
                await self._api.json(client, "POST", "/api/generate", {"model": model, "keep_alive": 0},
                                     meaning=self._missing(model))

    async def unload_all(self) -> None:
        """Empty the memory, and wait until it is: training needs it. Raises EngineError `engine_busy` when a model
        has not left after ten seconds, which means that it is answering."""
        give_up = time.monotonic() + UNLOAD_SECONDS
        while loaded := await self.loaded():
            if time.monotonic() > give_up:
                raise EngineError("engine_busy")
            for model in loaded:
                await self.unload(model.name)
            await asyncio.sleep(0.1)

    async def delete(self, model: str) -> None:
        """Take a model off the server's disk. Raises EngineError `engine_model_missing`."""
        async with self._api.client() as client:
            with self._api.translated(self._missing(model)):
                await client._request_raw("DELETE", "/api/delete", json={"model": model, "name": model})
        self._by_name.pop(full_name(model), None)

    async def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        """Download a model, or bring it up to date. Closing or cancelling this generator ends the download; what
        came is kept by the server, and the next pull goes on from there.

        Raises EngineError `pull_bad_name`, `pull_not_found`, `pull_no_space`, `pull_no_network`,
        `pull_unauthorized`, `pull_needs_newer`, `pull_broken`, `pull_refused`, `engine_unreachable`.
        """
        import ollama

        model = checked_name(name)

        def meaning(error: ResponseError) -> EngineError:
            return pull_error(model, error)

        meter = PullMeter()
        yield meter.progress("manifest")
        async with (
            self._api.client(streaming=True) as client,
            contextlib.aclosing(self._api.stream(
                client, ollama.ProgressResponse, "/api/pull", {"model": model, "name": model, "stream": True},
                meaning=meaning, first_seconds=PULL_SILENCE_SECONDS, next_seconds=PULL_SILENCE_SECONDS,
            )) as lines,
        ):
            try:
                async for line in lines:
                    progress = meter.read(line)
                    yield progress
                    if progress.stage == "done":
                        self._by_name.pop(full_name(model), None)  # what it was before may have changed
                        return
            except EngineError as error:
                if error.code in ("engine_broken_stream", "engine_timeout"):
                    raise EngineError("pull_broken", model=model) from error
                raise
        raise EngineError("pull_broken", model=model)  # the stream ended before Ollama said "success"

    async def _asked(
        self, client: AsyncClient | None, method: str, path: str, body: object = None
    ) -> Mapping[str, Any]:
        if client is not None:
            return await self._api.json(client, method, path, body)
        async with self._api.client() as own:
            return await self._api.json(own, method, path, body)

    def _missing(self, model: str) -> Meaning:
        def meaning(error: ResponseError) -> EngineError:
            return _Missing(model) if "not found" in error_words(error).lower() else self._api.refused(error)

        return meaning

    async def _listed(self, client: AsyncClient, listed: Mapping[str, Any]) -> ModelDetails:
        """Asked once for each digest. A server that cannot tell does not hide its other models, and none of them
        passes for one of this machine that is not."""
        name = _name(listed)
        digest = str(listed.get("digest") or name)
        if digest not in self._by_digest:
            try:
                shown = await self._api.json(client, "POST", "/api/show", {"model": name})
            except EngineError:
                return _details(listed, name)
            self._by_digest[digest] = _details({**listed, **shown}, name)
        return self._by_digest[digest]


class _Missing(EngineError):
    def __init__(self, model: str) -> None:
        super().__init__("engine_model_missing", model=model)


def _objects(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The models of a list."""
    found = answer.get("models")
    return [model for model in (found if isinstance(found, list) else []) if isinstance(model, dict)]


def _name(model: Mapping[str, Any]) -> str:
    return str(model.get("model") or model.get("name") or "")


def _number(model: Mapping[str, Any], key: str) -> int:
    value = model.get(key)
    return int(value) if isinstance(value, int | float) else 0


def _details(shown: Mapping[str, Any], name: str) -> ModelDetails:
    about = shown.get("details")
    about = about if isinstance(about, dict) else {}
    facts = shown.get("model_info")
    facts = facts if isinstance(facts, dict) else {}
    capabilities = shown.get("capabilities")
    return ModelDetails(
        family=str(about.get("family") or ""),
        capabilities=tuple(map(str, capabilities)) if isinstance(capabilities, list) else None,
        remote=bool(shown.get("remote_host")) or is_cloud_name(name),
        context_tokens=_number(facts, f"{facts.get('general.architecture')}.context_length"),
        parameters=str(about.get("parameter_size") or ""),
        quantization=str(about.get("quantization_level") or ""),
        levels=_levels(shown.get("thinking")),
    )


def _levels(thinking: object) -> tuple[str, ...] | None:
    """The values that `think` may take, which are words, true and false; none where there is nothing to choose."""
    values = thinking.get("values") if isinstance(thinking, dict) else None
    if not isinstance(values, list):
        return None
    names = ["on" if value is True else "off" if value is False else str(value) for value in values]
    known = tuple(name for name in names if name in THINK_WORDS)
    return known if len(known) > 1 else ()


def _loaded(model: Mapping[str, Any]) -> LoadedModel:
    expires = 0.0
    with contextlib.suppress(ValueError, OverflowError, OSError):
        # Go writes nanoseconds, of which Python reads six digits.
        expires = datetime.fromisoformat(str(model.get("expires_at") or "")).timestamp()
    return LoadedModel(_name(model), _number(model, "size"), _number(model, "size_vram"),
                       _number(model, "context_length"), expires,
                       # Until a model is in memory its context is said to be 0; old servers say nothing of it.
                       loading=model.get("context_length") == 0)
