"""What a run tells at each step, and how it notices that it should stop.

Knows the trainer's callbacks, not the run that is trained.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.finetune.events import EventWriter


@dataclass
class Progress:
    """What the steps have told so far; `started` and `told_at` are readings of time.monotonic()."""

    events: EventWriter
    stop_file: Path
    started: float
    told_at: float = 0.0
    told_tokens: int = 0
    last_loss: float | None = None
    stopped: bool = False

    def tell(self, logs: dict[str, Any], state: Any) -> None:
        """One `step` event. Tokens are all those of the rows, prompts too, without padding."""
        now = time.monotonic()
        tokens = int(logs.get("num_tokens", self.told_tokens))
        elapsed = max(now - self.told_at, 1e-6)
        self.last_loss = logs["loss"]
        self.events.write(
            "step", step=state.global_step, total=state.max_steps, epoch=round(state.epoch or 0.0, 3),
            loss=logs["loss"], learning_rate=logs.get("learning_rate"),
            tokens_per_second=round((tokens - self.told_tokens) / elapsed, 1),
            seconds=round(now - self.started, 1), memory_bytes=memory_bytes(),
        )
        self.told_at, self.told_tokens = now, tokens


def memory_bytes() -> int:
    """The most GPU memory held so far, or without a GPU the resident memory of this process."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_reserved())
    return int(psutil.Process().memory_info().rss)


def progress_callback(progress: Progress) -> Any:
    """The trainer's callback that feeds `progress` and obeys the stop file."""
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress.started = progress.told_at = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            if progress.stop_file.exists():
                progress.stopped = True
                control.should_save = True
                control.should_training_stop = True
            return control

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                progress.tell(logs, state)

    return Callback()
