"""One answer of the small Ollama, streamed or whole, with the fault it was told to have; how its lines are sent.

Knows the protocol of `/api/chat`, and of sockets only what `Connection` says.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedIOBase
from typing import Any, Literal, Protocol

from tests.ollama_replies import Messages, cited_reply, count_tokens, pieces

Fault = Literal[
    "none",
    "stall_before",
    "stall_middle",
    "break_before",
    "break_middle",
    "end_early",
    "error_in_stream",
    "out_of_memory",
    "unauthorized",
    "busy",
    "not_json",
    "wrong_shape",
    "context_overflow",
    "cut",
    "pull_not_found",
    "pull_newer",
    "pull_unauthorized",
    "pull_no_network",
    "pull_no_space",
    "pull_retries",
    "pull_odd",
]
MIDDLE_FAULTS = ("stall_middle", "break_middle", "end_early", "error_in_stream")
STALL_SECONDS = 60.0  # no test waits so long; a forgotten stall ends some day

# Word for word what Ollama sends: (status, body).
REFUSALS: dict[str, tuple[int, dict[str, str]]] = {
    "out_of_memory": (
        500,
        {"error": "model requires more system memory (13.1 GiB) than is available (6.2 GiB)"},
    ),
    "unauthorized": (401, {"error": "unauthorized"}),
    "busy": (503, {"error": "server busy, please try again.  maximum pending requests exceeded"}),
}
RUNNER_STOPPED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error,"
    " check ollama server logs for details"
)


@dataclass(frozen=True)
class Behaviour:
    """How the next chats go. `reply` None: an answer built from the prompt that cites [1]."""

    fault: Fault = "none"
    reply: str | None = None
    thinking: str = ""
    load_seconds: float = 0.0  # for a model that is not in memory, before the first byte
    tokens_per_second: float = 0.0  # 0: as fast as they go
    pull_bytes_per_second: float = 0.0  # 0: at once
    verify_seconds: float = 0.0
    memory_seconds: float = 0.0  # before /api/ps answers
    old: bool = False  # a server of early 2024: without /api/ps, and /api/show tells little
    make_reply: Callable[[Messages], str] = cited_reply


class Connection(Protocol):
    """What an answer needs of the server's request handler."""

    connection: socket.socket
    close_connection: bool
    wfile: BufferedIOBase

    def wait(self, seconds: float) -> None: ...
    def send_json(self, status: int, body: object) -> None: ...
    def send_text(self, status: int, text: str) -> None: ...
    def send_response(self, code: int, message: str | None = None) -> None: ...
    def send_header(self, keyword: str, value: str) -> None: ...
    def end_headers(self) -> None: ...


class Chat:
    """One answer, with the fault it was told to have."""

    def __init__(
        self, connection: Connection, body: dict[str, Any], behaviour: Behaviour, load_seconds: float
    ) -> None:
        self._connection, self._body, self._behaviour = connection, body, behaviour
        self._load_seconds = load_seconds
        self._started = time.monotonic()

    def answer(self) -> None:
        connection, fault = self._connection, self._behaviour.fault
        prompt_tokens = count_tokens(self._body.get("messages", []))
        num_ctx = self._body.get("options", {}).get("num_ctx", 4096)
        connection.wait(STALL_SECONDS if fault == "stall_before" else self._load_seconds)
        if fault in REFUSALS:
            connection.send_json(*REFUSALS[fault])
        elif fault == "break_before":
            reset(connection)
        elif fault == "not_json":
            connection.send_text(200, "<html>It works!</html>\n")
        elif fault == "wrong_shape":
            connection.send_text(200, '["no", "object"]\n')
        elif fault == "context_overflow" or (prompt_tokens > num_ctx and self._body.get("truncate") is False):
            connection.send_json(400, _overflow(prompt_tokens, num_ctx))
        elif self._body.get("stream", True):
            self._stream(min(prompt_tokens, num_ctx))
        else:
            text, thinking = self._reply(), self._behaviour.thinking
            last = self._last(min(prompt_tokens, num_ctx), len(pieces(text)))
            connection.send_json(200, {**last, "message": _message(text, thinking)})

    def _reply(self) -> str:
        if self._behaviour.reply is not None:
            return self._behaviour.reply
        return self._behaviour.make_reply(self._body.get("messages", []))

    def _stream(self, prompt_tokens: int) -> None:
        connection, fault = self._connection, self._behaviour.fault
        start_lines(connection)
        words = pieces(self._reply())
        messages = [_message("", word) for word in pieces(self._behaviour.thinking)]
        messages += [_message(word, "") for word in words]
        middle = len(messages) // 2
        rate = self._behaviour.tokens_per_second
        for position, message in enumerate(messages):
            if position == middle and fault in MIDDLE_FAULTS:
                self._fail(fault)
                return
            connection.wait(1 / rate if rate else 0)
            self._line({**self._stamp(), "message": message, "done": False})
        self._line({**self._last(prompt_tokens, len(words)), "message": _message("", "")})
        end_lines(connection)

    def _fail(self, fault: Fault) -> None:
        if fault == "stall_middle":
            self._connection.wait(STALL_SECONDS)
        elif fault == "break_middle":
            reset(self._connection)
        else:
            if fault == "error_in_stream":
                self._line({"error": RUNNER_STOPPED})
            end_lines(self._connection)

    def _line(self, content: dict[str, Any]) -> None:
        send_line(self._connection, content)

    def _stamp(self) -> dict[str, Any]:
        return {"model": self._body["model"], "created_at": datetime.now(UTC).isoformat()}

    def _last(self, prompt_tokens: int, answer_tokens: int) -> dict[str, Any]:
        nanoseconds = int((time.monotonic() - self._started) * 1e9) + 1
        return {
            **self._stamp(),
            "done": True,
            "done_reason": "length" if self._behaviour.fault == "cut" else "stop",
            "total_duration": nanoseconds,
            "load_duration": 0,
            "prompt_eval_count": prompt_tokens,
            "prompt_eval_duration": 0,
            "eval_count": answer_tokens,
            "eval_duration": nanoseconds,
        }


def _message(content: str, thinking: str) -> dict[str, str]:
    return {"role": "assistant", "content": content, **({"thinking": thinking} if thinking else {})}


def start_lines(connection: Connection) -> None:
    """The head of an answer that comes line by line."""
    connection.send_response(200)
    connection.send_header("Content-Type", "application/x-ndjson")
    connection.send_header("Transfer-Encoding", "chunked")
    connection.end_headers()


def send_line(connection: Connection, content: dict[str, Any]) -> None:
    line = json.dumps(content, ensure_ascii=False).encode() + b"\n"
    connection.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))


def end_lines(connection: Connection) -> None:
    connection.wfile.write(b"0\r\n\r\n")


def reset(connection: Connection) -> None:
    """End the connection as a killed server does."""
    connection.close_connection = True
    connection.connection.shutdown(socket.SHUT_RDWR)


def _overflow(prompt_tokens: int, num_ctx: int) -> dict[str, str]:
    """As Ollama passes on its runner's refusal: JSON inside JSON."""
    words = (
        f"request ({prompt_tokens} tokens) exceeds the available context size ({num_ctx} tokens),"
        " try increasing it"
    )
    inner = {
        "code": 400,
        "message": words,
        "type": "exceed_context_size_error",
        "n_prompt_tokens": prompt_tokens,
        "n_ctx": num_ctx,
    }
    return {"error": json.dumps({"error": inner})}
