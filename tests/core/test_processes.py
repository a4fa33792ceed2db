"""Children: how they are put behind everything else on the processor."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from core import processes


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has classes of priority instead")
def test_a_child_that_steps_back_lets_others_go_first(tmp_path: Path) -> None:
    child = processes.start([sys.executable, "-c", "input()"], log_path=tmp_path / "child.log")
    try:
        before = psutil.Process(child.pid).nice()
        processes.step_back(12, child.pid)
        assert psutil.Process(child.pid).nice() == 12 != before
    finally:
        processes.end(child)


def test_a_child_that_has_ended_is_left_alone(tmp_path: Path) -> None:
    child = processes.start([sys.executable, "-c", ""], log_path=tmp_path / "child.log")
    child.wait()
    processes.step_back(5, child.pid)
