"""The Fine-tune tab: examples in, a run started, its curve and log as it goes. Layout first, then events."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError
from core.finetune.config import TrainConfig
from core.finetune.dataset import read_dataset
from core.finetune.run import Run
from ui.feedback import QUIET, Notice, both, error_notice, html_block, label, language_of, notices_html
from ui.finetune_view import curve, dataset_summary, run_status
from ui.i18n import translate
from ui.terminal_train import sample_dataset
from ui.workshop import Workshop

_SUGGESTED_MODELS = ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B", "openai/gpt-oss-20b")
# Follows the end of the log as it grows, unless the reader has scrolled up.
_FOLLOW = """
let following = true;
const log = () => element.querySelector('pre');
element.addEventListener('scroll', () => {
  const box = log();
  if (box) following = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
}, true);
const follow = () => { const box = log(); if (box && following) box.scrollTop = box.scrollHeight; };
watch('value', follow);
follow();
"""


def build(workshop: Workshop, timer: gr.Timer) -> None:
    """Lay out the tab and wire it."""
    events = FinetuneEvents(workshop)
    seen = gr.State("")
    dataset = gr.State("")
    with gr.Row(elem_classes="finetune-row"):
        with gr.Column(scale=2, min_width=300):
            html_block(f'<p class="intro">{both("finetune.intro")}</p>')
            drop = gr.File(label=label("finetune.drop"), file_count="single", height=130, elem_id="drop-dataset")
            sample = gr.Button(label("finetune.use_sample"), size="sm", elem_id="use-sample")
            summary = html_block(elem_id="dataset-summary")
            model = gr.Dropdown(label=label("finetune.base_model"), info=label("finetune.base_model_info"),
                                choices=list(_SUGGESTED_MODELS), value=workshop.default_base_model,
                                allow_custom_value=True, elem_id="base-model")
            with gr.Row():
                start = gr.Button(label("finetune.start"), variant="primary", elem_id="start-training")
                stop = gr.Button(label("finetune.stop"), interactive=False, elem_id="stop-training")
            notices = html_block(elem_id="training-notices")
            html_block(f'<p class="hint">{both("finetune.recipe")}</p>')
        with gr.Column(scale=3, min_width=320):
            status = html_block(f'<div class="empty">{both("finetune.no_run")}</div>', elem_id="run-status")
            plot = gr.LinePlot(curve(()), x="step", y="loss", label=label("finetune.loss"), height=280,
                               x_title=" ", y_title=" ", visible=False, elem_id="loss-curve", buttons=[])
            log = html_block("", html_template='<pre class="log" tabindex="0">${value}</pre>', js_on_load=_FOLLOW,
                          visible=False, elem_id="training-log")

    timer.tick(events.refresh, [seen], [seen, status, plot, log, start, stop], **QUIET)
    drop.upload(events.take, [drop], [dataset, summary], api_visibility="private")
    drop.clear(events.clear, None, [dataset, summary], **QUIET)
    sample.click(events.take_sample, None, [drop, dataset, summary], **QUIET)
    start.click(events.start, [dataset, model], [notices, seen], api_visibility="private")
    stop.click(events.stop, None, [notices], **QUIET)


class FinetuneEvents:
    """What the tab's buttons do. The run's folder is the state; the page only reads it."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def refresh(self, seen: str, request: gr.Request) -> list[Any]:
        """The run that goes, or the last one, when something of it changed."""
        runs = self._workshop.runs.list()
        if not runs:
            return [gr.skip()] * 6
        run = next((run for run in runs if run.alive), runs[0])
        now = f"{language_of(request)}|{run.name}|{run.state}|{len(run.steps)}|{run.stop_asked}|{_log_size(run)}"
        if now == seen:
            return [gr.skip()] * 6
        return [
            now,
            run_status(language_of(request), run),
            gr.update(value=curve(run.steps), visible=bool(run.steps)),
            gr.update(value=_escaped_log(run), visible=True),
            gr.update(interactive=not run.alive),
            gr.update(interactive=run.alive and not run.stop_asked),
        ]

    async def take(self, file: str | None, request: gr.Request) -> list[Any]:
        """Check a dropped dataset line by line."""
        return await asyncio.to_thread(self._check, file or "", language_of(request))

    async def take_sample(self, request: gr.Request) -> list[Any]:
        path = str(sample_dataset(language_of(request)))
        return [None, *await asyncio.to_thread(self._check, path, language_of(request))]

    def clear(self) -> list[str]:
        return ["", ""]

    async def start(self, dataset: str, model: str | None, request: gr.Request) -> list[Any]:
        """Start a run; the timer shows it."""
        language = language_of(request)
        if not dataset:
            return [notices_html(Notice(translate(language, "finetune.dataset_first"), "error")), gr.skip()]
        try:
            config = TrainConfig(model=(model or "").strip())
            run = await asyncio.to_thread(self._workshop.runs.start, config, Path(dataset), skip_bad_rows=True)
        except AppError as error:
            return [notices_html(error_notice(language, error)), gr.skip()]
        return [notices_html(Notice(translate(language, "finetune.started", name=run.name), "done")), ""]

    def stop(self, request: gr.Request) -> str:
        language = language_of(request)
        run = self._workshop.runs.active()
        try:
            if run is not None:
                self._workshop.runs.stop(run.name)
        except AppError as error:
            return notices_html(error_notice(language, error))
        return notices_html(Notice(translate(language, "finetune.stopping")))

    def _check(self, path: str, language: str) -> list[str]:
        try:
            return [path, dataset_summary(language, read_dataset(Path(path)), Path(path).name)]
        except AppError as error:
            return ["", notices_html(error_notice(language, error))]


def _log_size(run: Run) -> int:
    path = run.folder / "log.txt"
    return path.stat().st_size if path.exists() else 0


def _escaped_log(run: Run) -> str:
    from html import escape

    return escape(run.log_tail)
