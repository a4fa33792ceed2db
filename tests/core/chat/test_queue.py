"""Places in the queue: fair between people, and given up at once."""

from __future__ import annotations

import asyncio

from core.chat.queue import FairQueue, Place, Queues


def order_of(queue: FairQueue, places: list[Place]) -> list[str]:
    """Who is served, one after the other, when all ask in this order."""
    served: list[str] = []
    for place in places:
        queue.join(place)
    while ready := [place for place in places if place.served]:
        for place in ready:
            served.append(place.person)
            places.remove(place)
            queue.leave(place)
    return served


def test_a_persons_second_question_comes_after_everyones_first() -> None:
    queue = FairQueue(1)
    assert "".join(order_of(queue, [queue.place(name) for name in "aaabbcd"])) == "abcdaba"


def test_who_was_served_before_is_not_served_later_for_it() -> None:
    queue = FairQueue(1)
    for _ in range(5):
        assert order_of(queue, [queue.place("a")]) == ["a"]
    assert "".join(order_of(queue, [queue.place(name) for name in "bacb"])) == "bacb"


def test_as_many_are_served_at_once_as_there_are_slots() -> None:
    queue = FairQueue(2)
    places = [queue.place(name) for name in "abcd"]
    for place in places:
        queue.join(place)
    assert [place.served for place in places] == [True, True, False, False]
    queue.leave(places[0])
    assert places[2].served and queue.number(places[3]) == 1


def test_leaving_while_waiting_lets_the_others_forward() -> None:
    async def wait() -> list[int]:
        queue = FairQueue(1)
        seen: list[int] = []
        async with queue.place("a"), queue.place("b") as second, queue.place("c") as third:
            async for number in third.waiting():
                seen.append(number)
                if number == 2:
                    queue.leave(second)
                else:
                    break
        return seen

    assert asyncio.run(wait()) == [2, 1]


def test_only_engines_that_can_be_kept_busy_have_a_queue() -> None:
    queues = Queues()
    assert queues.of("passages") is None
    assert queues.of("ollama") is queues.of("ollama") is not None


def test_guests_wait_behind_everyone_else() -> None:
    queue = FairQueue(1)
    guests = [queue.place(name, behind=True) for name in "gh"]
    assert "".join(order_of(queue, [queue.place("a"), *guests, queue.place("a"), queue.place("b")])) == "abagh"
