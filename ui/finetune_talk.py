"""From a finished run to a conversation with it: the Chat tab opens on the base with the run's adapter."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr

from core.engines import config, embedded_models
from core.errors import AppError
from ui.chat_session import Session
from ui.chat_tab import Door
from ui.feedback import QUIET, error_notice, language_of, notices_html
from ui.finetune_start import Shown
from ui.finetune_tab import Talk
from ui.workshop import Workshop


def wire(workshop: Workshop, talk: Talk, door: Door, tabs: gr.Tabs) -> None:
    """Make the button open the chat, or say why that model cannot answer."""
    async def open_chat(shown: Shown, query: str, session: Session, request: gr.Request) -> dict[Any, Any]:
        run = await asyncio.to_thread(talk.events.shown_run, shown)
        if run is None:
            return {talk.notices: ""}
        try:
            user = await asyncio.to_thread(config.load, workshop.settings.data_dir)
            await asyncio.to_thread(embedded_models.by_name, workshop.settings, user, run.name)
        except AppError as error:
            return {talk.notices: notices_html(error_notice(language_of(request), error))}
        workshop.engines.look_anew()
        await workshop.engines.current()
        opened = await door.switching.talk_to(f"embedded|{run.name}", query or "", session, request)
        return {talk.notices: "", tabs: gr.update(selected="chat"), **opened}

    talk.button.click(open_chat, [talk.shown, *door.inputs], [talk.notices, tabs, *door.shown], cancels=door.running,
                      **QUIET)
