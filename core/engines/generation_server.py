"""The child that writes without Ollama: `python -m core.engines.generation_server`.

The first line of its input is a JSON object: `folder`, `adapter` (or ""), `context` in tokens, `secret`. It answers on
its output with JSON lines: `{"state": "ready", "port": …}`, or `{"state": "failed", "kind": …, "detail": …}`. It then
speaks the OpenAI protocol on a port of 127.0.0.1, to those who know the secret, and ends when its input closes. One
answer at a time; one whose reader has left ends at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import threading
import traceback
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core import processes
from core.engines.openai_stream import MEMORY_TEXTS

if TYPE_CHECKING:
    from core.engines.generation import Writer, Written

LOOK_SECONDS = 0.1  # between two looks at whether the reader is still there
MAX_TOKENS_WITHOUT_LIMIT = 1_000_000
MEMORY_WORDS = (*MEMORY_TEXTS, "can't allocate memory", "not enough memory", "bad allocation")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's; we leave when our input closes
    tell = parent_line()
    first_line = read_line()
    if not first_line:
        return
    # Before the libraries: importing and loading take long, and the parent may be gone meanwhile.
    threading.Thread(target=leave_with_parent, daemon=True).start()
    order = json.loads(first_line)
    processes.step_back(5)
    try:
        from core.engines.generation import Writer

        writer = Writer(Path(order["folder"]), Path(order["adapter"]) if order["adapter"] else None)
        server = GenerationServer(writer, order["context"], order["secret"])
    except BaseException as error:
        traceback.print_exc()
        detail = next(iter(str(error).splitlines()), "") or type(error).__name__
        tell({"state": "failed", "kind": kind_of(error), "detail": detail[:300]})
        return
    listening = socket.create_server(("127.0.0.1", 0))
    tell({"state": "ready", "port": listening.getsockname()[1]})
    serve(server, listening)


def parent_line() -> Callable[[dict[str, object]], None]:
    """Sends a line to the parent. Whatever libraries print goes to the log instead."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(message: dict[str, object]) -> None:
        print(json.dumps(message), file=output, flush=True)

    return tell


def read_line() -> bytes:
    """A line of our input. Not by sys.stdin: it would read ahead, and a thread blocked in it holds its lock."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return line


def leave_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def kind_of(error: BaseException) -> str:
    """"memory" or "other"."""
    words = str(error).lower()
    return "memory" if isinstance(error, MemoryError) or any(part in words for part in MEMORY_WORDS) else "other"


def serve(server: GenerationServer, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(server.app, log_level="warning", access_log=False, lifespan="off", ws="none")
    uvicorn.Server(config).run(sockets=[listening])


@dataclass(frozen=True)
class Order:
    """One answer to write."""

    ids: list[int]
    inside_thinking: bool
    max_tokens: int
    temperature: float | None


class GenerationServer:
    """The part of the OpenAI protocol that our own engine speaks."""

    def __init__(self, writer: Writer, context: int, secret: str) -> None:
        self._writer, self._context, self._secret = writer, context, secret
        self._one_at_a_time = ThreadPoolExecutor(max_workers=1)
        self.app = Starlette(routes=[
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
        ])

    async def models(self, request: Request) -> Response:
        if not self._may(request):
            return refusal(401, "wrong secret")
        return JSONResponse({"object": "list", "data": [{"id": "embedded", "max_model_len": self._context}]})

    async def chat(self, request: Request) -> Response:
        if not self._may(request):
            return refusal(401, "wrong secret")
        try:
            order = await asyncio.to_thread(self._order, await request.json())
        except (ValueError, KeyError, TypeError) as error:
            return refusal(400, f"{type(error).__name__}: {error}")
        if len(order.ids) >= self._context:
            return refusal(400, f"context_length_exceeded: {len(order.ids)} tokens, the context has {self._context}")
        return StreamingResponse(self._events(request, order), media_type="text/event-stream")

    def _may(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode()
        return secrets.compare_digest(given, f"Bearer {self._secret}".encode())

    def _order(self, body: dict[str, Any]) -> Order:
        messages = [{"role": str(item["role"]), "content": str(item["content"])} for item in body["messages"]]
        thinking = (body.get("chat_template_kwargs") or {}).get("enable_thinking")
        ids, inside_thinking = self._writer.prompt(messages, thinking)
        wanted = int(body.get("max_tokens") or MAX_TOKENS_WITHOUT_LIMIT)
        temperature = body.get("temperature")
        return Order(ids, inside_thinking, max(1, min(wanted, self._context - len(ids))),
                     None if temperature is None else float(temperature))

    async def _events(self, request: Request, order: Order) -> AsyncGenerator[str, None]:
        """The stream of one answer. It waits for its turn in the executor's queue; closing it ends the writing."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[str | Written | BaseException] = asyncio.Queue()
        stopped = threading.Event()

        def put(item: str | Written | BaseException) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, item)

        try:
            self._one_at_a_time.submit(self._write, order, put, stopped)
            yield event({"role": "assistant", "content": "<think>\n" if order.inside_thinking else ""})
            while True:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        item = await arrived.get()
                except TimeoutError:
                    if await request.is_disconnected():
                        return
                    continue
                if not isinstance(item, str):
                    yield ending(item, len(order.ids))
                    return
                yield event({"content": item})
        finally:
            stopped.set()

    def _write(self, order: Order, put: Callable[[str | Written | BaseException], None],
               stopped: threading.Event) -> None:
        """In the one thread that computes."""
        if stopped.is_set():
            return
        try:
            put(self._writer.write(order.ids, order.max_tokens, order.temperature, put, stopped))
        except BaseException as error:
            if not stopped.is_set():
                traceback.print_exc()
            put(error)


def event(delta: dict[str, str]) -> str:
    return line({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


def ending(item: Written | BaseException, prompt_tokens: int) -> str:
    """The last events: why it ended and what it took, or what went wrong."""
    if isinstance(item, BaseException):
        words = "out of memory" if kind_of(item) == "memory" else f"{type(item).__name__}: {item}"
        return line({"error": {"message": words}})
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": item.tokens}
    reason = "length" if item.cut else "stop"
    choice = {"index": 0, "delta": {}, "finish_reason": reason}
    return line({"choices": [choice], "usage": usage}) + "data: [DONE]\n\n"


def line(value: object) -> str:
    return f"data: {json.dumps(value)}\n\n"


def refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message}}, status_code=status)


if __name__ == "__main__":
    main()
