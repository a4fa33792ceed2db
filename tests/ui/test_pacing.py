"""A stream at a pace that a browser can follow: nothing is lost, nothing is left open."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from ui.pacing import paced


async def numbers(count: int, pause: float = 0.0) -> AsyncGenerator[int, None]:
    for number in range(count):
        if pause:
            await asyncio.sleep(pause)
        yield number


class Watched:
    """A stream that tells whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def stream(self, first: int = 1) -> AsyncGenerator[int, None]:
        try:
            for number in range(first):
                yield number
            await asyncio.sleep(60)
        finally:
            self.closed = True


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(10):
            await test()
    asyncio.run(limited())


@pytest.mark.parametrize(("count", "pause"), [(0, 0.0), (1, 0.0), (1000, 0.0), (40, 0.003), (3, 0.05)])
def test_every_event_arrives_once_and_in_order(count: int, pause: float) -> None:
    async def test() -> None:
        groups = [group async for group in paced(numbers(count, pause), update_seconds=0.02)]
        assert [number for group in groups for number in group] == list(range(count))
    run(test)


def test_a_fast_stream_comes_in_few_groups() -> None:
    async def test() -> None:
        groups = [group async for group in paced(numbers(100, 0.002), update_seconds=0.1)]
        assert len(groups) < 20
    run(test)


def test_the_first_event_is_shown_at_once() -> None:
    async def test() -> None:
        started = time.monotonic()
        async with contextlib.aclosing(paced(Watched().stream(), update_seconds=5)) as groups:
            assert await anext(groups) == [0]
        assert time.monotonic() - started < 1
    run(test)


def test_silence_is_told_by_empty_groups() -> None:
    async def test() -> None:
        async with contextlib.aclosing(paced(Watched().stream(0), heartbeat_seconds=0.02)) as groups:
            assert [await anext(groups) for _ in range(3)] == [[], [], []]
    run(test)


def test_closing_closes_the_stream_also_before_its_first_event() -> None:
    async def test() -> None:
        for first in (0, 1, 5):
            watched = Watched()
            groups = paced(watched.stream(first), heartbeat_seconds=0.02)
            await anext(groups)
            await groups.aclose()
            assert watched.closed
    run(test)


def test_a_cancelled_reader_closes_the_stream() -> None:
    async def test() -> None:
        watched = Watched()

        async def read() -> None:
            async with contextlib.aclosing(paced(watched.stream())) as groups:
                async for _ in groups:
                    pass

        reader = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert watched.closed
    run(test)


@pytest.mark.parametrize("before", [0, 1, 7])
def test_an_error_comes_after_the_events_before_it(before: int) -> None:
    async def failing() -> AsyncGenerator[int, None]:
        for number in range(before):
            yield number
        raise ValueError("broken")

    async def test() -> None:
        seen: list[int] = []
        with pytest.raises(ValueError, match="broken"):
            async for group in paced(failing(), update_seconds=0.01):
                seen += group
        assert seen == list(range(before))
    run(test)
