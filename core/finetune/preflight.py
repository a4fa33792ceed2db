"""Before a run: which model suits this machine, and what is known to be impossible on it.

Asks the system, never torch, so the page's process may call it. Knows nothing of how the training is done.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.engines.hub_cache import downloaded_folder, hub_cache
from core.errors import TrainingError
from core.finetune import models
from core.finetune.config import TrainConfig
from core.settings import Settings

GPT_OSS = "openai/gpt-oss-20b"
SMALL_MODEL = "Qwen/Qwen3-0.6B"
GIGABYTE = 1_000_000_000

# Memory a gpt-oss needs on one GPU at the least, in bytes, by how it is loaded. With 4 bits its experts stay in
# MXFP4 as published (`experts`): 13.8 GB of weights, and one row at a time. Without, all is dequantized to 2 bytes a
# parameter: 20.9 billion make 42 GB, and the default recipe takes a few more. Arithmetic; not yet measured on a GPU.
GPT_OSS_BYTES = {"gpt-oss-20b": 16 * GIGABYTE, "gpt-oss-120b": 70 * GIGABYTE}
GPT_OSS_DEQUANTIZED_BYTES = {"gpt-oss-20b": 48 * GIGABYTE, "gpt-oss-120b": 250 * GIGABYTE}
# The same for each byte of an MXFP4 checkpoint: that of gpt-oss-20b has 13.8 GB.
MXFP4_PACKED, MXFP4_DEQUANTIZED = 16 / 13.8, 48 / 13.8
# A gpt-oss that needs more than this is one of the published ones, not a small one made for trying.
FULL_GPT_OSS_BYTES = 10 * GIGABYTE
# Eager attention of four rows of 1024 tokens wants some more: what makes it the default here.
GPT_OSS_COMFORTABLE_BYTES = 22 * GIGABYTE
# What 4-bit loading leaves of 2-byte weights at best: a quarter. Less memory than that cannot work.
SMALLEST_4BIT_SHARE = 0.25

# Checkpoints and the adapter of the default recipe stay far below; a full disk would end the run at its end.
MIN_FREE_BYTES = 2 * GIGABYTE
# The files the hub sends for gpt-oss-20b (13.8 GB), and room for the run.
GPT_OSS_DOWNLOAD_BYTES = 16 * GIGABYTE


@dataclass(frozen=True)
class Gpu:
    uuid: str  # what CUDA_VISIBLE_DEVICES takes
    name: str
    memory_bytes: int


def gpus() -> list[Gpu]:
    """NVIDIA GPUs in the order of `nvidia-smi`; none when it is missing or silent."""
    command = ["nvidia-smi", "--query-gpu=uuid,memory.total,name", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [parse_gpu(line) for line in told.splitlines() if line.count(",") >= 2]


def parse_gpu(line: str) -> Gpu:
    """`GPU-3f…, 81559, NVIDIA H100 80GB HBM3`, memory in MiB. A GPU that shares the machine's memory has no
    number there."""
    uuid, mebibytes, name = (part.strip() for part in line.split(",", 2))
    memory = int(mebibytes) * 2**20 if mebibytes.isdigit() else psutil.virtual_memory().total
    return Gpu(uuid, name, memory)


def gpu_free_bytes(gpu: Gpu) -> int | None:
    """Memory of a GPU that no program holds now; None when nobody tells."""
    command = ["nvidia-smi", f"--id={gpu.uuid}", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return int(told) * 2**20 if told.isdigit() else None


def visible_device() -> str:
    """CUDA_VISIBLE_DEVICES for a training process: one GPU, for the trainer refuses to see several. The
    user's own choice comes first, then the GPU with the most memory."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is not None:
        return wanted.split(",")[0].strip()
    gpu = training_gpu()
    return gpu.uuid if gpu else "0"  # a GPU may be there without nvidia-smi


def training_gpu() -> Gpu | None:
    """The GPU a run would use, as far as `nvidia-smi` knows it."""
    found = gpus()
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return max(found, key=lambda gpu: gpu.memory_bytes, default=None)
    first = wanted.split(",")[0].strip()
    if first.isdigit():
        return found[int(first)] if int(first) < len(found) else None
    return next((gpu for gpu in found if first and gpu.uuid.startswith(first)), None)


def default_model(settings: Settings) -> str:
    """gpt-oss where this machine can train it, else a small model that trains anywhere."""
    gpu = training_gpu()
    try:
        check(TrainConfig(model=GPT_OSS), settings)
    except TrainingError:
        return SMALL_MODEL
    return GPT_OSS if gpu and gpu.memory_bytes >= GPT_OSS_COMFORTABLE_BYTES else SMALL_MODEL


def check(config: TrainConfig, settings: Settings) -> None:
    """Raises TrainingError for what is known to be impossible: train_gpt_oss_needs_gpu, train_no_memory,
    train_disk_nearly_full, and what `models.on_disk` and `models.inspect_folder` raise."""
    folder = models.on_disk(config.model)
    if folder is None:
        needed = needed_by_name(config.model, load_in_4bit=config.load_in_4bit)
        check_memory(config, needed, gpt_oss=needed > 0)
        check_disk(hub_cache(), GPT_OSS_DOWNLOAD_BYTES if needs_download(config.model) else 0)
    else:
        model = models.inspect_folder(folder)
        check_memory(config, needed_by_folder(model, config), gpt_oss=model.model_type == "gpt_oss")
    check_disk(settings.runs_dir, MIN_FREE_BYTES)


def needed_by_name(model: str, *, load_in_4bit: bool) -> int:
    """Bytes of GPU memory that a hub model is known to need; 0 when nothing is known."""
    known = GPT_OSS_BYTES if load_in_4bit else GPT_OSS_DEQUANTIZED_BYTES
    return next((needed for part, needed in known.items() if part in model.lower()), 0)


def needed_by_folder(model: models.ModelFolder, config: TrainConfig) -> int:
    """Bytes that the weights of a local model take in memory at the least."""
    if model.quant_method == "mxfp4":
        return int(model.weight_bytes * (MXFP4_PACKED if config.load_in_4bit else MXFP4_DEQUANTIZED))
    if model.model_type == "gpt_oss" or model.quant_method or not config.load_in_4bit:
        return model.weight_bytes
    return int(model.weight_bytes * SMALLEST_4BIT_SHARE)


def check_memory(config: TrainConfig, needed_bytes: int, *, gpt_oss: bool) -> None:
    """A GPU's memory counts where there is one, else the machine's. A gpt-oss of full size is refused
    without a GPU: one step would take hours."""
    gpu = training_gpu()
    full_gpt_oss = gpt_oss and needed_bytes >= FULL_GPT_OSS_BYTES
    available = gpu.memory_bytes if gpu else 0
    if not gpu and not full_gpt_oss:
        available = psutil.virtual_memory().total
    if needed_bytes <= available:
        return
    raise TrainingError(
        "train_gpt_oss_needs_gpu" if full_gpt_oss else "train_no_memory",
        model=config.model, needed_gb=math.ceil(needed_bytes / GIGABYTE),
        available_gb=round(available / GIGABYTE), small_model=SMALL_MODEL,
    )


def needs_download(model: str) -> bool:
    """Whether a gpt-oss is still to come from the hub."""
    return needed_by_name(model, load_in_4bit=True) > 0 and downloaded_folder(model) is None


def check_disk(folder: Path, needed_bytes: int) -> None:
    """Room on the disk of a folder that may not exist yet."""
    existing = existing_part(folder)
    free = free_disk(folder)
    if free < needed_bytes:
        raise TrainingError(
            "train_disk_nearly_full", folder=str(existing),
            free_gb=round(free / GIGABYTE, 1), needed_gb=round(needed_bytes / GIGABYTE, 1),
        )


def free_disk(folder: Path) -> int:
    """Bytes free on the disk of a folder that may not exist yet."""
    return shutil.disk_usage(existing_part(folder)).free


def existing_part(folder: Path) -> Path:
    return next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
