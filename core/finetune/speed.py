"""How fast this machine computes what a training step is made of, as `measuring` left it.

Knows nothing of models: `estimate` multiplies these by what a run will do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Speed:
    """Seconds each, with as many threads as a run would use, or on the GPU."""

    element: float  # of a multiplication and an addition of 32-bit numbers, read and written
    operation: float  # one multiplication or addition within a product of bf16 matrices
    operation32: float  # the same of 32-bit matrices
    dequantize: float  # one weight from 4 bits
    call: float  # one operation on almost nothing


def known(cache_dir: Path) -> Speed | None:
    """What was measured last on this machine; None when nothing was."""
    try:
        told = json.loads(path_of(cache_dir).read_text(encoding="utf-8"))
        return Speed(**{each.name: float(told[each.name]) for each in fields(Speed)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def path_of(cache_dir: Path) -> Path:
    return cache_dir / "training_speed.json"
