"""A run's adapter as one zip to keep or hand on: the adapter's files, a model card, the recipe, the losses.

The card's words come from the caller: core knows no language.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

from core.errors import TrainingError
from core.finetune.dataset import is_disk_full
from core.finetune.run import Run

CARD = "README.md"
PACKED_ALREADY = {".safetensors", ".gguf"}  # numbers that no packing makes smaller


def export_zip(run: Run, target: Path, card: str) -> Path:
    """Write the zip to `target`, whole or not at all; everything lies in a folder of the run's name.

    Raises TrainingError: train_no_adapter, disk_full_writing.
    """
    adapter = run.adapter
    if adapter is None:
        raise TrainingError("train_no_adapter", name=run.shown_name)
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr(f"{run.name}/{CARD}", card)
            # Not config.json: beside an adapter that would be taken for a whole model's.
            recipe = json.dumps(run.config.to_dict(), ensure_ascii=False, indent=2) + "\n"
            bundle.writestr(f"{run.name}/training_config.json", recipe)
            bundle.writestr(f"{run.name}/losses.csv", losses(run))
            for file in sorted(adapter.iterdir()):
                if file.is_file() and file.name != CARD:
                    kind = zipfile.ZIP_STORED if file.suffix in PACKED_ALREADY else zipfile.ZIP_DEFLATED
                    bundle.write(file, f"{run.name}/{file.name}", kind)
        partial.replace(target)
    except OSError as error:
        if is_disk_full(error):
            raise TrainingError("disk_full_writing", folder=str(target.parent)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)
    return target


def losses(run: Run) -> str:
    """The curve as a table: step, loss, held-out loss where there is one, learning rate."""
    held_out = {event.get("step"): event.get("loss") for event in run.evals}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "loss", "eval_loss", "learning_rate"])
    for step in run.steps:
        writer.writerow([step.get("step"), step.get("loss"), held_out.get(step.get("step"), ""),
                         step.get("learning_rate")])
    return text.getvalue()
