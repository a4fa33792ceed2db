"""`python app.py serve`: puts the page together, opens it, and ends everything with it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from core.chat.conversations import Conversations
from core.documents.background import BackgroundIndexing
from core.documents.collection import Collection
from core.documents.preview import Previewer
from core.errors import AppError
from core.finetune.preflight import default_model
from core.finetune.runs import Runs
from core.settings import Settings
from ui.access import USER, AccessPolicy, Login, RequestGuard, generate_password, required_login
from ui.first_script import FirstScript
from ui.i18n import translate
from ui.server import announce_page, free_port, running_page

# A drop may carry several files at once.
_FILES_PER_UPLOAD = 8
_OLD_UPLOAD_SECONDS = 24 * 3600


@dataclass(frozen=True)
class ServeOptions:
    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    password: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    open_browser: bool = True


def serve(settings: Settings, language: str, options: ServeOptions) -> int:
    """Serve the page until Ctrl+C or SIGTERM. A second start on the same data folder opens the running page.

    Raises AppError `no_free_port`, `store_held` or who holds it, and what opening the store raises.
    """
    running = running_page(settings.data_dir)
    if running is not None:
        print(translate(language, "terminal.already_running", url=running))
        if options.open_browser:
            webbrowser.open(running)
        return 0
    signal.signal(signal.SIGTERM, _leave)
    with contextlib.ExitStack() as stack:
        collection = stack.enter_context(Collection(settings))
        collection.library  # noqa: B018 - refuses here when another process writes to this folder
        _prepare_environment(settings)
        _serve(settings, language, options, collection, stack)
    return 0


def _serve(settings: Settings, language: str, options: ServeOptions, collection: Collection,
           stack: contextlib.ExitStack) -> None:
    from ui.feedback import page_texts
    from ui.page import build_ui, head, style, theme
    from ui.workshop import Engines, Workshop

    background = BackgroundIndexing(collection)
    conversations = Conversations(settings.data_dir / "conversations.sqlite3")
    stack.callback(conversations.close)
    workshop = Workshop(settings, collection, background, Previewer(settings, collection.store),
                        Engines(settings), Runs(settings), default_model(settings), conversations)
    stack.callback(workshop.previewer.close)
    stack.callback(workshop.engines.close)
    port = free_port(options.host, options.port)
    if port != options.port:
        print(translate(language, "terminal.port_busy", wanted=options.port, port=port))
    policy = AccessPolicy(options.host, data_dir=settings.data_dir, allowed_hosts=options.allowed_hosts,
                          max_body_bytes=_FILES_PER_UPLOAD * settings.max_file_bytes)
    page = build_ui(workshop)
    _, _, share_url = page.launch(
        server_name=options.host, server_port=port, share=options.share, quiet=True, prevent_thread_lock=True,
        show_error=False, ssr_mode=False, footer_links=[], run_history=False, i18n=page_texts(), theme=theme(),
        css=style(), favicon_path=str(Path(__file__).parent / "favicon.svg"),
        app_kwargs=_app_arguments(policy, head()), **_login(language, options),
    )
    stack.callback(page.close)
    if share_url:
        policy.allow(share_url)
        # Otherwise gradio's page would load its scripts from another host.
        page.share = False
    _announce(settings, language, options, port, share_url)
    collection.note_address(_local_url(options.host, port))
    background.start()
    stack.callback(background.close)
    threading.Thread(target=_first_steps, args=(workshop,), daemon=True).start()
    if options.open_browser:
        webbrowser.open(_local_url(options.host, port))
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _app_arguments(policy: AccessPolicy, first_html: str) -> dict[str, Any]:
    from starlette.middleware import Middleware

    return {"middleware": [Middleware(RequestGuard, policy=policy), Middleware(FirstScript, html=first_html)],
            "docs_url": None, "redoc_url": None, "openapi_url": None}


def _login(language: str, options: ServeOptions) -> dict[str, Any]:
    """No page without a password where others can reach it; the made-up one is printed once, here."""
    if options.password is None and not required_login(options.host, options.share):
        return {}
    password = options.password or generate_password()
    if options.password is None:
        print(translate(language, "terminal.password", name=USER, password=password))
    return {"auth": Login({USER: password}).check}


def _first_steps(workshop: Any) -> None:
    """The guide for an empty library, then the folder as it is now."""
    try:
        workshop.collection.library.add_guide()
    except (AppError, OSError):
        logging.getLogger(__name__).warning("The guide could not be added", exc_info=True)
    finally:
        workshop.background.sync_folder()


def _announce(settings: Settings, language: str, options: ServeOptions, port: int, share_url: str | None) -> None:
    url = _local_url(options.host, port)
    announce_page(settings.data_dir, url)
    print(translate(language, "terminal.serving", url=url))
    if share_url:
        print(translate(language, "terminal.shared", url=share_url))
    elif options.share:
        print(translate(language, "terminal.not_shared"))
    print(translate(language, "terminal.stop_hint"), flush=True)


def _local_url(host: str, port: int) -> str:
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host  # noqa: S104 - only compared
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _prepare_environment(settings: Settings) -> None:
    """What gradio and its libraries read at import: no telemetry, uploads in our own private folder."""
    logging.basicConfig(level=logging.WARNING)
    uploads = settings.data_dir.resolve() / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    if sys.platform != "win32":
        uploads.chmod(0o700)
    _forget_old_uploads(uploads)
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(uploads),
                      HF_HUB_DISABLE_TELEMETRY="1")


def _forget_old_uploads(uploads: Path) -> None:
    """Uploads are copied into the library at once; what is left of earlier days serves nobody."""
    for path in uploads.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_mtime > _OLD_UPLOAD_SECONDS:
                path.unlink()


def _leave(signal_number: int, frame: FrameType | None) -> None:
    """SIGTERM leaves like Ctrl+C, so that everything started is ended."""
    raise KeyboardInterrupt
