"""Preflight: models and machines that go together, and those that are known not to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from core.errors import TrainingError
from core.finetune import preflight
from core.finetune.config import TrainConfig
from core.finetune.preflight import GIGABYTE, GPT_OSS, SMALL_MODEL, Gpu
from core.settings import Settings
from ui import i18n

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: Usage(0, 0, 100 * GIGABYTE))
    return Settings(runs_dir=tmp_path / "runs")


def give_gpu(monkeypatch: pytest.MonkeyPatch, *mebibytes: int) -> None:
    found = [Gpu(f"GPU-{index}", "card", size * 2**20) for index, size in enumerate(mebibytes)]
    monkeypatch.setattr(preflight, "gpus", lambda: found)


def make_model(folder: Path, *, weight_bytes: int = 1000, **config: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    (folder / "tokenizer.json").write_text("{}")
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(weight_bytes)  # sparse: takes no room
    return folder


def refusal(config: TrainConfig, settings: Settings) -> TrainingError:
    with pytest.raises(TrainingError) as refused:
        preflight.check(config, settings)
    for language in i18n.LANGUAGES:
        assert i18n.explain(language, refused.value)
    return refused.value


@pytest.mark.parametrize("mebibytes", [23_034, 46_068, 81_559])  # L4, L40S, H100
def test_gpt_oss_is_the_default_where_it_fits(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, mebibytes: int
) -> None:
    give_gpu(monkeypatch, mebibytes)
    assert preflight.default_model(settings) == GPT_OSS


@pytest.mark.parametrize("mebibytes", [(), (8_192,), (16_376,), (16_376, 16_376)])
def test_a_small_model_is_the_default_elsewhere(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, mebibytes: tuple[int, ...]
) -> None:
    give_gpu(monkeypatch, *mebibytes)
    assert preflight.default_model(settings) == SMALL_MODEL
    preflight.check(TrainConfig(model=SMALL_MODEL), settings)


def test_gpt_oss_without_enough_memory_is_refused_and_a_small_model_offered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gpu(monkeypatch)
    error = refusal(TrainConfig(model=GPT_OSS), settings)
    assert error.code == "train_gpt_oss_needs_gpu"
    assert (error.values["needed_gb"], error.values["available_gb"]) == (16, 0)
    assert SMALL_MODEL in i18n.explain("es", error)


def test_a_disk_nearly_full_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    give_gpu(monkeypatch, 81_559)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: Usage(0, 0, 5 * GIGABYTE))
    assert refusal(TrainConfig(model=GPT_OSS), settings).code == "train_disk_nearly_full"
    preflight.check(TrainConfig(model=SMALL_MODEL), settings)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: Usage(0, 0, 10**8))
    assert refusal(TrainConfig(model=SMALL_MODEL), settings).values["free_gb"] == 0.1


def test_a_whole_local_folder_passes_and_each_missing_piece_is_named(
    settings: Settings, tmp_path: Path
) -> None:
    folder = make_model(tmp_path / "model")
    config = TrainConfig(model=str(folder))
    preflight.check(config, settings)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}))
    assert refusal(config, settings).values["missing"] == "model-2.safetensors"
    (folder / "model.safetensors").unlink()
    assert refusal(config, settings).values["missing"] == "*.safetensors"
    (folder / "tokenizer.json").unlink()
    assert refusal(config, settings).values["missing"] == "tokenizer.json"
    (folder / "config.json").write_text("[]")
    assert "model_type" in str(refusal(config, settings).values["missing"])
    (folder / "config.json").unlink()
    assert refusal(config, settings).values["missing"] == "config.json"
    (folder / "adapter_config.json").write_text("{}")
    assert refusal(config, settings).code == "train_model_is_adapter"


@pytest.mark.parametrize("name", ["./none", "/no/such/folder", "a/b/c", "../up", "C:\\models\\x", "a b"])
def test_a_name_that_is_neither_folder_nor_hub_id_is_refused(settings: Settings, name: str) -> None:
    assert refusal(TrainConfig(model=name), settings).code == "train_model_folder_missing"


def test_a_local_model_larger_than_the_memory_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gpu(monkeypatch, 8 * 1024)
    large = make_model(tmp_path / "large", weight_bytes=40 * GIGABYTE)
    assert refusal(TrainConfig(model=str(large)), settings).code == "train_no_memory"
    middle = make_model(tmp_path / "middle", weight_bytes=16 * GIGABYTE)
    preflight.check(TrainConfig(model=str(middle)), settings)
    assert refusal(TrainConfig(model=str(middle), load_in_4bit=False), settings).code == "train_no_memory"


def test_a_gpt_oss_folder_needs_what_its_way_of_loading_needs(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model(
        tmp_path / "mine", weight_bytes=13_800_000_000, model_type="gpt_oss",
        quantization_config={"quant_method": "mxfp4"},
    )
    packed, whole = (TrainConfig(model=str(folder), load_in_4bit=kept) for kept in (True, False))
    give_gpu(monkeypatch, 12_288)
    error = refusal(packed, settings)
    assert (error.code, error.values["needed_gb"]) == ("train_gpt_oss_needs_gpu", 16)
    give_gpu(monkeypatch, 23_034)
    preflight.check(packed, settings)
    assert refusal(whole, settings).values["needed_gb"] == 48
    give_gpu(monkeypatch, 46_068)
    preflight.check(whole, settings)


def test_nvidia_smi_lines_become_gpus() -> None:
    gpu = preflight.parse_gpu("GPU-3f6c, 81559, NVIDIA H100 80GB HBM3")
    assert gpu == Gpu("GPU-3f6c", "NVIDIA H100 80GB HBM3", 81_559 * 2**20)
    assert preflight.parse_gpu("GPU-9, [N/A], NVIDIA GB10").memory_bytes > 0


@pytest.mark.usefixtures("settings")
def test_one_gpu_is_used_the_largest_or_the_users_own_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    give_gpu(monkeypatch, 1000, 8000, 2000)
    assert preflight.visible_device() == "GPU-1"
    for wanted, seen, name in [("2,1", "2", "GPU-2"), ("GPU-0", "GPU-0", "GPU-0"), ("7", "7", None),
                               ("", "", None), ("-1", "-1", None)]:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", wanted)
        assert preflight.visible_device() == seen
        gpu = preflight.training_gpu()
        assert (gpu.uuid if gpu else None) == name


def test_the_pages_side_of_fine_tuning_never_imports_torch() -> None:
    code = (
        "import sys; from core.finetune import runs, preflight, dataset, config;"
        "from core.settings import Settings; preflight.default_model(Settings());"
        "print([name for name in ('torch', 'transformers', 'trl', 'datasets') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
