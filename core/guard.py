"""Runs someone else's program so that it cannot outlive us: `python -m core.guard [--output] COMMAND [ARGUMENT…]`.

A program of ours ends when its standard input closes; others, like `ollama serve`, do not look. The guard
stands between: it starts the command, and when its own input closes (even because its parent was killed) it
ends the command with all its children. The command's output goes to the guard's stderr, which is the log.
Knows no particular program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from core import processes

OUTPUT = "--output"
LOOK_SECONDS = 0.2  # between two looks at the command: soon enough to be unnoticed, rare enough to be free


def main(command: Sequence[str]) -> int:
    """Run `command` until it ends or our input closes. Returns its exit code, 127 when it does not start."""
    output = command[0] == OUTPUT
    command = list(command)[1:] if output else list(command)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=None if output else sys.stderr)
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        return 127
    # Ctrl+C reaches the whole terminal: the command and our parent decide, and we stay until they have.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parent_gone = threading.Event()
    threading.Thread(target=_watch_input, args=(parent_gone,), daemon=True).start()
    try:
        while child.poll() is None and not parent_gone.wait(LOOK_SECONDS):
            pass
    finally:
        processes.end(child)
    return child.returncode


def _watch_input(closed: threading.Event) -> None:
    # Not sys.stdin: a thread blocked in it holds its lock, and the interpreter aborts at the end.
    while os.read(0, 1024):
        pass
    closed.set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
