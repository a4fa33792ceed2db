"""Measures how fast this machine computes: once a day, in about a second, in a child, for it imports torch.

Knows nothing of models.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.finetune.speed import Speed, path_of

REPEATS = 20  # the fastest counts: other work only ever slows
# Threads until which passes over memory get faster; products of matrices do so with every one.
MEMORY_THREADS = 4
ELEMENTS = 2**22  # of an operation on each: more than the caches hold, as a step of any model has
SIDE = 1024  # of the matrices
VALID_SECONDS = 86_400.0


def keep(cache_dir: Path) -> None:
    """Measure unless it was done today."""
    path = path_of(cache_dir)
    if path.exists() and time.time() - path.stat().st_mtime < VALID_SECONDS:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(measure())), encoding="utf-8")
    partial.replace(path)


def measure() -> Speed:
    """On the GPU where there is one, else with one thread, divided: beside other work several wait for each other, and
    what was measured then would hold for a day (80 times too slow, at a load of 25 on two cores)."""
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    row, weight = (torch.randn(SIDE, SIDE, device=device) for _ in range(2))
    row16, weight16 = row.bfloat16(), weight.bfloat16()
    packed, state = quantize_4bit(weight16, quant_type="nf4", compress_statistics=True)
    numbers, small = torch.randn(ELEMENTS, device=device), torch.randn(8, device=device)
    result = torch.empty_like(numbers)

    threads = torch.get_num_threads()
    parts, memory_parts = (1, 1) if cuda else (threads, min(threads, MEMORY_THREADS))

    def seconds(work: Callable[[], Any], times: int = 1) -> float:
        found = []
        for _ in range(REPEATS + 1):  # the first one warms up
            since = time.perf_counter()
            for _ in range(times):
                work()
            if cuda:
                torch.cuda.synchronize()
            found.append((time.perf_counter() - since) / times)
        return min(found[1:])

    torch.set_num_threads(1)
    try:
        return Speed(
            element=seconds(lambda: torch.addcmul(numbers, numbers, numbers, out=result)) / ELEMENTS / memory_parts,
            operation=seconds(lambda: row16 @ weight16) / (2 * SIDE**3) / parts,
            operation32=seconds(lambda: row @ weight) / (2 * SIDE**3) / parts,
            dequantize=seconds(lambda: dequantize_4bit(packed, state)) / SIDE**2 / parts,
            call=seconds(lambda: small + small, 200),
        )
    finally:
        torch.set_num_threads(threads)
