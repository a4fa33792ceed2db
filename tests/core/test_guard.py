"""A guarded program cannot outlive the one that started it, not even by `kill -9`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

from core import processes

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
FAMILY = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
# A parent that guards a shell-like program with a child of its own, tells the family's pids, and waits.
PARENT = f"""
import pathlib, sys, time, psutil
from core import processes
child = processes.start(
    processes.python_module("core.guard", sys.executable, "-c", {FAMILY!r}),
    log_path=pathlib.Path(sys.argv[1]),
)
family = []
while len(family) < 2:
    time.sleep(0.05)
    family = psutil.Process(child.pid).children(recursive=True)
print(child.pid, *[member.pid for member in family], flush=True)
time.sleep(60)
"""


def all_gone(pids: list[int], seconds: float = 8.0) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def guard(log_path: Path, *command: str) -> subprocess.Popen[bytes]:
    return processes.start(processes.python_module("core.guard", *command), log_path=log_path)


def wait_for_child(pid: int) -> int:
    while not (children := psutil.Process(pid).children()):
        time.sleep(0.02)
    return children[0].pid


def test_killing_the_parent_ends_the_whole_guarded_family(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log.txt")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 3
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert all_gone(pids)


def test_closing_the_pipe_ends_the_command_at_once(tmp_path: Path) -> None:
    child = guard(tmp_path / "log.txt", sys.executable, "-c", SLEEPER)
    command = wait_for_child(child.pid)
    started = time.monotonic()
    processes.end(child)
    assert all_gone([command, child.pid])
    assert time.monotonic() - started < 2


def test_terminating_the_guard_ends_the_command(tmp_path: Path) -> None:
    child = guard(tmp_path / "log.txt", sys.executable, "-c", SLEEPER)
    command = wait_for_child(child.pid)
    while "up" not in (tmp_path / "log.txt").read_text():
        time.sleep(0.02)
    child.terminate()
    child.wait(timeout=8)
    processes.end(child)
    assert sys.platform == "win32" or all_gone([command])


def test_the_guard_ends_with_its_command_and_passes_on_the_exit_code(tmp_path: Path) -> None:
    child = guard(tmp_path / "log.txt", sys.executable, "-c", "print('last words'); raise SystemExit(7)")
    assert child.wait(timeout=8) == 7
    processes.end(child)
    assert "last words" in (tmp_path / "log.txt").read_text()


def test_a_command_that_does_not_exist_is_told_in_the_log(tmp_path: Path) -> None:
    child = guard(tmp_path / "log.txt", "no-such-program-anywhere")
    assert child.wait(timeout=8) == 127
    processes.end(child)
    assert "no-such-program-anywhere" in (tmp_path / "log.txt").read_text()
