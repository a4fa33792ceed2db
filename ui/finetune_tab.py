"""The Fine-tune tab: examples, model and verdict at the left, the run at the right, all runs below.

Layout first, then how its parts hang together; what they do stands in the modules of each part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui import finetune_script
from ui.documents_script import BUTTONS
from ui.every_second import EverySecond
from ui.feedback import EACH, QUIET, both, html_block, label
from ui.finetune_ask import AskEvents
from ui.finetune_dataset import MAPPED, DatasetEvents, Examples
from ui.finetune_filling import FillingEvents
from ui.finetune_form import Form, build_form
from ui.finetune_runs import PARTS, RunEvents, Seen
from ui.finetune_start import Shown, StartEvents
from ui.workshop import Workshop


@dataclass(frozen=True)
class DatasetParts:
    drop: gr.File
    sample: gr.Button
    summary: gr.HTML
    skip_bad: gr.Checkbox
    columns: gr.Accordion
    pickers: list[gr.Dropdown]
    lengths: gr.HTML
    preview: gr.HTML

    def taken(self) -> list[Any]:
        """What a checked file fills, after its Examples."""
        return [self.summary, self.skip_bad, self.columns, *self.pickers]


@dataclass(frozen=True)
class StartParts:
    form: Form
    chips: gr.HTML
    verdict: gr.HTML
    start: gr.Button
    notices: gr.HTML


@dataclass(frozen=True)
class Talk:
    """The button that opens the chat, and how to tell which run it is about."""

    button: gr.Button
    notices: gr.HTML
    shown: gr.State
    events: RunEvents


@dataclass(frozen=True)
class RunParts:
    """Named as PARTS names them, and what goes with them."""

    card: gr.HTML
    curve: gr.HTML
    result: gr.HTML
    log: gr.HTML
    runs: gr.HTML
    stop: gr.Button
    resume: gr.Button
    talk: gr.Button
    panel: gr.Column
    notices: gr.HTML
    question: gr.Textbox
    ask: gr.Button
    answers: gr.HTML
    download: gr.HTML

    def drawn(self) -> list[Any]:
        return [getattr(self, name) for name in PARTS]


def build(workshop: Workshop, every_second: EverySecond, page: gr.Blocks, tab: gr.Tab) -> Talk:
    """Lay out the tab and wire it. What opens the chat on a run is for the page to wire."""
    shown = gr.State(Shown())
    with gr.Row(elem_classes="finetune-row"):
        with gr.Column(scale=2, min_width=300, elem_id="new-run"):
            html_block(f'<p class="intro">{both("finetune.intro")}</p>')
            dataset = _dataset_parts()
            html_block(_heading(2, "finetune.model_title"))
            chips = html_block(elem_id="model-chips", js_on_load=BUTTONS)
            form = build_form(workshop.default_base_model, ())
            html_block(_heading(3, "finetune.start_title"))
            verdict = html_block(elem_id="verdict", js_on_load=BUTTONS)
            start = gr.Button(label("finetune.start"), variant="primary", elem_id="start-training")
            notices = html_block(elem_id="training-notices")
        with gr.Column(scale=3, min_width=320, elem_id="the-run"):
            run = _run_parts()
    with gr.Column(elem_id="all-runs"):
        listed = html_block(elem_id="runs", js_on_load=finetune_script.RUNS)
        download = html_block(elem_id="run-download", js_on_load=finetune_script.DOWNLOAD)
    parts = RunParts(**run, runs=listed, download=download)
    starting = StartEvents(workshop)
    events = RunEvents(workshop, starting)
    start_parts = StartParts(form, chips, verdict, start, notices)
    _wire_form(workshop, page, tab, starting, dataset, start_parts, parts, shown)
    _wire_runs(every_second, page, events, parts, shown)
    return Talk(parts.talk, parts.notices, shown, events)


def _heading(number: int, key: str) -> str:
    return f'<h3 class="part"><span aria-hidden="true">{number}</span>{both(key)}</h3>'


def _dataset_parts() -> DatasetParts:
    html_block(_heading(1, "finetune.dataset_title"))
    drop = gr.File(label=label("finetune.drop"), file_count="single", height=120, elem_id="drop-dataset",
                   file_types=[".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt"])
    sample = gr.Button(label("finetune.use_sample"), size="sm", elem_id="use-sample")
    summary = html_block(elem_id="dataset-summary")
    skip_bad = gr.Checkbox(label=label("finetune.skip_bad"), value=False, visible=False, elem_id="skip-bad")
    with gr.Accordion(label("finetune.columns"), open=False, visible=False, elem_id="columns") as columns:
        html_block(f'<p class="hint">{both("finetune.columns_hint")}</p>')
        with gr.Row(elem_classes="settings-row"):
            pickers = [gr.Dropdown([("—", "")], value="", label=label(f"finetune.column_{name}"), min_width=140,
                                   elem_id=f"column-{name}") for name in MAPPED]
    lengths = html_block(elem_id="dataset-lengths")
    preview = html_block(elem_id="dataset-preview", js_on_load=BUTTONS)
    return DatasetParts(drop, sample, summary, skip_bad, columns, pickers, lengths, preview)


def _run_parts() -> dict[str, Any]:
    card = html_block(elem_id="run-status")
    with gr.Row(elem_classes="toolbar", elem_id="run-buttons"):
        stop = gr.Button(label("finetune.stop"), size="md", visible=False, min_width=120, elem_id="stop-training")
        resume = gr.Button(label("finetune.resume"), size="md", variant="primary", visible=False, min_width=120,
                           elem_id="resume-training")
        talk = gr.Button(label("finetune.talk"), size="md", variant="primary", visible=False, min_width=120,
                         elem_id="talk-to-it")
    notices = html_block(elem_id="run-notices")
    curve = html_block(elem_id="loss-curve", js_on_load=finetune_script.CURVE)
    result = html_block(elem_id="run-result", js_on_load=BUTTONS)
    with gr.Column(elem_id="before-after", visible=False) as panel:
        html_block(f'<h3>{both("finetune.before_after")}</h3><p class="hint">{both("finetune.before_after_hint")}</p>')
        with gr.Row(elem_classes="toolbar"):
            question = gr.Textbox(label=label("finetune.question"), placeholder=label("finetune.question"),
                                  show_label=False, container=False, max_lines=3, max_length=4000, scale=1,
                                  min_width=160, elem_id="both-question")
            ask = gr.Button(label("finetune.ask_both"), size="md", scale=0, min_width=180, elem_id="ask-both")
        answers = html_block(elem_id="both-answers")
    log = html_block("", html_template=f'<h4>{both("finetune.log")}</h4><pre class="log" tabindex="0">${{value}}</pre>',
                     js_on_load=finetune_script.FOLLOW, visible=False, elem_id="training-log")
    return {"card": card, "stop": stop, "resume": resume, "talk": talk, "panel": panel, "notices": notices,
            "curve": curve, "result": result, "log": log, "question": question, "ask": ask, "answers": answers}


def _wire_form(workshop: Workshop, page: gr.Blocks, tab: gr.Tab, starting: StartEvents, dataset: DatasetParts,
               start: StartParts, runs: RunParts, shown: gr.State) -> None:
    """Whatever changes examples or model has the tokens counted; whatever changes anything, the verdict."""
    events, examples, form = DatasetEvents(workshop), gr.State(Examples()), start.form
    filling, opened = FillingEvents(workshop, events), gr.State(False)
    length, fields = form.settings["max_length"], form.inputs()
    held = [opened, examples, dataset.skip_bad, *fields]
    looked = [examples, dataset.lengths, dataset.preview]

    def look(after: Any) -> None:
        after.then(filling.keep, held, None, **QUIET)
        after.then(starting.judge, [examples, *fields], [start.verdict], **QUIET)  # as far as it is known
        counted = after.then(events.look, [examples, form.model, length], looked, **QUIET)
        counted.then(events.relimit, [examples, length], [dataset.lengths], **QUIET)  # it may have changed meanwhile
        counted.then(starting.judge, [examples, *fields], [start.verdict], **QUIET)

    taken = [examples, *dataset.taken()]
    look(dataset.drop.upload(events.take, [dataset.drop], taken, api_visibility="private"))
    look(dataset.drop.clear(events.clear, None, taken, **QUIET))
    look(dataset.sample.click(events.take_sample, None, [dataset.drop, *taken], **QUIET))
    for picker in dataset.pickers:
        look(picker.input(events.map, [examples, *dataset.pickers], taken, **QUIET))
    look(form.model.change(starting.note, None, None, trigger_mode="always_last", **QUIET))
    for offers in (start.chips, start.verdict):
        offers.click(starting.take_offer, fields, fields, **EACH)
    look(tab.select(filling.restore, [opened], [opened, *taken, *fields], **QUIET))
    look(runs.runs.select(filling.again, None, [*taken, *fields, start.notices], **EACH))
    form.reset.click(starting.reset, None, fields[1:], **QUIET)
    length.change(events.relimit, [examples, length], [dataset.lengths], trigger_mode="always_last", **QUIET)
    changed = [field.change for field in fields[1:]]
    gr.on(changed, starting.judge, [examples, *fields], [start.verdict], trigger_mode="always_last", **QUIET)
    gr.on([*changed, dataset.skip_bad.change], filling.keep, held, None, trigger_mode="always_last", **QUIET)
    dataset.preview.click(events.turn, [examples], [examples, dataset.preview], **EACH)
    page.load(starting.suggest, None, [start.chips, form.model], **QUIET)
    start.start.click(starting.start, [examples, dataset.skip_bad, shown, *fields], [start.notices, shown],
                      api_visibility="private")


def _wire_runs(every_second: EverySecond, page: gr.Blocks, events: RunEvents, parts: RunParts, shown: gr.State) -> None:
    """What goes on is shown each second; what the reader does is shown at once."""
    seen = gr.State(Seen())
    drawn = [seen, *parts.drawn()]
    every_second.add(events.refresh, [seen, shown], drawn)
    page.load(events.refresh, [seen, shown], drawn, **QUIET)
    told = [parts.notices, shown]
    for changed in (
        parts.stop.click(events.stop, [shown], told, **QUIET),
        parts.resume.click(events.resume, [shown], told, **QUIET),
        parts.runs.click(events.act, [shown], [*told, parts.download], **EACH),
        parts.result.click(events.act, [shown], [*told, parts.download], **EACH),
    ):
        changed.then(events.refresh, [seen, shown], drawn, **QUIET)
    asking = AskEvents(events)
    for asked in (parts.ask.click, parts.question.submit):
        asked(asking.ask, [parts.question, shown], [parts.answers], trigger_mode="once", **QUIET)
