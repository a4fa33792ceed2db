"""What an engine is, and the events a chat is made of. Knows no engine in particular."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True)
class Passage:
    """A numbered passage the answer may cite as `[number]`."""

    number: int
    text: str


@dataclass(frozen=True)
class ChatRequest:
    """One question, complete: `messages` already hold the system text, the passages and the history.

    `question` and `passages` repeat what an engine without a model needs. None leaves a knob as the model has it.
    """

    model: str
    messages: tuple[Message, ...]
    question: str
    passages: tuple[Passage, ...] = ()
    temperature: float | None = None
    think: str | None = None  # one of the model's `think_levels`
    max_tokens: int | None = None  # of thinking and answer together


@dataclass(frozen=True)
class ModelInfo:
    """`remote` models run on someone else's machine: never chosen unless the user asks."""

    name: str
    size_bytes: int = 0
    family: str = ""
    remote: bool = False
    engine: str = "ollama"  # the name of the engine that runs it
    parameters: str = ""  # as the engine words it: "20.9B"
    quantization: str = ""
    context_tokens: int = 0  # what the model can hold at most; 0 where the engine does not tell
    think_levels: tuple[str, ...] = ()  # ("low", "medium", "high"), ("off", "on"), or none
    downloaded: bool = False  # from a hub into its cache, from where the page may delete it


@dataclass(frozen=True)
class Usage:
    """Tokens as the engine counted them; zero where it does not count."""

    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Loading:
    """The model is being brought into memory, which may take minutes. `size_bytes` is 0 where it is not known."""

    model: str
    size_bytes: int = 0


@dataclass(frozen=True)
class Words:
    text: str


class Thinking(Words):
    """A piece of what the model thinks."""


class Token(Words):
    """A piece of the answer."""


@dataclass(frozen=True)
class Finished:
    """The engine's last event. `cut` is true when the answer reached the model's length limit."""

    usage: Usage = field(default_factory=Usage)
    cut: bool = False


EngineEvent = Loading | Thinking | Token | Finished


class Engine(Protocol):
    """A source of answers. Every method may raise EngineError; `chat` may be closed at any moment, and
    closing it frees the connection at once."""

    name: str  # "ollama", "embedded", "openai", "passages"

    async def models(self) -> list[ModelInfo]:
        """Chat models that can be used now."""
        ...

    async def context(self, model: str) -> int:
        """Tokens that prompt and answer may fill together, as `chat` will run the model; 0 where nothing limits
        them. The same at every call for one model: a server reloads a model whose context changes."""
        ...

    def chat(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        """Loading where the model is not in memory yet, Thinking and Token events as they arrive, then one
        Finished."""
        ...


@dataclass(frozen=True)
class EngineStatus:
    """What the header says. `state` is ready or starting; `note` is a locale key or empty."""

    engine: str
    model: str
    state: Literal["ready", "starting"]
    note: str = ""
    note_values: dict[str, str] = field(default_factory=dict)
