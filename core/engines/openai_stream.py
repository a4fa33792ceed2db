"""The words of the OpenAI protocol: events of a stream, thinking inside an answer, what errors mean.

Knows no network: bytes and values in, events and errors out.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from core.engines.base import EngineEvent, Thinking, Token
from core.errors import EngineError

DETAIL_CHARS = 300  # of a server's own words in our sentence
MAX_LINE_CHARS = 4_000_000  # no event is so long: what is, is no event stream
OPEN, CLOSE = "<think>", "</think>"
# What servers write when the prompt is longer than the context, in lower case: OpenAI and vLLM, llama.cpp, LM Studio.
CONTEXT_TEXTS = (
    "context_length_exceeded", "maximum context length", "exceed_context_size", "exceeds the available context",
    "context length", "context window", "context size", "number of tokens to keep from the initial prompt",
)
MEMORY_TEXTS = ("out of memory", "out_of_memory", "failed to allocate", "unable to allocate", "insufficient memory")
KEY_TEXTS = re.compile(r"(bearer\s+|api[ _-]?key\S*\s+|sk-)\S+", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """An error as a server words it. `status` is 0 inside a stream."""

    status: int
    text: str  # message, type and code, for looking for what it means
    message: str


async def data_lines(chunks: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """The `data:` of each server-sent event. Lines may end in any of the three ways the standard allows."""
    rest = ""
    async for chunk in chunks:
        rest += chunk
        if len(rest) > MAX_LINE_CHARS:
            raise EngineError("engine_server_bad_answer")
        # A carriage return at the end may be half of a line's end.
        held = rest.endswith("\r")
        lines = re.split(r"\r\n|\r|\n", rest[:-1] if held else rest)
        rest = lines.pop() + ("\r" if held else "")
        for line in lines:
            if line.startswith("data:"):
                yield line[5:].strip()
    if rest.startswith("data:"):
        yield rest[5:].strip()


class ThinkSplitter:
    """Splits text with `<think>…</think>` in it, however it is cut into pieces, into Thinking and Token events.

    Only thinking before the answer counts: a tag later in the text is text, for an answer may speak of tags.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"  # start → thinking → gap → answer
        self._has_thought = False

    def feed(self, text: str) -> Iterator[EngineEvent]:
        self._held += text
        if self._state == "start":
            beginning = self._held.lstrip()
            if beginning.startswith(OPEN):
                self._state, self._held = "thinking", beginning[len(OPEN):]
            elif not OPEN.startswith(beginning):
                self._state = "answer"
        if self._state == "thinking":
            yield from self._think()
        if self._state == "gap":
            self._held = self._held.lstrip()
            self._state = "answer" if self._held else "gap"
        if self._state == "answer" and self._held:
            yield Token(self._held)
            self._held = ""

    def close(self) -> Iterator[EngineEvent]:
        """What was held back when the stream ended."""
        if self._held:
            yield Thinking(self._held) if self._state == "thinking" else Token(self._held)
            self._held = ""

    def _think(self) -> Iterator[EngineEvent]:
        if not self._has_thought:
            self._held = self._held.lstrip()
        thought, closed, answer = self._held.partition(CLOSE)
        if closed:
            if thought.strip():
                yield Thinking(thought.rstrip())
            self._state, self._held = "gap", answer
        else:
            # The end may be the beginning of the closing tag, with the line's end before it.
            lengths = range(len(CLOSE) - 1, 0, -1)
            beginning = next((CLOSE[:length] for length in lengths if thought.endswith(CLOSE[:length])), "")
            ready = thought.removesuffix(beginning).rstrip("\n")
            if ready:
                self._has_thought = True
                yield Thinking(ready)
            self._held = thought[len(ready):]


def parse_event(data: str) -> dict[str, Any]:
    """One event of the stream. Raises EngineError `engine_server_bad_answer`."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EngineError("engine_server_bad_answer") from error
    if not isinstance(event, dict):
        raise EngineError("engine_server_bad_answer")
    return event


def problem(status: int, body: object) -> Problem:
    """What an error body says, in any of the shapes servers give it: `error` as an object or a text, `detail`,
    `message`, or no JSON at all."""
    found = body
    if isinstance(found, dict):
        found = next((found[name] for name in ("error", "detail", "message") if found.get(name)), found)
    message = found.get("message") if isinstance(found, dict) else found
    message = " ".join(str(message if message else found).split())
    message = KEY_TEXTS.sub(r"\1•••", message)  # some servers repeat a wrong key
    return Problem(status, str(found).lower(), message[:DETAIL_CHARS].rstrip("."))


def meaning(found: Problem, model: str, context_tokens: int) -> EngineError:
    """The sentence for an error of a server."""
    if any(part in found.text for part in MEMORY_TEXTS):
        return EngineError("engine_out_of_memory", model=model)
    if found.status == 413 or any(part in found.text for part in CONTEXT_TEXTS):
        return EngineError("engine_context_too_small", num_ctx=context_tokens or "?")
    if found.status in (401, 403):
        return EngineError("engine_server_key", status=found.status)
    if found.status == 404:
        return EngineError("engine_server_model_missing", model=model)
    if found.status in (429, 503):
        return EngineError("engine_server_busy", detail=_worded(found))
    return EngineError("engine_server_refused", detail=_worded(found))


def _worded(found: Problem) -> str:
    return f"HTTP {found.status}: {found.message}" if found.status else found.message
