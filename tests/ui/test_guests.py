"""What guests and strangers can do to the whole page, tried directly over HTTP on the address the tunnel leads to.

Every handler of both pages and every route of both apps is tried by a guest and by nobody.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from starlette.routing import Mount

from core.chat.conversations import Conversations
from core.chat.turns import Turn
from core.documents.background import BackgroundIndexing
from core.documents.collection import Collection
from core.documents.preview import Previewer
from core.finetune.runs import Runs
from core.settings import Settings
from tests.ollama_chat import Behaviour
from tests.ollama_server import OllamaServer
from tests.running_app import free_port, wait_for
from ui import guest_page, house
from ui.chat_view import plain
from ui.guest_requests import WINDOWS
from ui.guest_windows import MOST_UNREAD
from ui.house import House
from ui.i18n import translate
from ui.workshop import Engines, Workshop

FAKE = Path(__file__).resolve().parent.parent / "fake_tunnel.py"
NAME = "abc123.gradio.live"
OPEN_TEXT = "El faro de Almenara se enciende a las 19:40 y lo cuida Teresa Villar."
SECRET_TEXT = "La nómina de Teresa Villar es de 4321 euros y la caja fuerte se abre con 998877."
# What the guests' page asks for by itself, and no more.
GUEST_ROUTES = {("GET", "/"), ("HEAD", "/"), ("GET", "/config"), ("GET", "/theme.css"), ("GET", "/favicon.ico"),
                ("GET", "/manifest.json"), ("GET", "/static/{path:path}"), ("GET", "/assets/{path:path}"),
                ("GET", "/svelte/{path:path}"), ("POST", "/gradio_api/queue/join"), ("POST", "/gradio_api/cancel"),
                ("POST", "/gradio_api/reset"), ("GET", "/gradio_api/queue/data"),
                ("GET", "/gradio_api/heartbeat/{session_hash}")}


@dataclass
class Shared:
    """A page that is shared, and the apps behind its door by their path."""

    workshop: Workshop
    apps: dict[str, Any]
    ollama: OllamaServer
    port: int

    @property
    def url(self) -> str:
        """The tunnel's end on this machine."""
        return f"http://127.0.0.1:{self.workshop.sharing.status.url.rpartition(':')[2]}"

    def handlers(self, path: str) -> dict[int, Any]:
        """A page's handlers that run on the server, by their number."""
        return {number: one for number, one in self.apps[path].get_blocks().fns.items() if one.fn is not None}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.setenv("GRADIO_TEMP_DIR", str(folder / "data" / "uploads"))
    patch.setattr(house, "gradio_command", lambda data: lambda port: [sys.executable, str(FAKE), NAME, str(port)])
    with contextlib.ExitStack() as stack:
        stack.callback(patch.undo)
        ollama = stack.enter_context(OllamaServer(models={"gpt-oss:20b": {"family": "gptoss"}}))
        settings = Settings(docs_dir=folder / "docs", data_dir=folder / "data", runs_dir=folder / "runs",
                            ollama_host=ollama.url)
        settings.docs_dir.mkdir()
        (settings.docs_dir / "faro.txt").write_text(OPEN_TEXT, encoding="utf-8")
        (settings.docs_dir / "nómina.txt").write_text(SECRET_TEXT, encoding="utf-8")
        yield stack.enter_context(running(settings, ollama))


@contextlib.contextmanager
def running(settings: Settings, ollama: OllamaServer) -> Iterator[Shared]:
    """The page, its two documents indexed, one of them forbidden, shared for an hour."""
    with Collection(settings) as collection, contextlib.ExitStack() as stack:
        conversations = Conversations(settings.data_dir / "conversations.sqlite3")
        background, previewer = BackgroundIndexing(collection), Previewer(settings, collection.store)
        one = House(settings, "127.0.0.1", (), "")
        one.sharing._login._pause = 0.01  # nearly every test logs in
        workshop = Workshop(settings, collection, background, previewer, Engines(settings), Runs(settings), "model",
                            conversations, one.sharing)
        background.start()
        for close in (conversations.close, background.close, previewer.close, workshop.engines.close):
            stack.callback(close)
        background.sync_folder()
        assert wait_for(lambda: {"faro.txt", "nómina.txt"} <= {one.source for one in collection.store.documents()
                                                               if one.chunks}, 90)
        port = free_port()
        stack.enter_context(one.opened(workshop, port))
        stack.callback(one.sharing.close)
        one.sharing.allow(["nómina.txt"], False)
        one.sharing.start_now(60)
        app = one._app
        assert app is not None
        mounted = [route for route in app.routes if isinstance(route, Mount)]
        yield Shared(workshop, {route.path or "/": route.app for route in mounted}, ollama, port)


class Guest:
    """A browser of a guest, without a browser: one window of the guests' page."""

    def __init__(self, shared: Shared, host: str = "") -> None:
        self.shared, self.window = shared, uuid.uuid4().hex[:11]
        self.http = httpx.Client(base_url=shared.url, trust_env=False, timeout=60, headers={
            "host": host or shared.workshop.sharing.status.url.removeprefix("http://"), "accept-language": "es"})

    def __enter__(self) -> Guest:
        password = self.shared.workshop.sharing.status.password
        assert self.http.post("/taller/login", data={"name": "invitado", "password": password}).status_code == 303
        return self

    def __exit__(self, *_: object) -> None:
        self.http.post("/taller/logout")
        self.http.close()

    def join(self, number: int, data: list[Any], event: Any = None, path: str = "/guest") -> httpx.Response:
        body = {"fn_index": number, "data": data, "session_hash": self.window, "event_data": event, "trigger_id": None}
        return self.http.post(f"{path}/gradio_api/queue/join", json=body)

    def call(self, name: str, data: list[Any], event: Any = None) -> str:
        """Everything a handler of the guests' page answers, as text."""
        number = next(n for n, one in self.shared.handlers("/guest").items() if one.fn.__name__ == name)
        assert self.join(number, data, event).status_code == 200
        said = []
        with self.http.stream("GET", "/guest/gradio_api/queue/data", params={"session_hash": self.window}) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    said.append(json.dumps(json.loads(line.removeprefix("data: ")), ensure_ascii=False))
                    if '"process_completed"' in said[-1]:
                        break
        return "\n".join(said)

    def ask(self, question: str) -> str:
        return self.call("ask", [{"text": question, "files": []}, None])


@pytest.fixture
def guest(shared: Shared) -> Iterator[Guest]:
    shared.ollama.behaviour = Behaviour()
    with Guest(shared) as one:
        yield one


@pytest.fixture
def nobody(shared: Shared) -> Iterator[Guest]:
    one = Guest(shared)
    yield one
    one.http.close()


def test_every_handler_of_the_owners_page_refuses_a_guest_and_nobody(
        shared: Shared, guest: Guest, nobody: Guest) -> None:
    handlers = shared.handlers("/")
    assert len(handlers) > 60
    for number, one in handlers.items():
        for path, fields in (("/gradio_api/queue/join", {"fn_index": number}),
                             (f"/gradio_api/call/{one.api_name}", {}), (f"/gradio_api/run/{one.api_name}", {}),
                             ("/gradio_api/run/predict", {"fn_index": number})):
            body = {"data": [], "session_hash": guest.window, **fields}
            assert guest.http.post(path, json=body).status_code == 403, (number, path)
            assert nobody.http.post(path, json=body).status_code == 401, (number, path)
    print(f"{len(handlers)} handlers of the owner's page refused to a guest and to nobody, by 4 ways each")


def test_every_handler_of_the_guests_page_is_declared_and_refuses_nobody(shared: Shared, nobody: Guest) -> None:
    handlers = shared.handlers("/guest")
    assert {one.fn.__name__ for one in handlers.values()} == guest_page.HANDLERS
    for number in handlers:
        assert nobody.join(number, []).status_code == 401
    print(f"{len(handlers)} handlers of the guests' page refused to nobody")


def test_every_route_of_both_apps_refuses_whom_it_is_not_for(shared: Shared, guest: Guest, nobody: Guest) -> None:
    tried = 0
    for prefix in ("/", "/guest"):
        for method, route in sorted(routes(shared.apps[prefix].routes)):
            path = prefix.rstrip("/") + filled(route)
            allowed = prefix == "/guest" and (method, route.rstrip("/") or "/") in GUEST_ROUTES
            opened = (method, path) in {("GET", "/"), ("GET", "/favicon.ico"), ("GET", "/guest/")}
            if not allowed and not opened:
                refused = 303 if (method, path) == ("HEAD", "/") else 403
                assert guest.http.request(method, path).status_code == refused, (method, path)
            if not opened:
                assert nobody.http.request(method, path).status_code == 401, (method, path)
            tried += 1
    assert tried > 150
    print(f"{tried} routes tried by a guest and by nobody")


def routes(found: Any) -> Iterator[tuple[str, str]]:
    for one in found:
        inner = getattr(one, "routes", None) or getattr(getattr(one, "original_router", None), "routes", None)
        if inner:
            yield from routes(inner)
        elif getattr(one, "methods", None):
            yield from ((method, one.path) for method in one.methods)


def filled(route: str) -> str:
    """A path of this route, with something in each of its gaps."""
    parts = [part if "{" not in part else "something1" for part in route.split("/")]
    return "/".join(parts)


def test_a_guest_asks_and_reads_the_answer_with_its_sources(guest: Guest) -> None:
    said = guest.ask("¿A qué hora se enciende el faro de Almenara?")
    assert "faro.txt" in said and "19:40" in said and "nómina" not in said
    assert guest.shared.workshop.sharing.asked()[0].question.startswith("¿A qué hora")


def test_a_forbidden_document_is_neither_found_nor_named_nor_sent_to_the_model(guest: Guest) -> None:
    for question in ("¿Cuánto es la nómina de Teresa Villar?", "Resume el documento nómina.txt", "nómina.txt",
                     "¿Con qué número se abre la caja fuerte?"):
        said = guest.ask(question)
        assert "4321 euros" not in said and "998877" not in said, question
    assert "4321 euros" not in json.dumps(guest.shared.ollama.chats, ensure_ascii=False, default=str)


def test_what_is_forbidden_later_is_not_shown_any_more(guest: Guest) -> None:
    question = "¿A qué hora se enciende el faro de Almenara?"
    guest.ask(question)
    kept = guest.shared.workshop.conversations
    mine = next(one.id for one in kept.list("", None, 50) if one.title == question)
    passage = "lo cuida Teresa Villar"
    assert passage in guest.call("act", ["", None], {"act": "json", "id": mine})
    click = {"turn": 0, "number": 1}
    assert "19:40" in guest.call("show", [None], click)
    guest.shared.workshop.sharing.allow(["faro.txt"], False)
    try:
        shown = guest.call("show", [None], click)
        assert "19:40" not in shown and translate("es", "share.not_shared_now") in shown
        for kind in ("markdown", "json"):
            exported = guest.call("act", ["", None], {"act": kind, "id": mine})
            assert question in exported and passage not in exported
    finally:
        guest.shared.workshop.sharing.allow(["faro.txt"], True)


def test_a_guest_sees_neither_the_owners_conversations_nor_another_guests(shared: Shared, guest: Guest) -> None:
    kept = shared.workshop.conversations
    owners = kept.create()
    kept.save_turn(owners, Turn("El secreto del dueño", answer="es Rigoberta", state="done"))
    with Guest(shared) as other:
        other.ask("¿Quién cuida el faro de Almenara?")
        others = next(one.id for one in kept.list("", None, 50) if one.title.startswith("¿Quién cuida"))
        for foreign, words in ((owners, "Rigoberta"), (others, "Villar")):
            assert words not in guest.call("restore", [foreign, None])
            for act in ("open", "delete"):
                assert words not in guest.call("select", ["", None], {"act": act, "id": foreign})
            for act in ("markdown", "json", "rename", "delete", "undo"):
                assert words not in guest.call("act", ["", None], {"act": act, "id": foreign, "value": "mine"})
            assert words not in guest.call("find", ["e", None])
        titles = {one.title for one in kept.list("", None, 50)}
        assert "El secreto del dueño" in titles and "mine" not in titles
        assert "Villar" in other.call("restore", [others, None])


def test_a_guest_asks_one_question_at_a_time_and_no_long_one(shared: Shared, guest: Guest) -> None:
    too_long = guest.ask("¿" + "x" * guest_page.MAX_QUESTION_CHARS + "?")
    assert plain(translate("es", "error.guest_too_long", limit=guest_page.MAX_QUESTION_CHARS,
                           length=guest_page.MAX_QUESTION_CHARS + 2)) in too_long
    shared.ollama.behaviour = Behaviour(tokens_per_second=2.0)
    asking = next(n for n, one in shared.handlers("/guest").items() if one.fn.__name__ == "ask")
    assert guest.join(asking, [{"text": "¿Quién cuida el faro?", "files": []}, None]).status_code == 200
    assert wait_for(lambda: shared.ollama.active_chats == 1, 20)
    second, second.window = Guest(shared), uuid.uuid4().hex[:11]
    second.http.cookies.update(guest.http.cookies)
    assert plain(translate("es", "error.guest_busy")) in second.ask("¿Y cuándo se enciende?")
    second.http.close()


def test_what_gradio_keeps_for_one_guest_is_bounded(shared: Shared, guest: Guest) -> None:
    states = shared.apps["/guest"].get_blocks().state_holder
    finding = next(n for n, one in shared.handlers("/guest").items() if one.fn.__name__ == "find")
    windows = [uuid.uuid4().hex[:11] for _ in range(WINDOWS + 10)]
    for guest.window in windows:
        assert guest.join(finding, ["", None]).status_code == 200
    assert sum(window in states for window in windows) <= WINDOWS
    assert any(guest.join(finding, ["", None]).status_code == 429 for _ in range(MOST_UNREAD))
    for guest.window in windows[-WINDOWS:]:
        with guest.http.stream("GET", "/guest/gradio_api/queue/data",
                               params={"session_hash": guest.window}) as answer:
            assert any('"close_stream"' in line for line in answer.iter_lines())
    assert guest.join(finding, ["", None]).status_code == 200


def test_no_event_of_a_guest_names_a_file_here_or_an_address_to_fetch(shared: Shared, guest: Guest) -> None:
    for path in (str(shared.workshop.settings.docs_dir / "nómina.txt"), "http://example.org/anything"):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for number, one in shared.handlers("/guest").items():
            data = [{"text": "¿Qué dice?", "files": [file]} if one.fn.__name__ == "ask" else file, None]
            assert guest.join(number, data).status_code == 403


def test_an_answer_ends_with_its_guests_session_though_nobody_reads_it(shared: Shared) -> None:
    shared.ollama.behaviour = Behaviour(reply="palabra " * 200, tokens_per_second=2.0)
    assert wait_for(lambda: shared.ollama.active_chats == 0, 5)
    with Guest(shared) as leaving:
        asking = next(n for n, one in shared.handlers("/guest").items() if one.fn.__name__ == "ask")
        assert leaving.join(asking, [{"text": "¿Quién cuida el faro?", "files": []}, None]).status_code == 200
        assert wait_for(lambda: shared.ollama.active_chats == 1, 20)
        shared.workshop.sharing.end_guest(max(shared.workshop.sharing.guests(), key=lambda one: one.since).id)
        assert wait_for(lambda: shared.ollama.active_chats == 0, 5)


ATTACKS: list[tuple[str, str, dict[str, str], int]] = [
    ("dns rebinding", "/", {"host": "evil.example"}, 421),
    ("the machine's own name through the tunnel", "/", {"host": "127.0.0.1:{port}"}, 421),
    ("localhost through the tunnel", "/", {"host": "localhost"}, 421),
    ("no host", "/", {"host": ""}, 421),
    ("another site's page", "/guest/gradio_api/queue/join", {"origin": "https://evil.example"}, 403),
    ("a cross-site post", "/taller/login", {"sec-fetch-site": "cross-site"}, 403),
    ("a stolen file path", "/guest/gradio_api/file=/etc/passwd", {}, 403),
    ("a stolen document", "/guest/gradio_api/file={docs}/nómina.txt", {}, 403),
    ("traversal in assets", "/guest/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd", {}, 403),
    ("traversal in static", "/guest/static/..%2f..%2f..%2fetc/passwd", {}, 403),
    ("a proxy of gradio", "/guest/gradio_api/proxy=http://127.0.0.1:1/", {}, 403),
    ("an upload", "/guest/gradio_api/upload", {}, 403),
    ("health of the page", "/taller/health", {}, 403),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_an_attack_is_refused(guest: Guest, attack: tuple[str, str, dict[str, str], int]) -> None:
    _, path, headers, expected = attack
    method = "POST" if path.endswith(("join", "login", "upload")) else "GET"
    docs = guest.shared.workshop.settings.docs_dir
    values = {name: value.format(port=guest.shared.port) for name, value in headers.items()}
    answer = guest.http.request(method, path.format(docs=docs), headers=values)
    assert answer.status_code == expected
    assert "root:" not in answer.text and "4321 euros" not in answer.text


def test_two_host_headers_or_a_name_beside_an_allowed_one_are_refused(guest: Guest) -> None:
    own = guest.http.headers["host"]
    twice = f"GET / HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n\r\n"
    with socket.create_connection(("127.0.0.1", guest.http.base_url.port or 0), timeout=10) as raw:
        raw.sendall(twice.encode("ascii"))
        assert raw.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 421")
    for host in (f"{own}.evil.example", f"evil.example#{own}", f"{own}@evil.example", f"x@{own}", f"evil-{own}"):
        assert guest.http.get("/", headers={"host": host}).status_code in (400, 421), host


def test_the_pages_load_nothing_from_other_hosts_and_keep_their_policy(shared: Shared, guest: Guest) -> None:
    here = httpx.get(f"http://127.0.0.1:{shared.port}/", trust_env=False)
    there = guest.http.get("/guest/")
    for answer in (here, there):
        assert answer.status_code == 200 and "connect-src 'self'" in answer.headers["content-security-policy"]
        assert "https://cdn" not in answer.text and "unpkg.com" not in answer.text


def test_guessing_takes_its_time_and_the_owner_is_not_held_up(
        shared: Shared, nobody: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared.workshop.sharing._login, "_pause", 2.0)
    began = time.monotonic()
    for _ in range(2):
        assert nobody.http.post("/taller/login", data={"name": "guest", "password": "x"}).status_code == 401
    assert time.monotonic() - began > 1.9
    began = time.monotonic()
    assert httpx.get(f"http://127.0.0.1:{shared.port}/config", trust_env=False, timeout=20).status_code == 200
    assert time.monotonic() - began < 5


def test_an_ended_guest_is_out_at_once_and_the_others_stay(shared: Shared, guest: Guest) -> None:
    with Guest(shared) as other:
        newest = max(shared.workshop.sharing.guests(), key=lambda one: one.since)
        shared.workshop.sharing.end_guest(newest.id)
        assert other.http.get("/guest/config").status_code == 401
        assert guest.http.get("/guest/config").status_code == 200


def test_no_click_is_dropped_while_an_earlier_one_on_the_same_block_is_answered(shared: Shared) -> None:
    single = {"cancel_all", "stop"}  # the only button of its block, and once is enough
    looked_at = 0
    for path in ("/", "/guest"):
        blocks = shared.apps[path].get_blocks().blocks
        for one in shared.handlers(path).values():
            pressed = [event for block, event in one.targets
                       if isinstance(blocks.get(block), gr.HTML) and event in ("click", "select", "edit", "expand")]
            if pressed and one.fn.__name__ not in single:
                assert one.trigger_mode == "multiple", (one.fn.__qualname__, pressed)
                looked_at += 1
    assert looked_at > 15
