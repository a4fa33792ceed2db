"""Arguments, exit statuses and the sentences of errors, without anything heavy being started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import app
from core.settings import MEBIBYTE
from tests.running_app import NO_OLLAMA
from ui.i18n import translate

Main = Callable[..., int]


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """`app.main` in an empty folder, in Spanish."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    monkeypatch.setenv("OLLAMA_HOST", NO_OLLAMA)
    return lambda *arguments: app.main(list(arguments))


def options(*arguments: str) -> app.argparse.Namespace:
    return app.parser("en").parse_args(list(arguments))


def test_settings_are_what_the_arguments_and_the_environment_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "10.0.0.7:1234")
    settings = app.settings_of(options("ask", "why?", "--docs", "d", "--data", "e", "--top-k", "7",
                                       "--max-file-mb", "3"))
    assert (settings.docs_dir, settings.data_dir, settings.top_k) == (Path("d"), Path("e"), 7)
    assert settings.max_file_bytes == 3 * MEBIBYTE and settings.ollama_host == "10.0.0.7:1234"


def test_an_empty_ollama_host_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "")
    assert app.settings_of(options("index")).ollama_host == "http://127.0.0.1:11434"


@pytest.mark.parametrize("arguments", [
    ("ask",), ("search", "--top-k", "0", "x"), ("serve", "--port", "-1"), ("serve", "--port", "http"), ("index", "x"),
    ("--nonsense",), ("index", "--max-file-mb", "0")])
def test_wrong_arguments_exit_with_2(main: Main, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as left:
        main(*arguments)
    assert left.value.code == 2


def test_help_is_in_the_users_language(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main("--help")
    assert left.value.code == 0
    words = " ".join(capsys.readouterr().out.split())
    assert translate("es", "cli.description") in words and translate("es", "cli.index") in words


@pytest.mark.parametrize(("arguments", "code", "values"), [
    (("search",), "query_missing", {}),
    (("search", "x", "--queries", "q.jsonl"), "query_missing", {}),
    (("search", "--queries", "none.jsonl"), "queries_unreadable", {"path": "none.jsonl"}),
    (("ask", "x", "--engine", "oracle"), "engine_unknown",
     {"engine": "oracle", "known": "ollama, embedded, openai, passages"}),
    (("ask", "x", "--engine", "ollama"), "engine_unreachable", {"host": NO_OLLAMA}),
    (("ask", "  ", "--engine", "passages"), "question_empty", {}),
    (("train", "none.jsonl"), "dataset_missing", {"name": "none.jsonl"}),
])
def test_an_error_is_one_sentence_on_stderr_and_exit_status_1(
    main: Main, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: str, values: dict[str, object]
) -> None:
    assert main(*arguments) == 1
    words = capsys.readouterr()
    assert words.err.splitlines()[-1] == translate("es", f"error.{code}", **values)
    assert "Traceback" not in words.err


@pytest.mark.parametrize("line", ["not json", "[]", '"text"', '{"id": 1}'])
def test_a_queries_file_with_a_bad_line_is_refused(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    assert main("search", "--queries", str(path), "--json") == 1
    assert capsys.readouterr().err.splitlines()[-1] == translate("es", "error.queries_unreadable", path=path)


def test_an_empty_folder_is_made_and_holds_nothing_to_find(main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("search", "x") == 0
    assert translate("es", "terminal.no_hits") in capsys.readouterr().out
