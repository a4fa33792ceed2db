"""From form to run: the verdict before the start, offers taken, the start itself.

Knows the handlers, not the layout.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from core.engines.hosts import is_loopback
from core.errors import AppError
from core.finetune import preflight
from core.finetune.config import TrainConfig
from core.finetune.estimate import assess
from ui.feedback import Notice, error_notice, language_of, notices_html
from ui.finetune_dataset import Examples
from ui.finetune_form import SETTINGS, changed_by, config_of, values_of
from ui.finetune_models import suggested
from ui.finetune_verdict_view import chips, refusal, verdict
from ui.i18n import translate
from ui.workshop import Workshop

_UNLOAD_SECONDS = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """Which run a window shows (empty: the one that goes, or the newest), over which other, and what it can undo."""

    run: str = ""
    against: str = ""
    undo: str = ""
    at: int = 0  # grows with each deed, so that the page is drawn anew


class StartEvents:
    """Form values come after the request, in the order of `Form.inputs`."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    async def suggest(self, request: gr.Request) -> list[Any]:
        """Base models for this machine, as buttons and as choices of the field."""
        models = await asyncio.to_thread(suggested, self._workshop.settings)
        names = dict.fromkeys([self._workshop.default_base_model, *(name for name, _ in models)])
        return [chips(language_of(request), models), gr.update(choices=list(names))]

    async def judge(self, request: gr.Request, examples: Examples, *values: Any) -> str:
        """Will it fit, how long will it take."""
        return await asyncio.to_thread(self._judge, language_of(request), examples, values)

    def take_offer(self, event: gr.EventData, request: gr.Request, *values: Any) -> list[Any]:
        """The form changed by a button of the verdict or of the suggested models."""
        data = event._data or {}
        try:
            offer = {"model": str(data["model"])} if data.get("act") == "model" else json.loads(data["settings"])
            return changed_by(values, offer)
        except (AppError, KeyError, TypeError, ValueError, AttributeError):
            return [gr.skip()] * (1 + len(SETTINGS))

    def note(self) -> None:
        """Another model was picked: what hangs on it follows."""

    def reset(self) -> list[Any]:
        """The recipe again; the model stays."""
        return values_of(TrainConfig())[1:]

    async def start(self, request: gr.Request, examples: Examples, skip_bad: bool, shown: Shown,
                    *values: Any) -> list[Any]:
        """Start a run: notices, and the run to show. The timer shows it."""
        language = language_of(request)
        if not examples.path or examples.report is None:
            return [notices_html(Notice(translate(language, "finetune.dataset_first"), "error")), gr.skip()]
        try:
            config = config_of(values)
            await asyncio.to_thread(self._refuse_early, config)
            await self.free_memory()
            run = await asyncio.to_thread(self._workshop.runs.start, config, Path(examples.path),
                                          mapping=examples.mapping, skip_bad_rows=bool(skip_bad))
        except AppError as error:
            return [notices_html(error_notice(language, error)), gr.skip()]
        except Exception:
            _log.exception("A training run could not be started")
            return [notices_html(error_notice(language, AppError("unexpected"))), gr.skip()]
        started = Notice(translate(language, "finetune.started", name=run.shown_name), "done")
        return [notices_html(started), Shown(run.name, at=shown.at + 1)]

    async def free_memory(self) -> None:
        """Take the models that answer out of memory: the run needs it. They come back with the next question."""
        chooser = self._workshop.engines.chooser
        await asyncio.to_thread(chooser.free_memory)
        with contextlib.suppress(AppError, TimeoutError):
            if is_loopback(chooser.ollama.url):
                await asyncio.wait_for(chooser.ollama.installed.unload_all(), _UNLOAD_SECONDS)

    def _refuse_early(self, config: TrainConfig) -> None:
        """Before anything is unloaded. Raises TrainingError."""
        preflight.check(config, self._workshop.settings)

    def _judge(self, language: str, examples: Examples, values: tuple[Any, ...]) -> str:
        config = None
        try:
            config = config_of(values)
            preflight.check(config, self._workshop.settings)
            if examples.report is None:
                return ""
            tokens = examples.inspection.totals if examples.inspection else ()
            told = assess(config, self._workshop.settings, tokens, examples.report.examples)
            offline = isinstance(examples.error, AppError) and examples.error.code == "train_hub_unreachable"
            return verdict(language, told, config, examples.report.examples, offline=offline)
        except AppError as error:
            return refusal(language, error, config, preflight.SMALL_MODEL)
