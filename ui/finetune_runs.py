"""The run a window shows and the list of all: followed, stopped, resumed, renamed, deleted, compared, handed out.

The runs' folders are the state: a reload, a second window or a restart of the app shows the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError
from core.finetune.comparing import compare
from core.finetune.exporting import export_zip
from core.finetune.run import Run
from ui.feedback import Notice, error_notice, language_of, notices_html
from ui.finetune_curve import curves
from ui.finetune_result_view import differences, result
from ui.finetune_runs_view import runs_table
from ui.finetune_start import Shown, StartEvents
from ui.finetune_view import empty, run_card
from ui.i18n import translate
from ui.model_card import model_card
from ui.workshop import Workshop

PARTS = ("card", "curve", "result", "log", "runs", "stop", "resume", "talk", "panel")
_EXPORTS_KEPT_SECONDS = 3600.0


@dataclass(frozen=True)
class Seen:
    """What a page shows: `key` of everything, and each part's value, so that what stayed the same is not sent."""

    key: tuple[Any, ...] = ()
    parts: dict[str, Any] = field(default_factory=dict)


class RunEvents:
    """Handlers that change something give notices and what the window shows; `refresh` draws it."""

    def __init__(self, workshop: Workshop, starting: StartEvents) -> None:
        self.embedded = workshop.engines.chooser.embedded
        self._workshop = workshop
        self._runs = workshop.runs
        self._starting = starting

    async def refresh(self, seen: Seen, shown: Shown, request: gr.Request) -> list[Any]:
        """Seen, and the parts that changed, in the order of PARTS."""
        return await asyncio.to_thread(self._refresh, seen, shown, language_of(request))

    def _refresh(self, seen: Seen, shown: Shown, language: str) -> list[Any]:
        runs = self._runs.list()
        run = self._shown(runs, shown)
        key = (language, shown, _mark(run, log=True), tuple(_mark(one) for one in runs))
        if key == seen.key:
            return [gr.skip()] * (1 + len(PARTS))
        other = next((one for one in runs if one.name == shown.against and one is not run), None)
        parts = self._draw(language, runs, run, other, shown)
        updates = [gr.skip() if seen.parts.get(name) == parts[name] else _update(name, parts[name]) for name in PARTS]
        return [Seen(key, parts), *updates]

    def _draw(self, language: str, runs: list[Run], run: Run | None, other: Run | None, shown: Shown) -> dict[str, Any]:
        listed = runs_table(language, runs, run.name if run else "", other.name if other else "", shown.undo)
        if run is None:
            return {"card": empty(language), "curve": "", "result": "", "log": "", "runs": listed, "stop": False,
                    "resume": False, "talk": False, "panel": False}
        told = differences(language, compare(run, other)) if other else result(language, run)
        ready = run.adapter is not None and not run.alive
        return {"card": run_card(language, run), "curve": curves(language, run, other), "result": told,
                "log": escape(run.log_tail), "runs": listed, "stop": run.alive and not run.stop_asked,
                "resume": run.resumable, "talk": ready, "panel": ready}

    def shown_run(self, shown: Shown) -> Run | None:
        return self._shown(self._runs.list(), shown)

    def _shown(self, runs: list[Run], shown: Shown) -> Run | None:
        """The one picked, else the one that goes, else the newest."""
        picked = next((run for run in runs if run.name == shown.run), None)
        return picked or next((run for run in runs if run.alive), None) or next(iter(runs), None)

    # The run that is shown.

    async def stop(self, shown: Shown, request: gr.Request) -> list[Any]:
        return await self._told(request, shown, self._stop)

    def _stop(self, language: str, shown: Shown) -> tuple[Notice, Shown]:
        run = self.shown_run(shown)
        if run is not None and run.alive:
            self._runs.stop(run.name)
        return Notice(translate(language, "finetune.stopping")), shown

    async def resume(self, shown: Shown, request: gr.Request) -> list[Any]:
        """Go on with the run that is shown."""
        await self._starting.free_memory()
        return await self._told(request, shown, self._resume)

    def _resume(self, language: str, shown: Shown) -> tuple[Notice, Shown]:
        run = self.shown_run(shown)
        if run is None:
            return Notice(""), shown
        resumed = self._runs.resume(run.name)
        return Notice(translate(language, "finetune.resumed", name=resumed.shown_name), "done"), replace(
            shown, run=resumed.name)

    # The list.

    async def act(self, event: gr.EventData, shown: Shown, request: gr.Request) -> list[Any]:
        """A button of the list or of a comparison: notices, what is shown, a file to download or nothing."""
        data = event._data or {}
        act, name, value = (str(data.get(key) or "") for key in ("act", "name", "value"))
        if act == "zip":
            return await self._zip(language_of(request), name, shown)
        step = {"show": self._show, "compare": self._compare, "uncompare": self._uncompare, "rename": self._rename,
                "delete": self._delete, "undo": self._undo}.get(act)
        if step is None:
            return [gr.skip(), gr.skip(), gr.skip()]
        return [*await self._told(request, shown, step, name, value), gr.skip()]

    def _show(self, language: str, shown: Shown, name: str, value: str) -> tuple[Notice, Shown]:
        against = "" if name == shown.against else shown.against
        return Notice(""), replace(shown, run=self._runs.get(name).name, against=against, undo="")

    def _compare(self, language: str, shown: Shown, name: str, value: str) -> tuple[Notice, Shown]:
        run = self.shown_run(shown)
        return Notice(""), replace(shown, run=run.name if run else "", against=self._runs.get(name).name, undo="")

    def _uncompare(self, language: str, shown: Shown, name: str, value: str) -> tuple[Notice, Shown]:
        return Notice(""), replace(shown, against="")

    def _rename(self, language: str, shown: Shown, name: str, value: str) -> tuple[Notice, Shown]:
        self._runs.rename(name, value)
        return Notice(""), shown

    def _delete(self, language: str, shown: Shown, name: str, value: str) -> tuple[Notice, Shown]:
        trashed = self._runs.delete(name)
        self._workshop.engines.look_anew()
        return Notice(""), replace(shown, run="" if shown.run == name else shown.run, undo=trashed,
                                   against="" if shown.against == name else shown.against)

    def _undo(self, language: str, shown: Shown, name: str, value: str) -> tuple[Notice, Shown]:
        run = self._runs.restore(name)
        self._workshop.engines.look_anew()
        return Notice(translate(language, "finetune.restored", name=run.shown_name), "done"), replace(
            shown, run=run.name, undo="")

    async def _zip(self, language: str, name: str, shown: Shown) -> list[Any]:
        try:
            run = await asyncio.to_thread(self._runs.get, name)
            path = await asyncio.to_thread(self._export, language, run)
        except AppError as error:
            return [notices_html(error_notice(language, error)), gr.skip(), gr.skip()]
        link = (f'<a hidden href="gradio_api/file={escape(path.as_posix(), quote=True)}" '
                f'download="{escape(path.name, quote=True)}" data-at="{time.time()}"></a>')
        return [notices_html(Notice(translate(language, "finetune.zip_ready", name=path.name), "done")), shown, link]

    def _export(self, language: str, run: Run) -> Path:
        """A zip where gradio serves files from; those of earlier hours are removed."""
        folder = self._workshop.settings.data_dir.resolve() / "uploads" / "exports"
        for old in folder.glob("*/*.zip"):
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > _EXPORTS_KEPT_SECONDS:
                    old.unlink()
        return export_zip(run, folder / uuid.uuid4().hex / f"{run.name}.zip", model_card(language, run))

    async def _told(self, request: gr.Request, shown: Shown, step: Any, *values: str) -> list[Any]:
        language = language_of(request)
        try:
            notice, shown = await asyncio.to_thread(step, language, shown, *values)
        except AppError as error:
            notice = error_notice(language, error)
        return [notices_html(notice) if notice.text else "", replace(shown, at=shown.at + 1)]


def _mark(run: Run | None, *, log: bool = False) -> tuple[Any, ...]:
    """What of a run can change."""
    if run is None:
        return ()
    size = 0
    if log:
        with contextlib.suppress(OSError):
            size = (run.folder / "log.txt").stat().st_size
    return (run.name, run.title, run.state, len(run.steps), run.steps[-1].get("step") if run.steps else 0,
            len(run.evals), run.stop_asked, bool(run.result), size)


def _update(name: str, value: Any) -> Any:
    if name in ("stop", "resume", "talk", "panel"):
        return gr.update(visible=value)
    return gr.update(value=value, visible=bool(value)) if name == "log" else value
