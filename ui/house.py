"""The page as a server: both pages behind their door, on this machine's address, and on the guests' while shared.

    request → RequestGuard (Host, Origin, size) → FirstScript → Door (who, what) → owner's page, or guests' page

Knows no component of either page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.settings import Settings
from ui.access import AccessPolicy, RequestGuard, host_name, near_address
from ui.door import GUEST_PATH, Door
from ui.first_script import FirstScript
from ui.guest_requests import GuestRequests
from ui.guest_windows import GuestWindows
from ui.listening import MOST_CONNECTIONS, Listener, Listening
from ui.sharing import Sharing
from ui.tunnel import gradio_command
from ui.visitors import Visitors

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from ui.workshop import Workshop

_FILES_PER_UPLOAD = 8  # a drop may carry several files at once


class House:
    """Who may come in and how they share it; `opened` makes the pages and listens. With an empty `owner_password`
    whoever reaches `host` is the owner, so it must be an address of this machine alone."""

    def __init__(self, settings: Settings, host: str, allowed_hosts: Iterable[str], owner_password: str) -> None:
        most = _FILES_PER_UPLOAD * settings.max_file_bytes
        allowed = tuple(allowed_hosts)
        self._host, self._trusting, self._proxy = host, not owner_password, next(iter(allowed), "")
        self._policy = AccessPolicy(host, data_dir=settings.data_dir, allowed_hosts=allowed, max_body_bytes=most)
        # Bound to no name: only what the tunnel is called is let in.
        self._guests_policy = AccessPolicy("", data_dir=settings.data_dir, max_body_bytes=most)
        self._visitors = Visitors()
        self._listening = Listening()
        self._app: FastAPI | None = None
        self._requests: GuestRequests | None = None
        self._port = 0
        self._workshop: Workshop | None = None
        self._known: tuple[int, dict[str, str]] = (-1, {})  # contents, as of a version
        self.sharing = Sharing(settings.data_dir, self._visitors, listen=self._listen_to_guests,
                               admit=self._guests_policy.allow, command=gradio_command(settings.data_dir),
                               near=self._near_url, contents=self._contents, owner_password=owner_password)

    @contextlib.contextmanager
    def opened(self, workshop: Workshop, port: int) -> Iterator[None]:
        """The page, served on `port`."""
        self._workshop = workshop
        self._app, windows = pages(workshop)
        self._requests, self._port = GuestRequests(windows), port
        with self._listening:
            listener = self._listening.listen(self._guarded(self._policy, self._trusting), self._host, port,
                                              lifespan=True, most=None if self._trusting else MOST_CONNECTIONS)
            try:
                yield
            finally:
                listener.close()

    def _contents(self) -> dict[str, str]:
        """Each document's content, by its name; read again when something about documents changed."""
        if self._workshop is None:
            return {}
        version = self._workshop.background.version
        if self._known[0] != version:
            documents = self._workshop.collection.store.documents()
            self._known = version, {document.source: document.file_sha256 for document in documents}
        return self._known[1]

    def _near_url(self) -> str:
        """The page's address for others without a tunnel: behind the user's proxy, or on the local network; empty
        where it is this machine's alone."""
        if self._trusting:
            return ""
        if self._proxy:
            return f"https://{host_name(self._proxy)}"
        name = near_address(self._host)
        return (f"http://[{name}]:{self._port}" if ":" in name else f"http://{name}:{self._port}") if name else ""

    def _listen_to_guests(self) -> Listener:
        def https() -> bool:
            return self.sharing.status.url.startswith("https:")
        return self._listening.listen(self._guarded(self._guests_policy, False, https), "127.0.0.1", 0, lifespan=False,
                                      most=MOST_CONNECTIONS)

    def _guarded(self, policy: AccessPolicy, trusting: bool, https: Callable[[], bool] = bool) -> ASGIApp:
        from ui.page import head

        assert self._app is not None and self._requests is not None
        door = Door(self._app, self._visitors, self.sharing.enter, self._requests, trusting=trusting, https=https)
        return RequestGuard(FirstScript(door, head()), policy)


def pages(workshop: Workshop) -> tuple[FastAPI, GuestWindows]:
    """The owner's page at `/`, the guests' at `/guest/`, and the windows of the latter."""
    import gradio as gr
    from fastapi import FastAPI

    from ui.guest_page import build_guest_page
    from ui.page import build_ui

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # The guests' first: the other takes every path.
    guests = build_guest_page(workshop)
    for page, path in ((guests, GUEST_PATH), (build_ui(workshop), "/")):
        app = gr.mount_gradio_app(app, page, path, **_looks(path))
    return app, GuestWindows(guests)


def _looks(path: str) -> dict[str, Any]:
    """How gradio shows a page, and what of its own it leaves out."""
    from ui.feedback import page_texts
    from ui.page import style, theme

    icon = {"favicon_path": str(Path(__file__).parent / "favicon.svg")} if path == "/" else {}
    return {"show_error": False, "ssr_mode": False, "footer_links": [], "run_history": False, "i18n": page_texts(),
            "theme": theme(), "css": style(), **icon,
            "app_kwargs": {"docs_url": None, "redoc_url": None, "openapi_url": None}}
