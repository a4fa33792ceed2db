"""A fast stream of events at a pace that a browser can follow. Knows nothing of what the events are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

Event = TypeVar("Event")
_UPDATE_SECONDS = 0.09  # faster updates cost the browser more than the eye gains
_HEARTBEAT_SECONDS = 0.5  # a closed tab is noticed only when something is yielded


async def paced(stream: AsyncIterator[Event], update_seconds: float = _UPDATE_SECONDS,
                heartbeat_seconds: float = _HEARTBEAT_SECONDS) -> AsyncGenerator[list[Event], None]:
    """The events of `stream` in groups: the first at once, then what came within `update_seconds`; an empty group
    each `heartbeat_seconds` of silence. Closing it closes `stream`; an error of `stream` is raised after the
    events before it."""
    events: list[Event] = []
    arrived = asyncio.Event()

    async def collect() -> None:
        try:
            async for event in stream:
                events.append(event)
                arrived.set()
        finally:
            arrived.set()
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    collector = asyncio.create_task(collect())
    try:
        while not (collector.done() and not events):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(heartbeat_seconds):
                    await arrived.wait()
            group = events[:]
            del events[: len(group)]
            if not collector.done():
                arrived.clear()
            yield group
            if not collector.done():
                await asyncio.wait([collector], timeout=update_seconds if group else 0)
        await collector
    finally:
        collector.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await collector
