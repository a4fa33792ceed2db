"""What the page works with, put together once in `serve` and handed to every tab."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from core.chat.conversations import Conversations
from core.chat.queue import Queues
from core.documents.background import BackgroundIndexing
from core.documents.collection import Collection
from core.documents.preview import Previewer
from core.engines.choice import Choice, EngineChooser
from core.engines.download import Downloads
from core.engines.pulls import Pulls
from core.finetune.runs import Runs
from core.settings import Settings
from ui.sharing import Sharing

_LOOK_AGAIN_SECONDS = 10.0


class Engines:
    """The engine chosen last, and its models, looked at again every ten seconds while a page is open.

    All pages share it: one look serves them all. Lives in the page's event loop.
    """

    def __init__(self, settings: Settings) -> None:
        self.chooser = EngineChooser(settings)
        self.pulls = Pulls(lambda: self.chooser.ollama.installed, self.look_anew)
        self.downloads = Downloads(settings, self.look_anew)
        self.choice: Choice | None = None
        self._anew = True
        self._looked = 0.0
        self._looking = asyncio.Lock()

    async def look(self) -> None:
        """Choose again when the last choice is old; returns at once while another page is looking."""
        fresh = not self._anew and time.monotonic() - self._looked < _LOOK_AGAIN_SECONDS
        if self._looking.locked() or fresh:
            return
        async with self._looking:
            await self._look()

    def look_anew(self) -> None:
        """A model came or went: the last choice is old, whenever it was made."""
        self._anew = True

    async def current(self) -> Choice:
        """The choice to answer with now."""
        async with self._looking:
            if self.choice is None or self._anew:
                return await self._look()
            return self.choice

    def close(self) -> None:
        """End the downloads, and what was started to answer."""
        self.pulls.close()
        self.downloads.close()
        self.chooser.close()

    async def _look(self) -> Choice:
        self._anew = False
        choice = self.choice = await self.chooser.choose()
        self._looked = time.monotonic()
        return choice


@dataclass(frozen=True)
class Workshop:
    settings: Settings
    collection: Collection
    background: BackgroundIndexing
    previewer: Previewer
    engines: Engines
    runs: Runs
    default_base_model: str
    conversations: Conversations
    sharing: Sharing
    queues: Queues = field(default_factory=Queues)

    @property
    def warm(self) -> bool:
        """Whether search answers at once."""
        return self.background.warm.is_set() and self.collection.embedder.ready.is_set()
