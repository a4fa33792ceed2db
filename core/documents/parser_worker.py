"""The child that opens documents: `python -m core.documents.parser_worker`.

One JSON request a line on stdin, `{"path", "attempt"}` for the texts of all pages or `{"path", "render", "start",
"end"}` for one page's picture, either with a `password`; one JSON answer a line on stdout: `{"pages": how many}` where
that is known, then `{"page": text}` each, or `{"picture": data URI, "top": …}`, then `{"end": true}`, or
`{"error": code, "values": {…}}`. It ends when stdin closes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from core.documents.parsers import count_pages, read_pages
from core.documents.rendering import render_page
from core.errors import DocumentError


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's; we leave when stdin closes
    answers = protocol_output()
    for line in sys.stdin.buffer:
        serve(json.loads(line), answers)


def protocol_output() -> IO[bytes]:
    """Our own copy of stdout; what libraries print to stdout goes to stderr, the log, instead."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def serve(request: dict[str, Any], answers: IO[bytes]) -> None:
    """Answer one request."""
    try:
        for answer in results(request):
            send(answers, answer)
        send(answers, {"end": True})
    except DocumentError as error:
        send(answers, {"error": error.code, "values": error.values})
    except FileNotFoundError:
        send(answers, {"error": "file_gone", "values": {}})
    except OSError as error:
        send(answers, {"error": "file_unreadable", "values": {"detail": error.strerror or str(error)}})
    except MemoryError:
        send(answers, {"error": "parser_memory", "values": {}})
    except Exception:
        # A bug of ours or of a reader: the traceback goes to the log, the file fails alone.
        traceback.print_exc()
        send(answers, {"error": "parser_crashed", "values": {}})


def results(request: dict[str, Any]) -> Iterator[dict[str, object]]:
    path, password = Path(request["path"]), request.get("password")
    if "render" in request:
        rendered = render_page(path, request["render"], request["start"], request["end"], password)
        yield {"picture": rendered.picture, "top": rendered.top}
        return
    # A later attempt is made when the first one took the child down: what counts must not do so again.
    if request["attempt"] == 0 and (pages := count_pages(path, password)):
        yield {"pages": pages}
    for text in read_pages(path, request["attempt"], password):
        yield {"page": text}


def send(answers: IO[bytes], answer: dict[str, object]) -> None:
    # UTF-8 is half as long as escapes; half a character, as in the name of a file, passes too.
    answers.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
