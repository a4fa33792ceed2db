"""A run's settings and examples into the form, to run it again or with a change."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.errors import AppError
from ui.feedback import Notice, error_notice, language_of, notices_html
from ui.finetune_dataset import MAPPED, DatasetEvents
from ui.finetune_form import SETTINGS, values_of
from ui.i18n import translate
from ui.workshop import Workshop

_PARTS = 4 + len(MAPPED) + 1 + len(SETTINGS)


class AgainEvents:
    """Fills the form; starting is for the reader."""

    def __init__(self, workshop: Workshop, dataset: DatasetEvents) -> None:
        self._runs = workshop.runs
        self._dataset = dataset

    async def again(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Examples and what is shown of them, the form, a notice."""
        language = language_of(request)
        try:
            run = self._runs.get(str((event._data or {}).get("name", "")))
            config, path = self._runs.settings_of(run.name)
        except AppError as error:
            return [*[gr.skip()] * _PARTS, notices_html(error_notice(language, error))]
        name = str(run.dataset.get("name") or path.name)
        taken = await self._dataset.take_run(path, name, language)
        told = Notice(translate(language, "finetune.again_ready", name=run.shown_name))
        return [*taken, *values_of(config), notices_html(told)]
