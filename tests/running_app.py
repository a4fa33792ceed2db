"""The real program as a child process: `python app.py …`, in a folder of its own, for tests of the terminal and page.

    with RunningApp(tmp_path, ollama_url=server.url) as app:
        …  # app.url is open; app.children() are the processes it started

Everything it writes stays below the folder: documents in `docs`, the store in `data`, training runs in
`gpt_oss_fine_tuned`, its words in `output.txt`. Knows no browser.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from ui.server import running_page

APP = Path(__file__).resolve().parent.parent / "app.py"
# The program with settings that have no option on the command line: a JSON object comes first.
WITH_SETTINGS = f"""
import dataclasses, json, sys
sys.path.insert(0, {str(APP.parent)!r})
import app
made, changes = app.settings_of, json.loads(sys.argv[1])
app.settings_of = lambda options: dataclasses.replace(made(options), **changes)
sys.exit(app.main(sys.argv[2:]))
"""
# The program with a tunnel that leads no further than this machine, where browsers look for names below `localhost`.
WITH_FAKE_TUNNEL = f"""
import sys
sys.path.insert(0, {str(APP.parent)!r})
import app, ui.house
tunnel = [sys.executable, {str(APP.parent / "tests" / "fake_tunnel.py")!r}, "share.localhost"]
ui.house.gradio_command = lambda data_dir: lambda port: [*tunnel, str(port)]
sys.exit(app.main(sys.argv[1:]))
"""
NO_OLLAMA = "http://127.0.0.1:9"  # the discard port: nothing answers there
START_SECONDS = 180.0  # gradio alone takes 3 to 6 s to import; on a busy machine ten times that


def environment(ollama_url: str = NO_OLLAMA, language: str = "en_US.UTF-8") -> dict[str, str]:
    """The variables a run of the program sees: a chosen Ollama and language, and no other Ollama to start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    return {**kept, "OLLAMA_HOST": ollama_url, "LANG": language, "PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1"}


def run_app(folder: Path, *arguments: str, ollama_url: str = NO_OLLAMA, language: str = "en_US.UTF-8",
            typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run one command to its end on `folder`'s documents; `typed` is what stands on its standard input."""
    command = [sys.executable, str(APP), *arguments, "--docs", str(folder / "docs"), "--data", str(folder / "data")]
    return subprocess.run(command, cwd=folder, env=environment(ollama_url, language), input=typed, text=True,
                          encoding="utf-8", capture_output=True, check=False, timeout=120)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` became true within `seconds`."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


class RunningApp:
    """A page that is served as long as the context lasts."""

    def __init__(self, folder: Path, *, ollama_url: str = NO_OLLAMA, port: int = 0, language: str = "en_US.UTF-8",
                 options: tuple[str, ...] = (), settings: Mapping[str, float] | None = None,
                 program: str = "") -> None:
        self.folder = folder
        self.docs, self.data = folder / "docs", folder / "data"
        self.port = port or free_port()
        self.url, self.ollama_url = "", ollama_url
        self._environment = environment(ollama_url, language)
        self._options = options
        self._program = ["-c", program] if program else [str(APP)]
        if settings:
            self._program = ["-c", WITH_SETTINGS, json.dumps(dict(settings))]

    def __enter__(self) -> RunningApp:
        command = [sys.executable, *self._program, "--no-browser", "--port", str(self.port), "--docs", str(self.docs),
                   "--data", str(self.data), *self._options]
        with self._output.open("ab") as output:
            self.process = psutil.Popen(command, cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
                                        stdout=output, stderr=subprocess.STDOUT)
        try:
            assert wait_for(self._open, START_SECONDS), self.output
            assert self.url, self.output
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            self.process.terminate()
            self.process.wait(timeout=20)
        self.kill()

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def children(self) -> list[psutil.Process]:
        """The processes it started that live, and theirs."""
        try:
            return list(self.process.children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """End it as `kill -9` does."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.kill()
            self.process.wait(timeout=10)

    @property
    def _output(self) -> Path:
        return self.folder / "output.txt"

    def _open(self) -> bool:
        self.url = running_page(self.data) or ""
        return bool(self.url) or self.process.poll() is not None


def alive(processes: list[psutil.Process]) -> list[str]:
    """Those of `processes` that have not ended, in words."""
    words = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                words.append(" ".join(process.cmdline()[1:]))
    return words
