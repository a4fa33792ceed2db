"""The dataset a window has chosen: checked, its columns told, its tokens counted. All beside the event loop.

Knows the handlers of the tab's first part, not its layout.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError
from core.finetune.config import TrainConfig
from core.finetune.dataset import ColumnMapping, DatasetReport, check_dataset, stored_examples
from core.finetune.formats import open_source
from core.finetune.inspection import Inspection, inspect
from ui.feedback import error_notice, language_of, notices_html
from ui.finetune_dataset_view import counting, lengths, plain_preview, preview, summary, trouble
from ui.finetune_draft import Draft, Drafts
from ui.terminal_train import sample_dataset
from ui.workshop import Workshop

MAPPED = tuple(each.name for each in fields(ColumnMapping))
_ROWS_LOOKED_AT = 50  # for the columns of a file whose names tell nothing
_PREVIEW_ROWS = 12
_KEPT_SECONDS = 86_400.0
_COUNTED_KEPT = 8


@dataclass(frozen=True)
class Examples:
    """`path` is what a run starts with, `checked` the good rows of it; empty before a file is chosen."""

    path: str = ""
    name: str = ""
    checked: str = ""
    modified: int = 0  # ns: tells the file from a later one of its name
    columns: tuple[str, ...] = ()
    mapping: ColumnMapping | None = None  # as the reader picked it
    report: DatasetReport | None = field(default=None, repr=False)
    inspection: Inspection | None = field(default=None, repr=False)
    error: AppError | None = None  # why its tokens are not counted
    place: int = 0  # of the row shown


class DatasetEvents:
    """Each handler gives the new Examples first, then what the page shows of them."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._folder = workshop.settings.data_dir.resolve() / "checked"
        self.drafts = Drafts(workshop.settings.data_dir.resolve() / "new_run")
        # One child counts at a time, and what it found serves whoever asked for the same.
        self._counting = asyncio.Lock()
        self._counted: dict[tuple[object, ...], Inspection] = {}
        self._looking: dict[str | None, object] = {}  # of each window, the look that came last

    async def take(self, file: str | None, request: gr.Request) -> list[Any]:
        """A dropped file: examples, summary, whether bad rows may be skipped, the columns' box and pickers."""
        language, path = language_of(request), Path(file or "")
        try:
            kept = await asyncio.to_thread(self.drafts.adopt, path)
        except AppError as error:
            return self.clear(notices_html(error_notice(language, error)))
        return await self._take(kept, path.name, language)

    async def take_sample(self, request: gr.Request) -> list[Any]:
        path = sample_dataset(language_of(request))
        return [None, *await self._take(path, path.name, language_of(request))]

    async def take_again(self, draft: Draft, language: str) -> list[Any]:
        """The examples of an earlier run, or those chosen last."""
        return await self._take(Path(draft.path), draft.name, language, draft.mapping, skip_bad=draft.skip_bad)

    def clear(self, told: str = "") -> list[Any]:
        hidden = gr.update(visible=False)
        return [Examples(), told, gr.update(visible=False, value=False), hidden, *[gr.skip()] * len(MAPPED)]

    async def map(self, request: gr.Request, examples: Examples, *columns: str | None) -> list[Any]:
        """Read the file anew by the columns picked, in the order of MAPPED."""
        mapping = ColumnMapping(**{name: column or "" for name, column in zip(MAPPED, columns, strict=True)})
        if not examples.path or not mapping.complete:
            return [gr.skip()] * (4 + len(MAPPED))
        return await self._take(Path(examples.path), examples.name, language_of(request), mapping)

    async def look(self, examples: Examples, model: str | None, max_length: Any, request: gr.Request) -> Any:
        """Count the tokens with the model's tokenizer: examples, lengths, preview. Yields what is known at once.

        Counting takes its time: what was chosen meanwhile is not put back.
        """
        language, window, this = language_of(request), request.session_hash, object()
        if examples.report is None:
            self._looking.pop(window, None)
            yield [replace(examples, inspection=None), "", ""]
            return
        self._looking[window] = this
        yield [gr.skip(), counting(language), gr.skip()]
        limit = _length(max_length)
        try:
            found = await self._count(examples, (model or "").strip(), limit)
            examples = replace(examples, inspection=found, error=None, place=0)
        except AppError as error:
            examples = replace(examples, inspection=None, error=error, place=0)
        if self._looking.get(window) is this:
            del self._looking[window]
            yield [examples, *self._shown(language, examples, limit)]

    async def _count(self, examples: Examples, model: str, limit: int) -> Inspection:
        key = (examples.path, examples.modified, examples.mapping, model)
        async with self._counting:
            if key not in self._counted:
                found = await asyncio.to_thread(self._inspect, examples, model, limit)
                self._counted = dict([*self._counted.items(), (key, found)][-_COUNTED_KEPT:])
            return self._counted[key]

    def relimit(self, examples: Examples, max_length: Any, request: gr.Request) -> str:
        """What another length would cut, from the tokens already counted."""
        return self._shown(language_of(request), examples, _length(max_length))[0]

    def turn(self, event: gr.EventData, examples: Examples, request: gr.Request) -> list[Any]:
        """The row before or after."""
        step = {"previous": -1, "next": 1}.get(str((event._data or {}).get("act")), 0)
        examples = replace(examples, place=examples.place + step)
        return [examples, self._shown(language_of(request), examples, TrainConfig().max_length)[1]]

    async def _take(self, path: Path, name: str, language: str, mapping: ColumnMapping | None = None, *,
                    skip_bad: bool = False) -> list[Any]:
        try:
            examples = await asyncio.to_thread(self._check, path, name, mapping)
        except AppError as error:
            columns = await asyncio.to_thread(columns_of, path)
            unknown = error.code in ("dataset_columns_unknown", "dataset_column_missing", "dataset_no_good_rows")
            failed = Examples(path=str(path) if unknown else "", name=name, columns=columns)
            return [failed, notices_html(error_notice(language, error)), gr.update(visible=False, value=False),
                    gr.update(visible=unknown and bool(columns), open=True), *self._pickers(columns, mapping)]
        report = examples.report
        assert report is not None
        offered = bool(report.columns) and path.name != "dataset.jsonl"
        doubtful = bool(report.unused_columns) and report.bad_rows > 0
        return [examples, summary(language, report, name), gr.update(visible=report.bad_rows > 0, value=skip_bad),
                gr.update(visible=offered, open=doubtful), *self._pickers(report.columns, mapping or report.mapping)]

    def _pickers(self, columns: tuple[str, ...], mapping: ColumnMapping | None) -> list[Any]:
        known = asdict(mapping) if mapping else {}
        choices = [("—", ""), *((column, column) for column in columns)]
        return [gr.update(choices=choices, value=known.get(name, "") if known.get(name, "") in columns else "")
                for name in MAPPED]

    def _check(self, path: Path, name: str, mapping: ColumnMapping | None) -> Examples:
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.glob("*.jsonl"):
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > _KEPT_SECONDS:
                    old.unlink()
        checked = self._folder / f"{uuid.uuid4().hex}.jsonl"
        report = check_dataset(path, mapping=mapping, write_to=checked)
        return Examples(str(path), name, str(checked), path.stat().st_mtime_ns, report.columns, mapping, report)

    def _inspect(self, examples: Examples, model: str, limit: int) -> Inspection:
        checked = Path(examples.checked)
        total = examples.report.examples if examples.report else 0
        places = sorted({number * total // _PREVIEW_ROWS for number in range(_PREVIEW_ROWS)}) if total else []
        lines = list(dict.fromkeys(one.line for one in stored_examples(checked, places)))
        return inspect(model, checked, max_length=limit, preview_lines=lines,
                       log_path=self._workshop.settings.logs_dir / "inspection.log",
                       cache_dir=self._workshop.settings.cache_dir)

    def _shown(self, language: str, examples: Examples, limit: int) -> list[str]:
        """Lengths and preview as far as they are known."""
        found, report = examples.inspection, examples.report
        if report is None:
            return ["", ""]
        told = lengths(language, found, limit) if found else trouble(language, examples.error) if examples.error else ""
        if found and found.preview:
            return [told, preview(language, found.preview, examples.place)]
        return [told, plain_preview(language, report.preview, examples.place)]


def columns_of(path: Path) -> tuple[str, ...]:
    """The names in the first rows of a file whatever is wrong with it; none where it cannot be read."""
    try:
        source = open_source(path)
        if source.columns:
            return tuple(source.columns)
        rows = [row for _, row in islice(source.records(), _ROWS_LOOKED_AT) if isinstance(row, dict)]
    except (AppError, OSError):
        return ()
    return tuple(dict.fromkeys(str(name)[:100] for row in rows for name in row))[:_ROWS_LOOKED_AT]


def _length(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value >= 1 else TrainConfig().max_length
