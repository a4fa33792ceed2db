"""Runs as values, for tests of what the page shows of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from core.finetune.config import TrainConfig
from core.finetune.run import Run, State

HOSTILE = "<script>alert(1)</script>"


def run(state: State = "training", **values: Any) -> Run:
    fields: dict[str, Any] = {"name": "2026-01-01-1200-m", "folder": Path("runs/2026-01-01-1200-m"),
                              "config": TrainConfig(), "created": datetime(2026, 1, 1, 12), "plan": {}, "steps": (),
                              "error": None, "stop_asked": False, "seconds": 0.0}
    return Run(state=state, **{**fields, **values})


def steps(count: int, total: int) -> tuple[dict[str, Any], ...]:
    return tuple({"event": "step", "step": number, "total": total, "loss": 3.0 / number, "learning_rate": 2e-4 / number,
                  "seconds": 2.0 * number, "tokens_per_second": 151.4, "memory_bytes": 1_500_000_000}
                 for number in range(1, count + 1))
