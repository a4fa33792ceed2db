"""Base models worth offering on this machine: those on its disk, and known ones by the memory they need."""

from __future__ import annotations

from typing import Literal

import psutil

from core.engines import config, embedded_models
from core.finetune.preflight import GIGABYTE, GPT_OSS, training_gpu
from core.settings import Settings

Fit = Literal["here", "fits", "slow"]
# GB of free memory that the recipe wants, by arithmetic: the linear layers in 4 bits, embeddings in 16, four rows of
# some hundred tokens. The second number is the most billions of parameters that a processor trains in bearable time.
_KNOWN = (("Qwen/Qwen3-0.6B", 3.0), ("Qwen/Qwen3-1.7B", 4.5), ("Qwen/Qwen3-4B", 7.0), ("Qwen/Qwen3-8B", 12.0),
          (GPT_OSS, 22.0))
_ON_CPU = frozenset({"Qwen/Qwen3-0.6B", "Qwen/Qwen3-1.7B"})
_SHOWN = 5


def suggested(settings: Settings) -> list[tuple[str, Fit]]:
    """Name and how it fits, those that lie here first. Looks at the disk and the graphics card: up to a second."""
    installed = embedded_models.installed(settings, config.load(settings.data_dir))
    here: list[tuple[str, Fit]] = [(model.name, "here") for model in installed if model.adapter is None]
    gpu = training_gpu()
    memory = gpu.memory_bytes if gpu else psutil.virtual_memory().total
    names = {name for name, _ in here}
    fitting: list[tuple[str, Fit]] = [
        (name, "fits" if gpu or name == _KNOWN[0][0] else "slow") for name, gigabytes in _KNOWN
        if name not in names and gigabytes * GIGABYTE <= memory and (gpu or name in _ON_CPU)]
    return [*here[:_SHOWN], *fitting][: _SHOWN + 2]
