"""The page's looking for news: many parts, two events."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr
import pytest

from ui.every_second import EverySecond, Part, together
from ui.feedback import QUIET, tell_progress_to

REQUEST = gr.Request()


def test_each_part_gets_its_own_values_and_gives_its_own() -> None:
    def double(value: int, request: gr.Request) -> list[int]:
        return [2 * value]

    async def by_component(one: str, other: str, request: gr.Request) -> dict[Any, Any]:
        return {"second": one + other}

    look = together([Part(double, ["number"], ["first"]), Part(by_component, ["a", "b"], ["none", "second"])])
    assert asyncio.run(look(REQUEST, 21, "x", "y")) == [42, gr.skip(), "xy"]


def test_a_part_that_fails_changes_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: gr.Request) -> list[int]:
        raise ZeroDivisionError

    short = Part(lambda request: [1], [], ["d", "e"])
    look = together([Part(broken, [], ["a", "b"]), Part(lambda request: [7], [], ["c"]), short])
    assert asyncio.run(look(REQUEST)) == [gr.skip(), gr.skip(), 7, gr.skip(), gr.skip()]
    assert "ZeroDivisionError" in caplog.text and "ValueError" in caplog.text


def test_who_waits_for_an_engine_is_an_event_of_its_own() -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        every_second = EverySecond()
        shown = [gr.HTML() for _ in range(3)]
        for block, waits in zip(shown, (False, True, False), strict=True):
            every_second.add(lambda request: [""], [], [block], waits=waits)
        every_second.wire()
    assert [handler.outputs for handler in page.fns.values()] == [[shown[0], shown[2]], [shown[1]]]


def test_hidden_progress_is_told_to_one_block() -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        block, button, messages = gr.HTML(), gr.Button(), gr.Chatbot()
        button.click(lambda: [], None, [messages], **QUIET)
        button.click(lambda: [], None, [messages], show_progress_on=messages, **QUIET)
        button.click(lambda: [], None, [messages])
    tell_progress_to(block, page)
    assert [handler.show_progress_on for handler in page.fns.values()] == [[block], [messages], None]
