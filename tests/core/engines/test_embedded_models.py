"""Which models of this disk can be run, and what is said of a folder that cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.engines.config import EnginesConfig
from core.engines.embedded_models import by_name, from_folder, installed
from core.engines.hub_cache import cache_folder
from core.errors import EngineError
from core.settings import Settings
from ui.i18n import explain


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def make(folder: Path, *, template: str = "x", weights: int = 100, kind: str = "Qwen3ForCausalLM") -> Path:
    folder.mkdir(parents=True)
    about = {"model_type": "qwen3", "architectures": [kind], "max_position_embeddings": 40960}
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text(template)
    (folder / "model.safetensors").write_bytes(b"0" * weights)
    return folder


def make_downloaded(model: str) -> Path:
    (cache_folder(model) / "refs").mkdir(parents=True)
    (cache_folder(model) / "refs" / "main").write_text("abc")
    return make(cache_folder(model) / "snapshots" / "abc")


def make_run(runs: Path, base: str) -> Path:
    adapter = runs / "2026-11-22-1530-mine" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    (adapter / "adapter_model.safetensors").write_bytes(b"0" * 7)
    return adapter


def refused(folder: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        from_folder(folder)
    for language in ("es", "en"):
        assert str(folder) in explain(language, caught.value)
    return caught.value


def test_folder_run_and_download_are_all_found(tmp_path: Path) -> None:
    own = make(tmp_path / "own", template="{{ enable_thinking }}")
    base = make_downloaded("org/base")
    adapter = make_run(tmp_path / "runs", "org/base")
    models = installed(Settings(runs_dir=tmp_path / "runs"), EnginesConfig(embedded_model=str(own)))
    assert [(model.name, model.folder, model.adapter, model.size_bytes) for model in models] == [
        (str(own), own, None, 100), ("2026-11-22-1530-mine", base, adapter, 107), ("org/base", base, None, 100)]
    assert [model.think_levels for model in models] == [("off", "on"), (), ()]
    assert models[0].info(4096).engine == "embedded"


def test_a_run_whose_base_is_gone_is_not_offered_but_a_base_in_a_folder_is_found(tmp_path: Path) -> None:
    adapter = make_run(tmp_path / "runs", "org/gone")
    settings = Settings(runs_dir=tmp_path / "runs")
    assert installed(settings, EnginesConfig()) == []
    assert refused(adapter).code == "engine_folder_base_missing"
    base = make(tmp_path / "base")
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    tuned, plain = installed(settings, EnginesConfig())  # the base itself too, to be compared with
    assert (tuned.folder, tuned.adapter) == (base, adapter) and (plain.folder, plain.adapter) == (base, None)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_is_not_whole_says_what_it_lacks(tmp_path: Path, missing: str) -> None:
    folder = make(tmp_path / "model")
    (folder / missing).unlink()
    error = refused(folder)
    assert (error.code, error.values["missing"]) == ("engine_folder_incomplete", missing)


def test_a_missing_piece_of_the_weights_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "part-2.safetensors"}}))
    assert refused(folder).values["missing"] == "part-2.safetensors"


def test_what_cannot_chat_is_refused(tmp_path: Path) -> None:
    assert refused(make(tmp_path / "base", template="")).code == "engine_folder_no_chat"
    assert refused(make(tmp_path / "bert", kind="BertModel")).code == "engine_folder_no_chat"


def test_a_model_that_is_not_here_is_named() -> None:
    with pytest.raises(EngineError) as caught:
        by_name(Settings(), EnginesConfig(), "org/nobody")
    assert caught.value.values == {"model": "org/nobody"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"max_position_embeddings": "many", "architectures": 3}'])
def test_a_damaged_folder_hides_no_other(tmp_path: Path, text: str) -> None:
    (make_downloaded("org/bad") / "config.json").write_text(text)
    make_downloaded("org/good")
    assert [model.name for model in installed(Settings(runs_dir=tmp_path), EnginesConfig())] == ["org/good"]
