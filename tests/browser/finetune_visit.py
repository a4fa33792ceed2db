"""What a reader does with the Fine-tune tab, and how its examples are made. Knows no test."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Locator

from tests.browser.visit import Visit

TRAINING_MS = 120_000  # importing what trains takes most of it


def drop(visit: Visit, path: Path) -> None:
    visit.page.set_input_files("#drop-dataset input[type=file]", str(path))


def pick_model(visit: Visit, folder: Path) -> None:
    field = visit.page.locator("#base-model input")
    field.fill(str(folder))
    field.press("Enter")


def run_name(visit: Visit) -> Locator:
    return visit.page.locator("#run-status .run-head strong")


def examples(path: Path, count: int) -> Path:
    """A dataset of `count` good lines; the third line is no JSON, and the seventh lacks its output."""
    lines = [json.dumps({"instruction": f"¿Cuánto es {number} más uno?", "output": f"Es {number + 1}."})
             for number in range(count)]
    lines.insert(2, "{not json")
    lines.insert(6, '{"instruction": "sin respuesta"}')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
