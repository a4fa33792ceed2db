"""Which engine answers: Ollama where it runs, or can be started, and has a model; else a model on this machine's disk;
else the passages alone. A server of the user's own answers when picked, or first where the user said so.

Knows what to tell the user about the choice, as locale keys, and nothing of chats.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from core import processes
from core.engines import config
from core.engines.base import Engine, EngineStatus, ModelInfo
from core.engines.config import EnginesConfig
from core.engines.embedded import EmbeddedEngine
from core.engines.embedded_models import DEFAULT_MODEL
from core.engines.hosts import is_loopback
from core.engines.ollama import OllamaEngine, full_name
from core.engines.openai_compatible import OpenAICompatibleEngine
from core.engines.passages import PassagesEngine
from core.errors import EngineError
from core.settings import Settings

ENGINES = (OllamaEngine.name, EmbeddedEngine.name, "openai", PassagesEngine.name)
START_SECONDS = 20.0  # `ollama serve` answers within 2 s on an idle machine; a cold, busy disk takes longer
POLL_SECONDS = 0.25
END_SECONDS = 5.0  # for Ollama to unload its models before it is killed


Servers = tuple[OpenAICompatibleEngine | None, list[ModelInfo], EngineStatus | None]


@dataclass(frozen=True)
class Choice:
    """An engine and what the header says of it. `models` are those that can be picked now, of all engines."""

    engine: Engine
    status: EngineStatus
    models: list[ModelInfo]


class EngineChooser:
    """Chooses an engine, starting Ollama when it is installed but not running.

    What it started ends with `close`, or with this process however that ends. A start that failed is not
    tried again, so that choosing anew every few seconds stays quick; one the user starts later is found.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.embedded = EmbeddedEngine(settings)
        self._ollama: OllamaEngine | None = None  # kept, for it remembers what each model can do
        self._server: tuple[EnginesConfig, OpenAICompatibleEngine] | None = None  # kept for the same
        self._child: subprocess.Popen[bytes] | None = None
        self._start_failed: EngineStatus | None = None
        self._status = EngineStatus(OllamaEngine.name, settings.ollama_model, "starting")

    @property
    def status(self) -> EngineStatus:
        """The last choice, or `starting` while the first one, or a start of Ollama, is under way."""
        return self._status

    @property
    def ollama(self) -> OllamaEngine:
        """The Ollama of the settings, whether it answers or not. Raises EngineError `engine_bad_host`."""
        return self._engine()

    async def choose(self) -> Choice:
        """The best engine available now; never fails, for there is always one. Takes up to 20 s when Ollama
        has to be started."""
        user = config.load(self._settings.data_dir)
        best, embedded, (server, served, server_note) = await asyncio.gather(
            self._best_ollama(), self.embedded.models(), self._served(user))
        models = [*best.models, *embedded, *served]
        if user.openai_first and server is not None and served:
            best = Choice(server, EngineStatus(server.name, served[0].name, "ready"), [])
        elif isinstance(best.engine, PassagesEngine) and embedded:
            status = EngineStatus(self.embedded.name, _first_choice(embedded, user).name, "ready")
            best = Choice(self.embedded, status, [])
        if user.openai_first and server_note is not None:  # the user counts on a server that does not answer
            best = replace(best, status=replace(
                best.status, note=server_note.note, note_values=server_note.note_values))
        return self._chosen(replace(best, models=models))

    async def with_model(self, engine_name: str, model: str = "") -> Choice:
        """The engine the user named, with the model the user named; without a name, as `choose` picks it.

        Raises EngineError `engine_unknown`, `engine_unreachable`, `engine_model_missing`, `engine_embedded_missing`,
        `engine_server_missing`, `engine_server_model_missing`, or what listing the models raises.
        """
        if engine_name not in ENGINES:
            raise EngineError("engine_unknown", engine=engine_name, known=", ".join(ENGINES))
        if engine_name == PassagesEngine.name:
            return self._chosen(_passages(EngineStatus(PassagesEngine.name, "", "ready")))
        if engine_name == EmbeddedEngine.name:
            return self._chosen(await self._with_embedded(model))
        if engine_name == "openai":
            return self._chosen(await self._with_server(model))
        return self._chosen(await self._with_ollama(model))

    async def _with_ollama(self, model: str) -> Choice:
        ollama = self._engine()
        if await self._start_unless_running(ollama) is not None:
            raise EngineError("engine_unreachable", host=ollama.url)
        wanted = model or self._settings.ollama_model
        choice = _best(ollama, await ollama.models(), wanted)
        if choice.engine is not ollama or (model and choice.status.note):
            raise EngineError("engine_model_missing", model=wanted)
        return choice

    async def _with_embedded(self, model: str) -> Choice:
        models = await self.embedded.models()
        user = config.load(self._settings.data_dir)
        wanted = model or (_first_choice(models, user).name if models else DEFAULT_MODEL)
        if wanted not in {found.name for found in models}:
            raise EngineError("engine_embedded_missing", model=wanted)
        return Choice(self.embedded, EngineStatus(self.embedded.name, wanted, "ready"), models)

    async def _with_server(self, model: str) -> Choice:
        server = self._server_of(config.load(self._settings.data_dir))
        if server is None:
            raise EngineError("engine_server_missing")
        models = await server.models()
        wanted = model or (models[0].name if models else "?")
        if wanted not in {found.name for found in models}:
            raise EngineError("engine_server_model_missing", model=wanted)
        return Choice(server, EngineStatus(server.name, wanted, "ready"), models)

    def free_memory(self) -> None:
        """Take the embedded model out of memory, as before a training run. The next question loads it again."""
        self.embedded.stop()

    def close(self) -> None:
        """End what we started; nothing else."""
        self.embedded.stop()
        self._end_child()

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            processes.end(child, grace_seconds=END_SECONDS)

    async def _best_ollama(self) -> Choice:
        """Ollama with its best model, or the passages with the reason why not."""
        try:
            ollama = self._engine()
            missing = await self._start_unless_running(ollama)
            if missing is not None:
                return _passages(missing)
            return _best(ollama, await ollama.models(), self._settings.ollama_model)
        except EngineError:
            return _passages(_note("engine.note_unreachable", host=self._settings.ollama_host))

    async def _served(self, user: EnginesConfig) -> Servers:
        """The user's own server and its models; a note where it is set up but does not answer."""
        try:
            server = self._server_of(user)
            return server, await server.models() if server is not None else [], None
        except EngineError:
            return None, [], _note("engine.note_server_silent", host=user.openai_url)

    def _server_of(self, user: EnginesConfig) -> OpenAICompatibleEngine | None:
        if not user.openai_url:
            return None
        if self._server is None or self._server[0] != user:
            self._server = user, OpenAICompatibleEngine(user.openai_url, user.openai_key, self._settings)
        return self._server[1]

    def _engine(self) -> OllamaEngine:
        self._ollama = self._ollama or OllamaEngine(self._settings)
        return self._ollama

    def _chosen(self, choice: Choice) -> Choice:
        self._status = choice.status
        return choice

    async def _start_unless_running(self, ollama: OllamaEngine) -> EngineStatus | None:
        """None when Ollama answers; else the status that says why it does not."""
        if await ollama.version() is not None:
            return None
        if self._start_failed is not None:
            return self._start_failed
        if not is_loopback(ollama.url):
            return _note("engine.note_unreachable", host=ollama.url)
        program = shutil.which("ollama")
        if program is None:
            return _note("engine.note_no_engine", model=self._settings.ollama_model)
        self._status = EngineStatus(ollama.name, self._settings.ollama_model, "starting")
        return await self._start(ollama, program)

    async def _start(self, ollama: OllamaEngine, program: str) -> EngineStatus | None:
        """Start `ollama serve` and wait until it answers. None then, else the status that says why not."""
        log_path = self._settings.logs_dir / "ollama.log"
        child = self._child
        if child is None or child.poll() is not None:
            self._child = child = processes.start(
                processes.python_module("core.guard", program, "serve"),
                log_path=log_path,
                environment={"OLLAMA_HOST": urlsplit(ollama.url).netloc},
            )
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up and child.poll() is None:
            if await ollama.version() is not None:
                return None
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.to_thread(self._end_child)
        self._start_failed = _note("engine.note_start_failed", log=str(log_path))
        return self._start_failed


def _best(ollama: OllamaEngine, models: list[ModelInfo], wanted: str) -> Choice:
    """The wanted model, else one of its family, else the one changed last.

    A model on someone else's machine is only ever the user's own choice: the documents would leave this one.
    """
    found = _named(models, wanted)
    if found is not None:
        return Choice(ollama, EngineStatus(ollama.name, found.name, "ready"), models)
    local = [model for model in models if not model.remote]
    if not local:
        return _passages(_note("engine.note_no_models", model=wanted), models)
    base = wanted.split(":", 1)[0]
    other = next((model for model in local if model.name.split(":", 1)[0] == base), local[0])
    values = {"model": other.name, "wanted": wanted}
    return Choice(
        ollama, EngineStatus(ollama.name, other.name, "ready", "engine.note_other_model", values), models
    )


def _first_choice(models: list[ModelInfo], user: EnginesConfig) -> ModelInfo:
    """The embedded model to begin with: the one set up, else the default, else the smallest, for it surely runs."""
    by_name = {model.name: model for model in models}
    wanted = by_name.get(user.embedded_model) or by_name.get(DEFAULT_MODEL)
    return wanted or min(models, key=lambda model: model.size_bytes)


def _named(models: list[ModelInfo], name: str) -> ModelInfo | None:
    return next((model for model in models if full_name(model.name) == full_name(name)), None)


def _note(key: str, **values: str) -> EngineStatus:
    """The status of answering without a model, and why."""
    return EngineStatus(PassagesEngine.name, "", "ready", key, values)


def _passages(status: EngineStatus, models: list[ModelInfo] | None = None) -> Choice:
    return Choice(PassagesEngine(), status, models or [])
