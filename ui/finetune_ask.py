"""One question to the base and to the tuned model, their answers side by side, written as they come.

Both run in the embedded engine, one after the other: there is memory for one.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncGenerator

import gradio as gr

from core.engines.base import ChatRequest, Message, Token
from core.errors import AppError
from core.finetune.run import Run
from ui.feedback import Notice, error_notice, language_of, notices_html
from ui.finetune_result_view import both_answers
from ui.finetune_runs import RunEvents
from ui.finetune_start import Shown
from ui.i18n import translate

_MAX_TOKENS = 256
_UPDATE_SECONDS = 0.1
_log = logging.getLogger(__name__)


class AskEvents:
    """Handlers of the before/after panel."""

    def __init__(self, runs: RunEvents) -> None:
        self._engine = runs.embedded
        self._runs = runs

    async def ask(self, question: str | None, shown: Shown, request: gr.Request) -> AsyncGenerator[str, None]:
        """The panel's HTML, again and again while it is written."""
        language, asked = language_of(request), (question or "").strip()
        run = self._runs.shown_run(shown)
        if not asked or run is None:
            yield notices_html(Notice(translate(language, "finetune.ask_first")))
            return
        told = {"base": "", "tuned": ""}
        try:
            for which, model in (("base", run.config.model), ("tuned", run.name)):
                yield both_answers(language, asked, **told, now=which)
                async with contextlib.aclosing(self._answer(model, asked, run)) as texts:
                    async for text in texts:
                        told[which] = text
                        yield both_answers(language, asked, **told, now=which)
            yield both_answers(language, asked, **told)
        except AppError as error:
            yield both_answers(language, asked, **told) + notices_html(error_notice(language, error))
        except Exception:
            _log.exception("Base and tuned model could not be asked")
            yield notices_html(error_notice(language, AppError("unexpected")))

    async def _answer(self, model: str, question: str, run: Run) -> AsyncGenerator[str, None]:
        """All there is so far, a few times a second. Raises EngineError."""
        request = ChatRequest(model, (Message("user", question),), question, temperature=0.0, max_tokens=_MAX_TOKENS)
        text, told_at = "", time.monotonic()
        async with contextlib.aclosing(self._engine.chat(request)) as events:
            async for event in events:
                if isinstance(event, Token):
                    text += event.text
                if text and time.monotonic() - told_at > _UPDATE_SECONDS:
                    told_at = time.monotonic()
                    yield text
        yield text.strip()
