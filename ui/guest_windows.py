"""What gradio keeps for the windows of the guests' page: whether that is too much, and an end of it.

By itself gradio queues events without a limit, keeps their answers until they are read, and keeps ten thousand
windows with all that they show. Knows nothing of who has a window.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradio import Blocks

MOST_UNDER_WAY = 8  # events of one guest; a window of their page has two or three at once
MOST_UNREAD = 200  # messages; an answer makes ten in a second, which a browser reads as they come


class GuestWindows:
    """The windows of `page`, by the names their browsers gave them. For the event loop that serves it."""

    def __init__(self, page: Blocks) -> None:
        self._page = page

    def are_busy(self, windows: Iterable[str]) -> bool:
        """Whether these have so much under way, or unread, that nothing more is taken."""
        queue, under_way, unread = self._page._queue, 0, 0
        for window in windows:
            known = queue.pending_event_ids_session.get(window, set())
            under_way += len(known & queue.event_ids_to_events.keys())
            if window in queue.pending_messages_per_session:
                unread += queue.pending_messages_per_session[window].qsize()
        return under_way >= MOST_UNDER_WAY or unread >= MOST_UNREAD

    async def forget(self, window: str) -> None:
        """End what is under way in a window, and keep nothing of it."""
        queue, states = self._page._queue, self._page.state_holder
        await queue.clean_events(session_hash=window)
        for kept in (queue.pending_event_ids_session, queue.pending_messages_per_session, states.session_data,
                     states.time_last_used):
            kept.pop(window, None)
