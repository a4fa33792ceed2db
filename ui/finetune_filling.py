"""What fills the form of a new run: an earlier run's settings and examples, or what the form held last."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr

from core.errors import AppError
from ui.feedback import Notice, error_notice, language_of, notices_html
from ui.finetune_dataset import MAPPED, DatasetEvents, Examples
from ui.finetune_draft import Draft
from ui.finetune_form import SETTINGS, kept_values, values_of
from ui.i18n import translate
from ui.workshop import Workshop

_EXAMPLES_PARTS = 4 + len(MAPPED)
_FORM_PARTS = 1 + len(SETTINGS)


class FillingEvents:
    """Fills the form; starting is for the reader."""

    def __init__(self, workshop: Workshop, dataset: DatasetEvents) -> None:
        self._runs = workshop.runs
        self._dataset = dataset

    async def again(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Of a run of the list: examples and what is shown of them, the form, a notice."""
        language = language_of(request)
        try:
            run = self._runs.get(str((event._data or {}).get("name", "")))
            config, path = self._runs.settings_of(run.name)
        except AppError as error:
            return [*[gr.skip()] * (_EXAMPLES_PARTS + _FORM_PARTS), notices_html(error_notice(language, error))]
        name = str(run.dataset.get("name") or path.name)
        taken = await self._dataset.take_again(Draft(str(path), name), language)
        told = Notice(translate(language, "finetune.again_ready", name=run.shown_name))
        return [*taken, *values_of(config), notices_html(told)]

    async def restore(self, opened: bool, request: gr.Request) -> list[Any]:
        """Once a window, when its tab is opened: that it was, examples and what is shown of them, the form."""
        draft = Draft() if opened else await asyncio.to_thread(self._dataset.drafts.load)
        skipped: list[Any] = [gr.skip()] * _EXAMPLES_PARTS
        taken = await self._dataset.take_again(draft, language_of(request)) if draft.path else skipped
        return [True, *taken, *(kept_values(draft.values) if draft.values else [gr.skip()] * _FORM_PARTS)]

    async def keep(self, opened: bool, examples: Examples, skip_bad: bool, *values: Any) -> None:
        """Form values come in the order of `Form.inputs`. A form that was not filled yet is nobody's wish."""
        if opened:
            draft = Draft(examples.path, examples.name, examples.mapping, bool(skip_bad),
                          dict(zip(("model", *SETTINGS), values, strict=True)))
            await asyncio.to_thread(self._dataset.drafts.keep, draft)
