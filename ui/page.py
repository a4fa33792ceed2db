"""The page: a header and three tabs. Layout only; each tab wires itself."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from ui import (
    chat_script,
    chat_tab,
    documents_tab,
    engines_panel,
    finetune_tab,
    finetune_talk,
    models_panel,
    share_panel,
)
from ui.chat_settings import drawer_head
from ui.chat_view import engine_pill
from ui.every_second import EverySecond
from ui.feedback import LANGUAGE_COOKIE, html_block, label, tell_progress_to
from ui.i18n import DEFAULT_LANGUAGE, LANGUAGES
from ui.page_header import SWITCH_LANGUAGE, brand, language_switch
from ui.workshop import Workshop


def build_ui(workshop: Workshop) -> gr.Blocks:
    """The whole page."""
    with gr.Blocks(title="Taller", analytics_enabled=False, fill_width=True) as page:
        every_second = EverySecond()
        with gr.Row(elem_id="header"):
            html_block(brand(), elem_id="brand", scale=1)
            pill = html_block(engine_pill(DEFAULT_LANGUAGE, None, True), elem_id="engine")
            share = share_panel.pill()
            html_block(language_switch(), elem_id="language", js_on_load=SWITCH_LANGUAGE)
            drawers = html_block("<span></span>", elem_id="drawers", js_on_load=chat_script.PAGE)
        # Outside the tabs, so that the header opens it from each of them.
        with gr.Column(elem_id="models-panel", elem_classes="drawer"):
            html_block(drawer_head("chat.models"))
            engine_note = html_block(elem_id="engine-note")
            models_panel.build(workshop, every_second)
            engines_panel.build(workshop, every_second)
        share_panel.build(workshop, every_second, share)
        with gr.Tabs(selected="chat", elem_id="tabs") as tabs:
            with gr.Tab(label("tabs.documents"), id="documents", elem_id="tab-documents"):
                documents_tab.build(workshop, every_second)
            with gr.Tab(label("tabs.chat"), id="chat", elem_id="tab-chat"):
                door = chat_tab.build(workshop, page, every_second, pill, engine_note)
            with gr.Tab(label("tabs.finetune"), id="finetune", elem_id="tab-finetune") as finetune:
                talk = finetune_tab.build(workshop, every_second, page, finetune)
        finetune_talk.wire(workshop, talk, door, tabs)
        every_second.wire()
    tell_progress_to(drawers, page)
    return page


def head() -> str:
    """The script that runs before gradio's: gradio takes its language from the browser, so the switch in the header
    answers for the browser."""
    supported = ", ".join(f"'{language}'" for language in LANGUAGES)
    return f"""<script>
(() => {{
  const chosen = document.cookie.match(/(?:^|; ){LANGUAGE_COOKIE}=([a-z]+)/)?.[1];
  const wanted = [chosen, ...navigator.languages].filter(Boolean).map((name) => name.slice(0, 2));
  const language = wanted.find((name) => [{supported}].includes(name)) || '{DEFAULT_LANGUAGE}';
  Object.defineProperty(navigator, 'language', {{get: () => language}});
  Object.defineProperty(navigator, 'languages', {{get: () => [language]}});
  document.documentElement.lang = language;
  // Of a page that is seen, gradio takes an answer's differences one timer later than of one that is not: leaving it
  // in the middle of an answer would mix up their order.
  Object.defineProperty(document, 'visibilityState', {{get: () => 'visible'}});
  // A file dropped beside a drop zone would replace the page.
  for (const name of ['dragover', 'drop']) window.addEventListener(name, (event) => event.preventDefault());
}})();
</script>
<meta name="viewport" content="width=device-width, initial-scale=1">"""


def theme() -> gr.themes.Base:
    """Soft, indigo on slate, with the system's own fonts: nothing is fetched."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
    return gr.themes.Soft(primary_hue="indigo", secondary_hue="indigo", neutral_hue="slate", font=fonts,
                          font_mono=["ui-monospace", "Consolas", "monospace"])


def style() -> str:
    return (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
