"""Memory and time of short runs of small Llamas, against what is predicted.

    python -m tests.benchmarks.memory

On a CPU the peak is resident memory. Each run is a worker of its own; the time is compared without the start.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from core.finetune import memory, models
from core.finetune.config import TrainConfig
from core.finetune.dataset import Example, write_dataset
from core.finetune.estimate import START_SECONDS, assess
from core.finetune.events import read_events
from core.finetune.preflight import training_gpu
from core.settings import Settings
from tests.tiny_model import make_tiny_model

SMALL = {"hidden_size": 512, "intermediate_size": 1024, "num_attention_heads": 8, "num_key_value_heads": 4}
LARGE = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 6, "num_attention_heads": 16,
         "num_key_value_heads": 4}
SHAPES: list[tuple[dict[str, Any], int, int]] = [  # sizes, rows a batch, tokens a row
    ({**SMALL, "num_hidden_layers": 4}, 4, 256),
    ({**SMALL, "num_hidden_layers": 2}, 4, 1024),
    ({**SMALL, "num_hidden_layers": 2, "vocab_size": 64000}, 1, 256),
    (LARGE, 2, 128),
    ({**LARGE, "vocab_size": 32000}, 1, 256),
]
STEPS = 3


def main() -> None:
    machine = memory.CUDA if training_gpu() else memory.CPU
    with tempfile.TemporaryDirectory() as folder:
        for number, (sizes, batch_size, tokens) in enumerate(SHAPES):
            model = make_tiny_model(Path(folder) / f"model-{number}", **sizes)
            run = Path(folder) / "runs" / f"run-{number}"
            run.mkdir(parents=True)
            config = TrainConfig(
                model=str(model), epochs=1, batch_size=batch_size, max_length=tokens, eval_share=0.0
            )
            rows = [Example(f"{n}", "palabra larga " * tokens) for n in range(STEPS * batch_size)]
            estimate = assess(config, Settings(runs_dir=run.parent), [tokens] * len(rows), len(rows))
            write_dataset(run / "dataset.jsonl", rows)
            (run / "config.json").write_text(json.dumps(config.to_dict()))
            subprocess.run([sys.executable, "-m", "core.finetune.worker", str(run)], check=True, capture_output=True)
            told = {one["event"]: one for one in read_events(run / "events.jsonl")}
            inspected = models.inspect_folder(model)
            need = memory.need(
                models.read_json(model / "config.json"), memory.weigh(inspected, config), config, tokens, machine
            )
            peak, seconds = told["saved"]["peak_memory_bytes"], told["finished"]["seconds"]
            print(
                f"{sizes} {batch_size} x {tokens}: peak {peak / 1e6:.0f} MB, predicted {need.peak / 1e6:.0f} "
                f"({need.peak / peak:.2f}); {seconds:.1f} s, predicted "
                f"{(estimate.seconds or 0) - START_SECONDS:.1f}", flush=True,
            )


if __name__ == "__main__":
    main()
