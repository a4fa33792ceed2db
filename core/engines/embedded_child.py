"""The page's side of the generation child: one process that holds one model.

Knows how the child is started, spoken to and ended (see `generation_server`); nothing of chats.
"""

from __future__ import annotations

import json
import secrets
import threading
from typing import Literal

from core import processes
from core.engines.embedded_models import LocalModel
from core.settings import Settings

State = Literal["loading", "ready", "ended"]
END_SECONDS = 2.0  # it leaves when its input closes, at once even while it computes
LOG_TAIL_BYTES = 4000
LOG_FILE = "embedded.log"


class GenerationChild:
    """A running child. Safe for several threads and event loops."""

    def __init__(self, model: LocalModel, context_tokens: int, settings: Settings) -> None:
        self.model = model
        self.secret = secrets.token_urlsafe(32)
        self.stopped_by_us = False
        self.failure = ""  # the child's own reason, when it could not load the model
        self.out_of_memory = False
        self._port = 0
        self._log_path = settings.logs_dir / LOG_FILE
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log_path.write_bytes(b"")  # one start's words are enough to tell why it failed
        self._process = processes.start(
            processes.python_module("core.engines.generation_server"), log_path=self._log_path,
            # The model is on disk: nothing is looked up, and nothing told, anywhere.
            environment={"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        order = {"folder": str(model.folder), "adapter": str(model.adapter or ""), "context": context_tokens,
                 "secret": self.secret}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode("ascii") + b"\n")
            self._process.stdin.flush()
        except OSError:  # it died at once; `state` tells
            pass
        threading.Thread(target=self._listen, daemon=True, name="generation-child").start()

    @property
    def state(self) -> State:
        if self._process.poll() is not None or self.failure:
            return "ended"
        return "ready" if self._port else "loading"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def last_words(self) -> str:
        """Why it ended: its own reason, else the end of its log."""
        if self.failure:
            return self.failure
        try:
            log = self._log_path.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", errors="replace")
        except OSError:
            log = ""
        lines = [line.strip() for line in log.splitlines() if line.strip() and "it/s]" not in line]  # no progress bars
        code = self._process.poll()
        ended = f"({code})" if code is not None else ""
        return " ".join([*lines[-1:], ended])[-300:].strip()

    def stop(self) -> None:
        """End it and give its memory back."""
        self.stopped_by_us = True
        processes.end(self._process, grace_seconds=END_SECONDS)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                said = json.loads(line)
                if said.get("state") == "ready":
                    self._port = int(said["port"])
                elif said.get("state") == "failed":
                    self.out_of_memory = said.get("kind") == "memory"
                    self.failure = str(said.get("detail") or "?")
        except (ValueError, OSError):  # the pipe was closed under us
            pass
        self._process.wait()
