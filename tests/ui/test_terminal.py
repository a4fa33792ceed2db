"""The terminal's contract, on the real program: `index`, `search`, `ask` and `chat`, for people and as JSON lines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ollama_server import OllamaServer
from tests.running_app import APP, environment, run_app
from tests.sample_files import broken_pdf, make_pdf
from ui.i18n import translate
from ui.terminal_chat import plain

LIGHTHOUSE = "El faro de Punta Brava mide 47 metros y se encendió por primera vez el 3 de mayo de 1912."
BREAD = "The bakery in Elm Street sells 340 loaves of rye bread on a normal Saturday."
LONG_TEXT = "".join(f"Párrafo {number}: el río número {number} nace a {number * 13} metros de altura.\n\n"
                    for number in range(1, 120))


def lines(ran: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The JSON objects on stdout; every line must be one."""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def outcomes(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The last event of each file."""
    return {event["source"]: event for event in events if "source" in event}


class Folder:
    """A folder with documents, indexed once."""

    def __init__(self, path: Path) -> None:
        self.path, self.docs = path, path / "docs"
        (self.docs / "sub").mkdir(parents=True)
        (self.docs / "faro.txt").write_text(LIGHTHOUSE, encoding="utf-8")
        (self.docs / "sub" / "ríos ñ.md").write_text(LONG_TEXT, encoding="utf-8")
        (self.docs / "vacío.txt").write_bytes(b"")
        (self.docs / "notes.xyz").write_text("not a document", encoding="utf-8")
        make_pdf(self.docs / "bakery.pdf", ["An introduction to Elm Street.", BREAD])
        make_pdf(self.docs / "scan.pdf", [""])
        broken_pdf(self.docs / "broken.pdf")
        self.first = run_app(path, "index", "--json", language="es_ES.UTF-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("terminal"))


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer(models={"gpt-oss:20b": {}}) as server:
        yield server


def test_index_gives_each_file_its_last_event_and_ends_with_a_summary(folder: Folder) -> None:
    events = lines(folder.first)
    assert folder.first.returncode == 0, folder.first.stderr
    last = outcomes(events)
    assert last["faro.txt"] == {"event": "indexed", "source": "faro.txt", "pages": 1, "chunks": 1}
    assert last["bakery.pdf"] == {"event": "indexed", "source": "bakery.pdf", "pages": 2, "chunks": 2}
    assert last["sub/ríos ñ.md"]["event"] == "indexed" and last["sub/ríos ñ.md"]["chunks"] > 5
    assert last["scan.pdf"]["event"] == "no_text"
    assert last["broken.pdf"]["event"] == "failed"
    assert last["broken.pdf"]["reason"] == translate("es", "error.pdf_broken")
    assert "notes.xyz" not in last
    summary = events[-1]
    assert list(summary) == ["event", "indexed", "no_text", "skipped", "failed", "removed", "chunks", "seconds"]
    assert summary["event"] == "summary" and summary["indexed"] == 3 and summary["skipped"] == 0
    assert summary["indexed"] + summary["no_text"] + summary["failed"] == len(last)
    assert summary["chunks"] == sum(event.get("chunks", 0) for event in last.values())
    assert summary["seconds"] > 0


def test_index_again_does_nothing_twice_and_forgets_what_has_gone(folder: Folder) -> None:
    extra = folder.docs / "extra.txt"
    extra.write_text(LIGHTHOUSE, encoding="utf-8")  # a second name of a known content needs no embedder
    assert outcomes(lines(run_app(folder.path, "index", "--json")))["extra.txt"]["event"] == "indexed"
    extra.unlink()
    events = lines(run_app(folder.path, "index", "--json"))
    last = outcomes(events)
    assert last["faro.txt"]["event"] == "skipped"
    assert last["faro.txt"]["reason"] == translate("en", "error.unchanged")
    assert last["broken.pdf"]["event"] == "failed" and last["scan.pdf"]["event"] == "no_text"
    assert last["extra.txt"] == {"event": "removed", "source": "extra.txt"}
    assert (events[-1]["indexed"], events[-1]["skipped"], events[-1]["removed"]) == (0, 3, 1)


def test_index_tells_people_in_their_language(folder: Folder) -> None:
    ran = run_app(folder.path, "index", language="es_ES.UTF-8")
    reason = translate("es", "error.pdf_broken")
    assert translate("es", "terminal.failed", source="broken.pdf", reason=reason) in ran.stdout
    assert "Traceback" not in ran.stderr


def test_search_answers_a_file_of_queries_with_offsets_into_the_text(folder: Folder) -> None:
    queries = folder.path / "queries.jsonl"
    questions = {"a": "¿Cuánto mide el faro de Punta Brava?", "b": "How many loaves of rye bread?",
                 "c": "¿A qué altura nace el río número 77?"}
    queries.write_text("\ufeff" + "".join(json.dumps({"id": name, "query": text}) + "\n\n"
                                          for name, text in questions.items()), encoding="utf-8")
    ran = run_app(folder.path, "search", "--queries", str(queries), "--top-k", "4", "--json")
    assert ran.returncode == 0, ran.stderr
    answers = {answer["id"]: answer for answer in lines(ran)}
    assert {name: answer["query"] for name, answer in answers.items()} == questions
    best = {name: answer["hits"][0] for name, answer in answers.items()}
    assert best["a"]["text"] == LIGHTHOUSE
    assert (best["b"]["source"], best["b"]["page"]) == ("bakery.pdf", 2) and "340 loaves" in best["b"]["text"]
    assert "río número 77 " in best["c"]["text"]
    for answer in answers.values():
        assert answer["milliseconds"] > 0
        assert [hit["rank"] for hit in answer["hits"]] == list(range(1, len(answer["hits"]) + 1))
        for hit in answer["hits"]:
            assert list(hit) == ["rank", "source", "page", "start", "end", "score", "text"]
            if not hit["source"].endswith(".pdf"):
                text = (folder.docs / hit["source"]).read_text(encoding="utf-8")
                assert text[hit["start"]:hit["end"]] == hit["text"] and hit["page"] == 1


def test_ask_indexes_a_new_folder_first_and_answers_with_quotes(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "faro.txt").write_text(LIGHTHOUSE, encoding="utf-8")
    ran = run_app(tmp_path, "ask", "¿Cuánto mide el faro?", "--engine", "passages", "--json", language="es_ES.UTF-8")
    assert ran.returncode == 0, ran.stderr
    (answer,) = lines(ran)
    assert list(answer) == ["answer", "citations", "engine", "model", "usage"]
    assert "47 metros" in answer["answer"] and "[1]" in answer["answer"]
    assert [(hit["rank"], hit["source"], hit["text"]) for hit in answer["citations"]] == [(1, "faro.txt", LIGHTHOUSE)]
    assert (answer["engine"], answer["model"]) == ("passages", "")
    assert translate("es", "terminal.indexing_first", folder=tmp_path / "docs") in ran.stderr


def test_chat_goes_on_until_the_user_leaves(folder: Folder, ollama: OllamaServer) -> None:
    ollama.behave(fault="none", reply=None)
    typed = "¿Cuánto mide el faro?\n\n" + "x" * 9000 + "\nHow many loaves?\nSalir\nnever asked\n"
    before = len(ollama.chats)
    ran = run_app(folder.path, "chat", "--json", ollama_url=ollama.url, typed=typed)
    assert ran.returncode == 0, ran.stderr
    first, too_long, second = lines(ran)
    assert first["engine"] == "ollama" and first["model"] == "gpt-oss:20b"
    assert first["citations"][0]["source"] == "faro.txt" and first["usage"]["answer_tokens"] > 0
    assert too_long["error"] == "question_too_long" and "9000" in too_long["reason"]
    assert second["citations"][0]["source"] == "bakery.pdf"
    assert len(ollama.chats) == before + 2
    roles = [message["role"] for message in ollama.chats[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]  # the second question comes with the first one's answer


def test_chat_ends_with_its_input(folder: Folder, ollama: OllamaServer) -> None:
    ran = run_app(folder.path, "chat", ollama_url=ollama.url, language="es_ES.UTF-8")
    assert ran.returncode == 0, ran.stderr
    assert translate("es", "terminal.chat_hint") in ran.stdout and "gpt-oss:20b" in ran.stdout


def test_chat_obeys_commands_between_questions(folder: Folder, ollama: OllamaServer) -> None:
    ollama.behave(fault="none", reply="It is 47 metres tall [1].")
    typed = ("/docs faro\nHow tall is the lighthouse of Punta Brava?\n/strict off\n/docs nowhere\n/new\n/what\n"
             "/model passages\n/docs all\n/model\n")
    ran = run_app(folder.path, "chat", ollama_url=ollama.url, typed=typed)
    assert ran.returncode == 0, ran.stderr
    assert "* faro.txt\n" in ran.stdout and "  bakery.pdf\n" in ran.stdout and "* bakery.pdf\n" in ran.stdout
    assert "47 metres tall [1]." in ran.stdout and "[1] faro.txt · p. 1" in ran.stdout
    for key, values in (("chat.mode_free", {}), ("terminal.no_such_document", {"name": "nowhere"}),
                        ("terminal.chat_new", {}), ("terminal.unknown_command", {"command": "/what"}),
                        ("engine.name_passages", {})):
        assert translate("en", key, **values) in ran.stdout, key
    assert "  ollama|gpt-oss:20b\n* passages\n" in ran.stdout


def test_quotes_stand_in_the_terminal_as_in_the_document(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    text = "The value of row[0] * 2_000 <b> & more is red."
    (tmp_path / "docs" / "code.txt").write_text(text, encoding="utf-8")
    ran = run_app(tmp_path, "ask", "What is the value of row?", "--engine", "passages")
    assert "row[0] * 2_000 <b> & more" in ran.stdout and "\\" not in ran.stdout


def test_no_text_can_move_the_cursor() -> None:
    assert plain("a\x1b[31m\tb\r\nñ\x9b") == "a[31m\tb\nñ"


@pytest.mark.skipif(sys.platform == "win32", reason="no interrupt can be sent to one child alone")
def test_an_interrupt_stops_the_answer_and_not_the_program(folder: Folder, ollama: OllamaServer) -> None:
    ollama.behave(fault="none", reply="word " * 400, tokens_per_second=20)
    command = [sys.executable, str(APP), "chat", "--docs", str(folder.docs), "--data", str(folder.path / "data")]
    with subprocess.Popen(command, cwd=folder.path, env=environment(ollama.url), text=True, encoding="utf-8",
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write("How tall is the lighthouse of Punta Brava?\n")
        child.stdin.flush()
        assert ollama.wait_until(lambda: ollama.active_chats == 1, 30)
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        assert ollama.wait_until(lambda: ollama.active_chats == 0, 2)
        ollama.behave(reply="It is 47 metres tall [1].", tokens_per_second=0)
        output, errors = child.communicate("How many loaves of rye bread?\nexit\n", timeout=30)
    assert child.returncode == 0, errors
    assert translate("en", "chat.stopped") in output and "47 metres tall" in output and "Traceback" not in errors
