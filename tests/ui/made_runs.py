"""Runs as values and as folders, for tests of what the page shows of them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from core.finetune.config import TrainConfig
from core.finetune.events import EventWriter
from core.finetune.run import Run, State

GOOD = '{"instruction": "a", "output": "b"}\n'
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


def make_run(runs: Path, name: str, *, batch_size: int = 4, end: str = "finished") -> Path:
    """A run's folder as its worker leaves it: three steps, an adapter without weights."""
    folder = runs / name
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "adapter_config.json").write_text("{}", encoding="utf-8")
    (folder / "dataset.jsonl").write_text(GOOD, encoding="utf-8")
    (folder / "log.txt").write_text("<b>a line</b>\n", encoding="utf-8")
    config = TrainConfig(model="m", batch_size=batch_size)
    (folder / "config.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
    about = {"title": "", "created": 1_700_000_000 + batch_size, "dataset": {"name": "ej.jsonl", "examples": 1}}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")
    writer = EventWriter(folder / "events.jsonl")
    for step in steps(3, 3):
        writer.write(**step)
    if end:
        writer.write(end, final_loss=1.0, seconds=6.0)
    return folder
