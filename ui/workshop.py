"""What the page works with, put together once in `serve` and handed to every tab."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from core.documents.background import BackgroundIndexing
from core.documents.collection import Collection
from core.documents.preview import Previewer
from core.engines.choice import Choice, EngineChooser
from core.finetune.runs import Runs
from core.settings import Settings

_LOOK_AGAIN_SECONDS = 10.0


class Engines:
    """The engine chosen last, and its models, looked at again every ten seconds while a page is open.

    All pages share it: one look serves them all. Lives in the page's event loop.
    """

    def __init__(self, settings: Settings) -> None:
        self.chooser = EngineChooser(settings)
        self.choice: Choice | None = None
        self._looked = 0.0
        self._looking = asyncio.Lock()

    async def look(self) -> None:
        """Choose again when the last choice is old; returns at once while another page is looking."""
        if self._looking.locked() or time.monotonic() - self._looked < _LOOK_AGAIN_SECONDS:
            return
        async with self._looking:
            self.choice = await self.chooser.choose()
            self._looked = time.monotonic()

    async def current(self) -> Choice:
        """The choice to answer with now."""
        async with self._looking:
            if self.choice is None:
                self.choice = await self.chooser.choose()
                self._looked = time.monotonic()
            return self.choice


@dataclass(frozen=True)
class Workshop:
    settings: Settings
    collection: Collection
    background: BackgroundIndexing
    previewer: Previewer
    engines: Engines
    runs: Runs
    default_base_model: str
