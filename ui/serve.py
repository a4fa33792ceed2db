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
from ui.access import generate_password, is_loopback
from ui.house import House
from ui.i18n import explain, translate
from ui.server import announce_page, free_port, running_page
from ui.sharing import DEFAULT_MINUTES, OWNER
from ui.visitors import GUEST_OWNER

_OLD_UPLOAD_SECONDS = 24 * 3600
_DELETED_SECONDS = 7 * 24 * 3600.0  # a deleted conversation can be brought back from a copy of the file for a week


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
    from ui.workshop import Engines, Workshop

    conversations = Conversations(settings.data_dir / "conversations.sqlite3")
    stack.callback(conversations.close)
    conversations.delete_owned(GUEST_OWNER)  # of earlier shares: their guests cannot come back to them
    conversations.empty_deleted(_DELETED_SECONDS)
    port = free_port(options.host, options.port)
    if port != options.port:
        print(translate(language, "terminal.port_busy", wanted=options.port, port=port))
    house = House(settings, options.host, options.allowed_hosts, _owner_password(language, options))
    background = BackgroundIndexing(collection)
    workshop = Workshop(settings, collection, background, Previewer(settings, collection.store), Engines(settings),
                        Runs(settings), default_model(settings), conversations, house.sharing)
    stack.callback(workshop.previewer.close)
    stack.callback(workshop.engines.close)
    stack.enter_context(house.opened(workshop, port))
    stack.callback(house.sharing.close)
    url = _local_url(options.host, port)
    announce_page(settings.data_dir, url)
    print(translate(language, "terminal.serving", url=url))
    print(translate(language, "terminal.stop_hint"), flush=True)
    collection.note_address(url)
    background.start()
    stack.callback(background.close)
    threading.Thread(target=_first_steps, args=(workshop,), daemon=True).start()
    if options.open_browser:
        webbrowser.open(url)
    if options.share:
        _share(language, house)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _owner_password(language: str, options: ServeOptions) -> str:
    """No page without a password where others can reach it; the made-up one is printed once, here."""
    if options.password or (is_loopback(options.host) and not options.allowed_hosts):
        return options.password or ""
    password = generate_password()
    print(translate(language, "terminal.password", name=OWNER, password=password))
    return password


def _share(language: str, house: House) -> None:
    """Share from the start; without a link the page goes on on this machine."""
    try:
        house.sharing.start_now(DEFAULT_MINUTES)
    except AppError as error:
        print(explain(language, error), flush=True)
        return
    status = house.sharing.status
    print(translate(language, "terminal.shared", url=status.url, minutes=DEFAULT_MINUTES))
    print(translate(language, "terminal.guest", name=translate(language, "share.guest_name"),
                    password=status.password), flush=True)


def _first_steps(workshop: Any) -> None:
    """The guide for an empty library, then the folder as it is now."""
    try:
        workshop.collection.library.add_guide()
    except (AppError, OSError):
        logging.getLogger(__name__).warning("The guide could not be added", exc_info=True)
    finally:
        workshop.background.sync_folder()


def _local_url(host: str, port: int) -> str:
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host  # noqa: S104 - only compared
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _prepare_environment(settings: Settings) -> None:
    """What gradio and its libraries read at import: no telemetry, uploads in our own private folder, no statistics of
    handlers, which gradio would sum up anew after each of them."""
    logging.basicConfig(level=logging.WARNING)
    uploads = settings.data_dir.resolve() / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    if sys.platform != "win32":
        uploads.chmod(0o700)
    _forget_old_uploads(uploads)
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(uploads),
                      GRADIO_ANALYTICS_CACHE_FREQUENCY=str(10**9), HF_HUB_DISABLE_TELEMETRY="1")


def _forget_old_uploads(uploads: Path) -> None:
    """Uploads are copied into the library at once; what is left of earlier days serves nobody."""
    for path in uploads.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_mtime > _OLD_UPLOAD_SECONDS:
                path.unlink()


def _leave(signal_number: int, frame: FrameType | None) -> None:
    """SIGTERM leaves like Ctrl+C, so that everything started is ended."""
    raise KeyboardInterrupt
