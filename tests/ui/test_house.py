"""Who is the owner without a login, and where others find the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.running_app import RunningApp
from ui.i18n import translate

Start = Callable[..., RunningApp]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setenv("TALLER_PASSWORD", "a long password")
    opened: list[RunningApp] = []

    def start_one(*options: str) -> RunningApp:
        opened.append(RunningApp(tmp_path, options=options))
        return opened[-1].__enter__()
    yield start_one
    for one in opened:
        one.__exit__()


@pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--allow-host", "taller.example.org"), ()])  # noqa: S104
def test_with_a_password_the_page_asks_for_it_whatever_the_address(start: Start, options: tuple[str, ...]) -> None:
    app = start(*options)
    with httpx.Client(base_url=app.url, trust_env=False, headers={"accept-language": "en"}) as browser:
        assert browser.get("/config").status_code == 401
        page = browser.get("/")
        assert page.status_code == 200 and translate("en", "login.hint") in page.text
        login = {"name": "taller", "password": "a long password"}
        assert browser.post("/taller/login", data=login).headers["location"] == "/"
        assert browser.get("/config").status_code == 200
    if options[:1] == ("--allow-host",):
        there = httpx.get(app.url, trust_env=False, headers={"host": "taller.example.org"})
        assert there.status_code == 200
    assert "a long password" not in app.output


def test_a_page_that_others_can_reach_makes_up_a_password_and_prints_it(
        start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLER_PASSWORD")
    app = start("--allow-host", "taller.example.org")
    assert httpx.get(f"{app.url}/config", trust_env=False).status_code == 401
    printed = translate("en", "terminal.password", name="taller", password="")
    password = app.output.partition(printed)[2].split()[0]
    assert len(password) >= 20
    entered = httpx.post(f"{app.url}/taller/login", data={"name": "taller", "password": password}, trust_env=False)
    assert entered.headers["location"] == "/"
