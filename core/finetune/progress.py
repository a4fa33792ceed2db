"""What a run tells at each step, when it measures and saves, and how it notices that it should stop.

Knows the trainer's callbacks, not the run that is trained.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.finetune.checkpoints import Pace, mark_whole
from core.finetune.events import EventWriter


@dataclass
class Progress:
    """What the steps have told so far; `started`, `told_at` and `mark` are readings of time.monotonic()."""

    events: EventWriter
    stop_file: Path
    pace: Pace
    seconds_before: float = 0.0  # of the parts before, when the run was resumed
    evaluate: Callable[[], float | None] | None = None  # the held-out loss now
    evaluations: int = 1  # how often in the whole run
    started: float = field(default_factory=time.monotonic)
    told_at: float = 0.0
    told_tokens: int = 0
    mark: float = 0.0  # since when nothing is learnt, while measuring and saving
    last_loss: float | None = None
    stopped: bool = False

    @property
    def seconds(self) -> float:
        return round(self.seconds_before + time.monotonic() - self.started, 1)

    def begin(self) -> None:
        """Called when the first step begins: what came before was loading."""
        self.started = self.told_at = self.pace.saved_at = time.monotonic()

    def tell(self, logs: dict[str, Any], state: Any) -> None:
        """One `step` event. Tokens are all those of the rows, prompts too, without padding."""
        now = time.monotonic()
        tokens = int(logs.get("num_tokens", self.told_tokens))
        elapsed = max(now - self.told_at, 1e-6)
        self.last_loss = logs["loss"]
        self.events.write(
            "step", step=state.global_step, total=state.max_steps, epoch=round(state.epoch or 0.0, 3),
            loss=logs["loss"], learning_rate=logs.get("learning_rate"),
            tokens=tokens, tokens_per_second=round((tokens - self.told_tokens) / elapsed, 1),
            seconds=self.seconds, memory_bytes=memory_bytes(),
        )
        self.told_at, self.told_tokens = now, tokens

    def measure(self, state: Any) -> None:
        """One `eval` event, as often as `evaluations` says."""
        every = max(1, -(-state.max_steps // self.evaluations))
        if self.evaluate is None or state.global_step % every:
            return
        since = time.monotonic()
        loss = self.evaluate()
        self.told_at += time.monotonic() - since
        self.events.write(
            "eval", step=state.global_step, total=state.max_steps, epoch=round(state.epoch or 0.0, 3),
            loss=loss, seconds=self.seconds,
        )


def memory_bytes() -> int:
    """The most GPU memory held so far, or without a GPU the resident memory of this process."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_reserved())
    return int(psutil.Process().memory_info().rss)


def peak_memory_bytes() -> int:
    """The most memory held so far: of the GPU, or without one resident."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_reserved())
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(told if sys.platform == "darwin" else told * 1024)  # kibibytes elsewhere


def progress_callback(progress: Progress) -> Any:
    """The trainer's callback that feeds `progress` and obeys the stop file."""
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress.begin()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            progress.stopped = agreed(progress.stop_file.exists())
            if not progress.stopped:
                progress.measure(state)
            progress.mark = time.monotonic()
            control.should_training_stop |= progress.stopped
            due = agreed(progress.pace.due(state.global_step, progress.mark))
            control.should_save |= due or control.should_training_stop
            return control

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                progress.tell(logs, state)
                progress.mark = time.monotonic()

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            mark_whole(Path(args.output_dir) / f"checkpoint-{state.global_step}")
            now = time.monotonic()
            progress.told_at += now - progress.mark
            progress.pace.saved(now, now - progress.mark)

    return Callback()


def is_follower() -> bool:
    """Whether `accelerate launch` started this process beside the first one, which speaks for all."""
    return int(os.environ.get("RANK", "0")) > 0


def agreed(mine: bool) -> bool:
    """What the first of several training processes says: all must stop and save at the same step."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return mine
    from accelerate.utils import broadcast_object_list

    told = [mine]
    broadcast_object_list(told)
    return told[0]
