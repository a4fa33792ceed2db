"""Which models are worth downloading on this machine, by its memory and its disk.

Asks the machine, never the network, and starts no model library. The sizes are about those of ollama.com's default
tags, which change; a server that has had a model knows its own.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psutil

from core.engines.ollama_names import full_name

Fit = Literal["gpu", "memory", "busy", "no_disk"]
GIGABYTE = 1_000_000_000
NVIDIA_SECONDS = 3.0  # a sleeping driver needs about one to wake
# A machine sold with 16 GB shows the system less, for the firmware and a built-in graphics card take theirs.
SOLD_AS = 0.9
CONTEXT_BYTES = 1.2 * GIGABYTE  # beside the weights: 8192 tokens of context, and the runner itself
DISK_RESERVE_BYTES = 2 * GIGABYTE  # a disk filled to the brim stops more than a download
SHOWN = 4


@dataclass(frozen=True)
class Machine:
    """What a model has to fit. `gpu_bytes` is free graphics memory, 0 without such a card or where it is the
    machine's own memory, as on a Mac. `free_bytes` of `memory_bytes` no program uses now."""

    memory_bytes: int
    gpu_bytes: int
    disk_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Suggestion:
    """A model, what its download weighs, and how it fits: all in the graphics card, in memory, in memory once other
    programs are closed, or only after the disk has more room."""

    model: str
    size_bytes: int
    fit: Fit


@dataclass(frozen=True)
class _Candidate:
    model: str
    size: float  # GB to download
    machine: int  # GB of memory of the smallest machine where it leaves room for everything else


# Best first. All are instruct models that speak Spanish; below the third they do so less and less well.
_CANDIDATES = (
    _Candidate("gpt-oss:20b", 13.8, 16),
    _Candidate("qwen3:8b", 5.2, 10),
    _Candidate("gemma3:4b", 3.3, 8),
    _Candidate("qwen3:4b", 2.5, 6),
    _Candidate("llama3.2:3b", 2.0, 6),
    _Candidate("qwen3:1.7b", 1.4, 4),
    _Candidate("qwen3:0.6b", 0.5, 2),
)


def suggest(
    machine: Machine, installed: Collection[str] = (), told: Mapping[str, int] | None = None
) -> list[Suggestion]:
    """The best few that fit and are not installed, the best first; at least the smallest, where nothing does. `told`
    are sizes in bytes as the server tells them, by full name."""
    have = {full_name(name) for name in installed}
    sizes = told or {}
    wanted = [replace(candidate, size=sizes.get(full_name(candidate.model), 0) / GIGABYTE or candidate.size)
              for candidate in _CANDIDATES if full_name(candidate.model) not in have]
    fitting = [candidate for candidate in wanted if _fits(machine, candidate)] or wanted[-1:]
    roomy = [candidate for candidate in fitting if _has_room(machine, candidate)]
    return [_suggestion(machine, candidate) for candidate in (roomy or fitting)[:SHOWN]]


def look_at_machine(environment: Mapping[str, str] = os.environ) -> Machine:
    """This machine as it is now. Takes up to 3 s where a graphics driver sleeps."""
    folder = Path(environment.get("OLLAMA_MODELS") or Path.home() / ".ollama" / "models")
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    disk = 0
    with contextlib.suppress(OSError):
        disk = shutil.disk_usage(folder).free
    memory = psutil.virtual_memory()
    return Machine(memory.total, free_gpu_bytes(), disk, memory.available)


def free_gpu_bytes() -> int:
    """Free memory of all NVIDIA cards together: Ollama spreads a model over them. 0 without one, and on a Mac, whose
    graphics use the machine's own memory."""
    program = None if platform.system() == "Darwin" else shutil.which("nvidia-smi")
    if program is None:
        return 0
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        told = subprocess.run(
            [program, "--query-gpu=memory.free", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=NVIDIA_SECONDS, check=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        return sum(int(line) for line in told.stdout.split()) * 1024 * 1024
    return 0


def _fits(machine: Machine, candidate: _Candidate) -> bool:
    return _fits_gpu(machine, candidate) or machine.memory_bytes >= SOLD_AS * candidate.machine * GIGABYTE


def _fits_gpu(machine: Machine, candidate: _Candidate) -> bool:
    return machine.gpu_bytes >= candidate.size * GIGABYTE + CONTEXT_BYTES


def _has_room(machine: Machine, candidate: _Candidate) -> bool:
    return machine.disk_bytes >= candidate.size * GIGABYTE + DISK_RESERVE_BYTES


def _suggestion(machine: Machine, candidate: _Candidate) -> Suggestion:
    fit: Fit = "gpu" if _fits_gpu(machine, candidate) else "memory"
    if fit == "memory" and machine.free_bytes < candidate.size * GIGABYTE + CONTEXT_BYTES:
        fit = "busy"
    if not _has_room(machine, candidate):
        fit = "no_disk"
    return Suggestion(candidate.model, int(candidate.size * GIGABYTE), fit)
