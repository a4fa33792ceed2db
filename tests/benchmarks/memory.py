"""Memory and time of short runs of small Llamas, against what is predicted before them.

    python -m tests.benchmarks.memory

On a CPU the peak is resident memory. Each run is a worker of its own; of the time only the steps are compared, by the
median one, so that other work on the machine spoils less. Takes about four minutes on two quiet cores.
"""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from core.finetune import blueprints, memory
from core.finetune.config import TrainConfig
from core.finetune.dataset import Example, write_dataset
from core.finetune.estimate import batch_seconds
from core.finetune.events import read_events
from core.finetune.measuring import measure
from core.finetune.preflight import training_gpu
from core.finetune.speed import Speed
from tests.benchmarks.plain_trl import ours
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
    ({**SMALL, "num_hidden_layers": 12}, 1, 64),
    # The constants of `estimate` are fitted on those above, and looked at on these.
    ({**SMALL, "num_hidden_layers": 2, "vocab_size": 32000}, 4, 512),
    ({**LARGE, "num_hidden_layers": 4, "vocab_size": 32000}, 1, 512),
]
STEPS = 6


def main() -> None:
    speed = measure()
    print("seconds: " + ", ".join(f"{name} {value:.2g}" for name, value in vars(speed).items()), flush=True)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (sizes, batch_size, tokens) in enumerate(SHAPES):
            ratios.append(compare(Path(folder) / str(number), speed, sizes, batch_size, tokens))
    for name, found in zip(("memory", "time"), zip(*ratios, strict=True), strict=True):
        print(f"{name}: predicted / measured {min(found):.2f} to {max(found):.2f}")


def compare(
    folder: Path, speed: Speed, sizes: dict[str, Any], batch_size: int, tokens: int
) -> tuple[float, float]:
    """Predicted by measured: peak memory, seconds of a step."""
    model, run = make_tiny_model(folder / "model", **sizes), folder / "run"
    run.mkdir()
    config = TrainConfig(model=str(model), epochs=1, batch_size=batch_size, max_length=tokens, eval_share=0.0)
    rows = (Example(f"{number}", "palabra larga " * tokens) for number in range(STEPS * batch_size))
    write_dataset(run / "dataset.jsonl", rows)
    (run / "config.json").write_text(json.dumps(config.to_dict()))
    ours(run)
    events = read_events(run / "events.jsonl")
    peak = next(one["peak_memory_bytes"] for one in events if one["event"] == "saved")
    times = [one["time"] for one in events if one["event"] == "step"]
    step = statistics.median(after - before for before, after in itertools.pairwise(times))
    blueprint = blueprints.of_folder(model)
    weights = memory.weigh(blueprint, config)
    need = memory.need(blueprint.config, weights, config, tokens, memory.CUDA if training_gpu() else memory.CPU)
    expected = batch_seconds(blueprint.config, weights, speed, batch_size * tokens, tokens)
    print(f"{sizes} {batch_size} x {tokens}: peak {peak / 1e6:.0f} MB, predicted {need.peak / 1e6:.0f} "
          f"({need.peak / peak:.2f}); a step {step:.2f} s, predicted {expected:.2f} "
          f"({expected / step:.2f})", flush=True)
    return need.peak / peak, expected / step


if __name__ == "__main__":
    main()
