"""A real browser behind the guard: login, an event and an upload work, and nothing is blocked by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page
from starlette.middleware import Middleware

from ui.access import AccessPolicy, Login, RequestGuard
from ui.server import free_port

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def guarded_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A small gradio page with an event, an upload and a template, behind the guard and a login."""
    import gradio as gr

    policy = AccessPolicy("127.0.0.1", data_dir=tmp_path_factory.mktemp("data"), max_body_bytes=10_000)
    with gr.Blocks(analytics_enabled=False) as demo:
        name = gr.Textbox(label="Name", elem_id="name")
        greeting = gr.Textbox(label="Greeting", elem_id="greeting")
        gr.Button("Greet", elem_id="greet").click(lambda text: f"Hello {text}", name, greeting)
        size = gr.Textbox(label="Size", elem_id="size")
        box = gr.File(elem_id="upload")
        box.upload(lambda file: str(Path(file).stat().st_size), box, size)
        gr.HTML(html_template="<b id='templated'>${text}</b>", text="made from a template")
    demo.launch(
        server_name="127.0.0.1", server_port=free_port("127.0.0.1", 17890),
        prevent_thread_lock=True, quiet=True, inbrowser=False, ssr_mode=False,
        auth=Login({"taller": "right"}, pause_seconds=0.01).check,
        app_kwargs={
            "middleware": [Middleware(RequestGuard, policy=policy)],
            "docs_url": None, "redoc_url": None, "openapi_url": None,
        },
    )
    yield demo.local_url
    demo.close()


def blocked(message: ConsoleMessage) -> bool:
    return message.type == "error" and ("Content Security Policy" in message.text or "403" in message.text)


def test_the_page_works_in_full_behind_the_guard(
    chromium_browser: Browser, guarded_page: str, tmp_path: Path
) -> None:
    page = chromium_browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if blocked(message) else None)
    page.goto(guarded_page)
    page.get_by_label("username").fill("taller")
    page.get_by_label("password").fill("right")
    page.get_by_role("button", name="Login").click()
    check_event_upload_and_template(page, tmp_path / "a.txt")
    assert problems == []
    page.close()


def check_event_upload_and_template(page: Page, file: Path) -> None:
    page.locator("#name textarea, #name input").fill("Ana")
    page.locator("#greet").click()
    answer = page.locator("#greeting textarea, #greeting input")
    page.wait_for_function("e => e.value === 'Hello Ana'", arg=answer.element_handle())
    file.write_bytes(b"x" * 321)
    page.locator("#upload input[type=file]").set_input_files(file)
    size = page.locator("#size textarea, #size input")
    page.wait_for_function("e => e.value === '321'", arg=size.element_handle())
    assert page.locator("#templated").inner_text() == "made from a template"
