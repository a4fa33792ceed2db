"""The child that reads files: `python -m core.documents.parser_worker`.

One JSON request a line on stdin, `{"path", "attempt"}`; one JSON answer a line on stdout: `{"page": text}` for
each page, then `{"end": page_count}` or `{"error": code, "values": {…}}`. It ends when stdin closes.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import IO

from core.documents.parsers import read_pages
from core.errors import DocumentError


def main() -> None:
    answers = protocol_output()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        serve(Path(request["path"]), int(request["attempt"]), answers)


def protocol_output() -> IO[bytes]:
    """Our own copy of stdout; what libraries print to stdout goes to stderr, the log, instead."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def serve(path: Path, attempt: int, answers: IO[bytes]) -> None:
    """Answer one request."""
    count = 0
    try:
        for text in read_pages(path, attempt):
            count += 1
            send(answers, {"page": text})
        send(answers, {"end": count})
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


def send(answers: IO[bytes], answer: dict[str, object]) -> None:
    answers.write(json.dumps(answer).encode("ascii") + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
