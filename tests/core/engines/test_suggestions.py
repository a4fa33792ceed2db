"""Which models are suggested on which machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.engines.suggestions import Machine, free_gpu_bytes, look_at_machine, suggest

GIB = 1024**3
GB = 1_000_000_000


def machine(memory_gib: float, gpu_gib: float = 0, disk_gb: float = 500, free_gib: float | None = None) -> Machine:
    free = memory_gib if free_gib is None else free_gib
    return Machine(int(memory_gib * GIB), int(gpu_gib * GIB), int(disk_gb * GB), int(free * GIB))


@pytest.mark.parametrize(("memory", "first"), [
    (62.7, "gpt-oss:20b"), (15.4, "gpt-oss:20b"), (11.6, "qwen3:8b"), (7.6, "gemma3:4b"), (3.7, "qwen3:1.7b"),
    (1.9, "qwen3:0.6b"), (0.9, "qwen3:0.6b"),
])
def test_the_best_that_fits_the_memory_comes_first(memory: float, first: str) -> None:
    assert suggest(machine(memory))[0].model == first


def test_a_graphics_card_holds_what_the_memory_does_not() -> None:
    assert [(suggestion.model, suggestion.fit) for suggestion in suggest(machine(7.6, gpu_gib=15.5))][:2] == [
        ("gpt-oss:20b", "gpu"), ("qwen3:8b", "gpu")]


def test_memory_that_other_programs_use_is_told() -> None:
    fits = {suggestion.model: suggestion.fit for suggestion in suggest(machine(15.4, free_gib=5))}
    assert fits == {"gpt-oss:20b": "busy", "qwen3:8b": "busy", "gemma3:4b": "memory", "qwen3:4b": "memory"}


def test_a_size_that_the_server_tells_counts() -> None:
    found = suggest(machine(31), told={"gpt-oss:20b": 15 * GB})[:2]
    assert [(suggestion.model, suggestion.size_bytes) for suggestion in found] == [
        ("gpt-oss:20b", 15 * GB), ("qwen3:8b", int(5.2 * GB))]


def test_what_is_installed_is_not_suggested() -> None:
    names = [suggestion.model for suggestion in suggest(machine(31), ["gpt-oss:20b", "qwen3:4b"])]
    assert names == ["qwen3:8b", "gemma3:4b", "llama3.2:3b", "qwen3:1.7b"]


def test_a_small_disk_leaves_what_it_has_room_for() -> None:
    assert suggest(machine(31, disk_gb=8))[0].model == "qwen3:8b"


def test_a_full_disk_is_told() -> None:
    assert {suggestion.fit for suggestion in suggest(machine(31, disk_gb=1))} == {"no_disk"}


def test_this_machine_is_looked_at(tmp_path: Path) -> None:
    found = look_at_machine({"OLLAMA_MODELS": str(tmp_path / "not" / "there")})
    assert found.memory_bytes > 0 and found.disk_bytes > 0


@pytest.mark.skipif(sys.platform == "win32", reason="the fake nvidia-smi is a shell script")
@pytest.mark.parametrize(("script", "mib"), [
    ("echo 8000; echo 4000", 12_000), ("echo '[N/A]'", 0), ("exit 9", 0), ("echo 'NVIDIA-SMI has failed'", 0),
])
def test_free_graphics_memory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, mib: int
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert free_gpu_bytes() == mib * 1024 * 1024
