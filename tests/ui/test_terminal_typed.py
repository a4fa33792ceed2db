"""`python app.py chat` at a real terminal: keys as a person presses them, and what stands on the screen."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ollama_server import OllamaServer
from tests.running_app import APP, environment
from ui.i18n import translate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

LIGHTHOUSE = "El faro de Punta Brava mide 47 metros y se encendió por primera vez el 3 de mayo de 1912."
PROMPT = "\n» "  # at the beginning of a line: «salir» stands in the sentences too
# Ctrl+C reaches whoever the terminal belongs to.
TAKE_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"


class Terminal:
    """A program at a pseudo-terminal of its own. `screen` is all it has written."""

    def __init__(self, command: list[str], folder: Path, variables: dict[str, str]) -> None:
        import pty

        self._here, there = pty.openpty()
        self.child = subprocess.Popen([sys.executable, "-c", TAKE_TERMINAL, *command], cwd=folder, env=variables,
                                      stdin=there, stdout=there, stderr=there)
        os.close(there)
        self.screen = ""

    def press(self, keys: str, until: str = PROMPT, seconds: float = 60.0) -> str:
        """Press these keys; what is written from then on, up to `until`."""
        os.write(self._here, keys.encode())
        written, give_up = b"", time.monotonic() + seconds
        while until not in written.decode(errors="ignore").removeprefix(keys.strip()):
            assert time.monotonic() < give_up, (until, written.decode(errors="ignore"))
            if select.select([self._here], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):  # the child has gone
                    written += os.read(self._here, 4096)
            elif self.child.poll() is not None:
                break
        self.screen += written.decode(errors="ignore")
        return written.decode(errors="ignore").replace("\r\n", "\n")

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self._here)


@pytest.fixture
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer(models={"gpt-oss:20b": {}}) as server:
        yield server


@pytest.fixture(params=["es", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def terminal(tmp_path: Path, ollama: OllamaServer, language: str) -> Iterator[Terminal]:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "faro.txt").write_text(LIGHTHOUSE, encoding="utf-8")
    variables = {**environment(ollama.url, f"{language}.UTF-8"), "TERM": "dumb"}
    started = Terminal([sys.executable, str(APP), "chat", "--docs", "docs", "--data", "data"], tmp_path, variables)
    yield started
    started.close()


def test_a_conversation_at_a_terminal(terminal: Terminal, ollama: OllamaServer, language: str) -> None:
    question = "¿Cuánto mide el faro de Punta Brava?"
    assert translate(language, "terminal.chat_hint") in terminal.press("")

    ollama.behave(reply="palabra " * 400, tokens_per_second=20)
    terminal.press(f"{question}\n", until="palabra palabra")
    assert translate(language, "chat.stopped") in terminal.press(CTRL_C)
    assert ollama.wait_until(lambda: ollama.active_chats == 0, 2)

    ollama.behave(reply="Mide 47 metros [1].", tokens_per_second=0)
    again = terminal.press(f"{UP}\n")  # the arrow brings the question back
    assert question in again and "Mide 47 metros [1]." in again and "[1] faro.txt" in again
    earlier = [message["content"] for message in ollama.chats[-1]["messages"]][1:3]
    assert earlier[0] == question and earlier[1].startswith("palabra palabra")  # what was written stays

    assert "/model" in terminal.press("/help\n") and "* faro.txt" in terminal.press("/docs\n")
    assert translate(language, "chat.mode_free") in terminal.press("/strict off\n")
    assert translate(language, "chat.mode_strict") in terminal.press("/strict on\n")
    refused = terminal.press("¿Quién ganó el mundial de fútbol de 1998?\n")
    assert translate(language, "terminal.nothing_no_match") in refused
    time.sleep(0.5)  # readline misses a signal in the moment between its prompt and its first look at the keys
    assert translate(language, "terminal.chat_hint") in terminal.press(CTRL_C)  # nothing to stop: how to leave
    assert terminal.press(CTRL_D, until="\n").endswith("\n")
    assert terminal.child.wait(20) == 0 and "Traceback" not in terminal.screen
