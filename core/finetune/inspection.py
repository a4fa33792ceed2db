"""How the examples look to a model before it is trained: token counts, what would be cut, rows as the model sees them.

Asks a child (`inspect_worker`), so that no model library enters the page's process. Knows nothing of memory or time:
`preflight` does.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import processes
from core.errors import TrainingError
from core.finetune.run import read_tail

SAMPLE_ROWS = 2000  # enough for shares within 2 points, in a few seconds
PREVIEW_ROWS = 3
# Importing the tokenizer's library takes 3 to 10 s on a busy machine, a hub that is slow to answer some more.
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Span:
    """A piece of a row. The loss falls on what is trained; what is cut lies beyond the length limit."""

    text: str
    trained: bool
    cut: bool = False


@dataclass(frozen=True)
class PreviewRow:
    line: int  # of the user's file
    spans: tuple[Span, ...]
    prompt_tokens: int
    tokens: int


@dataclass(frozen=True)
class Inspection:
    """Token counts of `sampled` examples out of `examples`: all of them, or drawn with equal chance.

    `prompts` and `totals` are parallel: tokens before the answer, and of the whole row.
    """

    model: str
    examples: int
    prompts: tuple[int, ...] = field(repr=False)
    totals: tuple[int, ...] = field(repr=False)
    positions: int  # most tokens the model can take; 0 when it does not say
    preview: tuple[PreviewRow, ...]
    refused: int = 0  # sampled examples that the model's chat template does not take
    refused_line: int = 0  # the first of them
    refusal: str = ""  # the template's own words
    plain_template: bool = False  # the model brings no chat template: a plain one is used

    @property
    def sampled(self) -> int:
        return len(self.totals) + self.refused

    @property
    def whole(self) -> bool:
        """Whether every example was counted."""
        return self.sampled >= self.examples

    def limit(self, max_length: int) -> int:
        """Tokens a row may have: the user's limit, within what the model has positions for."""
        return min(max_length, self.positions) if self.positions else max_length

    def dropped(self, max_length: int) -> int:
        """Examples of which nothing of the answer would be left, scaled up to all."""
        limit = self.limit(max_length)
        return self._scaled(sum(prompt >= limit for prompt in self.prompts))

    def cut(self, max_length: int) -> int:
        """Examples whose answer would lose its end but not all of it, scaled up to all."""
        limit = self.limit(max_length)
        pairs = zip(self.prompts, self.totals, strict=True)
        return self._scaled(sum(prompt < limit < total for prompt, total in pairs))

    def tokens(self, max_length: int) -> int:
        """Tokens of one pass over the dataset, after cutting, scaled up to all."""
        limit = self.limit(max_length)
        pairs = zip(self.prompts, self.totals, strict=True)
        return self._scaled(sum(min(total, limit) for prompt, total in pairs if prompt < limit))

    def percentile(self, share: float) -> int:
        """The length that this share (0 to 1) of the rows stays within."""
        ordered = sorted(self.totals)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0

    def histogram(self, bins: int = 24) -> list[tuple[int, int, int]]:
        """(from, to, rows) of equal widths, from 0 to the longest; `to` is not included."""
        if not self.totals:
            return []
        width = -(-(max(self.totals) + 1) // bins)
        counts = [0] * (max(self.totals) // width + 1)
        for total in self.totals:
            counts[total // width] += 1
        return [(number * width, (number + 1) * width, count) for number, count in enumerate(counts)]

    def _scaled(self, count: int) -> int:
        return count if self.whole else round(count * self.examples / max(1, self.sampled))


def inspect(
    model: str, dataset: Path, *, max_length: int, log_path: Path, preview_lines: Sequence[int] = (),
    sample: int = SAMPLE_ROWS, timeout_seconds: float = TIMEOUT_SECONDS, cache_dir: Path | None = None,
) -> Inspection:
    """Look at a dataset that `check_dataset` wrote with the tokenizer of `model`: a folder, or a hub id, of which
    only the tokenizer is downloaded.

    The rows shown are those of `preview_lines`, or some of the sample. With `cache_dir` it leaves there what
    `estimate.assess` asks for: the model's blueprint and this machine's speed. Raises TrainingError:
    train_model_folder_missing, train_model_folder_incomplete, train_model_not_found, train_model_gated,
    train_hub_unreachable, inspect_failed.
    """
    request = {"model": model, "dataset": str(dataset), "max_length": max_length, "sample": sample,
               "preview_lines": list(preview_lines), "preview": PREVIEW_ROWS,
               "cache_dir": str(cache_dir) if cache_dir else ""}
    answer = ask_child(request, log_path, timeout_seconds)
    if "error" in answer:
        raise TrainingError(str(answer["error"]), **answer["values"])
    preview = [PreviewRow(row["line"], tuple(Span(*span) for span in row["spans"]), row["prompt_tokens"], row["tokens"])
               for row in answer.pop("preview")]
    return Inspection(model=model, prompts=tuple(answer.pop("prompts")), totals=tuple(answer.pop("totals")),
                      preview=tuple(preview), **answer)


def ask_child(request: dict[str, Any], log_path: Path, timeout_seconds: float) -> dict[str, Any]:
    """One request, one answer, and the child has ended. Raises TrainingError inspect_failed."""
    child = processes.start(processes.python_module("core.finetune.inspect_worker"), log_path=log_path)
    watch = threading.Timer(timeout_seconds, child.kill)
    watch.start()
    try:
        return exchange(child, request)
    except (OSError, ValueError) as error:
        reason = (read_tail(log_path).splitlines() or ["?"])[-1][:300]
        raise TrainingError("inspect_failed", reason=reason) from error
    finally:
        watch.cancel()
        processes.end(child)


def exchange(child: subprocess.Popen[bytes], request: dict[str, Any]) -> dict[str, Any]:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(json.dumps(request).encode("ascii") + b"\n")
    child.stdin.flush()
    answer: dict[str, Any] = json.loads(child.stdout.readline())
    return answer
