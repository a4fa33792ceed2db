"""A place in the queue for a busy engine, fair between people. Knows no engine and no question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType

SLOTS = {"ollama": 1, "embedded": 1, "openai": 4}  # answers an engine writes at once; others: as many as are asked


@dataclass(eq=False)
class Place:
    """One question's place: `async with` takes it, `waiting` tells how it goes forward, leaving gives it up."""

    queue: FairQueue
    person: str
    behind: bool = False
    round: int = 0
    arrival: int = 0
    served: bool = False
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def waiting(self) -> AsyncGenerator[int, None]:
        """Numbers from 1, each time it changes, until it is this one's turn."""
        shown = 0
        while not self.served:
            self.moved.clear()
            number = self.queue.number(self)
            if number != shown:
                shown = number
                yield number
                continue
            await self.moved.wait()

    async def __aenter__(self) -> Place:
        self.queue.join(self)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.queue.leave(self)


class FairQueue:
    """`slots` questions at a time, the others wait in rounds: a person's second question comes after everyone's
    first. Guests wait behind all others. For one event loop."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._served: set[Place] = set()
        self._waiting: list[Place] = []
        self._rounds: dict[str, int] = {}  # of each person's last question, while it is not over
        self._round = 0  # of the question served last
        self._arrivals = count()

    def place(self, person: str, behind: bool = False) -> Place:
        """A place for this person; `behind` everyone who is not."""
        return Place(self, person, behind)

    def join(self, place: Place) -> None:
        last = self._rounds.get(place.person, -1)
        place.round = self._rounds[place.person] = max(self._round, last + 1)
        place.arrival = next(self._arrivals)
        self._waiting.append(place)
        self._waiting.sort(key=lambda one: (one.behind, one.round, one.arrival))
        self._serve()

    def leave(self, place: Place) -> None:
        if place in self._served:
            self._served.remove(place)
        elif place in self._waiting:
            self._waiting.remove(place)
        self._serve()

    def number(self, place: Place) -> int:
        """From 1, among those who wait."""
        return self._waiting.index(place) + 1

    def _serve(self) -> None:
        while self._waiting and len(self._served) < self._slots:
            place = self._waiting.pop(0)
            place.served = True
            self._round = place.round
            self._served.add(place)
            place.moved.set()
        for place in self._waiting:
            place.moved.set()
        if not self._waiting:  # nobody to be fair to: all begin anew
            busy = {place.person for place in self._served}
            self._rounds = {person: number for person, number in self._rounds.items() if person in busy}


class Queues:
    """A queue for each engine that can be kept busy."""

    def __init__(self) -> None:
        self._queues = {engine: FairQueue(slots) for engine, slots in SLOTS.items()}

    def of(self, engine: str) -> FairQueue | None:
        """None for an engine that serves everyone at once."""
        return self._queues.get(engine)
