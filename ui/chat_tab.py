"""The Chat tab: conversations at the left, the open one in the middle, where its answers come from at the right.
Layout first, then what each part does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from core.chat.events import AnswerOptions
from ui import chat_script
from ui.chat_answering import Answering, Parts
from ui.chat_evidence import Evidence
from ui.chat_list import ConversationList
from ui.chat_markdown import LATEX_DELIMITERS
from ui.chat_session import Session
from ui.chat_settings import ChatSettings, SettingsParts, build_drawer, drawer_head, model_picker
from ui.chat_switching import Switching
from ui.every_second import EverySecond
from ui.feedback import EACH, QUIET, both, html_block, label, language_of
from ui.i18n import LANGUAGES, translate
from ui.workshop import Workshop

EXAMPLES = 3


@dataclass(frozen=True)
class Door:
    """How another tab opens a conversation here: `Switching.talk_to` takes `inputs` after the model and gives what
    `shown` shows; what is `running` must be cancelled for it."""

    switching: Switching
    inputs: list[Any]
    shown: list[Any]
    running: list[Any]


def build(workshop: Workshop, page: gr.Blocks, every_second: EverySecond, pill: gr.HTML, engine_note: gr.HTML) -> Door:
    """Lay out the tab and wire it; `pill` is the header's line about the engine, `engine_note` what is to say of it."""
    session = gr.State(Session(options=AnswerOptions(top_k=workshop.settings.top_k)))
    with gr.Row(elem_id="chat"):
        new, find, listed = conversations_column()
        with gr.Column(scale=3, min_width=300, elem_id="conversation"):
            with gr.Row(elem_id="chat-bar"):
                html_block(icon_button("list", "chat.conversations", "☰"), min_width=36, elem_classes="icon")
                model = model_picker()
                meter = html_block(elem_id="context-meter")
                html_block(icon_button("evidence", "chat.sources", "❝"), min_width=36, elem_classes="icon narrow-only")
                settings_button = gr.Button("⚙", size="sm", min_width=36, scale=0, elem_id="open-settings")
            bar = html_block(elem_id="chat-memory", js_on_load=chat_script.REMEMBER)
            earlier = gr.Button(label("chat.earlier"), size="sm", visible=False, elem_id="earlier")
            chatbot = gr.Chatbot(label=label("chat.conversation"), show_label=False, elem_id="messages", height=420,
                                 buttons=["copy"], layout="bubble", editable="user", group_consecutive_messages=False,
                                 latex_delimiters=LATEX_DELIMITERS, placeholder=welcome_text())
            with gr.Row(elem_id="welcome", elem_classes="examples") as welcome:
                examples = [gr.Button(label(f"chat.example_{number}"), size="sm", elem_id=f"example-{number}")
                            for number in range(1, EXAMPLES + 1)]
            box = gr.MultimodalTextbox(label=label("chat.question"), placeholder=label("chat.placeholder"),
                                       show_label=False, file_count="multiple", sources=["upload"],
                                       max_plain_text_length=20_000, elem_id="question", autofocus=True)
            html_block(words_for_script(), js_on_load=chat_script.CONVERSATION, elem_classes="unseen")
            spoken = html_block(elem_id="spoken", elem_classes="unseen", js_on_load=chat_script.FINISHED,
                                html_template='<div role="status">${value}</div>')
        with gr.Column(scale=2, min_width=280, elem_id="evidence"):
            html_block(drawer_head("chat.sources"), elem_classes="narrow-only")
            hint = html_block(elem_id="engine-hint")
            sources = html_block(f'<div class="empty">{both("chat.sources_empty")}</div>', elem_id="sources",
                                 js_on_load=chat_script.EVIDENCE)
            view = html_block(elem_id="page-view", js_on_load=chat_script.VIEWER)
    fields = build_drawer(model)
    download = html_block(elem_id="download", js_on_load=chat_script.DOWNLOAD)
    parts = Parts(box, chatbot, sources, view, meter, bar, listed, welcome, earlier, spoken, fields.strict)
    door = _wire(workshop, page, session, parts, fields, find, new, examples, download, settings_button)
    engine = [pill, fields.model, fields.think, engine_note, hint]
    _wire_news(workshop, every_second, door, session, find, parts, engine)
    return door


def conversations_column() -> tuple[gr.Button, gr.Textbox, gr.HTML]:
    """The conversations at the left: a new one, the search, the list."""
    with gr.Column(scale=0, min_width=224, elem_id="conversations"):
        html_block(drawer_head("chat.conversations"), elem_classes="narrow-only")
        new = gr.Button(label("chat.new"), size="md", elem_id="new-conversation")
        find = gr.Textbox(label=label("chat.find"), show_label=False, placeholder=label("chat.find"), max_lines=1,
                          elem_id="find-conversation", container=False)
        listed = html_block(elem_id="conversation-list", js_on_load=chat_script.LIST)
    return new, find, listed


def _wire(workshop: Workshop, page: gr.Blocks, session: gr.State, parts: Parts, fields: SettingsParts,
          find: gr.Textbox, new: gr.Button, examples: list[gr.Button], download: gr.HTML,
          settings_button: gr.Button) -> Door:
    evidence = Evidence(workshop.previewer)
    conversations = ConversationList(workshop.conversations)
    settings = ChatSettings(workshop)
    answering = Answering(workshop, parts, evidence, conversations)
    switching = Switching(workshop, parts, answering, evidence, conversations, fields)
    shown, everything = parts.all(), list(dict.fromkeys([*parts.all(), *fields.all()]))

    # The messages know that an answer is being written: asking anew and editing are off meanwhile.
    writing = {**QUIET, "show_progress_on": parts.chatbot}
    running = [parts.box.submit(answering.ask, [parts.box, session], shown, **writing),
               parts.chatbot.edit(answering.edit, [session], shown, **writing),
               parts.chatbot.retry(answering.retry, [session], shown, **writing),
               parts.chatbot.option_select(answering.choose, [session], shown, **writing)]
    for number, button in enumerate(examples, start=1):
        filled = button.click(_example(number), None, [parts.box], **QUIET)
        running.append(filled.then(answering.ask, [parts.box, session], shown, **writing))
    for run in running:
        run.then(answering.rest, [session, find], shown, **QUIET)
    parts.box.stop(None, None, None, cancels=running, api_visibility="private")

    recalled = gr.Textbox(visible=False)
    page.load(switching.restore, [recalled, session], everything, js=chat_script.RECALL, **QUIET)
    new.click(switching.new, [find, session], everything, cancels=running, **QUIET)
    parts.listed.select(switching.select, [find, session], everything, cancels=running, **EACH)
    parts.listed.click(conversations.act, [find, session], [parts.listed, download], **EACH)
    find.change(conversations.find, [find, session], [parts.listed], trigger_mode="always_last", **QUIET)
    parts.earlier.click(switching.earlier, [session], shown, **QUIET)
    for source in (parts.sources, parts.page):
        source.click(evidence.show, [session], [parts.sources, parts.page], **EACH)
    settings_button.click(settings.documents, [session], [fields.sources], **QUIET)
    chosen = [fields.model, fields.think, fields.sources, fields.strict, fields.top_k, fields.temperature,
              fields.system, session]
    for field in fields.all():
        field.input(settings.choose, chosen, None, trigger_mode="always_last", **QUIET)
    return Door(switching, [find, session], everything, running)


def _wire_news(workshop: Workshop, every_second: EverySecond, door: Door, session: gr.State, find: gr.Textbox,
               parts: Parts, engine: list[Any]) -> None:
    """What comes from elsewhere: `engine` shows which model there is now, `parts` what other windows did."""
    seen, settings = gr.State(""), ChatSettings(workshop)

    async def look(shown: str, query: str, session: Session, request: gr.Request) -> dict[Any, Any]:
        models = await settings.refresh(shown, session, request)
        return {**dict(zip([seen, *engine], models, strict=True)),
                **await door.switching.catch_up(query, session, request)}

    every_second.add(look, [seen, find, session], [seen, *engine, *parts.all()], waits=True)


def _example(number: int) -> Callable[[gr.Request], dict[str, Any]]:
    """A handler that writes example question `number` into the box, in the reader's language."""
    def fill(request: gr.Request) -> dict[str, Any]:
        return {"text": translate(language_of(request), f"chat.example_{number}"), "files": []}
    return fill


def welcome_text() -> str:
    return f'<h3>{both("chat.welcome_title")}</h3><p>{both("chat.welcome_text")}</p>'


def icon_button(drawer: str, key: str, sign: str) -> str:
    return (f'<button type="button" class="icon-button" data-drawer="{drawer}"><span aria-hidden="true">{sign}</span>'
            f'<span class="unseen">{both(key)}</span></button>')


def words_for_script() -> str:
    """What the script of the messages calls things, in both languages; it takes the page's."""
    names = {"log": "chat.conversation", "you": "chat.you", "answer": "chat.answer", "copy": "chat.copy",
             "copied": "chat.copied", "copy-code": "chat.copy_code", "fold": "chat.fold_thoughts",
             "attach": "chat.attach", "send": "chat.send", "stop": "chat.stop"}
    return "".join(
        f'<span hidden data-words="{language}" '
        + " ".join(f'data-{name}="{escape(translate(language, key), quote=True)}"' for name, key in names.items())
        + "></span>" for language in LANGUAGES)
