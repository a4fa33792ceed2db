"""The child that counts tokens: `python -m core.finetune.inspect_worker`.

One JSON request on stdin, as `inspection.inspect` writes it, and one JSON answer on stdout: the fields of
`inspection.Inspection`, or `{"error": code, "values": {…}}`. It ends when stdin closes.
Tokenizes as the trainer does: prompt and prompt with answer, the answer begins where the two part.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from core.engines.hub_cache import downloaded_folder
from core.errors import TrainingError
from core.finetune import blueprints, measuring, models
from core.finetune.dataset import Example, stored_examples, to_rows
from core.finetune.loading import load_tokenizer
from core.finetune.preflight import visible_device

# Everything of a model but its weights.
TOKENIZER_FILES = ["*.json", "*.jinja", "*.txt", "*.model"]
SHOWN_TOKENS = 4000  # of a row to show; the browser would choke on more


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's; we leave when stdin closes
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print goes to the log
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["CUDA_VISIBLE_DEVICES"] = visible_device()
    request = json.loads(sys.stdin.buffer.readline() or b"{}")
    threading.Thread(target=leave_with_parent, args=(sys.stdin.buffer,), daemon=True).start()
    try:
        answer = inspect(request)
    except TrainingError as error:
        answer = {"error": error.code, "values": error.values}
    except Exception as error:
        traceback.print_exc()
        reason = next(iter(str(error).splitlines()), "")
        answer = {"error": "inspect_failed", "values": {"reason": f"{type(error).__name__}: {reason}"[:300]}}
    answers.write(json.dumps(answer, default=str).encode("ascii") + b"\n")
    answers.flush()


def leave_with_parent(requests: IO[bytes]) -> None:
    requests.read()
    os._exit(0)


def inspect(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request. Raises TrainingError."""
    dataset, max_length = Path(request["dataset"]), int(request["max_length"])
    folder = tokenizer_folder(request["model"])
    tokenizer = load_tokenizer(models.ModelFolder(folder, "", "", 0))
    positions = model_positions(folder)
    limit = min(max_length, positions) if positions else max_length
    numbers, examples = draw(dataset, int(request["sample"]))
    counter = Counter(tokenizer)
    for example in stored_examples(dataset, numbers):
        counter.count(example)
    lines = set(request["preview_lines"])
    wanted = islice((each for each in stored_examples(dataset) if each.line in lines), len(lines)) if lines else (
        stored_examples(dataset, spread(numbers, int(request["preview"]))))
    if request["cache_dir"]:
        learn(request["model"], folder, Path(request["cache_dir"]))
    return {
        "examples": examples, "prompts": counter.prompts, "totals": counter.totals, "positions": positions,
        "refused": counter.refused, "refused_line": counter.refused_line, "refusal": counter.refusal,
        "plain_template": counter.is_plain,
        "preview": [row for each in wanted if (row := counter.show(each, limit))],
    }


def learn(model: str, folder: Path, cache_dir: Path) -> None:
    """What the verdict before a run needs; without it the verdict says that it does not know."""
    try:
        blueprints.fetch(model, models.read_json(folder / "config.json"), cache_dir)
    except Exception:
        traceback.print_exc()
    try:
        measuring.keep(cache_dir)
    except Exception:
        traceback.print_exc()


def draw(dataset: Path, sample: int) -> tuple[list[int], int]:
    """Numbers of the examples to count, in order, and how many there are."""
    with dataset.open("rb") as file:
        examples = sum(1 for _ in file)
    if examples <= sample:
        return list(range(examples)), examples
    return sorted(random.Random(0).sample(range(examples), sample)), examples  # noqa: S311


def spread(numbers: Sequence[int], count: int) -> list[int]:
    """The first and others evenly after it."""
    return [numbers[place * len(numbers) // count] for place in range(min(count, len(numbers)))]


class Counter:
    """Tokenizes examples as the trainer would and remembers their lengths."""

    def __init__(self, tokenizer: Any) -> None:
        from core.finetune.loading import PLAIN_CHAT_TEMPLATE

        self.tokenizer = tokenizer
        self.is_plain = tokenizer.chat_template == PLAIN_CHAT_TEMPLATE
        self.prompts: list[int] = []
        self.totals: list[int] = []
        self.refused = self.refused_line = 0
        self.refusal = ""

    def count(self, example: Example) -> None:
        from jinja2 import TemplateError

        try:
            prompt, whole = self.tokens(example)
        except TemplateError as error:  # a template may refuse, say, a system text
            self.refused += 1
            if self.refused == 1:
                self.refused_line, self.refusal = example.line, str(error)[:300]
            return
        self.prompts.append(prompt)
        self.totals.append(len(whole))

    def tokens(self, example: Example) -> tuple[int, list[int]]:
        """How many tokens come before the answer, and all of the row."""
        row = to_rows(example)
        prompt = self.tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=True)
        whole = self.tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=True)
        pairs = zip(prompt["input_ids"], whole["input_ids"], strict=False)
        same = next((place for place, (one, other) in enumerate(pairs) if one != other), None)
        shorter = min(len(prompt["input_ids"]), len(whole["input_ids"]))
        return shorter if same is None else same, whole["input_ids"]

    def show(self, example: Example, limit: int) -> dict[str, Any] | None:
        """A row as the model sees it: prompt, trained answer, and what would be cut."""
        from jinja2 import TemplateError

        try:
            prompt, whole = self.tokens(example)
        except TemplateError:
            return None
        answer = min(prompt, limit)
        pieces = [(whole[:answer], False, False), (whole[answer:limit], True, False), (whole[limit:], False, True)]
        spans = [(self.tokenizer.decode(ids[:SHOWN_TOKENS], clean_up_tokenization_spaces=False), trained, cut)
                 for ids, trained, cut in pieces if ids]
        return {"line": example.line, "spans": spans, "prompt_tokens": prompt, "tokens": len(whole)}


def model_positions(folder: Path) -> int:
    """The most tokens a model takes, as its config says; 0 when it does not."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    return int(getattr(config.get_text_config(), "max_position_embeddings", 0) or 0)


def tokenizer_folder(model: str) -> Path:
    """Where a model's tokenizer lies; of a hub model only that is downloaded, and only when it is not here yet."""
    folder = models.local_folder(model)
    if folder is not None:
        return models.inspect_folder(folder).path
    known = downloaded_folder(model)
    if known is not None and all((known / name).is_file() for name in ("config.json", "tokenizer_config.json")):
        return known
    return download(model)


def download(model: str) -> Path:
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(int(models.HUB_TIMEOUT_SECONDS)))
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        HfApi().model_info(model, timeout=models.HUB_TIMEOUT_SECONDS)
        return Path(snapshot_download(model, allow_patterns=TOKENIZER_FILES))
    except GatedRepoError as error:
        raise TrainingError("train_model_gated", model=model) from error
    except RepositoryNotFoundError as error:
        raise TrainingError("train_model_not_found", model=model) from error
    except Exception as error:
        if models.is_network_error(error):
            raise TrainingError("train_hub_unreachable", model=model) from error
        raise


if __name__ == "__main__":
    main()
