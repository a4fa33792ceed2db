"""What a page does each second, in two events however many parts look for news.

An event costs the browser some ten milliseconds, whether it changes anything or not (see NOTES.md): six a second took a
third of a core. Knows nothing of what the parts show.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.feedback import QUIET

_log = logging.getLogger(__name__)
SECONDS = 1.0


@dataclass(frozen=True)
class Part:
    """`handler` takes the values of `inputs` and the request; it gives those of `outputs`, in their order or by
    component."""

    handler: Callable[..., Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]

    async def run(self, values: Sequence[Any], request: gr.Request) -> list[Any]:
        """The new values; none where it fails, which is a bug and must not keep the others from theirs."""
        try:
            if inspect.iscoroutinefunction(self.handler):
                given = await self.handler(*values, request)
            else:
                given = await asyncio.to_thread(self.handler, *values, request)
            if not isinstance(given, dict):
                given = dict(zip(self.outputs, given, strict=True))
        except Exception:
            _log.exception("A part of the page could not be brought up to date")
            given = {}
        return [given.get(output, gr.skip()) for output in self.outputs]


class EverySecond:
    """Made at a page's top level, for a timer inside a tab that was never opened does not tick; `wire` comes when all
    parts were added. Parts that may wait for an engine are an event of their own, and hold up nobody else."""

    def __init__(self) -> None:
        self._timer = gr.Timer(SECONDS)
        self._prompt: list[Part] = []
        self._waiting: list[Part] = []

    def add(self, handler: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any], *,
            waits: bool = False) -> None:
        (self._waiting if waits else self._prompt).append(Part(handler, inputs, outputs))

    def wire(self) -> None:
        for parts in filter(None, (self._prompt, self._waiting)):
            self._timer.tick(together(parts), [one for part in parts for one in part.inputs],
                             [one for part in parts for one in part.outputs], **QUIET)


def together(parts: Sequence[Part]) -> Callable[..., Any]:
    """A handler that does what those of `parts` do, at the same time."""
    async def look(request: gr.Request, *values: Any) -> list[Any]:
        taken, runs = 0, []
        for part in parts:
            runs.append(part.run(values[taken : taken + len(part.inputs)], request))
            taken += len(part.inputs)
        return [value for given in await asyncio.gather(*runs) for value in given]
    return look
