"""A small real server of the OpenAI protocol on loopback, with faults on demand.

    with OpenAIServer([{"id": "qwen3-8b", "max_model_len": 16384}], key="secret") as server:
        server.behave(fault="stall_before")
        …  # talk to server.url; then look at server.chats, server.active_chats, server.disconnects

By hand: `python -m tests.openai_server --port 8000`. Knows no model: tokens are words.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.ollama_replies import cited_reply, count_tokens, pieces
from tests.small_server import ClientLeft, SmallHandler, SmallServer

STALL_SECONDS = 60.0  # no test waits so long; a forgotten stall ends some day
# As the servers word them: OpenAI, vLLM, llama.cpp.
REFUSALS: dict[str, tuple[int, object]] = {
    "model_missing": (404, {"error": {"message": "The model `gone` does not exist.", "type": "NotFoundError"}}),
    "too_long": (400, {"error": {"message": "This model's maximum context length is 4096 tokens. However, you "
                                            "requested 9000 tokens.", "type": "BadRequestError", "code": 400}}),
    "too_long_llama": (400, {"error": {"code": 400, "type": "exceed_context_size_error", "n_ctx": 4096,
                                       "message": "the request exceeds the available context size, increase it"}}),
    "too_large": (413, {"detail": "Payload Too Large"}),
    "busy": (429, {"error": {"message": "Rate limit reached", "type": "requests"}}),
    "overloaded": (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
    "out_of_memory": (500, {"error": {"message": "CUDA out of memory. Tried to allocate 2.00 GiB"}}),
    "forbidden": (403, {"error": "not for you"}),
    "server_error": (500, "Internal Server Error"),
}
Fault = str  # "none", a key of REFUSALS, or one of those `_Answer` knows


@dataclass(frozen=True)
class Behaviour:
    """How the next chats go. `thinking_in` says where the thinking stands: a field of the delta, or tags."""

    fault: Fault = "none"
    reply: str | None = None
    thinking: str = ""
    thinking_in: str = "reasoning_content"
    tokens_per_second: float = 0.0  # 0: as fast as they go
    counts_tokens: bool = True
    refuses_stream_options: bool = False


class OpenAIServer(SmallServer):
    """A server on `port` (0: a free one). `models` are entries of `/v1/models`; `pages` further GET answers."""

    def __init__(self, models: Sequence[dict[str, Any]], key: str = "", pages: dict[str, object] | None = None,
                 port: int = 0) -> None:
        self.models, self.key, self.pages = list(models), key, pages or {}
        self.behaviour = Behaviour()
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []  # path, headers, body
        super().__init__(_Handler, port)

    @property
    def chats(self) -> list[dict[str, Any]]:
        """The bodies of the chats asked so far, oldest first."""
        return [body for path, _, body in self.requests if path.endswith("/chat/completions")]

    def behave(self, **changes: Any) -> None:
        self.behaviour = replace(self.behaviour, **changes)


class _Handler(SmallHandler):
    @property
    def openai(self) -> OpenAIServer:
        server: OpenAIServer = self.server.owner
        return server

    def do_GET(self) -> None:
        openai = self._noted({})
        if not self._may():
            return
        if self.path in openai.pages:
            self.send_json(200, openai.pages[self.path])
        elif self.path == "/v1/models":
            self.send_json(200, {"object": "list", "data": openai.models})
        else:
            self.send_json(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = self.read_json()
        openai = self._noted(body)
        if not self._may():
            return
        if self.path != "/v1/chat/completions":
            self.send_json(404, {"detail": "Not Found"})
            return
        with openai.counted("active_chats"):
            try:
                _Answer(self, body, openai.behaviour).send()
            except (ClientLeft, ConnectionError):
                self.left("disconnects")

    def _noted(self, body: dict[str, Any]) -> OpenAIServer:
        openai = self.openai
        with openai.lock:
            openai.requests.append((self.path, dict(self.headers.items()), body))
        return openai

    def _may(self) -> bool:
        key = self.openai.key
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            said = self.headers.get("Authorization", "")
            self.send_json(401, {"error": {"message": f"Incorrect API key provided: {said}"}})
            return False
        return True


class _Answer:
    """One answer, with the fault it was told to have."""

    def __init__(self, connection: _Handler, body: dict[str, Any], behaviour: Behaviour) -> None:
        self._connection, self._body, self._behaviour = connection, body, behaviour

    def send(self) -> None:
        connection, fault = self._connection, self._behaviour.fault
        if fault == "stall_before":
            connection.wait(STALL_SECONDS)
        if self._behaviour.refuses_stream_options and "stream_options" in self._body:
            connection.send_json(422, {"detail": "Unexpected fields: {'stream_options'}"})
        elif fault in REFUSALS:
            connection.send_json(*REFUSALS[fault])
        elif fault == "not_json":
            connection.send_bytes(200, b"<html>It works!</html>", "text/html")
        elif fault == "error_at_200":
            connection.send_json(200, {"error": {"message": "The model has crashed"}})
        elif fault == "break_before":
            self._reset()
        else:
            self._stream()

    def _stream(self) -> None:
        connection, behaviour = self._connection, self._behaviour
        connection.send_response(200)
        connection.send_header("Content-Type", "text/event-stream; charset=utf-8")
        connection.send_header("Connection", "close")
        connection.end_headers()
        self._chunk({"role": "assistant", "content": ""})
        if behaviour.thinking and behaviour.thinking_in != "tags":
            self._chunk({behaviour.thinking_in: behaviour.thinking})
        text = behaviour.reply if behaviour.reply is not None else cited_reply(self._body.get("messages", []))
        if behaviour.thinking and behaviour.thinking_in == "tags":
            text = f"<think>\n{behaviour.thinking}\n</think>\n\n{text}"
        words = pieces(text)
        for number, word in enumerate(words):
            if number == len(words) // 2 and self._break_down():
                return
            self._chunk({"content": word})
            if behaviour.tokens_per_second:
                connection.wait(1 / behaviour.tokens_per_second)
        self._chunk({}, "length" if behaviour.fault == "cut" else "stop")
        if behaviour.counts_tokens and "stream_options" in self._body:
            usage = {"prompt_tokens": count_tokens(self._body["messages"]), "completion_tokens": len(words)}
            self._event({"choices": [], "usage": usage})
        self._line("data: [DONE]\r\n\r\n")
        connection.close_connection = True

    def _break_down(self) -> bool:
        """The faults in the middle of an answer; whether it ends here."""
        fault = self._behaviour.fault
        if fault == "stall_middle":
            self._connection.wait(STALL_SECONDS)
        elif fault == "break_middle":
            self._reset()
        elif fault == "error_in_stream":
            self._event({"error": {"message": "the engine core has died", "code": 500}})
        elif fault == "not_json_middle":
            self._line("data: {oops\n\n")
        elif fault == "wrong_shape":
            self._line('data: {"choices": ["no"]}\n\n')
        elif fault != "end_early":
            return False
        self._connection.close_connection = True
        return True

    def _chunk(self, delta: dict[str, str], reason: str | None = None) -> None:
        self._event({"id": "1", "object": "chat.completion.chunk", "model": self._body.get("model"),
                     "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    def _event(self, event: object) -> None:
        self._line(f": a comment\ndata: {json.dumps(event, ensure_ascii=False)}\n\n")

    def _line(self, text: str) -> None:
        self._connection.wfile.write(text.encode())
        self._connection.wfile.flush()

    def _reset(self) -> None:
        """Break the connection as a crash does: the other side reads an error, not an end."""
        self._connection.close_connection = True
        self._connection.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.connection.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description="A small OpenAI server that answers from the prompt's passages.")
    arguments.add_argument("--port", type=int, default=8000)
    arguments.add_argument("--key", default="")
    arguments.add_argument("--tokens-per-second", type=float, default=30.0)
    chosen = arguments.parse_args()
    server = OpenAIServer([{"id": "llama-3.3-70b", "max_model_len": 16384}], chosen.key, port=chosen.port)
    server.behave(tokens_per_second=chosen.tokens_per_second)
    print(f"A small OpenAI server answers at {server.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
