"""Which engine is chosen, and what the user is told about it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.engines import config
from core.engines.base import ChatRequest, Message, Token
from core.engines.choice import Choice, EngineChooser
from core.engines.config import EnginesConfig
from core.engines.ollama import OllamaEngine
from core.engines.passages import PassagesEngine
from core.errors import EngineError
from core.settings import Settings
from tests.ollama_server import OllamaServer
from tests.openai_server import OpenAIServer
from ui.i18n import LANGUAGES, translate

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="the fake ollama is a shell script")


@pytest.fixture(autouse=True)
def no_downloaded_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def settings_for(host: str, folder: Path, model: str = "gpt-oss:20b") -> Settings:
    return Settings(
        ollama_host=host, ollama_model=model, data_dir=folder, runs_dir=folder / "runs", connect_timeout_seconds=2
    )


def choose(settings: Settings) -> Choice:
    return asyncio.run(EngineChooser(settings).choose())


@pytest.fixture
def free_host() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def no_ollama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "bin" / "ollama"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


def said(choice: Choice) -> str:
    """The note, which must read whole in every language."""
    sentences = [
        translate(language, choice.status.note, **choice.status.note_values) for language in LANGUAGES
    ]
    assert all(sentence and "{" not in sentence for sentence in sentences)
    return sentences[-1]


def test_the_wanted_model_is_chosen(tmp_path: Path) -> None:
    with OllamaServer(models={"other:1b": {}, "gpt-oss:20b": {}}) as server:
        choice = choose(settings_for(server.url, tmp_path))
    assert isinstance(choice.engine, OllamaEngine)
    assert (choice.status.engine, choice.status.model, choice.status.state) == (
        "ollama",
        "gpt-oss:20b",
        "ready",
    )
    assert choice.status.note == ""
    assert [model.name for model in choice.models] == ["other:1b", "gpt-oss:20b"]


def test_a_wanted_name_without_a_tag_means_latest(tmp_path: Path) -> None:
    with OllamaServer(models={"a:1b": {}, "mine:latest": {}}) as server:
        assert choose(settings_for(server.url, tmp_path, "mine")).status.model == "mine:latest"


def test_another_installed_model_answers_and_both_are_named(tmp_path: Path) -> None:
    with OllamaServer(models={"bert": {"capabilities": ["embedding"]}, "llama3.2:1b": {}}) as server:
        choice = choose(settings_for(server.url, tmp_path))
    assert choice.status.model == "llama3.2:1b"
    assert choice.status.note == "engine.note_other_model"
    assert "llama3.2:1b" in said(choice)
    assert "gpt-oss:20b" in said(choice)


def test_a_model_of_the_wanted_family_comes_first(tmp_path: Path) -> None:
    with OllamaServer(models={"llama3.2:1b": {}, "gpt-oss:120b": {}}) as server:
        assert choose(settings_for(server.url, tmp_path)).status.model == "gpt-oss:120b"


def test_documents_are_never_sent_to_a_remote_model_unasked(tmp_path: Path) -> None:
    with OllamaServer(models={"gpt-oss:120b-cloud": {"remote_host": "https://ollama.com"}}) as server:
        settings = settings_for(server.url, tmp_path)
        assert choose(settings).status.engine == "passages"
        asked = asyncio.run(EngineChooser(settings).with_model("ollama", "gpt-oss:120b-cloud"))
    assert asked.status.model == "gpt-oss:120b-cloud"


def test_ollama_without_a_chat_model_says_what_to_pull(tmp_path: Path) -> None:
    with OllamaServer(models={"bert": {"capabilities": ["embedding"]}}) as server:
        choice = choose(settings_for(server.url, tmp_path))
    assert isinstance(choice.engine, PassagesEngine)
    assert choice.status.note == "engine.note_no_models"
    assert "ollama pull gpt-oss:20b" in said(choice)


@pytest.mark.usefixtures("no_ollama")
def test_without_ollama_the_documents_answer_and_the_note_says_how_to_get_a_model(
    tmp_path: Path, free_host: str
) -> None:
    choice = choose(settings_for(free_host, tmp_path))
    assert isinstance(choice.engine, PassagesEngine)
    assert (choice.status.engine, choice.status.note) == ("passages", "engine.note_no_engine")
    assert "ollama.com" in said(choice)


@pytest.mark.parametrize("host", ["http://[::1", "ftp://nowhere", "http://unknown.invalid:1"])
def test_a_host_that_cannot_be_reached_is_named(tmp_path: Path, host: str) -> None:
    choice = choose(settings_for(host, tmp_path))
    assert (choice.status.engine, choice.status.note) == ("passages", "engine.note_unreachable")
    assert host in said(choice)


def test_something_else_at_the_address_is_not_taken_for_ollama(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings = Settings(
            ollama_host=f"127.0.0.1:{mute.getsockname()[1]}", data_dir=tmp_path, answer_timeout_seconds=0.3
        )
        assert choose(settings).status.engine == "passages"


def test_a_named_model_is_used_or_missed_by_name(tmp_path: Path) -> None:
    with OllamaServer(models={"gpt-oss:20b": {}, "mine:latest": {}}) as server:
        chooser = EngineChooser(settings_for(server.url, tmp_path))
        assert asyncio.run(chooser.with_model("ollama", "mine")).status.model == "mine:latest"
        assert asyncio.run(chooser.with_model("ollama")).status.model == "gpt-oss:20b"
        with pytest.raises(EngineError) as caught:
            asyncio.run(chooser.with_model("ollama", "gpt-oss"))
    assert (caught.value.code, caught.value.values) == ("engine_model_missing", {"model": "gpt-oss"})


@pytest.mark.usefixtures("no_ollama")
def test_a_named_engine_is_never_replaced_by_another(tmp_path: Path, free_host: str) -> None:
    chooser = EngineChooser(settings_for(free_host, tmp_path))
    assert asyncio.run(chooser.with_model("passages")).status.engine == "passages"
    for name, code in (("ollama", "engine_unreachable"), ("vllm", "engine_unknown")):
        with pytest.raises(EngineError) as caught:
            asyncio.run(chooser.with_model(name))
        assert caught.value.code == code


@pytest.fixture
def fake_ollama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `ollama` on PATH that takes half a second to listen, as the real one does."""
    serve = f'/bin/sleep 0.5\nexec "{sys.executable}" -m tests.ollama_server "$@" --tokens-per-second 0'
    put_on_path(tmp_path, monkeypatch, serve)


@pytest.fixture
def chooser(tmp_path: Path, free_host: str) -> Iterator[EngineChooser]:
    running = EngineChooser(settings_for(free_host, tmp_path))
    with contextlib.closing(running):
        yield running


@needs_posix
@pytest.mark.usefixtures("fake_ollama")
def test_an_installed_ollama_is_started_answers_and_ends_with_us(chooser: EngineChooser) -> None:
    async def run() -> tuple[Choice, str, str]:
        choosing = asyncio.create_task(chooser.choose())
        await asyncio.sleep(0.2)
        meanwhile = chooser.status.state
        choice = await choosing
        request = ChatRequest(choice.status.model, (Message("user", "Hello"),), "Hello")
        answer = [event.text async for event in choice.engine.chat(request) if isinstance(event, Token)]
        return choice, meanwhile, "".join(answer)

    before = psutil.Process().children(recursive=True)  # other tests' children may be about
    choice, meanwhile, answer = asyncio.run(run())
    assert meanwhile == "starting"
    assert (choice.status.engine, choice.status.state) == ("ollama", "ready")
    assert answer
    started = [child for child in psutil.Process().children(recursive=True) if child not in before]
    assert any("tests.ollama_server" in process.cmdline() for process in started)
    chooser.close()
    assert not any(process.is_running() for process in psutil.wait_procs(started, timeout=3)[1])
    assert isinstance(choice.engine, OllamaEngine)
    assert asyncio.run(choice.engine.version()) is None


@needs_posix
@pytest.mark.usefixtures("fake_ollama")
def test_choosing_again_uses_the_ollama_already_started(chooser: EngineChooser) -> None:
    asyncio.run(chooser.choose())
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    assert asyncio.run(chooser.choose()).status.engine == "ollama"
    assert {process.pid for process in psutil.Process().children(recursive=True)} == before


@needs_posix
def test_a_failed_start_is_not_tried_again_but_a_running_ollama_is_found(
    tmp_path: Path, free_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path, monkeypatch, f'echo started >> "{tmp_path}/starts"; exit 3')
    chooser = EngineChooser(settings_for(free_host, tmp_path))
    for _ in range(2):
        assert asyncio.run(chooser.choose()).status.note == "engine.note_start_failed"
    assert (tmp_path / "starts").read_text().count("started") == 1
    with OllamaServer(models={"gpt-oss:20b": {}}, port=int(free_host.rsplit(":", 1)[1])):
        assert asyncio.run(chooser.choose()).status.engine == "ollama"


def test_choosing_again_asks_nothing_twice_about_a_model(tmp_path: Path) -> None:
    with OllamaServer(models={"gpt-oss:20b": {}}) as server:
        chooser = EngineChooser(settings_for(server.url, tmp_path))
        for _ in range(3):
            asyncio.run(chooser.choose())
        assert [path for path, _ in server.counters.requests] == ["/api/show"]


def test_a_named_engine_without_a_named_model_uses_what_is_installed(tmp_path: Path) -> None:
    with OllamaServer(models={"llama3.2:1b": {}}) as server:
        chosen = asyncio.run(EngineChooser(settings_for(server.url, tmp_path)).with_model("ollama"))
    assert chosen.status.model == "llama3.2:1b"


@needs_posix
def test_an_ollama_that_dies_at_its_start_is_not_waited_for(
    tmp_path: Path, free_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path, monkeypatch, "echo no such disk >&2; exit 3")
    settings = settings_for(free_host, tmp_path)
    choice = choose(settings)
    assert (choice.status.engine, choice.status.note) == ("passages", "engine.note_start_failed")
    assert str(settings.logs_dir) in said(choice)
    assert "no such disk" in (settings.logs_dir / "ollama.log").read_text()


def fake_embedded(folder: Path) -> Path:
    """A folder that looks like a whole chat model; nothing here loads it."""
    folder.mkdir(parents=True)
    kind = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 40960}
    (folder / "config.json").write_text(json.dumps(kind))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ enable_thinking }}"}))
    (folder / "model.safetensors").write_bytes(b"0" * 1000)
    return folder


@pytest.mark.usefixtures("no_ollama")
def test_without_ollama_a_model_on_disk_answers(tmp_path: Path, free_host: str) -> None:
    model = str(fake_embedded(tmp_path / "model"))
    config.save(tmp_path, EnginesConfig(embedded_model=model))
    choice = choose(settings_for(free_host, tmp_path))
    assert (choice.status.engine, choice.status.model, choice.status.note) == ("embedded", model, "")
    assert [(found.name, found.engine, found.think_levels) for found in choice.models] == [
        (model, "embedded", ("off", "on"))]


def test_ollama_comes_before_a_model_on_disk_and_all_can_be_picked(tmp_path: Path) -> None:
    model = str(fake_embedded(tmp_path / "model"))
    with OllamaServer(models={"gpt-oss:20b": {}}) as server, OpenAIServer([{"id": "big"}]) as other:
        config.save(tmp_path, EnginesConfig(embedded_model=model, openai_url=other.url))
        chooser = EngineChooser(settings_for(server.url, tmp_path))
        choice = asyncio.run(chooser.choose())
        assert choice.status.engine == "ollama"
        assert [(found.engine, found.name) for found in choice.models] == [
            ("ollama", "gpt-oss:20b"), ("embedded", model), ("openai", "big")]
        assert asyncio.run(chooser.with_model("embedded", model)).engine is chooser.embedded
        assert asyncio.run(chooser.with_model("openai", "big")).status.model == "big"
        for engine, code in (("embedded", "engine_embedded_missing"), ("openai", "engine_server_model_missing")):
            with pytest.raises(EngineError) as caught:
                asyncio.run(chooser.with_model(engine, "nobody"))
            assert caught.value.code == code


@pytest.mark.usefixtures("no_ollama")
def test_a_server_answers_first_only_where_the_user_said_so(tmp_path: Path, free_host: str) -> None:
    settings = settings_for(free_host, tmp_path)
    with OpenAIServer([{"id": "big"}]) as server:
        config.save(tmp_path, EnginesConfig(openai_url=server.url))
        assert choose(settings).status.engine == "passages"
        config.save(tmp_path, EnginesConfig(openai_url=server.url, openai_first=True))
        assert (choose(settings).status.engine, choose(settings).status.model) == ("openai", "big")
    silent = choose(settings)
    assert (silent.status.engine, silent.status.note) == ("passages", "engine.note_server_silent")
    assert server.url in said(silent)


def test_no_server_set_up_is_said_so(tmp_path: Path, free_host: str) -> None:
    with pytest.raises(EngineError) as caught:
        asyncio.run(EngineChooser(settings_for(free_host, tmp_path)).with_model("openai"))
    assert caught.value.code == "engine_server_missing"
