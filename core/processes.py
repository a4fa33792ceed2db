"""Starting, watching and ending child processes, the same on Linux, macOS and Windows.

Knows nothing of what the children do. A child that must not outlive us reads its standard input and ends when
it closes, so even `kill -9` of the parent ends it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def start(
    command: Sequence[str],
    *,
    log_path: Path,
    piped: bool = True,
    outlives_us: bool = False,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in the project's folder.

    `piped` children speak over stdin and stdout, and their stderr goes to `log_path`; others write both to
    `log_path` and read nothing. `outlives_us` gives the child a session of its own, so that neither Ctrl+C in
    our terminal nor our end reaches it.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    creation_flags = 0
    if sys.platform == "win32":
        creation_flags = subprocess.CREATE_NO_WINDOW
        if outlives_us:
            creation_flags |= subprocess.CREATE_NEW_PROCESS_GROUP
    child_environment = {
        **os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "PYTHONPATH": python_path(),
        **(environment or {}),
    }
    with log_path.open("ab") as log:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else log,
            stderr=log,
            env=child_environment,
            start_new_session=outlives_us and sys.platform != "win32",
            creationflags=creation_flags,
        )


def python_path() -> str:
    """PYTHONPATH that lets `-m core…` find this project wherever the user started it."""
    before = os.environ.get("PYTHONPATH")
    return f"{PROJECT_ROOT}{os.pathsep}{before}" if before else str(PROJECT_ROOT)


def step_back(niceness: int, pid: int | None = None) -> None:
    """Let the page and everything else of the user's go before a process, this one if none is named: `niceness` 1 to
    19, on Windows one class below the normal whatever it is."""
    with contextlib.suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            psutil.Process(pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            psutil.Process(pid).nice(niceness)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its children, in bytes; 0 when it has ended."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for member in family:
        with contextlib.suppress(psutil.Error):
            total += member.memory_info().rss
    return total


def end(child: subprocess.Popen[bytes], *, grace_seconds: float = 3.0) -> None:
    """End a child and its children: close its stdin (our children leave then), terminate, then kill.

    Each step has `grace_seconds`; a child without a pipe is terminated at once.
    """
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(child.pid).children(recursive=True)
    steps = [child.terminate, child.kill]
    if child.stdin is not None:
        steps.insert(0, child.stdin.close)
    for ask in steps:
        with contextlib.suppress(OSError):
            ask()
        try:
            child.wait(timeout=grace_seconds)
            break
        except subprocess.TimeoutExpired:
            continue
    for orphan in family:
        with contextlib.suppress(psutil.Error):
            orphan.kill()
    close_pipe(child.stdout)


def close_pipe(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(OSError):
            pipe.close()
