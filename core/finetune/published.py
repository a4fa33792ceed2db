"""The newest finished adapter, loadable from the folder of all runs itself: `PeftModel.from_pretrained(base, folder)`.

Two files make an adapter, and no system replaces two at once: the settings are taken away first and put back last, so a
reader finds a whole pair or none. Knows nothing of how an adapter came to be.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from filelock import FileLock

SETTINGS, WEIGHTS, MARK = "adapter_config.json", "adapter_model.safetensors", "adapter_run.json"
LOCK_TIMEOUT_SECONDS = 30.0


def publish(run: Path) -> None:
    """Put the adapter of a finished run into the folder above it. Raises OSError; what was there before is then
    gone or whole, and publishing again mends it."""
    target, adapter = run.parent, run / "adapter"
    with FileLock(target / ".publish.lock", timeout=LOCK_TIMEOUT_SECONDS):
        partial = {name: target / f".{name}.partial" for name in (SETTINGS, WEIGHTS, MARK)}
        try:
            shutil.copyfile(adapter / SETTINGS, partial[SETTINGS])
            shutil.copyfile(adapter / WEIGHTS, partial[WEIGHTS])
            partial[MARK].write_text(json.dumps({"run": run.name}) + "\n", encoding="utf-8")
            (target / MARK).unlink(missing_ok=True)
            (target / SETTINGS).unlink(missing_ok=True)
            for name in (WEIGHTS, SETTINGS, MARK):
                partial[name].replace(target / name)
        finally:
            for path in partial.values():
                path.unlink(missing_ok=True)


def withdraw(folder: Path) -> None:
    """Take the published adapter away."""
    with FileLock(folder / ".publish.lock", timeout=LOCK_TIMEOUT_SECONDS):
        for name in (SETTINGS, WEIGHTS, MARK):
            (folder / name).unlink(missing_ok=True)


def published_run(folder: Path) -> str:
    """Name of the run whose adapter is there; empty when none is, or not whole."""
    try:
        told = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(told.get("run", "")) if isinstance(told, dict) and (folder / SETTINGS).is_file() else ""
